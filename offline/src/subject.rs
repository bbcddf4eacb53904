//! What is evaluated or explained: a bundle, and history as its detector would receive it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qualm_bundle::Bundle;
use qualm_bundle::manifest::{Reference, Shape};
use qualm_contract::Detector;
use qualm_contract::ModelFactory;

use crate::evaluate::format::thousands;
use crate::history;
use crate::table::Table;
use crate::train::digest;

/// A bundle with rows that it can score.
#[derive(Debug)]
pub struct Subject {
    /// The bundle.
    pub bundle: Bundle,
    /// Its detector, fresh.
    pub detector: Box<dyn Detector>,
    /// The rows.
    pub table: Table,
    /// The paths of the bundle and of the history.
    paths: [PathBuf; 2],
}

/// Why a bundle or history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] qualm_bundle::Error),
    /// The bundle scores any field by itself, so history alone does not give its rows.
    #[error(
        "{}: it scores each field by itself, whichever; score the history with `qualm replay --model BUNDLE --scores \
         OUT.csv`, and evaluate that with `qualm evaluate --scores OUT.csv`", .0.display()
    )]
    Field(PathBuf),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The history has none of the features.
    #[error("{}: nothing in it is what the bundle scores; it wants {wants}", input.display())]
    Nothing {
        /// The history.
        input: PathBuf,
        /// The features that the bundle scores.
        wants: String,
    },
}

impl Subject {
    /// Reads both, and opens the detector with `factory`. `measurement` names the metrics of formats without measurements; by
    /// default that of the bundle's first feature.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, why, and what to do.
    pub fn read(
        bundle: &Path,
        input: &Path,
        measurement: Option<&str>,
        factory: &dyn ModelFactory,
    ) -> Result<Self, Error> {
        let paths = [bundle.to_owned(), input.to_owned()];
        let bundle = Bundle::read(bundle)?;
        if bundle.manifest.shape == Shape::Field {
            return Err(Error::Field(paths[0].clone()));
        }
        let fault = |fault: qualm_bundle::Fault| fault.at(paths[0].display());
        let detector = bundle.open(factory).map_err(fault)?;
        let shape = bundle.manifest.vectors();
        let shape = shape.map_err(|error| fault(qualm_bundle::Fault::Manifest(error.to_string())))?;
        let measurement = measurement.unwrap_or(&bundle.manifest.features[0].measurement);
        let table = Table::read(input, measurement, &shape)?;
        if table.is_empty() {
            let feature = &bundle.manifest.features[0];
            let wants = format!(
                "`{}` of `{}`, among others (--measurement names the metrics of a CSV file)",
                feature.field, feature.measurement
            );
            return Err(Error::Nothing { input: paths[1].clone(), wants });
        }
        Ok(Self { bundle, detector, table, paths })
    }

    /// The bundle's name and version.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.bundle.manifest.name, self.bundle.manifest.version)
    }

    /// The statistics of each feature in training.
    #[must_use]
    pub fn references(&self) -> Vec<Option<Reference>> {
        self.bundle.manifest.features.iter().map(|feature| feature.reference.clone()).collect()
    }

    /// Caveats to the figures: whether the model was trained on these rows.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let provenance = &self.bundle.manifest.provenance;
        if self.input_digest().is_some_and(|digest| digest == provenance.data_sha256) {
            return vec![
                "the model was trained on this very file: figures flatter it where it has seen the rows".to_owned(),
            ];
        }
        let nanoseconds = |time: Option<Timestamp>| time.map(Timestamp::as_nanosecond);
        let (from, to) = (nanoseconds(provenance.from), nanoseconds(provenance.to));
        let seen = |time: &&i64| from.zip(to).is_some_and(|(from, to)| (from..=to).contains(&i128::from(**time)));
        let rows = self.table.times.iter().filter(seen).count();
        if rows == 0 {
            return Vec::new();
        }
        let (rows, all) = (thousands(rows as u64), thousands(self.table.len() as u64));
        vec![format!(
            "{rows} of {all} rows are of the time that the model learnt from: if they are the same, figures flatter it"
        )]
    }

    /// The provenance: names and values.
    #[must_use]
    pub fn provenance(&self) -> Vec<(String, String)> {
        let manifest = &self.bundle.manifest;
        let trained = &manifest.provenance;
        let mut out = vec![
            ("model".to_owned(), format!("{} version {}, {}", manifest.name, manifest.version, manifest.kind)),
            (
                "bundle".to_owned(),
                format!("{}, SHA-256 of its manifest {}", self.paths[0].display(), self.bundle.digest()),
            ),
            ("threshold".to_owned(), manifest.threshold.rule.clone()),
        ];
        let when = trained.from.zip(trained.to).map_or_else(String::new, |(from, to)| format!(", from {from} to {to}"));
        out.push(("learnt from".to_owned(), format!("{} rows{when}, SHA-256 {}", trained.rows, trained.data_sha256)));
        let digest = self.input_digest().map_or_else(String::new, |digest| format!(", SHA-256 {digest}"));
        out.push(("rows".to_owned(), format!("{}{digest}", self.paths[1].display())));
        out
    }

    fn input_digest(&self) -> Option<String> {
        digest(&self.paths[1]).ok()
    }
}
