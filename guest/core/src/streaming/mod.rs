//! `streaming`: the detector that needs no training.
//!
//! Each series has a level and scale with a half-life ([`level`]), and a daily profile where that explains it ([`season`]); of
//! a counter the rate is scored ([`counter`]). Five checks of the residual, from the jump of one row to the mean of 32, are
//! compared with how often the series itself has been so far away ([`tail`]). The rarest gives the score ([`series`]); 1 is where
//! the wanted false-alarm rate is expected. An incident is reported once, with a score above 1; during it scores are above ½.

mod band;
mod checks;
mod counter;
mod counts;
mod curve;
mod incident;
mod level;
mod means;
mod range;
mod record;
mod repetition;
mod row_context;
mod season;
mod series;
mod sibling_stats;
mod siblings;
mod sides;
mod signal;
mod tail;
mod tuning;
mod zone;

use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Reason, Verdicts, Wanted};

use crate::model::{Model, Writer};
use series::{Series, Shared};
use siblings::{SavedSiblings, Siblings};
pub use tuning::Tuning;
pub use zone::{Zone, ZoneError};

/// The name of this kind of detector.
pub const KIND: &str = "streaming";

/// The version of the mathematics: it changes when the same rows may get other scores.
const VERSION: &str = "5";

/// The first bytes of saved state: its format and version.
const STATE_MAGIC: &[u8; 8] = b"qualm-s5";

/// Series in a page of state. State grows by pages and is never moved, so that the cost of growing is constant.
const PAGE: usize = 256;

/// The longest warm-up. It must be well below the largest weight of a series.
const MAX_MIN_SAMPLES: u32 = 50_000;
const _: () = assert!(MAX_MIN_SAMPLES as f32 * 2.0 <= level::MAX_WEIGHT);

/// Bytes of memory per series, without its season.
pub const BYTES_PER_SERIES: usize = size_of::<Series>();

/// Bytes of memory per season.
pub const BYTES_PER_SEASON: usize = size_of::<season::Season>();

/// The most series that may have a season: the first ones that change. They take 40 MiB.
pub const MAX_SEASONS: usize = 32_768;

const _: () = assert!(BYTES_PER_SERIES == 256);
const _: () = assert!(BYTES_PER_SEASON * MAX_SEASONS <= 40 << 20);

/// The parameters of the detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Seconds after which the weight of an observation has halved.
    pub half_life: f64,
    /// The probability that an ordinary observation is reported as an anomaly.
    pub false_alarm_rate: f64,
    /// Observations of a series before its first score.
    pub min_samples: u32,
    /// The time zone of days.
    pub zone: Zone,
    /// What a new series starts from.
    pub prior: Prior,
}

/// What a new series starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prior {
    /// Nothing.
    #[default]
    None,
    /// The statistics of its siblings: series of the same field of the same measurement.
    Siblings,
}

impl Default for Parameters {
    /// On labelled metrics half-lives of one to ten days differ little. With fewer rows than 100 the tail is uncertain.
    fn default() -> Self {
        Self {
            half_life: 3.0 * 86_400.0,
            false_alarm_rate: 1e-4,
            min_samples: 100,
            zone: Zone::UTC,
            prior: Prior::None,
        }
    }
}

impl Parameters {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// The name of a parameter that is out of its range, and the range.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let Self { half_life, false_alarm_rate, min_samples, zone: _, prior: _ } = *self;
        if !(half_life.is_finite() && half_life >= 1e-3) {
            return Err(("half_life", "must be a millisecond at least"));
        }
        if !(1e-12..=0.1).contains(&false_alarm_rate) {
            return Err((
                "false_alarm_rate",
                "must lie between 1e-12 and 0.1: the share of ordinary values called anomalies",
            ));
        }
        if !(2..=MAX_MIN_SAMPLES).contains(&min_samples) {
            return Err(("min_samples", "must lie between 2 and 50000"));
        }
        Ok(())
    }

    /// The bytes of a model that [`crate::open`] reads.
    #[must_use]
    pub fn to_model(&self) -> Vec<u8> {
        let Self { half_life, false_alarm_rate, min_samples, zone, prior } = self;
        let mut model = Writer::default();
        model.set("kind", KIND).set("version", VERSION).set("half_life", half_life);
        model.set("false_alarm_rate", false_alarm_rate).set("min_samples", min_samples);
        zone.write_model(&mut model);
        prior.write_model(&mut model);
        model.finish()
    }
}

impl Prior {
    /// All values.
    pub const ALL: [Self; 2] = [Self::None, Self::Siblings];

    /// The value with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The name in configuration and models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Siblings => "siblings",
        }
    }

    /// Writes it to a model; `None` writes nothing.
    fn write_model(self, model: &mut Writer) {
        if self != Self::None {
            model.set("prior", self.name());
        }
    }

    /// The prior of a model.
    fn read_model(model: &Model<'_>) -> Result<Self, Error> {
        let Some(name) = model.optional("prior") else { return Ok(Self::None) };
        Self::named(name)
            .ok_or_else(|| Error::BadModel(format!("its `prior` is `{name}`; known here are none and siblings")))
    }
}

/// The detector: the state of every series, by number.
#[derive(Debug)]
pub struct Streaming {
    parameters: Parameters,
    shared: Shared,
    pages: Vec<Box<[Series]>>,
    siblings: Siblings,
}

