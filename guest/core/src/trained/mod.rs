//! What all trained detectors have in common.
//!
//! A row's way, of which each kind of detector and each model leaves out what it does not need: missing values are filled
//! in and the rest is scaled ([`prepare`]); what its series has been like lately is subtracted ([`baseline`]); and
//! directions that vary are made alike ([`whiten`]). That is the [`front`]. A [`Kernel`], which is what the kinds differ in,
//! gives the row a raw score; the raw score becomes one in units of the threshold ([`calibrate`]), and takes those of the
//! series' last rows along ([`memory`]). An alarm lasts until the row's [`level`] is ordinary again. What all this
//! remembers of a series is its [`state`].
//!
//! [`Trained::fit`] makes one of ordinary rows; it runs natively only. [`Trained::to_model`] writes it as a model's bytes,
//! and [`crate::open`] reads them.

mod baseline;
pub mod calibrate;
mod front;
mod level;
mod memory;
pub mod prepare;
mod rows;
mod state;
pub(crate) mod whiten;

use crate::model::{Model, Writer};
use calibrate::{Calibration, Threshold};
use front::{Front, Stages};
use level::Level;
use memory::Memory;
use prepare::{Preparation, Scaling};
use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Verdicts, Wanted};
pub use rows::Rows;
use state::State;

/// The version of the layout and the mathematics that all kinds share.
const VERSION: &str = "2";

/// The most features that a row may have.
pub const MOST_FEATURES: usize = 4096;

/// The powers that raw scores may be raised to.
const POWERS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// The mathematics of one kind of detector, fitted. Rows are complete (no NaN) and come from the
/// [`front`]; nothing is remembered of them.
pub trait Kernel: std::fmt::Debug + Send {
    /// Appends a raw score a row to `raw`: finite, larger is more anomalous. `rows` holds rows × features doubles, row
    /// after row.
    fn score(&self, rows: &[f64], raw: &mut Vec<f64>);

    /// How much each feature contributed to one row's raw score, positive towards an anomaly. What they add up to, each
    /// kind says.
    fn explain(&self, row: &[f64], contributions: &mut [f64]);

    /// How many rows of a batch are explained at most: metrics wait for it, and where a hundred hosts are anomalous at
    /// once, the reasons of the first say enough.
    fn most_explained(&self) -> usize {
        usize::MAX
    }

    /// Writes what [`crate::open`] needs to make it again.
    fn write(&self, model: &mut Writer);
}

/// Why nothing can be learnt from some rows. The text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FitError(pub String);

/// What is set, not learnt, of any trained detector. The default is a plain one: each row for itself, scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How values are scaled.
    pub scaling: Scaling,
    /// How far out a scaled value counts. `None`: all the way.
    pub clip: Option<f64>,
    /// Over how many of a series' rows, about, the mean is taken that is subtracted from each feature. `None`: nothing is.
    pub baseline: Option<f64>,
    /// Whether directions are whitened, and the ridge as a share of the mean variance: above 0, up to 1.
    pub whiten: Option<f64>,
    /// To which power raw scores are raised, which are not negative. Alone that changes nothing but the unit; before a mean
    /// is taken, it makes what is strange count for more.
    pub power: f64,
    /// Over how many of a series' rows, about, the mean of scores is taken: 1 is each row alone.
    pub memory: f64,
    /// How many times as much as the row itself that mean weighs.
    pub memory_weight: f64,
    /// Whether an alarm lasts as long as the level is out: the share of ordinary rows whose level is. Without a baseline
    /// nothing fades, and this does nothing.
    pub level: Option<f64>,
    /// Where the threshold lies.
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
            level: None,
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
    level: Option<Level>,
    state: State,
    /// A batch's rows on their way, their raw scores, and a row as its level is judged.
    stages: Stages,
    raw: Vec<f64>,
    white: Vec<f64>,
}

