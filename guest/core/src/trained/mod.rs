//! What all trained detectors have in common.
//!
//! A row's way: missing values are filled in and the rest is scaled ([`prepare`]); a [`Kernel`], which is what the kinds
//! of detectors differ in, gives it a raw score; the raw score becomes one in units of the threshold ([`calibrate`]),
//! and is averaged with those of the series' last rows ([`memory`]).
//!
//! [`Trained::fit`] makes one of ordinary rows; it runs natively only. [`Trained::to_model`] writes it as a model's bytes,
//! and [`crate::open`] reads them.

pub mod calibrate;
mod memory;
pub mod prepare;

use crate::model::{Model, Writer};
use crate::{Batch, Description, Detector, Error, Verdicts};
use calibrate::{Calibration, Threshold};
use memory::Memory;
use prepare::{Preparation, Scaling};

/// The version of the layout and the mathematics that all kinds share.
const VERSION: &str = "1";

/// The most features that a row may have.
pub const MOST_FEATURES: usize = 4096;

/// The mathematics of one kind of detector, fitted. Rows are complete (no NaN) and scaled; nothing is remembered of them.
pub trait Kernel: std::fmt::Debug {
    /// Appends a raw score a row to `raw`: finite, larger is more anomalous. `rows` holds rows × features doubles, row
    /// after row.
    fn score(&self, rows: &[f64], raw: &mut Vec<f64>);

    /// How much each feature contributed to one row's raw score, positive towards an anomaly. What they add up to, each
    /// kind says.
    fn explain(&self, row: &[f64], contributions: &mut [f64]);

    /// Writes what [`crate::open`] needs to make it again.
    fn write(&self, model: &mut Writer);
}

/// Rows to be learnt from: rows × features doubles, row after row, NaN for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f64],
    features: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `features` values each.
    ///
    /// # Panics
    ///
    /// Where the values do not fill the rows.
    #[must_use]
    pub fn new(values: &'a [f64], features: usize) -> Self {
        assert!(features > 0 && values.len().is_multiple_of(features), "{} values, {features} a row", values.len());
        Self { values, features }
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.features
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row after row.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.features)
    }

    /// One feature's values, those that are there.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + use<'a> {
        self.iter().map(move |row| row[feature]).filter(|value| !value.is_nan())
    }
}

/// Why nothing can be learnt from some rows. The text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FitError(pub String);

/// What is set, not learnt, of any trained detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How values are scaled.
    pub scaling: Scaling,
    /// Where the threshold lies.
    pub threshold: Threshold,
    /// Over how many of a series' rows the score is averaged, about: 1 is each row alone.
    pub memory: f64,
}

/// A trained detector.
#[derive(Debug)]
pub struct Trained {
    kind: &'static str,
    preparation: Preparation,
    kernel: Box<dyn Kernel>,
    calibration: Calibration,
    memory: Memory,
    /// Rows of a batch as they are prepared, and their raw scores.
    rows: Vec<f64>,
    raw: Vec<f64>,
}

