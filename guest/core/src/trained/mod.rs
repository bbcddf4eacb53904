//! What all trained detectors have in common.
//!
//! The stages of a row; kinds and models omit those that they do not need. Missing values are filled in and the rest is scaled
//! ([`prepare`]); recent means of the series are subtracted ([`baseline`]); and directions get the same variance ([`whiten`]).
//! These are the [`front`]. A [`Kernel`], in which the kinds differ, gives the row a raw score. The raw score is converted to
//! units of the threshold ([`calibrate`]) and averaged with those of the series' last rows ([`memory`]). Which rows are
//! reported, [`alarm`] says. The [`state`] is what is kept of each series.
//!
//! [`Trained::fit`] makes one of ordinary rows; it runs natively only. [`Trained::to_model`] writes it as a model's bytes,
//! and [`crate::open`] reads them.

pub mod alarm;
mod baseline;
pub mod calibrate;
mod front;
mod memory;
pub mod prepare;
mod state;
pub(crate) mod whiten;

use ndarray::ArrayView2;
use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Verdicts, Wanted};

use crate::linalg::{as_matrix, as_rows};
use crate::model::{Model, Writer};
pub use crate::rows::Rows;
use alarm::Alarm;
use calibrate::{Calibration, Threshold};
use front::{Front, Stages};
use memory::Memory;
use prepare::{Preparation, Scaling};
use state::{Series, State};

/// The version of the layout and the mathematics that all kinds share.
const VERSION: &str = "3";

/// The most features that a row may have.
pub const MAX_FEATURES: usize = 4096;

/// The powers that raw scores may be raised to.
const POWERS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// The mathematics of one kind of detector, fitted. Rows are complete (no NaN) and come from the
/// [`front`]; a kernel has no state but buffers.
pub trait Kernel: std::fmt::Debug + Send {
    /// How many of a series' last rows are scored together, the row itself included. Where it is more than one, what a kernel
    /// gets as a row are so many rows side by side, the oldest first, with NaN for what is missing.
    fn span(&self) -> usize {
        1
    }

    /// Appends a raw score a row to `raw`: finite, larger is more anomalous; NaN where it cannot be scored. `rows` are in
    /// standard layout.
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>);

    /// How much each feature contributed to one row's raw score, positive towards an anomaly. The sum depends on the kind.
    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]);

    /// The most rows of a batch that are explained. Metrics wait for it, and when a hundred hosts are anomalous at once, the
    /// reasons of the first suffice.
    fn max_explained_rows(&self) -> usize {
        usize::MAX
    }

    /// Writes what [`crate::open`] needs to make it again.
    fn write_model(&self, model: &mut Writer);
}

/// Why a detector cannot be fitted to some rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FitError(pub String);

/// A setting that is chosen by name has no such choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no {what}; known are {known}")]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// What it should name, such as a scaling.
    pub what: &'static str,
    /// The names that there are.
    pub known: &'static str,
}

/// The settings of any trained detector. By default each row is scored by itself, scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How values are scaled.
    pub scaling: Scaling,
    /// The largest magnitude of a scaled value. `None`: no limit.
    pub clip: Option<f64>,
    /// The span, in rows, of the mean of a series that is subtracted from each feature. `None`: nothing is subtracted.
    pub baseline: Option<f64>,
    /// Whether directions are whitened, and the ridge as a share of the mean variance: above 0, up to 1.
    pub whiten: Option<f64>,
    /// The power to which raw scores are raised. Alone it changes only the unit; before an average it gives anomalous rows
    /// more weight.
    pub power: f64,
    /// The span, in rows, of the mean of a series' scores: 1 is each row alone.
    pub memory: f64,
    /// The weight of that mean; the row itself has 1.
    pub memory_weight: f64,
    /// The threshold.
    pub threshold: Threshold,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scaling: Scaling::Standard,
            clip: None,
            baseline: None,
            whiten: None,
            power: 1.0,
            memory: 1.0,
            memory_weight: 5.0,
            threshold: Threshold::FalseAlarmRate(1e-4),
        }
    }
}

/// A trained detector.
#[derive(Debug)]
pub struct Trained {
    kind: &'static str,
    features: usize,
    front: Front,
    kernel: Box<dyn Kernel>,
    power: f64,
    calibration: Calibration,
    memory: Memory,
    /// Where there is none, a row is an anomaly whenever its score is above the threshold.
    alarm: Option<Alarm>,
    state: State,
    /// Buffers: a batch's rows after each stage, and their raw scores.
    stages: Stages,
    raw: Vec<f64>,
}

