//! Trains a model again on the rows that it scored, and compares the two.
//!
//! Rows come from the [ring](qualm_bundle::rows) of a running pipeline. Those that were anomalous or lie in maintenance windows
//! are [left out](mod@select). The successor is trained as the incumbent was, or by a [`command`] of the user's. It is
//! written only where it passes the [`gate`]: it does no worse on rows that it has not seen.

mod command;
pub mod gate;
pub mod select;

use std::path::PathBuf;

use qualm_bundle::manifest::Shape;
use qualm_bundle::rows::{self, Rows, Window};
use qualm_bundle::signature::SecretKey;
use qualm_bundle::{Bundle, Fault};
use qualm_contract::ModelFactory;
use qualm_system::child::Limits;
use serde::Serialize;

use self::gate::{Comparison, Unfit};
use self::select::{Excluded, Incumbent};
use crate::table::{Table, Vectors};
use crate::train::spec::{Rule, Spec};
use crate::train::{self, Origin, Report, Split, Step, learner_of};

/// The options of a retraining.
#[derive(Debug)]
pub struct Options {
    /// The incumbent: a bundle's directory or .qualm file.
    pub bundle: PathBuf,
    /// The directory of rows.
    pub rows: PathBuf,
    /// Where the successor is written: a .qualm file, or a directory.
    pub out: PathBuf,
    /// The successor's version; by default one more than the incumbent's.
    pub version: Option<u64>,
    /// Times whose rows are left out.
    pub maintenance: Vec<Window>,
    /// A program with its arguments that trains instead; see [`command`].
    pub command: Vec<String>,
    /// What the command may take.
    pub limits: Limits,
    /// Signs the successor.
    pub key: Option<SecretKey>,
}

/// A successor, which has been written.
#[derive(Debug, Serialize)]
pub struct Retrained {
    /// The model's name.
    pub name: String,
    /// The successor's version.
    pub version: u64,
    /// Rows that it was made of, training, validation and test part together.
    pub rows: usize,
    /// Rows that were left out.
    pub excluded: Excluded,
    /// How both do on the rows that the successor has not seen.
    pub comparison: Comparison,
    /// Warnings about the data.
    pub warnings: Vec<String>,
}

