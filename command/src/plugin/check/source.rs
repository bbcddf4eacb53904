//! Synthetic rows, the same in every run.

use std::f64::consts::TAU;
use std::ops::Range;

use qualm_pipeline::Rows;

/// The first row's time, in nanoseconds since 1970.
const START_TIME: i64 = 1_700_000_000_000_000_000;

/// The default interval of a series' rows, in nanoseconds.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// The distribution of ordinary values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Normally distributed around a level.
    Noise,
    /// A period of an hour.
    Wave,
    /// Whole numbers.
    Counts,
    /// Exponentially distributed.
    Skewed,
    /// Autoregressive: each value is near the one before.
    Drift,
}

impl Shape {
    pub(super) const ALL: [Self; 5] = [Self::Noise, Self::Wave, Self::Counts, Self::Skewed, Self::Drift];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Wave => "wave",
            Self::Counts => "counts",
            Self::Skewed => "skewed",
            Self::Drift => "drift",
        }
    }
}

/// `SplitMix64` (Steele, Lea & Flood 2014, figure 10).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number less than this one.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// More than 0, and up to 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (TAU * self.uniform()).cos()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[7]).collect()
    }
}

/// Generates ordinary rows: one of each series in turn.
#[derive(Debug, Clone)]
pub(super) struct Source {
    features: usize,
    series: u32,
    shape: Shape,
    step: i64,
    random: Random,
    /// The rows generated so far.
    generated: u64,
    /// The last value of each feature of each series, for [`Shape::Drift`].
    drift: Vec<f64>,
}

impl Source {
    pub(super) fn new(features: usize, series: u32, shape: Shape, seed: u64) -> Self {
        let drift = vec![0.0; features * series as usize];
        Self { features, series, shape, step: MINUTE, random: Random::new(seed), generated: 0, drift }
    }

    /// The same with another interval of a series' rows, in nanoseconds.
    pub(super) fn with_interval(self, step: i64) -> Self {
        Self { step, ..self }
    }

    /// The next rows.
    pub(super) fn rows(&mut self, count: usize) -> Rows {
        let mut rows = Rows::new(self.features);
        let mut row = vec![0.0; self.features];
        for _ in 0..count {
            let (series, turn) =
                ((self.generated % u64::from(self.series)) as u32, self.generated / u64::from(self.series));
            // Correlates the features.
            let shared = self.random.normal();
            for (feature, value) in row.iter_mut().enumerate() {
                let place = series as usize * self.features + feature;
                *value = level(feature) + sigma(feature) * self.value(place, turn, shared);
            }
            rows.add_vector(series, START_TIME + turn as i64 * self.step + i64::from(series), &row);
            self.generated += 1;
        }
        rows
    }

    fn value(&mut self, place: usize, turn: u64, shared: f64) -> f64 {
        let random = &mut self.random;
        match self.shape {
            Shape::Noise => 0.6 * shared + 0.8 * random.normal(),
            Shape::Wave => 3.0 * (TAU * (turn as f64 / 60.0 + place as f64 / 7.0)).sin() + 0.5 * random.normal(),
            Shape::Counts => (3.0 * random.normal()).round(),
            Shape::Skewed => random.exponential(),
            Shape::Drift => {
                let drift = &mut self.drift[place];
                *drift = 0.9 * *drift + 0.44 * random.normal();
                *drift
            }
        }
    }
}

/// A feature's level.
pub(super) fn level(feature: usize) -> f64 {
    100.0 * (1 + feature % 10) as f64
}

/// A feature's standard deviation.
pub(super) fn sigma(feature: usize) -> f64 {
    1.0 + (feature % 3) as f64
}

/// A range of rows.
pub(super) fn part(rows: &Rows, range: Range<usize>) -> Rows {
    let mut part = Rows::new(rows.features());
    part.bands = rows.bands;
    let values = range.start * rows.features()..range.end * rows.features();
    part.series.extend_from_slice(&rows.series[range.clone()]);
    part.times.extend_from_slice(&rows.times[range]);
    part.values.extend_from_slice(&rows.values[values]);
    part
}
