//! How a network is trained.

/// In which order a recurrent decoder reconstructs the rows of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest row first.
    Forward,
    /// The newest row first (Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection", 2016): the
    /// row that is scored takes one step of the decoder.
    #[default]
    Reversed,
}

/// How a network is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The order of a recurrent decoder; convolutions ignore it.
    pub order: Order,
    /// The share of numbers between layers that a step of training leaves out, from 0 and below 1.
    pub dropout: f32,
    /// Windows in a batch.
    pub batch: usize,
    /// The most times that all windows are passed.
    pub epochs: usize,
    /// Epochs without a better validation loss before training stops.
    pub patience: usize,
    /// The step size of Adam.
    pub learning_rate: f32,
    /// What the Euclidean norm of all gradients of a batch is limited to.
    pub clip: f32,
    /// What weights, order and dropout are drawn from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            order: Order::default(),
            dropout: 0.0,
            batch: 64,
            epochs: 20,
            patience: 3,
            learning_rate: 1e-3,
            clip: 1.0,
            seed: 1,
        }
    }
}

/// An option that is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("`{name}` is {value}; it must be {must}")]
pub struct OptionsError {
    /// The option.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub must: &'static str,
}

impl Options {
    /// Checks all of them.
    ///
    /// # Errors
    ///
    /// The first that is out of its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        let positive = |value: f32| value > 0.0 && value.is_finite();
        for (name, value, fits, must) in [
            ("dropout", f64::from(self.dropout), (0.0..1.0).contains(&self.dropout), "0 or more, and below 1"),
            ("batch", self.batch as f64, self.batch > 0, "1 or more"),
            ("patience", self.patience as f64, self.patience > 0, "1 or more"),
            ("learning_rate", f64::from(self.learning_rate), positive(self.learning_rate), "positive"),
            ("clip", f64::from(self.clip), positive(self.clip), "positive"),
        ] {
            if !fits {
                return Err(OptionsError { name, value, must });
            }
        }
        Ok(())
    }
}
