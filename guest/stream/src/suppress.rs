//! Which anomalies are worth telling: not every score above 1 is an alarm.

/// When a score above 1 makes an anomaly. By default, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppression {
    /// How many of the last `of` rows of the series must have a score above 1, this one included.
    pub sustained: u32,
    /// At most [`MOST_SUSTAINED`].
    pub of: u32,
    /// Nanoseconds after an anomaly in which the series has no other: one alarm an incident.
    pub cooldown: i64,
}

/// How many rows `sustained` may look back on.
pub const MOST_SUSTAINED: u32 = 64;

impl Default for Suppression {
    fn default() -> Self {
        Self { sustained: 1, of: 1, cooldown: 0 }
    }
}

impl Suppression {
    /// Reads `3 of 5`.
    ///
    /// # Errors
    ///
    /// Says what would be right.
    pub fn parse_sustained(text: &str) -> Result<(u32, u32), String> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let numbers = match parts[..] {
            [sustained, "of", of] => sustained.parse().ok().zip(of.parse().ok()),
            _ => None,
        };
        numbers.filter(|&(sustained, of)| 1 <= sustained && sustained <= of && of <= MOST_SUSTAINED).ok_or_else(|| {
            format!("`{text}` must be like \"3 of 5\": so many of a series' last rows, at most {MOST_SUSTAINED}")
        })
    }
}

/// Applies it to each series of a detector. What is remembered is lost at a restart: an alarm may then come once more.
#[derive(Debug, Default)]
pub(crate) struct Suppressor {
    rule: Suppression,
    /// By series; empty where the rule needs no past.
    past: Vec<Past>,
}

#[derive(Debug, Clone, Copy)]
struct Past {
    /// Whether each of the last rows' scores was above 1, the last one in the lowest bit.
    above: u64,
    /// When the series was last anomalous.
    anomaly: Option<i64>,
}

const NOTHING: Past = Past { above: 0, anomaly: None };

impl Suppressor {
    pub(crate) fn new(rule: Suppression) -> Self {
        Self { rule, past: Vec::new() }
    }

    pub(crate) fn rule(&self) -> Suppression {
        self.rule
    }

    /// Whether a series' next row is an anomaly.
    pub(crate) fn is_anomaly(&mut self, series: u32, time: i64, score: f64) -> bool {
        let Self { rule, past } = self;
        let above = score > 1.0;
        if *rule == Suppression::default() {
            return above;
        }
        let number = series as usize;
        if past.len() <= number {
            past.resize(number + 1, NOTHING);
        }
        let past = &mut past[number];
        past.above = past.above << 1 | u64::from(above);
        let window = past.above << (u64::BITS - rule.of);
        // One that was told, and this row is not after it by the cooldown. (A clock that was put back ends it.)
        let cooling = past.anomaly.is_some_and(|told| (0..rule.cooldown).contains(&time.saturating_sub(told)));
        let anomaly = above && window.count_ones() >= rule.sustained && !cooling;
        if anomaly {
            past.anomaly = Some(time);
        }
        anomaly
    }

    pub(crate) fn forget(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(past) = self.past.get_mut(number as usize) {
                *past = NOTHING;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rule: Suppression, scores: &[f64]) -> Vec<bool> {
        let mut suppressor = Suppressor::new(rule);
        let told = scores.iter().zip(0..).map(|(&score, time)| {
            assert!(!suppressor.is_anomaly(7, time, 0.5));
            suppressor.is_anomaly(3, time, score)
        });
        told.collect()
    }

    #[test]
    fn by_default_what_is_above_one_is_an_anomaly() {
        assert_eq!(told(Suppression::default(), &[0.0, 1.0, 1.1, f64::NAN]), [false, false, true, false]);
    }

    #[test]
    fn an_anomaly_must_last() {
        let rule = Suppression { sustained: 2, of: 3, cooldown: 0 };
        let scores = [2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, f64::NAN, 0.5];
        assert_eq!(told(rule, &scores), [false, false, true, false, false, false, true, false, false]);
        let longest = Suppression { sustained: 64, of: 64, cooldown: 0 };
        assert_eq!(told(longest, &[2.0; 65]).iter().filter(|told| **told).count(), 2);
    }

    #[test]
    fn an_incident_has_one_alarm() {
        let rule = Suppression { cooldown: 3, ..Suppression::default() };
        assert_eq!(told(rule, &[2.0; 5]), [true, false, false, true, false]);
        let mut suppressor = Suppressor::new(rule);
        assert!(suppressor.is_anomaly(0, 100, 2.0) && suppressor.is_anomaly(0, 50, 2.0), "a clock that was put back");
        suppressor.forget(&[0]);
        assert!(suppressor.is_anomaly(0, 51, 2.0), "another series has another past");
    }

    #[test]
    fn what_lasts_is_read() {
        assert_eq!(Suppression::parse_sustained("3 of 5"), Ok((3, 5)));
        for wrong in ["", "3", "3/5", "0 of 5", "6 of 5", "3 of 65", "three of five", "3 of 5 of 7"] {
            assert!(Suppression::parse_sustained(wrong).unwrap_err().contains("3 of 5"), "{wrong}");
        }
    }
}