impl Trained {
    /// Learns from rows: `train` makes the front and, through `fit`, the kernel; `validation`, rows that follow upon them
    /// and that neither saw, says where the threshold lies.
    ///
    /// # Errors
    ///
    /// What is the matter with the rows or the settings.
    pub fn fit(
        kind: &'static str,
        train: Rows<'_>,
        validation: Batch<'_>,
        settings: &Settings,
        fit: impl FnOnce(Rows<'_>) -> Result<Box<dyn Kernel>, FitError>,
    ) -> Result<Self, FitError> {
        let features = train.features();
        if features > MOST_FEATURES {
            return Err(FitError(format!("{features} features; there may be {MOST_FEATURES}")));
        }
        validation.rows(features).map_err(|error| FitError(error.to_string()))?;
        let memory = Memory::new(settings.memory, settings.memory_weight)?;
        if !POWERS.contains(&settings.power) {
            return Err(FitError(format!("`power` is {}; it must lie between 0.1 and 100", settings.power)));
        }
        let (front, trained) = Front::fit(train, settings)?;
        let kernel = fit(Rows::new(front.rows(&trained), features))?;
        let calibration = Calibration { ordinary: 0.0, threshold: 1.0 };
        let mut this = Self::new(kind, features, front, kernel, calibration, memory, None);
        this.power = settings.power;
        let (raw, stages) = this.run_afresh(validation);
        this.calibration = Calibration::fit(&raw, settings.threshold)?;
        if let (Some(out), Some(_)) = (settings.level, &this.front.baseline) {
            let train = Rows::new(&trained.scaled, features);
            let ordinary = Rows::new(&stages.scaled, features);
            let clip = this.front.preparation.clip();
            this.level = Some(Level::fit(train, ordinary, settings.whiten, clip, out)?);
        }
        Ok(this)
    }

    /// One that was learnt elsewhere: each row for itself. `ordinary` and `threshold` are the raw scores that become 0
    /// and 1.
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
        Ok(Self::new(kind, features, front, kernel, calibration, memory, None))
    }

    fn new(
        kind: &'static str,
        features: usize,
        front: Front,
        kernel: Box<dyn Kernel>,
        calibration: Calibration,
        memory: Memory,
        level: Option<Level>,
    ) -> Self {
        let state = front.state();
        let (stages, raw, white) = (Stages::default(), Vec::new(), Vec::new());
        Self { kind, features, front, kernel, power: 1.0, calibration, memory, level, state, stages, raw, white }
    }

    /// The raw scores of some rows, with those before them taken along as the score would, from a fresh start. A row of
    /// which nothing is known is left out.
    #[must_use]
    pub fn raw_scores(&self, batch: Batch<'_>) -> Vec<f64> {
        self.run_afresh(batch).0
    }

    /// Raw scores, and what the front made of the rows.
    fn run_afresh(&self, batch: Batch<'_>) -> (Vec<f64>, Stages) {
        let (mut state, mut stages, mut raw) = (self.state.fresh(), Stages::default(), Vec::new());
        let known = || with_series(batch, self.features).filter(|(_, row)| is_known(row));
        self.front.run(known(), &mut state, &mut stages);
        self.kernel.score(self.front.rows(&stages), &mut raw);
        raise(&mut raw, self.power);
        for ((series, _), raw) in known().zip(&mut raw) {
            *raw = self.memory.average(state.series(series).score, *raw);
        }
        (raw, stages)
    }

    /// Where 0 and 1 lie among the raw scores.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Scores a batch as [`score_batch`](BatchScorer::score_batch) does, and explains the rows that `which` names, given their place and
    /// score: anomalies or not, and however many.
    ///
    /// # Errors
    ///
    /// [`Error::BadShape`]: nothing was scored or learnt.
    pub fn score_batch_explaining(
        &mut self,
        batch: Batch<'_>,
        mut which: impl FnMut(usize, f64) -> bool,
    ) -> Result<Verdicts, Error> {
        let mut verdicts = Verdicts::default();
        self.run(batch, true, &mut which, &mut verdicts)?;
        Ok(verdicts)
    }

