//! `streaming`: the detector that needs no training.
//!
//! Each series has a robust level and scale that forget with time ([`level`]) and a sketch of all values that it ever
//! took ([`seen`]). How far a value is from the level, and how far from everything seen, are each turned into how rare
//! that is by the tail of the series' own history ([`tail`]); both rarities, and how rare the last values were, make the
//! score ([`series`]), in units of the wanted false-alarm rate's: 1 is where that rate is aimed at.

mod level;
mod record;
mod seen;
mod series;
mod tail;

use crate::model::{Model, Writer};
use crate::{Batch, Description, Detector, Error, Verdicts};
use level::Decay;
use series::Series;

/// The name of this kind of detector.
pub const KIND: &str = "streaming";

/// The version of the mathematics: it changes when the same rows may get other scores.
const VERSION: &str = "1";

/// The first bytes of saved state: who wrote it, and which layout follows.
const STATE: &[u8; 8] = b"qualm-s1";

/// Series in a page of state. State grows a page at a time and is never moved: growing costs the same however much
/// there is.
const PAGE: usize = 256;

/// The longest warm-up. A series' weight has a limit, which a warm-up must be able to reach with time to spare.
const MOST_SAMPLES: u32 = 50_000;
const _: () = assert!(MOST_SAMPLES as f32 * 2.0 <= level::MAX_WEIGHT);

/// Bytes of memory that a series takes.
pub const BYTES_PER_SERIES: usize = size_of::<Series>();

/// What a user may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Seconds after which an observation counts half.
    pub half_life: f64,
    /// How often an ordinary observation may be called an anomaly, as a probability.
    pub false_alarm_rate: f64,
    /// Observations of a series before its first score.
    pub min_samples: u32,
}

impl Default for Parameters {
    /// Measured on labelled server metrics: with a half-life of one day instead of three SMD loses (AUC-PR 0.283 to
    /// 0.261), and a week gains next to nothing (0.288). With fewer rows than 100 the tail is a guess.
    fn default() -> Self {
        Self { half_life: 3.0 * 86_400.0, false_alarm_rate: 1e-4, min_samples: 100 }
    }
}

impl Parameters {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// Names the parameter that is out of its range, and the range.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let Self { half_life, false_alarm_rate, min_samples } = *self;
        if !(half_life.is_finite() && half_life >= 1e-3) {
            return Err(("half_life", "must be a millisecond at least"));
        }
        if !(1e-12..=0.1).contains(&false_alarm_rate) {
            return Err((
                "false_alarm_rate",
                "must lie between 1e-12 and 0.1: the share of ordinary values called anomalies",
            ));
        }
        if !(2..=MOST_SAMPLES).contains(&min_samples) {
            return Err(("min_samples", "must lie between 2 and 50000"));
        }
        Ok(())
    }

    /// The model that [`crate::open`] makes such a detector of.
    #[must_use]
    pub fn to_model(&self) -> Vec<u8> {
        let Self { half_life, false_alarm_rate, min_samples } = self;
        let mut model = Writer::default();
        model.set("kind", KIND).set("version", VERSION).set("half_life", half_life);
        model.set("false_alarm_rate", false_alarm_rate).set("min_samples", min_samples);
        model.finish()
    }
}

/// The detector: the state of every series, by number.
#[derive(Debug)]
pub struct Streaming {
    parameters: Parameters,
    decay: Decay,
    pages: Vec<Box<[Series]>>,
}

impl Streaming {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, decay: Decay::default(), pages: Vec::new() }
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
        };
        parameters.check().map_err(|(name, range)| Error::BadModel(format!("its `{name}` {range}")))?;
        Ok(Self::new(parameters))
    }

    fn series(&self, number: u32) -> Option<&Series> {
        self.pages.get(number as usize / PAGE).map(|page| &page[number as usize % PAGE])
    }
}

/// The state of a series, made where there is none yet.
fn series_mut(pages: &mut Vec<Box<[Series]>>, number: u32) -> &mut Series {
    let page = number as usize / PAGE;
    while pages.len() <= page {
        pages.push(vec![Series::new(); PAGE].into_boxed_slice());
    }
    &mut pages[page][number as usize % PAGE]
}

impl Detector for Streaming {
    fn describe(&self) -> Description {
        let rate = self.parameters.false_alarm_rate;
        Description {
            kind: KIND.to_owned(),
            version: VERSION.to_owned(),
            features: 1,
            warm_up: self.parameters.min_samples,
            scale: format!("the logarithm of a deviation's rarity, 1 being {rate} of ordinary observations"),
        }
    }

    fn observe(&mut self, batch: Batch<'_>, explain: bool) -> Result<Verdicts, Error> {
        let rows = batch.rows(1)?;
        let Self { parameters, decay, pages } = self;
        let mut scores = Vec::with_capacity(rows);
        let mut contributions = Vec::with_capacity(if explain { rows } else { 0 });
        for ((&number, &time), &value) in batch.series.iter().zip(batch.times).zip(batch.values) {
            let verdict = series_mut(pages, number).observe(parameters, decay, time, value);
            scores.push(verdict.score);
            if explain {
                contributions.push(if verdict.score > 1.0 { verdict.deviation } else { 0.0 });
            }
        }
        Ok(Verdicts { scores, contributions })
    }

    fn forget(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(page) = self.pages.get_mut(number as usize / PAGE) {
                page[number as usize % PAGE] = Series::new();
            }
        }
    }

    fn save(&self, series: &[u32]) -> Vec<u8> {
        let mut state = Vec::with_capacity(STATE.len() + series.len() * Series::SIZE);
        state.extend_from_slice(STATE);
        for &number in series {
            self.series(number).copied().unwrap_or(Series::new()).write(&mut state);
        }
        state
    }

    fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        let bad = |what: &str| Error::BadState(what.to_owned());
        let records =
            state.strip_prefix(STATE).ok_or_else(|| bad("it was not saved by this version of `streaming`"))?;
        let (records, rest) = records.as_chunks();
        if !rest.is_empty() || records.len() != series.len() {
            return Err(bad("it is longer or shorter than the series in it"));
        }
        let read: Option<Vec<Series>> = records.iter().map(Series::read).collect();
        let read = read.ok_or_else(|| bad("a series in it has impossible values"))?;
        for (known, number) in read.into_iter().zip(series) {
            if let Some(number) = *number {
                *series_mut(&mut self.pages, number) = known;
            }
        }
        Ok(())
    }
}
