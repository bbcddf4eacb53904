//! Trains networks with `qualm_neural`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qualm_bundle::manifest::NetworkTraining;
use qualm_core::autoencoder::architecture::Network;
use qualm_core::autoencoder::history::History;
use qualm_core::autoencoder::weights::{Tensor, Weights};
use qualm_core::trained::FitError;
use qualm_neural::{Checkpoint, Log, Newest, Options, Rows, Stop, Watch, Windows};
use rayon::prelude::*;

use super::Networks;
use super::parameters::Parameters;
use crate::train::{Fault, Report, Step};

/// How many times the mean loss of a window's newest row counts besides that of the window: it is the row that is scored.
const NEWEST_WEIGHT: f32 = 3.0;

/// Trains all networks, each with a thread of its own, as there are processors. A training that was interrupted goes on from its
/// checkpoint.
pub(super) fn train(
    parameters: &Parameters,
    history: &History,
    seed: u64,
    checkpoints: &Path,
    report: Report<'_>,
) -> Result<Networks, Fault> {
    let Parameters { networks, window, stride, hide_newest, .. } = parameters;
    let rows = Rows { features: history.features, values: &history.values, known: &history.known };
    let newest = Newest { hidden: *hide_newest, weight: NEWEST_WEIGHT };
    let windows = |runs, stride| {
        let windows = Windows::new(rows, runs, *window, stride).map_err(|error| FitError(error.to_string()))?;
        Ok::<_, Fault>(windows.with_newest(newest))
    };
    let (training, validation) = (windows(&history.training, 1)?, windows(&history.validation, (stride / 2).max(1))?);
    let options = Options {
        dropout: parameters.dropout as f32,
        batch: parameters.batch,
        thinning: *stride,
        epochs: parameters.epochs,
        patience: parameters.patience,
        learning_rate: parameters.learning_rate as f32,
        seed,
        ..Options::default()
    };
    let one = |network: &Network| {
        let name = network.name();
        let architecture = parameters.architecture(*network, history.features);
        let failed = |source| Fault::Network { network: name, source };
        let file = checkpoints.join(format!("{name}.checkpoint"));
        // One of another training, or a damaged one, is of no use.
        let from = Checkpoint::read(&file).ok().flatten();
        let mut watch = Recorder { network: name, epochs: options.epochs, file, report };
        let train = |from, watch: &mut Recorder<'_>| {
            qualm_neural::train(&architecture, &options, &training, &validation, from, watch)
        };
        let trained = match train(from, &mut watch) {
            Err(qualm_neural::TrainError::Checkpoint(_)) => train(None, &mut watch),
            trained => trained,
        };
        let trained = trained.map_err(|error| failed(error.into()))?;
        if trained.log.best.epoch == 0 {
            let Log { stop, epochs, .. } = &trained.log;
            let what = format!(
                "it learnt nothing in {} epochs ({}); try a smaller `learning_rate`",
                epochs.len(),
                said(*stop)
            );
            return Err(failed(what.into()));
        }
        let mut tensors = trained.tensors.into_iter();
        let weights = Weights::new(architecture, |_| {
            // They come in the order of the architecture's.
            let (_, shape, numbers) = tensors.next().unwrap_or_default();
            Ok(Tensor { shape, numbers })
        });
        Ok((weights.map_err(|error| failed(error.into()))?, log(name, &trained.log)))
    };
    networks.par_iter().map(one).collect::<Result<Vec<_>, Fault>>().map(|trained| trained.into_iter().unzip())
}

fn log(network: &str, log: &Log) -> NetworkTraining {
    NetworkTraining {
        network: network.to_owned(),
        stopped: said(log.stop),
        best_epoch: log.best.epoch as u64,
        training_loss: log.epochs.iter().map(|epoch| epoch.training).collect(),
        validation_loss: log.epochs.iter().map(|epoch| epoch.validation).collect(),
    }
}

/// Why a training stopped, in words.
fn said(stop: Stop) -> String {
    match stop {
        Stop::Epochs => "after all epochs".to_owned(),
        Stop::Patience => "as it became no better".to_owned(),
        Stop::Diverged { epoch } => format!("because it diverged in epoch {epoch}"),
    }
}

/// Reports each epoch, and writes what training goes on from.
struct Recorder<'a> {
    network: &'static str,
    epochs: usize,
    file: PathBuf,
    report: Report<'a>,
}

impl Watch for Recorder<'_> {
    fn epoch(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        if let Some(last) = checkpoint.epochs().last() {
            (self.report)(Step::Epoch {
                network: self.network,
                epoch: checkpoint.epochs().len() as u64,
                of: self.epochs as u64,
                training: last.training,
                validation: last.validation,
            });
        }
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        checkpoint.write(&self.file)
    }
}
