//! How far each value is from what its series was like: standard deviations, in units of the threshold.
//!
//! Mean and variance are exponentially weighted (West 1979), one pair for each feature of each series. All arithmetic is
//! IEEE 754's own, so that the scores are the same to the last bit on every machine.

use std::cell::RefCell;
use std::collections::HashMap;

use exports::qualm::detector::detection::{
    Description, Detector as Handle, Error, Guest, GuestDetector, Observations, Verdicts,
};
use serde::Deserialize;

wit_bindgen::generate!({ path: "wit", world: "plugin" });

const KIND: &str = "my-detector";
/// Changes when the same rows may get other scores.
const VERSION: &str = "1";
const FEATURES: usize = 1;

/// What saved state begins with: whose it is, and in which format.
const HEAD: &[u8] = b"my-detector state 1\n";
/// Bytes that a feature takes in it: three doubles.
const SAVED: usize = 24;

/// Values farther out are taken for this, so that no square is infinite.
const MOST: f64 = 1e100;

/// What can be set: the model is a JSON object with some of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Standard deviations from the mean at which an anomaly begins.
    threshold: f64,
    /// Rows that the mean is taken over, about.
    memory: f64,
    /// Rows of a series before its first score.
    warm_up: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threshold: 5.0, memory: 1000.0, warm_up: 100 }
    }
}

/// What a feature of a series was like.
#[derive(Clone, Copy, Default)]
struct Known {
    rows: f64,
    mean: f64,
    variance: f64,
}

impl Known {
    /// How many standard deviations a value is out; none while little is known. Then learns from it.
    fn observe(&mut self, value: f64, settings: &Settings) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        let mut off = value.clamp(-MOST, MOST) - self.mean;
        // Never 0, so that a series which never changed is no special case.
        let deviation = self.variance.sqrt() + 1e-9 * (1.0 + self.mean.abs());
        let z = (self.rows >= f64::from(settings.warm_up)).then(|| off / deviation);
        if z.is_some() {
            // What is strange is learnt slowly, or an anomaly would hide the next.
            let most = settings.threshold * deviation;
            off = off.clamp(-most, most);
        }
        self.rows += 1.0;
        let weight = 1.0 / self.rows.min(settings.memory);
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
        z
    }
}

struct Detector {
    settings: Settings,
    series: RefCell<HashMap<u32, [Known; FEATURES]>>,
}

impl GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<Handle, Error> {
        let settings: Settings =
            serde_json::from_slice(&model).map_err(|why| Error::BadModel(format!("parameters of {KIND}: {why}")))?;
        if !(settings.threshold > 0.0 && settings.memory >= 1.0 && settings.warm_up >= 1) {
            return Err(Error::BadModel("`threshold` is more than 0, `memory` and `warm_up` are at least 1".to_owned()));
        }
        Ok(Handle::new(Self { settings, series: RefCell::default() }))
    }

    fn describe(&self) -> Description {
        Description {
            kind: KIND.to_owned(),
            version: VERSION.to_owned(),
            features: FEATURES as u32,
            warm_up: self.settings.warm_up,
            scale: format!("{} standard deviations from the mean of the series", self.settings.threshold),
        }
    }

    fn observe(&self, batch: Observations, explain: bool) -> Result<Verdicts, Error> {
        let rows = batch.series.len();
        if batch.timestamps.len() != rows || batch.values.len() != rows * FEATURES {
            return Err(Error::BadShape(format!("{KIND} takes a time and {FEATURES} values a row")));
        }
        let mut series = self.series.borrow_mut();
        let (mut scores, mut contributions) = (Vec::with_capacity(rows), Vec::new());
        for (number, row) in batch.series.iter().zip(batch.values.chunks_exact(FEATURES)) {
            let known = series.entry(*number).or_default();
            let (mut score, mut shares) = (f64::NAN, [0.0; FEATURES]);
            for ((known, value), share) in known.iter_mut().zip(row).zip(&mut shares) {
                if let Some(z) = known.observe(*value, &self.settings) {
                    *share = z / self.settings.threshold;
                    score = score.max(share.abs()); // `max` ignores NaN
                }
            }
            scores.push(score);
            if explain {
                contributions.extend(if score > 1.0 { shares } else { [0.0; FEATURES] });
            }
        }
        Ok(Verdicts { scores, contributions })
    }

    fn forget(&self, series: Vec<u32>) {
        for number in series {
            self.series.borrow_mut().remove(&number);
        }
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        let known = self.series.borrow();
        let mut state = HEAD.to_vec();
        for number in series {
            for Known { rows, mean, variance } in known.get(&number).copied().unwrap_or_default() {
                for number in [rows, mean, variance] {
                    state.extend(number.to_le_bytes());
                }
            }
        }
        state
    }

    fn restore(&self, state: Vec<u8>, series: Vec<Option<u32>>) -> Result<(), Error> {
        let bad = || Error::BadState(format!("no state of {} series that {KIND} saved", series.len()));
        let state = state.strip_prefix(HEAD).ok_or_else(bad)?;
        if state.len() != series.len() * FEATURES * SAVED {
            return Err(bad());
        }
        let numbers: Vec<f64> = state.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(bad());
        }
        for (number, saved) in series.iter().zip(numbers.as_chunks::<{ 3 * FEATURES }>().0) {
            let Some(number) = number else { continue };
            let mut known = [Known::default(); FEATURES];
            for (known, [rows, mean, variance]) in known.iter_mut().zip(saved.as_chunks().0) {
                *known = Known { rows: *rows, mean: *mean, variance: *variance };
            }
            self.series.borrow_mut().insert(*number, known);
        }
        Ok(())
    }
}

struct Component;

impl Guest for Component {
    type Detector = Detector;
}

export!(Component);
