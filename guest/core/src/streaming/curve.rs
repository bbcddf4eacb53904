//! The number of events as a function of distance: by the counts, and beyond them by a power law.

use super::counts::{LEVELS, MIN_DISTANCE};
use super::tuning::Tuning;
use crate::math::{from_octaves, ln, max, octaves};

/// The largest distance that is searched.
const MAX_DISTANCE: f32 = 1e6;

/// The number of events that reach a distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    /// Events that reach each level: at least what the power law gives from the level below.
    events: [f64; LEVELS],
    /// Exponent of the power law beyond the last level with events.
    exponent: f64,
    /// Rows behind the events, with those of the prior; and the events of the prior that reach 1.
    rows: f64,
    prior: f64,
}

impl Curve {
    /// From the events that were counted at each level in so many rows.
    pub(super) fn new(counted: [f64; LEVELS], rows: f64, t: &Tuning) -> Self {
        // The exponent is that of the tail from where events are rarer than one in 32 rows.
        let begins = counted.iter().position(|events| events * 32.0 <= rows).unwrap_or(LEVELS - 1);
        let beyond: f64 = counted[begins + 1..].iter().sum();
        let first = counted[begins];
        // Sum of ln(distance/level) over events, as the integral of the counts over ln of the level.
        let logs = std::f64::consts::LN_2 * (beyond + 0.5 * first);
        let exponent = (first + t.prior_exponent_events) / (logs + t.prior_exponent_events / t.prior_exponent);
        let fall = libm::exp2(-exponent);
        let mut least = 0.0;
        let events = counted.map(|counted| {
            let events = max(counted, least);
            least = events * fall;
            events
        });
        Self { events, exponent, rows: rows + t.prior_rows, prior: t.prior_rows * t.prior_event_share }
    }

    /// -ln of the events per row that reach `distance`, of [`MIN_DISTANCE`] or more.
    pub(super) fn nats(&self, distance: f32) -> f64 {
        ln(max(self.rows / self.events(distance), 1.0))
    }

    /// The events that reach `distance`, with those of the prior. Between two levels it is linear in the logarithms; beyond the
    /// last one it follows the power law.
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

    /// The distance from which on an event has so many nats: the inverse of [`nats`](Self::nats), to a hundredth.
    pub(super) fn distance_at(&self, nats: f64) -> f32 {
        let allowed = self.rows * libm::exp(-nats);
        let (mut near, mut far) = (MIN_DISTANCE, MIN_DISTANCE);
        while far < MAX_DISTANCE && self.events(far) > allowed {
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
            let distance = curve().distance_at(nats);
            assert!(curve().nats(distance) >= nats && curve().nats(distance / 1.02) < nats, "{nats}: {distance}");
        }
        assert_eq!(curve().distance_at(0.0).to_bits(), MIN_DISTANCE.to_bits());
        assert!(curve().distance_at(1e3) >= MAX_DISTANCE);
    }
}
