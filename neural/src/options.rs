//! How a network is trained.

/// How a network is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The share of numbers between layers that a step of training leaves out, from 0 and below 1.
    pub dropout: f32,
    /// Windows in a batch.
    pub batch: usize,
    /// An epoch learns from one in so many windows, drawn anew each time.
    pub thinning: usize,
    /// The most times that all windows are passed.
    pub epochs: usize,
    /// Epochs without a better validation loss before training stops.
    pub patience: usize,
    /// The largest step size of Adam: it rises over the first steps, and falls as half a cosine to a twentieth with the last
    /// epoch (Loshchilov & Hutter, SGDR, 2017).
    pub learning_rate: f32,
    /// What the Euclidean norm of all gradients of a batch is limited to.
    pub clip: f32,
    /// What weights, order and dropout are drawn from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { dropout: 0.0, batch: 64, thinning: 1, epochs: 20, patience: 3, learning_rate: 1e-3, clip: 1.0, seed: 1 }
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
            ("thinning", self.thinning as f64, self.thinning > 0, "1 or more"),
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
