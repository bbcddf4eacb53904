//! Trains the autoencoders of [`qualm_core::autoencoder`] with the tensors and gradients of `burn`.
//!
//! - [`Windows`]: what is learnt from, and what is validated on;
//! - [`train()`] with [`Options`], watched by a [`Watch`];
//! - [`Checkpoint`]: where a training goes on after an interruption;
//! - [`Trained`]: the weights under PyTorch's names, and the [`Log`].
//!
//! The same data, options and seed give the same weights to the bit on the same processor: a network is trained by one
//! thread, in an order that the seed alone decides. Several may be trained at the same time.

mod adam;
mod checkpoint;
mod initial;
mod network;
mod options;
mod random;
mod train;
mod windows;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use options::{Options, OptionsError};
pub use train::{Best, Epoch, Log, Progress, Stop, Tensor, TrainError, Trained, Watch, train};
pub use windows::{Newest, Rows, Windows, WindowsError};

/// Where tensors live: on the CPU. The only line that names a backend.
fn device() -> burn_tensor::Device {
    burn_tensor::Device::flex()
}
