//! A series as the live page shows it: its name, its state, and its last hour.

use std::collections::VecDeque;
use std::sync::Arc;

use qualm_contract::Band;
use qualm_pipeline::Unit;
use qualm_pipeline::pipeline::Verdict;

/// How many steps are kept of each, and their length in milliseconds: an hour.
pub const STEPS: usize = 360;

/// See [`STEPS`].
pub const STEP: i64 = 10_000;

/// The longest name that is shown, in bytes.
const MAX_NAME_BYTES: usize = 300;

/// A series, and its last hour.
#[derive(Debug)]
pub struct Track {
    /// What it is, and its state.
    pub now: Now,
    /// What contributed to its last anomaly, by feature.
    pub contributions: Box<[f64]>,
    /// The largest score and the last value of each step: NaN for none. The last one belongs to `step`.
    points: VecDeque<(f32, f32)>,
    /// What would have been ordinary, in the values' unit: of the last points, since a band was first known.
    bands: VecDeque<[f32; 3]>,
    unit: Unit,
    /// The number of the last point's step, counted from 1970.
    step: i64,
}

/// A step of a series.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// When it began, in milliseconds since 1970.
    pub time: i64,
    /// Its largest score; NaN for none, here and below.
    pub score: f32,
    /// Its last value.
    pub value: f32,
    /// What would have been ordinary then: what was expected, the least, and the greatest.
    pub band: [f32; 3],
}

/// A band of which nothing is known.
const UNKNOWN: [f32; 3] = [f32::NAN; 3];

/// A series as it is now: cheap to copy.
#[derive(Debug, Clone)]
pub struct Now {
    /// Which detector's it is, by its place among the lanes.
    pub lane: usize,
    /// Its number there.
    pub series: u32,
    /// What it is called.
    pub name: Arc<str>,
    /// Its last score, NaN for none.
    pub score: f64,
    /// Since when it is anomalous, in milliseconds since 1970.
    pub since: Option<i64>,
    /// When its last row came, in milliseconds since 1970.
    pub last: i64,
}

impl Default for Track {
    fn default() -> Self {
        let now = Now { lane: usize::MAX, series: 0, name: "".into(), score: f64::NAN, since: None, last: 0 };
        let (points, bands, unit) = (VecDeque::new(), VecDeque::new(), Unit::default());
        Self { now, contributions: Box::default(), points, bands, unit, step: 0 }
    }
}

impl Track {
    pub(super) fn new(verdict: &Verdict<'_>, now: i64) -> Self {
        let Verdict { lane, series, .. } = *verdict;
        let about = Now { lane, series, name: name(verdict), score: f64::NAN, since: None, last: now };
        Self { now: about, step: now.div_euclid(STEP), ..Self::default() }
    }

    pub(super) fn retire(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.now.lane == usize::MAX
    }

    pub(super) fn add(&mut self, verdict: &Verdict<'_>, now: i64) {
        self.now.last = now;
        self.now.score = verdict.score;
        let step = now.div_euclid(STEP);
        if self.points.is_empty() {
            self.step = step;
            self.points.push_back((f32::NAN, f32::NAN));
        }
        // A clock that was put back adds to the last step; one that leapt leaves a gap.
        for _ in 0..step.saturating_sub(self.step).clamp(0, STEPS as i64) {
            push(&mut self.points, (f32::NAN, f32::NAN));
            if !self.bands.is_empty() {
                push(&mut self.bands, UNKNOWN);
            }
        }
        self.step = self.step.max(step);
        let last = verdict.values.first().copied().unwrap_or(f64::NAN);
        if let Some((score, value)) = self.points.back_mut() {
            *score = score.max(verdict.score as f32); // NaN gives way to a number
            *value = last as f32;
        }
        let band = self.unit.around(last, verdict.score, verdict.band);
        if band.is_known() && self.bands.is_empty() {
            self.bands.push_back(UNKNOWN);
        }
        if let Some(known) = self.bands.back_mut() {
            let Band { expected, lower, upper } = band;
            *known = [expected, lower, upper].map(|number| number as f32);
        }
        // Detectors explain what is above the threshold, not all that belongs to the incident.
        if verdict.anomaly && verdict.score > 1.0 && !verdict.contributions.is_empty() {
            self.contributions = verdict.contributions.into();
        }
    }

