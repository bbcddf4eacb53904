//! From what the looks see to a score: whether it is an onset, and whether an incident goes on.

use super::Parameters;
use super::band::Needed;
use super::looks::{LOOKS, Looks};
use super::record::take;
use super::tuning::Tuning;
use crate::math::{max, min, octaves};

/// Rows of an incident in which it teaches less than other rows.
const LONGEST: u16 = 500;
/// Time steps are told apart within e^±4 of a minute, about an hour.
const MOST_BY_TIME: f64 = 4.0;
/// Nats of rank at which the score of what raises no alarm is at half of its most; gain and share of the mean of recent
/// ranks, so that what lasts outranks a blip; and below what it is nothing.
const RANK: f64 = 15.0;
const LASTING_GAIN: f32 = 0.1;
const LASTING: f64 = 4.0;
const LASTING_LEAST: f32 = 1e-2;
/// What a score stays below where no incident goes on, and where it lies where one does.
pub(super) const QUIET: f64 = 0.5;
const ONGOING: (f64, f64) = (0.51, 0.44);
/// Below so many nats nothing is left of a report.
const FORGOTTEN: f32 = 1e-6;
/// `cause` where no incident goes on.
const NONE: u8 = LOOKS as u8;

/// What an alarm must exceed, as far as all series share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    /// -ln of the false-alarm rate, less the slack.
    nats: f64,
    /// What a report adds to it, and a row without one takes away.
    raised: f32,
    lowered: f32,
    /// What is left after a row of what was reported.
    left: f32,
}

impl Bar {
    pub(super) fn new(p: &Parameters, t: &Tuning) -> Self {
        Self {
            nats: -libm::log(p.false_alarm_rate) - t.slack,
            raised: t.learned as f32,
            lowered: (p.false_alarm_rate * t.learned) as f32,
            left: libm::exp2f(-1.0 / t.reported_half),
        }
    }
}

/// What a series' rows are judged by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judge {
    /// Mean of recent ranks, in nats.
    lasting: f32,
    /// Nats on top of the bar, so that reports keep to their rate.
    learned: f32,
    /// Nats that were reported above and below what was expected, decaying.
    reported: [f32; 2],
    /// Rows of the incident that goes on, and the look that reported it.
    age: u16,
    cause: u8,
}

/// What is known of a series that moves its bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Rows since scales mean anything.
    pub(super) rows: f32,
    /// Typical seconds between two.
    pub(super) step: f32,
}

impl Judge {
    pub(super) const fn new() -> Self {
        Self { lasting: 0.0, learned: 0.0, reported: [0.0; 2], age: 0, cause: NONE }
    }

    /// The look that reported the incident that goes on.
    pub(super) fn cause(&self) -> Option<usize> {
        (self.cause != NONE).then_some(self.cause.into())
    }

    /// Whether an incident goes on that is not what is ordinary by now.
    pub(super) fn is_new(&self) -> bool {
        self.cause().is_some() && self.age < LONGEST
    }

    /// The score of a row: above 1 an incident is reported, or a worsening of the one that goes on.
    pub(super) fn judge(&mut self, bar: &Bar, t: &Tuning, known: Known, looks: &Looks) -> f64 {
        let rank = looks.most();
        let share = self.share(rank);
        self.learned = max(self.learned - bar.lowered, 0.0);
        // What was reported is held while the incident goes on.
        if self.cause().is_none() {
            if max(self.reported[0], self.reported[1]) > 0.0 {
                self.reported = self.reported.map(|nats| if nats < FORGOTTEN { 0.0 } else { nats * bar.left });
            }
            if rank == 0.0 {
                return QUIET * share; // as most rows are
            }
        }
        self.weigh(bar, t, known, looks, share)
    }

