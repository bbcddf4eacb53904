//! A training after an epoch, from which it goes on.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use qualm_core::autoencoder::architecture::Architecture;
use qualm_system::{atomic, digest};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::adam::Adam;
use crate::options::Options;
use crate::train::{Best, Epoch};
use crate::windows::Windows;

/// A training after an epoch.
///
/// Random numbers depend on epoch and batch alone, so that nothing of them is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// A digest of what is trained, how, and on what.
    pub(crate) of: String,
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) adam: Adam,
    pub(crate) untrained: f64,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) best: Best,
    pub(crate) best_weights: Vec<Vec<f32>>,
}

/// Why a training does not go on from a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Its architecture, options or rows are others.
    #[error(
        "the checkpoint is of a training with another architecture, other options or other rows; remove it to start anew"
    )]
    Other,
    /// It is no checkpoint.
    #[error("the checkpoint is damaged: {0}; remove it to start anew")]
    Damaged(String),
    /// It cannot be read.
    #[error("the checkpoint cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// The lists of tensors of a checkpoint, as prefixes of their names.
const LISTS: [&str; 4] = ["weights", "best", "adam.first", "adam.second"];

impl Checkpoint {
    /// The epochs so far.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The best weights so far.
    #[must_use]
    pub fn best(&self) -> Best {
        self.best
    }

    /// As bytes, in the format of safetensors.
    ///
    /// # Panics
    ///
    /// If memory runs out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let lists = [&self.weights, &self.best_weights, &self.adam.first, &self.adam.second];
        let mut tensors: Vec<(String, Dtype, Vec<u8>)> = Vec::new();
        for (list, numbers) in LISTS.into_iter().zip(lists) {
            for (at, numbers) in numbers.iter().enumerate() {
                let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                tensors.push((format!("{list}.{at}"), Dtype::F32, bytes));
            }
        }
        let losses = self.epochs.iter().flat_map(|epoch| [epoch.training, epoch.validation]);
        let losses = [self.untrained, self.best.validation].into_iter().chain(losses);
        tensors.push(("losses".to_owned(), Dtype::F64, losses.flat_map(f64::to_le_bytes).collect()));
        let counts = [self.best.epoch as u64, self.adam.steps];
        tensors.push(("counts".to_owned(), Dtype::U64, counts.into_iter().flat_map(u64::to_le_bytes).collect()));
        let views = tensors.iter().map(|(name, dtype, bytes)| {
            let length = bytes.len() * 8 / dtype.bitsize();
            (name, TensorView::new(*dtype, vec![length], bytes).expect("as long as its numbers"))
        });
        let metadata = HashMap::from([("of".to_owned(), self.of.clone())]);
        safetensors::serialize(views, Some(metadata)).expect("names and lengths are in order")
    }

    /// From such bytes.
    ///
    /// # Errors
    ///
    /// If they are no checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |what: &str| CheckpointError::Damaged(what.to_owned());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error.to_string()))?;
        let of = header.metadata().as_ref().and_then(|metadata| metadata.get("of"));
        let of = of.ok_or_else(|| damaged("it does not say of what"))?.clone();
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error.to_string()))?;
        let data = |name: &str, dtype: Dtype| match tensors.tensor(name) {
            Ok(tensor) if tensor.dtype() == dtype => Ok(tensor.data()),
            _ => Err(damaged(&format!("`{name}` is missing"))),
        };
        let eights = |bytes: &[u8]| bytes.as_chunks::<8>().0.to_vec();
        let losses: Vec<f64> = eights(data("losses", Dtype::F64)?).into_iter().map(f64::from_le_bytes).collect();
        let counts: Vec<u64> = eights(data("counts", Dtype::U64)?).into_iter().map(u64::from_le_bytes).collect();
        let ([untrained, best, epochs @ ..], [best_epoch, steps]) = (&losses[..], &counts[..]) else {
            return Err(damaged("losses or counts are missing"));
        };
        let epochs: Vec<Epoch> =
            epochs.as_chunks::<2>().0.iter().map(|&[training, validation]| Epoch { training, validation }).collect();
        let best = Best { epoch: *best_epoch as usize, validation: *best };
        if best.epoch > epochs.len() {
            return Err(damaged("its best epoch is to come"));
        }
        let list = |list: &str| {
            let names = (0..).map(|at| format!("{list}.{at}"));
            let names = names.take_while(|name| tensors.tensor(name).is_ok());
            names.map(|name| Ok(floats(data(&name, Dtype::F32)?))).collect::<Result<Vec<_>, CheckpointError>>()
        };
        let [weights, best_weights, first, second] = LISTS.map(list);
        let adam = Adam { steps: *steps, first: first?, second: second? };
        Ok(Self { of, weights: weights?, adam, untrained: *untrained, epochs, best, best_weights: best_weights? })
    }

    /// Writes it as a whole or not at all.
    ///
    /// # Errors
    ///
    /// As the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        atomic::write(path, &self.to_bytes())
    }

    /// Reads what [`write`](Self::write) wrote; nothing where there is no such file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no checkpoint.
    pub fn read(path: &Path) -> Result<Option<Self>, CheckpointError> {
        match fs::read(path) {
            Ok(bytes) => Self::from_bytes(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The digest of a training.
    pub(crate) fn of(
        architecture: &Architecture,
        options: &Options,
        training: &Windows<'_>,
        validation: &Windows<'_>,
    ) -> String {
        let mut bytes = format!("{architecture:?} {options:?}").into_bytes();
        for windows in [training, validation] {
            windows.digest(&mut |more| bytes.extend_from_slice(more));
        }
        digest::sha256(&bytes)
    }

    /// Itself, if it is of this training.
    pub(crate) fn resume(self, of: &str, architecture: &Architecture) -> Result<Self, CheckpointError> {
        if self.of != of {
            return Err(CheckpointError::Other);
        }
        let lengths: Vec<usize> = architecture.tensors().iter().map(|(_, shape)| shape.iter().product()).collect();
        for list in [&self.weights, &self.best_weights, &self.adam.first, &self.adam.second] {
            if !list.iter().map(Vec::len).eq(lengths.iter().copied()) {
                return Err(CheckpointError::Damaged("its tensors are not those of the architecture".to_owned()));
            }
        }
        Ok(self)
    }

    /// Adds an epoch.
    pub(crate) fn record(&mut self, losses: Epoch) {
        self.epochs.push(losses);
        if losses.validation < self.best.validation {
            self.best = Best { epoch: self.epochs.len(), validation: losses.validation };
            self.best_weights.clone_from(&self.weights);
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&number| f32::from_le_bytes(number)).collect()
}