    /// The model that [`crate::open`] makes this detector of, with nothing remembered.
    #[must_use]
    pub fn to_model(&self) -> Vec<u8> {
        let mut model = Writer::default();
        model.set("kind", self.kind).set("version", VERSION).set("features", self.features);
        self.front.write(&mut model);
        self.calibration.write(&mut model);
        self.memory.write(&mut model);
        model.set("power", self.power).set("level", self.level.is_some());
        if let Some(level) = &self.level {
            level.write(&mut model);
        }
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
        let front = Front::read(model, features)?;
        let has_level: bool = model.number("level")?;
        let level = has_level.then(|| Level::read(model, features)).transpose()?;
        let (calibration, memory) = (Calibration::read(model)?, Memory::read(model)?);
        let power = model.finite("power")?;
        if !POWERS.contains(&power) {
            return Err(Error::BadModel(format!("its `power` of {power} is not between 0.1 and 100")));
        }
        Ok(Self { power, ..Self::new(kind, features, front, kernel(model, features)?, calibration, memory, level) })
    }
}

/// Raises raw scores to a power.
fn raise(raw: &mut [f64], power: f64) {
    if power.to_bits() != 1_f64.to_bits() {
        for raw in raw {
            *raw = libm::pow(*raw, power);
        }
    }
}

/// The rows of a batch, each with its series.
fn with_series(batch: Batch<'_>, features: usize) -> impl Iterator<Item = (u32, &[f64])> {
    batch.series.iter().copied().zip(batch.values.chunks_exact(features))
}

/// Whether there is any value in a row.
fn is_known(row: &[f64]) -> bool {
    !row.iter().all(|value| value.is_nan())
}

impl BatchScorer for Trained {
    /// It gives no reasons and no bands: its rows have several values, whose contributions say more.
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let mut left = self.kernel.most_explained();
        let mut which = |_, score| {
            let explained = score > 1.0 && left > 0;
            left -= usize::from(explained);
            explained
        };
        self.run(batch, wanted.contributions, &mut which, verdicts)
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.state.forget(series);
        Ok(())
    }
}

impl Detector for Trained {
    fn describe(&self) -> Description {
        Description {
            kind: self.kind.to_owned(),
            version: VERSION.to_owned(),
            features: self.features as u32,
            warm_up: 0,
            scale: "how far a row is out, 0 being the median of ordinary rows, 1 the threshold".to_owned(),
        }
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(self.state.save(series))
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        self.state.restore(state, series)
    }
}

impl Trained {
    /// Scores a batch. Contributions are those to the row's own raw score, as the kind's [`Kernel::explain`] has them. An
    /// alarm that lasts though the row itself is ordinary has its reason in the level, where there is one: then they are
    /// what features add to the mean square of the whitened level.
    fn run(
        &mut self,
        batch: Batch<'_>,
        explain: bool,
        which: &mut dyn FnMut(usize, f64) -> bool,
        verdicts: &mut Verdicts,
    ) -> Result<(), Error> {
        let Self { features, front, kernel, power, calibration, memory, level, state, stages, raw, white, .. } = self;
        let features = *features;
        let count = batch.rows(features)?;
        front.run(with_series(batch, features), state, stages);
        let rows = front.rows(stages);
        raw.clear();
        kernel.score(rows, raw);
        raise(raw, *power);
        let Verdicts { scores, contributions, .. } = verdicts;
        scores.reserve(count);
        contributions.resize(if explain { rows.len() } else { 0 }, 0.0);
        for (at, ((series, row), &raw)) in with_series(batch, features).zip(&*raw).enumerate() {
            if !is_known(row) {
                scores.push(f64::NAN);
                continue;
            }
            let series = state.series(series);
            let own = calibration.units(raw);
            let score = calibration.score(memory.average(series.score, own));
            let place = at * features..(at + 1) * features;
            let scaled = &stages.scaled[place.clone()];
            let (score, held) = match level {
                Some(level) => level.hold(scaled, score, series.highest, white),
                None => (score, false),
            };
            if explain && which(at, score) {
                let contributions = &mut contributions[place.clone()];
                match level {
                    Some(level) if held || (score > 1.0 && own <= 1.0) => level.explain(scaled, white, contributions),
                    _ => kernel.explain(&rows[place], contributions),
                }
            }
            scores.push(score);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
