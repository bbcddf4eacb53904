//! The loop: batches in a random order, early stopping, and the best weights kept.

use std::io;

use burn_tensor::Tensor as BurnTensor;
use qualm_core::autoencoder::architecture::{Architecture, ArchitectureError};

use crate::adam::{Adam, norm};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::{self, Dropout, Shape};
use crate::options::{Options, OptionsError};
use crate::random::{Purpose, Random};
use crate::windows::Windows;
use crate::{device, initial};

/// A tensor's name as in PyTorch, its shape, and its numbers, the last axis the fastest.
pub type Tensor = (String, Vec<usize>, Vec<f32>);

/// What came of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The best weights, in the order of [`Architecture::tensors`].
    pub tensors: Vec<Tensor>,
    /// How it went.
    pub log: Log,
}

/// How a training went. A loss is the weighted mean over known cells of Huber's, half the square of an error up to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The validation loss of the weights at first.
    pub untrained: f64,
    /// Each whole epoch.
    pub epochs: Vec<Epoch>,
    /// The epoch of the best weights.
    pub best: Best,
    /// Why it stopped.
    pub stop: Stop,
}

/// The losses of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// The mean over its batches, each before the step that it caused.
    pub training: f64,
    /// That of the weights after it.
    pub validation: f64,
}

/// The weights with the lowest validation loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// After how many epochs; 0 for the weights at first.
    pub epoch: usize,
    /// Their validation loss.
    pub validation: f64,
}

/// Why a training stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Epochs,
    /// The validation loss did not become better for [`Options::patience`] epochs.
    Patience,
    /// A loss or a gradient of this epoch, counted from 1, was infinite or no number. The weights are the best until then.
    Diverged {
        /// The epoch.
        epoch: usize,
    },
}

/// Where a training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Batches in an epoch.
    pub batches: usize,
    /// The training loss of the epoch so far.
    pub training: f64,
}

/// Is told of a training's progress.
pub trait Watch {
    /// A batch is done.
    fn batch(&mut self, _progress: &Progress) {}

    /// An epoch is done; training can go on from this checkpoint.
    ///
    /// # Errors
    ///
    /// As a file that it writes; training stops.
    fn epoch(&mut self, _checkpoint: &Checkpoint) -> io::Result<()> {
        Ok(())
    }
}

/// Watches nothing.
impl Watch for () {}

/// Why a network was not trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The architecture is impossible.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// An option is out of its range.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The windows are not those of the architecture.
    #[error("windows of {window} rows × {features} features are not those of the architecture")]
    Windows {
        /// Rows of a window.
        window: usize,
        /// Cells in a row.
        features: usize,
    },
    /// The checkpoint is not one of this training.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The weights at first have no finite validation loss: the rows are too large to be squared.
    #[error("the validation loss is not finite before training; are the rows scaled?")]
    Unscaled,
    /// [`Watch::epoch`] failed.
    #[error("the progress cannot be recorded: {0}")]
    Watch(#[from] io::Error),
}

/// Trains a network to reconstruct windows. It keeps the weights with the lowest loss on `validation`.
///
/// Goes on `from` a checkpoint of the same training, to the same weights as without the interruption.
///
/// # Errors
///
/// If architecture, options, windows and checkpoint do not fit one another, or `watch` fails.
pub fn train(
    architecture: &Architecture,
    options: &Options,
    training: &Windows<'_>,
    validation: &Windows<'_>,
    from: Option<Checkpoint>,
    watch: &mut dyn Watch,
) -> Result<Trained, TrainError> {
    architecture.check()?;
    options.check()?;
    for windows in [training, validation] {
        let (window, features) = (windows.window(), windows.features());
        if (window, features) != (architecture.window, architecture.features) {
            return Err(TrainError::Windows { window, features });
        }
    }
    let trainer = Trainer { options, shape: Shape::new(*architecture), training, validation };
    let of = Checkpoint::of(architecture, options, training, validation);
    let mut state = match from {
        Some(checkpoint) => checkpoint.resume(&of, architecture)?,
        None => trainer.start(of, architecture)?,
    };
    let stop = loop {
        let epoch = state.epochs.len();
        if epoch >= options.epochs {
            break Stop::Epochs;
        }
        if epoch - state.best.epoch >= options.patience {
            break Stop::Patience;
        }
        let Some(losses) = trainer.epoch(&mut state, watch) else {
            break Stop::Diverged { epoch: epoch + 1 };
        };
        state.record(losses);
        watch.epoch(&state)?;
    };
    let Checkpoint { untrained, epochs, best, best_weights, .. } = state;
    let tensors = architecture.tensors().into_iter().zip(best_weights);
    let tensors = tensors.map(|((name, shape), weights)| (name, shape, weights)).collect();
    Ok(Trained { tensors, log: Log { untrained, epochs, best, stop } })
}

