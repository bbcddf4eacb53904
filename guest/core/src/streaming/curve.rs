//! How events fall with distance, as far as counts say, and beyond.

use super::counts::{LEAST, LEVELS};
use super::tuning::Tuning;
use crate::math::{from_octaves, ln, max, octaves};

/// A distance that is beyond all that matters.
const FARTHEST: f32 = 1e6;

/// How the events of a tail fall with distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    /// Those that reach each level, at least as many as the law leaves of those that reach the one below.
    events: [f64; LEVELS],
    /// By which they fall from one octave to the next, beyond the last one that was seen.
    exponent: f64,
    /// Rows behind them, those of the prior among them; and the events of the prior that reach 1.
    rows: f64,
    prior: f64,
}

impl Curve {
    /// Of the events that were counted at each level, after so many rows.
    pub(super) fn new(counted: [f64; LEVELS], rows: f64, t: &Tuning) -> Self {
        // The tail proper begins where events are rarer than one in 32 rows.
        let begins = counted.iter().position(|events| events * 32.0 <= rows).unwrap_or(LEVELS - 1);
        let beyond: f64 = counted[begins + 1..].iter().sum();
        let first = counted[begins];
        // Sum of ln(distance/level) over events, as the integral of the counts over ln of the level.
        let logs = std::f64::consts::LN_2 * (beyond + 0.5 * first);
        let exponent = (first + t.exponent_weight) / (logs + t.exponent_weight / t.exponent);
        let fall = libm::exp2(-exponent);
        let mut least = 0.0;
        let events = counted.map(|counted| {
            let events = max(counted, least);
            least = events * fall;
            events
        });
        Self { events, exponent, rows: rows + t.prior_rows, prior: t.prior_rows * t.prior_share }
    }

    /// -ln of the events a row that reach `distance`, of [`LEAST`] or more.
    pub(super) fn nats(&self, distance: f32) -> f64 {
        ln(max(self.rows / self.events(distance), 1.0))
    }

    /// The events that reach `distance`: those that were seen, and a few more. Straight between two levels, of the logarithms of
    /// both; beyond the last one by the law itself.
    fn events(&self, distance: f32) -> f64 {
        let far = f64::from(distance);
        let place = octaves(far);
        let at = (place as usize).clamp(1, LEVELS) - 1;
        let here = self.events[at];
        let slope = match self.events.get(at + 1) {
            Some(next) if here > 0.0 => max(octaves(next / here), -self.exponent),
            _ => -self.exponent,
        };
        here * from_octaves(slope * (place - (at + 1) as f64)) + self.prior / (far * far * far)
    }

    /// The distance from which on events are as rare as so many nats: the inverse of [`nats`](Self::nats), to a hundredth.
    pub(super) fn distance(&self, nats: f64) -> f32 {
        let allowed = self.rows * libm::exp(-nats);
        let (mut near, mut far) = (LEAST, LEAST);
        while far < FARTHEST && self.events(far) > allowed {
            (near, far) = (far, 2.0 * far);
        }
        while far - near > 0.01 * near {
            let middle = 0.5 * (near + far);
            *if self.events(middle) > allowed { &mut near } else { &mut far } = middle;
        }
        far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Tuning = Tuning::SHIPPED;

    /// After 20,000 rows of which one in 300 was at 9.
    fn curve() -> Curve {
        Curve::new([66.0, 66.0, 66.0, 0.0, 0.0, 0.0, 0.0], 20_000.0, &T)
    }

    #[test]
    fn farther_is_never_less_rare_and_nothing_jumps() {
        let mut before = 0.0;
        for step in 0..6000 {
            let nats = curve().nats(2.0 * libm::expf(0.002 * step as f32));
            assert!((0.0..0.6).contains(&(nats - before)) || step == 0, "{step}: {before} to {nats}");
            before = nats;
        }
        assert!(before > 10.0, "{before}");
    }

    #[test]
    fn a_distance_is_found_by_its_nats() {
        for nats in [6.0, 7.0, 9.0, 12.0] {
            let distance = curve().distance(nats);
            assert!(curve().nats(distance) >= nats && curve().nats(distance / 1.02) < nats, "{nats}: {distance}");
        }
        assert_eq!(curve().distance(0.0).to_bits(), LEAST.to_bits());
        assert!(curve().distance(1e3) >= FARTHEST);
    }
}
