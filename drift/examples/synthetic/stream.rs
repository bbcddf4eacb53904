//! Streams of rows whose drift is known.

use std::f64::consts::TAU;

use crate::random::Random;

/// How many features a row has.
pub(crate) const FEATURES: usize = 4;
/// How many rows a day has: one every ten seconds.
pub(crate) const DAY: usize = 8640;

/// How values follow one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Independent and normal.
    White,
    /// Autoregressive, with this coefficient from row to row.
    Autoregressive(f64),
    /// A daily season, whose deviation is 1, and half as much autoregressive noise of 0.9.
    Seasonal,
    /// Counts with this mean.
    Poisson(f64),
    /// Independent, with the tails of Student's t with three degrees of freedom.
    HeavyTails,
    /// Autoregressive with 0.9, and an incident every two days on average: an hour in which all features are 4 deviations off.
    Incidents,
}

/// What changes, in the first two features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Drift {
    Nothing,
    /// The mean, by as many deviations.
    Mean(f64),
    /// The deviation, to as many times what it was.
    Deviation(f64),
    /// The shape: skewed, with the same mean and deviation.
    Shape,
    /// The first two features come to be correlated, by 0.9; each of them is as it was.
    Correlation,
    /// The mean, by two deviations over ten days.
    Slow,
}

/// Rows, one after another.
pub(crate) struct Stream {
    kind: Kind,
    drift: Drift,
    /// The row from which on there is drift.
    begins: usize,
    random: Random,
    row: usize,
    noise: [f64; FEATURES],
    incident: usize,
}

impl Stream {
    pub(crate) fn new(kind: Kind, drift: Drift, begins: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let noise = std::array::from_fn(|_| random.normal());
        Self { kind, drift, begins, random, row: 0, noise, incident: 0 }
    }

    /// The next row. It has mean 0 and deviation 1 while nothing drifts, but for counts.
    pub(crate) fn next(&mut self) -> [f64; FEATURES] {
        let row = self.row;
        self.row += 1;
        let drift = if row >= self.begins { self.drift } else { Drift::Nothing };
        let mut normal: [f64; FEATURES] = std::array::from_fn(|_| self.random.normal());
        if drift == Drift::Correlation {
            normal[1] = 0.9 * normal[0] + 0.19_f64.sqrt() * normal[1];
        }
        if let Kind::Poisson(mean) = self.kind {
            let scale = mean.sqrt();
            let both = self.random.poisson(0.9 * mean);
            return std::array::from_fn(|feature| {
                let Self { random, .. } = self;
                match (drift, feature) {
                    // Most of a count is one that both have.
                    (Drift::Correlation, 0 | 1) => both + random.poisson(0.1 * mean),
                    (_, 2..) | (Drift::Nothing, _) => random.poisson(mean),
                    (Drift::Mean(by), _) => random.poisson(mean + by * scale),
                    (Drift::Slow, _) => random.poisson(mean + slow(row - self.begins) * scale),
                    (Drift::Deviation(to), _) => {
                        // Overdispersed: the mean itself varies.
                        let varying = (mean + (to * to - 1.0).sqrt() * scale * normal[feature]).max(0.0);
                        random.poisson(varying)
                    }
                    (Drift::Shape, _) => (mean + scale * skewed(normal[feature])).max(0.0).round(),
                }
            });
        }
        let season = (TAU * (row % DAY) as f64 / DAY as f64).sin() * 2.0_f64.sqrt();
        if self.kind == Kind::Incidents {
            if self.incident > 0 {
                self.incident -= 1;
            } else if self.random.unit() < 1.0 / (2 * DAY) as f64 {
                self.incident = DAY / 24;
            }
        }
        let coefficient = match self.kind {
            Kind::Autoregressive(coefficient) => coefficient,
            Kind::Seasonal | Kind::Incidents => 0.9,
            _ => 0.0,
        };
        std::array::from_fn(|feature| {
            let noise = &mut self.noise[feature];
            *noise = coefficient * *noise + (1.0 - coefficient * coefficient).sqrt() * normal[feature];
            let drifts = feature < 2;
            let shaped = if drifts && drift == Drift::Shape { skewed(*noise) } else { *noise };
            let value = match self.kind {
                Kind::Seasonal => (season * (1.0 - 0.2 * feature as f64) + 0.5 * shaped) / 1.25_f64.sqrt(),
                Kind::HeavyTails => {
                    let squares: f64 = (0..3).map(|_| self.random.normal().powi(2)).sum();
                    shaped / squares.sqrt()
                }
                Kind::Incidents if self.incident > 0 => shaped + 4.0,
                _ => shaped,
            };
            match drift {
                Drift::Mean(by) if drifts => value + by,
                Drift::Slow if drifts => value + slow(row - self.begins),
                Drift::Deviation(to) if drifts => value * to,
                _ => value,
            }
        })
    }
}

/// By how many deviations the mean has moved after as many rows.
fn slow(rows: usize) -> f64 {
    2.0 * (rows as f64 / (10 * DAY) as f64).min(1.0)
}

/// An exponential variable with mean 0 and deviation 1 for a normal one.
fn skewed(normal: f64) -> f64 {
    // The normal's upper tail by erfc, as rational as it need be.
    -(0.5 * libm::erfc(normal / 2.0_f64.sqrt())).max(1e-300).ln() - 1.0
}