/// Why there is no successor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The incumbent cannot be used, or the successor not made or written.
    #[error(transparent)]
    Bundle(#[from] qualm_bundle::Error),
    /// The incumbent scores any field by itself.
    #[error("{}: it scores each field by itself, and is not trained on rows", .0.display())]
    Field(PathBuf),
    /// There are no rows.
    #[error(transparent)]
    Rows(#[from] rows::Error),
    /// The incumbent does not say how it was trained.
    #[error("{}: its threshold's rule `{rule}` is none that a training has; train anew with `qualm train`", path.display())]
    Rule {
        /// The bundle.
        path: PathBuf,
        /// The rule.
        rule: String,
    },
    /// Training fails.
    #[error("training fails: {0}")]
    Train(Box<train::Fault>),
    /// A detector refuses the rows.
    #[error("the rows cannot be scored: {0}")]
    Detector(#[from] qualm_contract::Error),
    /// The command fails.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The successor does not pass the gate.
    #[error("the new model is not taken: {0}")]
    Unfit(Unfit),
}

/// Trains a successor, and writes it where it passes the gate. `factory` opens both; `report` is told of each step.
///
/// # Errors
///
/// Why there is none. Nothing is written then.
pub fn retrain(options: &Options, factory: &dyn ModelFactory, report: Report<'_>) -> Result<Retrained, Error> {
    let incumbent = Bundle::read(&options.bundle)?;
    if incumbent.manifest.shape == Shape::Field {
        return Err(Error::Field(options.bundle.clone()));
    }
    let names: Vec<String> = incumbent.manifest.features.iter().map(|feature| feature.name.clone()).collect();
    let read = Rows::read(&options.rows, &names)?;
    let mut warnings: Vec<String> =
        read.damaged.iter().map(|(path, why)| format!("{} is left out: {why}", path.display())).collect();
    let Rule { false_alarm_rate, contamination, .. } = rule(&incumbent).unwrap_or_default();
    let rate = false_alarm_rate.or(contamination).unwrap_or(1e-4);
    // A plugin has no more than a threshold.
    let adapts = false_alarm_rate.is_some() && incumbent.component.is_none();
    let reference = incumbent.reference.as_ref().map(|file| {
        let options = qualm_drift::Options { window: file.window, ..qualm_drift::Options::default() };
        (&*file.reference, options)
    });
    let (table, excluded) =
        select::table(&read.rows, names, &options.maintenance, &Incumbent { reference, rate, adapts });
    let (mut successor, split) = if options.command.is_empty() {
        let (bundle, split, said) = train_again(options, &incumbent, &table, factory, report)?;
        warnings.extend(said);
        (bundle, split)
    } else {
        let split = train::split(&table, Spec::default().split).map_err(trained)?;
        (command::train(options, &incumbent, &table, &split)?, split)
    };
    let failed = |fault: Fault| Error::Bundle(fault.at(options.out.display()));
    let [mut old, mut new] = [
        incumbent.open(factory).map_err(|fault| fault.at(options.bundle.display()))?,
        successor.open(factory).map_err(failed)?,
    ];
    let comparison = gate::compare(&mut *old, &mut *new, &table, split.test)?;
    comparison.check(rate).map_err(Error::Unfit)?;
    if let Some(key) = &options.key {
        successor.sign(key).map_err(failed)?;
    }
    if options.out.extension().is_some_and(|extension| extension == qualm_bundle::archive::EXTENSION) {
        successor.write_packed(&options.out)?;
    } else {
        successor.write(&options.out)?;
    }
    let (name, version) = (successor.manifest.name.clone(), successor.manifest.version);
    Ok(Retrained { name, version, rows: table.len(), excluded, comparison, warnings })
}

/// Trains a model of the incumbent's kind, with its parameters and its rule for the threshold.
fn train_again(
    options: &Options,
    incumbent: &Bundle,
    table: &Table,
    factory: &dyn ModelFactory,
    report: Report<'_>,
) -> Result<(Bundle, Split, Vec<String>), Error> {
    let manifest = &incumbent.manifest;
    let unknown = || Error::Rule { path: options.bundle.clone(), rule: manifest.threshold.rule.clone() };
    let spec = Spec::default();
    let spec = Spec {
        drift_window: incumbent.reference.as_ref().map_or(spec.drift_window, |reference| reference.window),
        seed: manifest.provenance.seed,
        threshold: rule(incumbent).ok_or_else(unknown)?,
        suppression: manifest.suppression.clone(),
        parameters: manifest.provenance.parameters.clone(),
        ..spec
    };
    let vectors =
        Vectors { entity: manifest.entity.clone(), interval: manifest.interval, features: manifest.features.clone() };
    let learner = learner_of(&manifest.kind, incumbent.component.as_deref(), &options.out, factory, report);
    let learner = learner.map_err(trained)?;
    let origin = Origin {
        name: manifest.name.clone(),
        version: options.version.unwrap_or(manifest.version + 1),
        data_sha256: select::digest(table),
    };
    let step = || report(Step::Fitted { models: 1, of: 1 });
    let outcome = train::train(table, &vectors, &spec, origin, &*learner, step).map_err(trained)?;
    let bundle = outcome.draft.finish(factory).map_err(|fault| fault.at(options.out.display()))?;
    Ok((bundle, outcome.split, outcome.warnings))
}

fn trained(fault: train::Fault) -> Error {
    Error::Train(Box::new(fault))
}

/// The rule for the incumbent's threshold; `None` if it is none that a training has.
fn rule(incumbent: &Bundle) -> Option<Rule> {
    toml::from_str::<Rule>(&incumbent.manifest.threshold.rule).ok().filter(|rule| rule.resolve().is_ok())
}

#[cfg(test)]
mod tests;