impl Trained {
    /// Fits the front and, by `fit`, the kernel to `train`, and the threshold to `validation`: rows that follow those of
    /// `train`.
    ///
    /// # Errors
    ///
    /// What is wrong with the rows or the settings.
    pub fn fit<E: From<FitError>>(
        kind: &'static str,
        train: Rows<'_>,
        validation: Batch<'_>,
        settings: &Settings,
        fit: impl FnOnce(ArrayView2<'_, f64>) -> Result<Box<dyn Kernel>, E>,
    ) -> Result<Self, E> {
        let features = train.features();
        if features > MAX_FEATURES {
            return Err(FitError(format!("{features} features; there may be {MAX_FEATURES}")).into());
        }
        validation.rows(features).map_err(|error| FitError(error.to_string()))?;
        let memory = Memory::new(settings.memory, settings.memory_weight)?;
        if !POWERS.contains(&settings.power) {
            return Err(FitError(format!("`power` is {}; it must lie between 0.1 and 100", settings.power)).into());
        }
        let (front, trained) = Front::fit(train, settings)?;
        let kernel = fit(front.rows(&trained))?;
        let calibration = Calibration { ordinary: 0.0, threshold: 1.0 };
        let mut this = Self::new(kind, features, front, kernel, calibration, memory);
        this.power = settings.power;
        this.calibration = Calibration::fit(&this.raw_scores(validation), settings.threshold)?;
        if let Threshold::FalseAlarmRate(rate) = settings.threshold {
            this.alarm = Some(Alarm::new(rate));
        }
        Ok(this)
    }

    /// A detector that was fitted elsewhere and scores each row by itself. `ordinary` and `threshold` are the raw scores that
    /// become 0 and 1.
    pub(crate) fn assemble(
        kind: &'static str,
        preparation: Preparation,
        kernel: Box<dyn Kernel>,
        ordinary: f64,
        threshold: f64,
    ) -> Result<Self, Error> {
        let bad = |error: FitError| Error::BadModel(error.to_string());
        let calibration = Calibration::new(ordinary, threshold)?;
        let memory = Memory::new(1.0, 0.0).map_err(bad)?;
        let (features, front) = (preparation.features(), Front::plain(preparation));
        Ok(Self::new(kind, features, front, kernel, calibration, memory))
    }

    fn new(
        kind: &'static str,
        features: usize,
        front: Front,
        kernel: Box<dyn Kernel>,
        calibration: Calibration,
        memory: Memory,
    ) -> Self {
        let (state, stages, raw) = (front.state(kernel.span()), Stages::default(), Vec::new());
        Self { kind, features, front, kernel, power: 1.0, calibration, memory, alarm: None, state, stages, raw }
    }

    /// The raw scores of rows, averaged as scores are, without earlier state. Rows without a score are omitted.
    #[must_use]
    pub fn raw_scores(&mut self, batch: Batch<'_>) -> Vec<f64> {
        let Self { front, kernel, power, memory, state, stages, raw, .. } = self;
        let (mut state, mut scores) = (state.without_series(), Vec::new());
        raw_scores(front, &mut **kernel, *power, batch, &mut state, stages, raw, |row, series, _| {
            if !row.raw.is_nan() {
                scores.push(memory.average(series.score, row.raw));
            }
        });
        scores
    }

    /// Takes another kernel for the same rows, and its calibration.
    pub(crate) fn replace(&mut self, kernel: Box<dyn Kernel>, calibration: Calibration) {
        (self.kernel, self.calibration) = (kernel, calibration);
    }

    /// The raw scores that become 0 and 1.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Scores a batch as [`score_batch`](BatchScorer::score_batch) does, and explains the rows for which
    /// `explained(row, score)` is true.
    ///
    /// # Errors
    ///
    /// [`Error::BadShape`]: nothing was scored or learnt.
    pub fn score_batch_explaining(
        &mut self,
        batch: Batch<'_>,
        mut explained: impl FnMut(usize, f64) -> bool,
    ) -> Result<Verdicts, Error> {
        let mut verdicts = Verdicts::default();
        self.score_rows(batch, true, &mut explained, &mut verdicts)?;
        Ok(verdicts)
    }

    /// The bytes of a model that [`crate::open`] reads, without state.
    #[must_use]
    pub fn to_model(&self) -> Vec<u8> {
        let mut model = Writer::default();
        model.set("kind", self.kind).set("version", VERSION).set("features", self.features);
        self.front.write_model(&mut model);
        self.calibration.write_model("", &mut model);
        self.memory.write_model(&mut model);
        model.set("power", self.power);
        if let Some(alarm) = &self.alarm {
            alarm.write_model(&mut model);
        }
        self.kernel.write_model(&mut model);
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
        if !(1..=MAX_FEATURES).contains(&features) {
            return Err(Error::BadModel(format!("its {features} features are not between 1 and {MAX_FEATURES}")));
        }
        let front = Front::read_model(model, features)?;
        let alarm = Alarm::read_model(model)?;
        let (calibration, memory) = (Calibration::read_model("", model)?, Memory::read_model(model)?);
        let power = model.finite("power")?;
        if !POWERS.contains(&power) {
            return Err(Error::BadModel(format!("its `power` of {power} is not between 0.1 and 100")));
        }
        Ok(Self { power, alarm, ..Self::new(kind, features, front, kernel(model, features)?, calibration, memory) })
    }
}

impl BatchScorer for Trained {
    /// It gives no reasons and no bands: its rows have several values, which contributions describe.
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let mut left = self.kernel.max_explained_rows();
        let mut explained = |_, score| {
            let explained = score > 1.0 && left > 0;
            left -= usize::from(explained);
            explained
        };
        self.score_rows(batch, wanted.contributions, &mut explained, verdicts)
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.state.forget_series(series);
        Ok(())
    }
}