struct Trainer<'a> {
    options: &'a Options,
    shape: Shape,
    training: &'a Windows<'a>,
    validation: &'a Windows<'a>,
}

impl Trainer<'_> {
    /// Before the first epoch.
    fn start(&self, of: String, architecture: &Architecture) -> Result<Checkpoint, TrainError> {
        let weights = initial::weights(architecture, self.options.seed);
        let untrained = self.validate(&weights);
        if !untrained.is_finite() {
            return Err(TrainError::Unscaled);
        }
        Ok(Checkpoint {
            of,
            adam: Adam::new(&weights),
            best: Best { epoch: 0, validation: untrained },
            best_weights: weights.clone(),
            weights,
            untrained,
            epochs: Vec::new(),
        })
    }

    /// One pass over all windows; none where it diverges.
    fn epoch(&self, state: &mut Checkpoint, watch: &mut dyn Watch) -> Option<Epoch> {
        let Options { seed, batch, dropout, thinning, epochs, learning_rate, clip, .. } = *self.options;
        let plain = device();
        let differentiable = device().autodiff();
        let epoch = state.epochs.len() + 1;
        let mut order: Vec<usize> = (0..self.training.len()).collect();
        Random::new(seed, Purpose::Shuffle { epoch }).shuffle(&mut order);
        order.truncate(order.len().div_ceil(thinning));
        let batches = order.len().div_ceil(batch);
        let mut sum = Sum::default();
        for (at, indices) in order.chunks(batch).enumerate() {
            let windows = self.shape.batch(self.training, indices, &plain);
            let mut dropout = (dropout > 0.0).then(|| {
                Dropout::new(dropout, Random::new(seed, Purpose::Dropout { epoch, batch: at }), plain.clone())
            });
            let leaves = network::weights(&state.weights, &differentiable);
            let loss = self.shape.loss(&leaves, &windows, dropout.as_mut());
            let mut gradients = loss.backward();
            sum.add(f64::from(loss.into_scalar::<f32>()), windows.weight);
            let gradients: Vec<Vec<f32>> = leaves
                .iter()
                .map(|leaf| leaf.grad_remove(&mut gradients).map_or_else(|| vec![0.0; leaf.dims()[0]], numbers))
                .collect();
            // The loss is a weighted mean.
            let mean = 1.0 / windows.weight;
            let length = norm(&gradients) * mean;
            if !(length.is_finite() && sum.mean().is_finite()) {
                return None;
            }
            let scale = mean * (f64::from(clip) / (length + 1e-6)).min(1.0);
            let rate = learning_rate * schedule(state.adam.steps, (epochs * batches) as u64);
            state.adam.step(&mut state.weights, &gradients, scale as f32, rate);
            watch.batch(&Progress { epoch, batch: at + 1, batches, training: sum.mean() });
        }
        let validation = self.validate(&state.weights);
        validation.is_finite().then_some(Epoch { training: sum.mean(), validation })
    }

    /// The loss on the validation part.
    fn validate(&self, weights: &[Vec<f32>]) -> f64 {
        let device = device();
        let weights = network::weights(weights, &device);
        let all: Vec<usize> = (0..self.validation.len()).collect();
        let mut sum = Sum::default();
        for indices in all.chunks(self.options.batch) {
            let windows = self.shape.batch(self.validation, indices, &device);
            let loss = self.shape.loss(&weights, &windows, None);
            sum.add(f64::from(loss.into_scalar::<f32>()), windows.weight);
        }
        sum.mean()
    }
}

/// The share of the learning rate after so many steps of at most so many.
fn schedule(step: u64, steps: u64) -> f32 {
    let begin = (step + 1) as f64 / WARM_UP_STEPS;
    let end = LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
    (begin.min(1.0) * end) as f32
}

/// Steps in which the learning rate rises.
const WARM_UP_STEPS: f64 = 30.0;

/// The share of the learning rate that it falls to.
const LAST_RATE: f64 = 0.05;

/// Weighted losses of cells.
#[derive(Default)]
struct Sum {
    losses: f64,
    weight: f64,
}

impl Sum {
    fn add(&mut self, losses: f64, weight: f64) {
        self.losses += losses;
        self.weight += weight;
    }

    fn mean(&self) -> f64 {
        self.losses / self.weight
    }
}

fn numbers(tensor: BurnTensor<1>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("memory of this process can be read")
}