    /// How high a row ranks that raises no alarm, 0 to 1.
    fn share(&mut self, rank: f64) -> f64 {
        let lasting = self.lasting;
        let next = lasting + LASTING_GAIN * (rank as f32 - lasting);
        self.lasting = if next < LASTING_LEAST { 0.0 } else { next };
        let nats = rank + LASTING * f64::from(lasting);
        if nats == 0.0 {
            return 0.0;
        }
        let squared = (nats * nats * (1.0 / (RANK * RANK))) as f32;
        (squared / (1.0 + squared)).into()
    }

    #[inline(never)]
    fn weigh(&mut self, bar: &Bar, t: &Tuning, known: Known, looks: &Looks, share: f64) -> f64 {
        let least = self.least(bar, t, known);
        let onset = self.onset(looks, t);
        let score = onset.map_or(0.0, |onset| onset.nats / least);
        self.age = self.age.saturating_add(1);
        if let Some(Onset { look, nats, below }) = onset
            && score > 1.0
        {
            // Adaptive conformal inference (Gibbs & Candès, NeurIPS 2021): a report raises the bar, rows without lower it.
            self.learned = min(self.learned + bar.raised, bar.nats as f32);
            let reported = &mut self.reported[usize::from(below)];
            *reported = max(*reported, nats as f32);
            if self.cause().is_none() {
                self.age = 0;
            }
            self.cause = look as u8;
        } else if max(looks.nats(0), looks.nats(self.cause.into())) < t.ends * least {
            // Neither the shortest mean shows that the incident goes on, nor what reported it.
            self.cause = NONE;
        }
        let rest = if self.cause().is_some() { ONGOING.0 + ONGOING.1 * share } else { QUIET * share };
        max(score, rest)
    }

    /// What an alarm must exceed, in nats.
    fn least(&self, bar: &Bar, t: &Tuning, known: Known) -> f64 {
        let early = t.early_rows / (t.early_rows + f64::from(known.rows));
        let by_time = octaves(f64::from(max(known.step, 1e-3)) / 60.0) * std::f64::consts::LN_2;
        let nats = max(bar.nats - t.by_time * by_time.clamp(-MOST_BY_TIME, MOST_BY_TIME), 1.0);
        (nats + f64::from(self.learned)) * (1.0 + t.early * early * early)
    }

    /// What of it must be exceeded on a side because it was reported.
    fn known_already(&self, below: bool, t: &Tuning) -> f64 {
        let [this, other] = [below, !below].map(|side| f64::from(self.reported[usize::from(side)]));
        max(this, t.across * other) * t.again
    }

    /// What a row must exceed on each side to be reported, in nats; while an incident goes on, for it not to end.
    pub(super) fn needed(&self, bar: &Bar, t: &Tuning, known: Known) -> Needed {
        let least = self.least(bar, t, known);
        if self.cause().is_some() {
            return Needed { below: t.ends * least, above: t.ends * least };
        }
        let [above, below] = [false, true].map(|below| max(least, self.known_already(below, t)));
        Needed { below, above }
    }

    /// The rarest look that is more than what its tail holds and than what was reported.
    fn onset(&self, looks: &Looks, t: &Tuning) -> Option<Onset> {
        let new = looks.rising().filter(|(_, nats, below)| *nats > self.known_already(*below, t));
        let onsets = new.map(|(look, nats, below)| Onset { look, nats, below });
        onsets.reduce(|most, one| if one.nats > most.nats { one } else { most })
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { lasting, learned, reported: [above, below], age, cause } = self;
        out.extend([lasting, learned, above, below].into_iter().flat_map(|nats| nats.to_le_bytes()));
        out.extend(age.to_le_bytes());
        out.push(*cause);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let nats @ [lasting, learned, above, below] =
            [take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        let (age, [cause]) = (u16::from_le_bytes(take(bytes)?), take(bytes)?);
        let possible = nats.iter().all(|nats| (0.0..=1e4).contains(nats)) && cause <= NONE;
        possible.then_some(Self { lasting, learned, reported: [above, below], age, cause })
    }
}

/// A look that reports what was not reported before.
#[derive(Clone, Copy, Debug)]
struct Onset {
    look: usize,
    nats: f64,
    below: bool,
}