impl Detector for Trained {
    fn describe(&self) -> Description {
        Description {
            kind: self.kind.to_owned(),
            version: VERSION.to_owned(),
            features: self.features as u32,
            // Half of a window may be missing.
            warm_up: (self.kernel.span() / 2) as u32,
            scale: "how far a row is out, 0 being the median of ordinary rows, 1 the threshold".to_owned(),
        }
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(self.state.save_series(series))
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        self.state.restore_series(state, series)
    }
}

impl Trained {
    /// Scores a batch. Contributions are those to the row's own raw score, as the kind's [`Kernel::explain_row`] has them.
    fn score_rows(
        &mut self,
        batch: Batch<'_>,
        explain: bool,
        explained: &mut dyn FnMut(usize, f64) -> bool,
        verdicts: &mut Verdicts,
    ) -> Result<(), Error> {
        let Self { features, front, kernel, power, calibration, memory, alarm, state, stages, raw, .. } = self;
        let features = *features;
        let count = batch.rows(features)?;
        let Verdicts { scores, contributions, .. } = verdicts;
        let first = scores.len();
        scores.resize(first + count, f64::NAN);
        contributions.resize(if explain { count * features } else { 0 }, 0.0);
        raw_scores(front, &mut **kernel, *power, batch, state, stages, raw, |row, mut series, kernel| {
            if row.raw.is_nan() {
                return;
            }
            let units = memory.average(series.score, calibration.units(row.raw));
            let score = match alarm {
                Some(alarm) => alarm.score(units, &mut series.incident),
                None => calibration.score(units),
            };
            if explain && explained(row.at, score) {
                let prepared = if series.window.is_empty() { row.prepared } else { &*series.window };
                kernel.explain_row(prepared, &mut contributions[row.at * features..(row.at + 1) * features]);
            }
            scores[first + row.at] = score;
        });
        Ok(())
    }
}

/// A row that has been scored by a kernel.
struct Scored<'a> {
    /// Its place in the batch.
    at: usize,
    /// What the front made of it.
    prepared: &'a [f64],
    /// The raw score, raised to the power; NaN where it cannot be scored.
    raw: f64,
}

/// Scores the rows of a batch that have any value, and gives each to `then` with its series, which has changed by it.
#[expect(clippy::too_many_arguments, reason = "they are the parts of a detector, some of them borrowed apart")]
fn raw_scores(
    front: &Front,
    kernel: &mut dyn Kernel,
    power: f64,
    batch: Batch<'_>,
    state: &mut State,
    stages: &mut Stages,
    raw: &mut Vec<f64>,
    mut then: impl FnMut(Scored<'_>, Series<'_>, &mut dyn Kernel),
) {
    let features = front.preparation.features();
    front.run(with_series(batch, features), state, stages);
    let rows = front.rows(stages);
    let alone = kernel.span() == 1;
    raw.clear();
    if alone {
        kernel.score_rows(rows, raw);
    }
    for (at, ((number, row), prepared)) in with_series(batch, features).zip(as_rows(rows)).enumerate() {
        if row.iter().all(|value| value.is_nan()) {
            continue;
        }
        let series = state.series(number);
        let own = if alone {
            raw[at]
        } else {
            push_row(series.window, row, prepared);
            raw.clear();
            kernel.score_rows(as_matrix(series.window, series.window.len()), raw);
            raw[0]
        };
        let own = if power.to_bits() == 1_f64.to_bits() { own } else { libm::pow(own, power) };
        then(Scored { at, prepared, raw: own }, series, kernel);
    }
}

/// Adds a prepared row to a window, and drops the oldest.
fn push_row(window: &mut [f64], row: &[f64], prepared: &[f64]) {
    let newest = window.len() - row.len();
    window.copy_within(row.len().., 0);
    for ((cell, value), prepared) in window[newest..].iter_mut().zip(row).zip(prepared) {
        *cell = if value.is_nan() { f64::NAN } else { *prepared };
    }
}

/// The rows of a batch, each with its series.
fn with_series(batch: Batch<'_>, features: usize) -> impl Iterator<Item = (u32, &[f64])> {
    batch.series.iter().copied().zip(batch.values.chunks_exact(features))
}

#[cfg(test)]
mod tests;
