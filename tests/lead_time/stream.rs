//! Hosts whose means drift, with an incident a day each.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use fastrand::Rng;

pub(crate) const HOSTS: usize = 10;
const FEATURES: usize = 4;
pub(crate) const MINUTES_A_DAY: usize = 24 * 60;
pub(crate) const MINUTES_A_WEEK: usize = 7 * MINUTES_A_DAY;

/// The minute, since 1970, in which drift begins.
pub(crate) const START: i64 = 30_000_000;

/// From one minute to the next.
const CORRELATION: f64 = 0.9;

/// How long an incident lasts, in minutes, and how far two features of its host are off.
const INCIDENT: usize = 10;
const OFF: f64 = 6.0;

/// Autoregressive metrics of hosts, each of standard deviation 1 around a mean that is the same for all.
pub(crate) struct Stream {
    rng: Rng,
    minute: i64,
    /// How far means have drifted.
    drift: f64,
    values: [[f64; FEATURES]; HOSTS],
}

impl Stream {
    /// It begins two weeks before the drift.
    pub(crate) fn new() -> Self {
        let minute = START - 2 * MINUTES_A_WEEK as i64;
        Self { rng: Rng::with_seed(1), minute, drift: 0.0, values: [[0.0; FEATURES]; HOSTS] }
    }

    /// The lines of the next minutes.
    pub(crate) fn lines(&mut self, minutes: usize, drifts: bool) -> String {
        let mut lines = String::new();
        for _ in 0..minutes {
            for host in 0..HOSTS {
                let _ = write!(lines, "server,host=h{host} ");
                let off = if incident(self.minute, host).is_some_and(|minute| minute < INCIDENT) { OFF } else { 0.0 };
                for feature in 0..FEATURES {
                    let normal = self.normal();
                    let value = &mut self.values[host][feature];
                    *value = CORRELATION * *value + (1.0 - CORRELATION * CORRELATION).sqrt() * normal;
                    let comma = if feature == 0 { "" } else { "," };
                    let off = if feature < 2 { off } else { 0.0 };
                    let _ = write!(lines, "{comma}m{feature}={:.4}", 50.0 + *value + self.drift + off);
                }
                let _ = writeln!(lines, " {}", self.minute * 60_000_000_000);
            }
            self.minute += 1;
            if drifts {
                self.drift += 1.0 / MINUTES_A_WEEK as f64;
            }
        }
        lines
    }

    /// With mean 0 and deviation 1 (Box & Muller 1958).
    fn normal(&mut self) -> f64 {
        let (radius, angle) = ((-2.0 * (1.0 - self.rng.f64()).ln()).sqrt(), TAU * self.rng.f64());
        radius * angle.cos()
    }
}

/// How many minutes ago the last incident of a host began; `None` before drift begins.
pub(crate) fn incident(minute: i64, host: usize) -> Option<usize> {
    let since = usize::try_from(minute - START).ok()?;
    // At another time each day.
    let (day, now) = (since / MINUTES_A_DAY, since % MINUTES_A_DAY);
    let begin = (day * 577 + host * 131) % (MINUTES_A_DAY - 60);
    now.checked_sub(begin)
}

/// What a report of a host at this minute is of.
pub(crate) fn of(minute: i64, host: usize) -> Of {
    match incident(minute, host) {
        Some(..INCIDENT) => Of::Incident,
        // What subtracts recent means may report its end.
        Some(..60) => Of::Aftermath,
        _ => Of::Ordinary,
    }
}

/// What a row is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Incident,
    Aftermath,
    Ordinary,
}