impl Streaming {
    /// A detector without state.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self::with_tuning(parameters, Tuning::SHIPPED)
    }

    /// A detector with other constants, for measurements.
    #[must_use]
    pub fn with_tuning(parameters: Parameters, tuning: Tuning) -> Self {
        let shared = Shared::new(&parameters, tuning, MAX_SEASONS);
        Self { parameters, shared, pages: Vec::new(), siblings: Siblings::default() }
    }

    pub(crate) fn open(model: &Model<'_>) -> Result<Self, Error> {
        let version = model.text("version")?;
        if version != VERSION {
            return Err(Error::BadModel(format!("it is of version {version}; known here is {VERSION}")));
        }
        let parameters = Parameters {
            half_life: model.number("half_life")?,
            false_alarm_rate: model.number("false_alarm_rate")?,
            min_samples: model.number("min_samples")?,
            zone: Zone::read_model(model)?,
            prior: Prior::read_model(model)?,
        };
        parameters.check().map_err(|(name, range)| Error::BadModel(format!("its `{name}` {range}")))?;
        Ok(Self::new(parameters))
    }

    fn series(&self, number: u32) -> Option<&Series> {
        self.pages.get(number as usize / PAGE).map(|page| &page[number as usize % PAGE])
    }
}

/// The state of a series, created if there is none.
fn series_mut(pages: &mut Vec<Box<[Series]>>, number: u32) -> &mut Series {
    let page = number as usize / PAGE;
    if pages.len() <= page {
        add_pages(pages, page + 1);
    }
    &mut pages[page][number as usize % PAGE]
}

#[cold]
fn add_pages(pages: &mut Vec<Box<[Series]>>, to: usize) {
    pages.resize_with(to, || vec![Series::new(); PAGE].into_boxed_slice());
}

impl BatchScorer for Streaming {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let rows = batch.rows(1)?;
        let Self { parameters, shared, pages, siblings } = self;
        let Verdicts { scores, contributions, reasons, bands } = verdicts;
        scores.reserve(rows);
        contributions.reserve(if wanted.contributions { rows } else { 0 });
        bands.reserve(if wanted.bands { rows } else { 0 });
        for ((&number, &time), &value) in batch.series.iter().zip(batch.times).zip(batch.values) {
            let member = siblings.group_member(number);
            let verdict = series_mut(pages, number).score_value(parameters, shared, member, time, value, wanted.bands);
            // Most batches have no reasons.
            if verdict.reason != Reason::None {
                reasons.resize(scores.len(), Reason::None);
                reasons.push(verdict.reason);
            }
            scores.push(verdict.score);
            if wanted.contributions {
                contributions.push(if verdict.score > 1.0 { verdict.deviation } else { 0.0 });
            }
            if wanted.bands {
                bands.push(verdict.band);
            }
        }
        if !reasons.is_empty() {
            reasons.resize(rows, Reason::None);
        }
        Ok(())
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        if self.parameters.prior == Prior::Siblings {
            for (&number, &group) in series.iter().zip(groups) {
                let has_past = self.series(number).is_some_and(Series::has_past);
                self.siblings.set_group(number, group, has_past);
            }
        }
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        for &number in series {
            self.siblings.forget_series(number);
            if let Some(page) = self.pages.get_mut(number as usize / PAGE) {
                let state = std::mem::replace(&mut page[number as usize % PAGE], Series::new());
                self.shared.seasons += usize::from(state.has_season());
            }
        }
        Ok(())
    }
}

impl Detector for Streaming {
    fn describe(&self) -> Description {
        let rate = self.parameters.false_alarm_rate;
        Description {
            kind: KIND.to_owned(),
            version: VERSION.to_owned(),
            features: 1,
            warm_up: self.parameters.min_samples,
            scale: format!(
                "how rarely the series has been so far out, as a logarithm; 1 is aimed at {rate} of ordinary observations"
            ),
        }
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        let mut state = Vec::with_capacity(STATE_MAGIC.len() + series.len() * BYTES_PER_SERIES);
        state.extend_from_slice(STATE_MAGIC);
        self.parameters.zone.write_state(&mut state);
        for &number in series {
            match self.series(number) {
                Some(known) => known.write_state(&mut state),
                None => Series::new().write_state(&mut state),
            }
        }
        if self.parameters.prior == Prior::Siblings {
            self.siblings.write_state(series, &mut state);
        }
        Ok(state)
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        let bad = |what: &str| Error::BadState(what.to_owned());
        let mut records =
            state.strip_prefix(STATE_MAGIC).ok_or_else(|| bad("it was not saved by this version of `streaming`"))?;
        let zone = Zone::read_state(&mut records).ok_or_else(|| bad("it does not say where its days begin"))?;
        if zone != self.parameters.zone.name() {
            let now = self.parameters.zone.name();
            return Err(Error::BadState(format!("its days are those of {zone}, and now those of {now} count")));
        }
        let mut read = Vec::with_capacity(series.len());
        for _ in series {
            read.push(
                Series::read_state(&mut records).ok_or_else(|| {
                    bad("it is shorter than the series in it, or a series in it has impossible values")
                })?,
            );
        }
        // Only a detector with `prior = "siblings"` writes these, and only such a one restores them.
        let saved = match records {
            [] => None,
            _ => Some(
                SavedSiblings::read_state(&mut records, series.len())
                    .ok_or_else(|| bad("what it says of siblings is impossible"))?,
            ),
        };
        if !records.is_empty() {
            return Err(bad("it is longer than the series in it"));
        }
        for (state, number) in read.into_iter().zip(series) {
            if let Some(number) = *number {
                let before = std::mem::replace(series_mut(&mut self.pages, number), state);
                let now = series_mut(&mut self.pages, number).has_season();
                let seasons = self.shared.seasons + usize::from(before.has_season());
                // Saved state never has more than the limit.
                self.shared.seasons = seasons.saturating_sub(usize::from(now));
            }
        }
        if let (Some(saved), Prior::Siblings) = (saved, self.parameters.prior) {
            self.siblings.restore(saved, series);
        }
        Ok(())
    }
}