    /// Its steps, the first one first.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        let first = self.step + 1 - self.points.len() as i64;
        let before = std::iter::repeat_n(&UNKNOWN, self.points.len() - self.bands.len());
        let points = self.points.iter().zip(before.chain(&self.bands)).zip(first..);
        points.map(|((&(score, value), &band), step)| Point { time: step * STEP, score, value, band })
    }

    /// Whether a band is known of any step.
    #[must_use]
    pub fn has_bands(&self) -> bool {
        self.bands.iter().flatten().any(|number| !number.is_nan())
    }
}

/// Adds what belongs to the next step, where need be in place of the first.
fn push<T>(steps: &mut VecDeque<T>, next: T) {
    if steps.len() == STEPS {
        steps.pop_front();
    }
    steps.push_back(next);
}

/// What a row's series is called: its event's head and field, or its entity.
fn name(verdict: &Verdict<'_>) -> Arc<str> {
    let Verdict { head, key, .. } = verdict;
    match (head, key) {
        (head, []) => shown(head.strip_prefix(b",").unwrap_or(head)).into(),
        (head, key) => shown(&[head, &b" "[..], key].concat()).into(),
    }
}

/// A text as people read it, not too long.
pub(super) fn shown(text: &[u8]) -> String {
    let plain = qualm_pipeline::line::unescape(text);
    let plain = String::from_utf8_lossy(&plain);
    let end = plain.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= MAX_NAME_BYTES).last();
    plain[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use qualm_contract::Reason;

    use super::*;

    /// A row of one value; bands are from 0 to 40, where they are shown.
    fn row(value: &f64, score: f64, banded: bool) -> Verdict<'_> {
        let band = if banded { Band { expected: 20.0, lower: 0.0, upper: 40.0 } } else { Band::UNKNOWN };
        Verdict {
            event: 0,
            lane: 0,
            series: 0,
            time: 0,
            head: b"m",
            key: b"v",
            values: std::slice::from_ref(value),
            score,
            anomaly: score > 1.0,
            reports: score > 1.0,
            contributions: &[],
            reason: Reason::None,
            band,
        }
    }

    #[test]
    fn a_band_stands_at_the_step_of_its_value() {
        let mut track = Track::new(&row(&0.0, f64::NAN, false), 0);
        // No band before the first score; then two values in a step, and a gap.
        for (step, value, score) in
            [(0, 5.0, f64::NAN), (1, 10.0, 0.1), (2, 20.0, 0.1), (2, 30.0, 0.1), (5, 200.0, 2.0)]
        {
            track.add(&row(&value, score, step > 0), step * STEP);
        }
        let points: Vec<_> = track.points().map(|point| (point.time / STEP, point.value, point.band[2])).collect();
        let known = points.iter().filter(|(.., upper)| !upper.is_nan());
        assert_eq!(known.copied().collect::<Vec<_>>(), [(1, 10.0, 40.0), (2, 30.0, 40.0), (5, 200.0, 40.0)]);
        assert_eq!((points.len(), track.has_bands()), (6, true));
        for step in 6..2 * STEPS as i64 {
            track.add(&row(&10.0, 0.1, true), step * STEP);
        }
        assert_eq!((track.points().count(), track.bands.len()), (STEPS, STEPS));
    }

    #[test]
    fn without_bands_and_with_those_of_rates_none_is_known() {
        for banded in [false, true] {
            let mut track = Track::new(&row(&0.0, f64::NAN, false), 0);
            for step in 0..5 {
                track.add(&row(&(1e6 + step as f64), 0.1, banded), step * STEP);
            }
            assert!(!track.has_bands() && track.points().all(|point| point.band[0].is_nan()));
        }
    }
}