impl Trained {
    /// Learns from rows: `train` makes the preparation and, through `fit`, the kernel; `validation`, rows that follow
    /// upon them and that neither saw, says where the threshold lies.
    ///
    /// # Errors
    ///
    /// What is the matter with the rows.
    pub fn fit(
        kind: &'static str,
        train: Rows<'_>,
        validation: Batch<'_>,
        settings: &Settings,
        fit: impl FnOnce(Rows<'_>) -> Result<Box<dyn Kernel>, FitError>,
    ) -> Result<Self, FitError> {
        if !memory::SPANS.contains(&settings.memory) {
            return Err(FitError(format!("a memory of {} rows; it must lie between 1 and a million", settings.memory)));
        }
        if train.features() > MOST_FEATURES {
            return Err(FitError(format!("{} features; there may be {MOST_FEATURES}", train.features())));
        }
        validation.rows(train.features()).map_err(|error| FitError(error.to_string()))?;
        let preparation = Preparation::fit(train, settings.scaling)?;
        let mut rows = Vec::with_capacity(train.values.len());
        train.iter().for_each(|row| preparation.prepare(row, &mut rows));
        let kernel = fit(Rows::new(&rows, train.features))?;
        let calibration = Calibration { ordinary: 0.0, threshold: 1.0 };
        let memory = Memory::new(settings.memory);
        let mut this = Self { kind, preparation, kernel, calibration, memory, rows: Vec::new(), raw: Vec::new() };
        let raw = this.raw_scores(validation);
        this.calibration = Calibration::fit(&raw, settings.threshold)?;
        Ok(this)
    }

    /// The raw scores of some rows, averaged for each series as its scores would be, from a fresh start. A row of which
    /// nothing is known is left out.
    #[must_use]
    pub fn raw_scores(&self, batch: Batch<'_>) -> Vec<f64> {
        let mut memory = Memory::new(self.memory.span());
        let (mut prepared, mut raw) = (Vec::new(), Vec::new());
        let rows = batch.values.chunks_exact(self.preparation.features());
        let known = || rows.clone().zip(batch.series).filter(|(row, _)| !row.iter().all(|value| value.is_nan()));
        known().for_each(|(row, _)| self.preparation.prepare(row, &mut prepared));
        self.kernel.score(&prepared, &mut raw);
        known().zip(raw).map(|((_, series), raw)| memory.average(*series, raw)).collect()
    }

    /// Where 0 and 1 lie among the raw scores.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// How much each feature of a row (in the metrics' own units) contributes to its raw score; see [`Kernel::explain`].
    pub fn explain(&self, row: &[f64], contributions: &mut [f64]) {
        let mut prepared = Vec::with_capacity(row.len());
        self.preparation.prepare(row, &mut prepared);
        self.kernel.explain(&prepared, contributions);
    }

    /// The model that [`crate::open`] makes this detector of, with nothing remembered.
    #[must_use]
    pub fn to_model(&self) -> Vec<u8> {
        let mut model = Writer::default();
        model.set("kind", self.kind).set("version", VERSION).set("features", self.preparation.features());
        model.set("memory", self.memory.span());
        self.preparation.write(&mut model);
        self.calibration.write(&mut model);
        self.kernel.write(&mut model);
        model.finish()
    }

    /// Reads a model; `kernel` reads its kind's part, given the number of features.
    pub(crate) fn open(
        kind: &'static str,
        model: &Model<'_>,
        kernel: impl FnOnce(&Model<'_>, usize) -> Result<Box<dyn Kernel>, Error>,
    ) -> Result<Self, Error> {
        let version = model.text("version")?;
        if version != VERSION {
            return Err(Error::BadModel(format!("it is of version {version}; known here is {VERSION}")));
        }
        let features: usize = model.number("features")?;
        if !(1..=MOST_FEATURES).contains(&features) {
            return Err(Error::BadModel(format!("its {features} features are not between 1 and {MOST_FEATURES}")));
        }
        let span = model.finite("memory")?;
        if !memory::SPANS.contains(&span) {
            return Err(Error::BadModel(format!("its `memory` of {span} rows is not between 1 and a million")));
        }
        Ok(Self {
            kind,
            preparation: Preparation::read(model, features)?,
            kernel: kernel(model, features)?,
            calibration: Calibration::read(model)?,
            memory: Memory::new(span),
            rows: Vec::new(),
            raw: Vec::new(),
        })
    }
}

impl Detector for Trained {
    fn describe(&self) -> Description {
        Description {
            kind: self.kind,
            version: VERSION,
            features: self.preparation.features() as u32,
            warm_up: 0,
            scale: "how far a row is out, 0 being the median of ordinary rows, 1 the threshold".to_owned(),
        }
    }

    fn observe(&mut self, batch: Batch<'_>, explain: bool) -> Result<Verdicts, Error> {
        let Self { preparation, kernel, calibration, memory, rows, raw, .. } = self;
        let features = preparation.features();
        let count = batch.rows(features)?;
        rows.clear();
        raw.clear();
        batch.values.chunks_exact(features).for_each(|row| preparation.prepare(row, rows));
        kernel.score(rows, raw);
        let mut scores = Vec::with_capacity(count);
        let observed = batch.series.iter().zip(batch.values.chunks_exact(features)).zip(&*raw);
        scores.extend(observed.map(|((&series, row), &raw)| {
            if row.iter().all(|value| value.is_nan()) {
                return f64::NAN; // nothing is known of it
            }
            calibration.score(memory.average(series, calibration.units(raw)))
        }));
        let mut contributions = Vec::new();
        if explain {
            contributions.resize(rows.len(), 0.0);
            let explained = rows.chunks_exact(features).zip(contributions.chunks_exact_mut(features)).zip(&scores);
            for ((row, contributions), _) in explained.filter(|(_, score)| **score > 1.0) {
                kernel.explain(row, contributions);
            }
        }
        Ok(Verdicts { scores, contributions })
    }

    fn forget(&mut self, series: &[u32]) {
        self.memory.forget(series);
    }

    fn save(&self, series: &[u32]) -> Vec<u8> {
        self.memory.save(series)
    }

    fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        self.memory.restore(state, series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_model_could_be_made_of_is_refused_at_once() {
        let rows: Vec<f64> = (0..400).map(f64::from).collect();
        let settings =
            |memory| Settings { scaling: Scaling::Standard, threshold: Threshold::Contamination(0.1), memory };
        let batch = Batch { series: &[0; 200], times: &[0; 200], values: &rows };
        let fit = |features, batch, memory| crate::zscore::fit(Rows::new(&rows, features), batch, &settings(memory));
        fit(2, batch, 1.0).unwrap();
        for memory in [0.5, f64::NAN, -3.0, 1e7] {
            assert!(fit(2, batch, memory).unwrap_err().0.contains("a memory of"));
        }
        assert!(fit(4, batch, 1.0).unwrap_err().0.contains("wrong shape"));
        let wide = vec![0.0; MOST_FEATURES + 1];
        let error = crate::zscore::fit(Rows::new(&wide, wide.len()), batch, &settings(1.0)).unwrap_err();
        assert!(error.0.contains("4097 features"));
    }
}
