//! Incidents: which rows of a series belong together, and from which of them on they are anomalies.
//!
//! An incident begins with a score above 1 that counts; [`Suppression`] says which do. It goes on until it is [`OVER`], or
//! until a score above 1 that does not count: that is something else. `sustained` and `cooldown` decide which of its rows
//! reports it. That row and all behind it are anomalies, so that an alert rule that waits for some minutes sees them
//! without a gap, and sees the end. A row without a score says nothing: the incident neither goes on nor ends with it.

use crate::series::SeriesTable;
use crate::snapshot::SeriesSnapshot;
use crate::suppress::Suppression;

/// A score with which an incident ends: this or less. `streaming` gives only the onset of an incident, and its worsening,
/// a score above 1, and keeps the others between the two.
pub(crate) const OVER: f64 = 0.5;

/// The incidents of each series of a detector.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    rule: Suppression,
    /// By series.
    phases: Vec<Phase>,
    /// By series; empty where the rule does not look back.
    past: Vec<Past>,
}

/// A row, as the rule sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) series: u32,
    pub(crate) time: i64,
    pub(crate) score: f64,
    /// Its value, where it has one alone.
    pub(crate) value: Option<f64>,
    /// How far that is from what was expected, with its sign; none where the detector does not say.
    pub(crate) deviation: Option<f64>,
}

/// What is found of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No anomaly: there is no incident, or one that is not reported as yet.
    Ordinary,
    /// An anomaly, and the one that reports the incident.
    Reported,
    /// A later row of an incident that was reported.
    GoesOn,
}

impl Finding {
    pub(crate) fn is_anomaly(self) -> bool {
        self != Self::Ordinary
    }
}

/// How far a series' incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Calm,
    /// It goes on, and is not reported as yet.
    Unreported,
    /// It goes on, and was reported.
    Reported,
}

/// What a rule looks back on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Past {
    /// Whether each of the last scored rows belonged to an incident, the last one in the lowest bit.
    belonged: u64,
    /// When an incident of the series was last reported.
    reported: Option<i64>,
}

const NOTHING: Past = Past { belonged: 0, reported: None };

/// Bytes of a series that are kept over a restart: its phase, and what a rule looks back on.
const KEPT: usize = 17;

impl Incidents {
    /// None as yet, and a rule for those to come.
    pub(crate) fn new(rule: Suppression) -> Self {
        Self { rule, ..Self::default() }
    }

    pub(crate) fn rule(&self) -> Suppression {
        self.rule
    }

    /// What a series' next row is.
    pub(crate) fn judge(&mut self, row: Row) -> Finding {
        let Self { rule, phases, past } = self;
        let Row { series, time, score, value, deviation } = row;
        if score.is_nan() {
            return Finding::Ordinary;
        }
        let number = series as usize;
        let phase = of(phases, number, Phase::Calm);
        let belongs = if score > 1.0 { rule.counts(value, deviation) } else { score > OVER && *phase != Phase::Calm };
        let mut past = if rule.looks_back() { Some(of(past, number, NOTHING)) } else { None };
        if let Some(past) = &mut past {
            past.belonged = past.belonged << 1 | u64::from(belongs);
        }
        if !belongs {
            *phase = Phase::Calm;
            return Finding::Ordinary;
        }
        if *phase == Phase::Reported {
            return Finding::GoesOn;
        }
        if let Some(past) = past {
            if !past.allows(rule, time) {
                *phase = Phase::Unreported;
                return Finding::Ordinary;
            }
            past.reported = Some(time);
        }
        *phase = Phase::Reported;
        Finding::Reported
    }

    /// What is to be kept of these series over a restart: most have nothing.
    pub(crate) fn keep(&self, series: &SeriesTable) -> SeriesSnapshot {
        let mut snapshot = SeriesSnapshot::default();
        for number in 0..self.phases.len() {
            let (phase, past) = (self.phases[number], self.past.get(number).copied().unwrap_or(NOTHING));
            if phase == Phase::Calm && past == NOTHING {
                continue;
            }
            if let Some((identity, age)) = series.known(number as u32) {
                snapshot.add(identity, age, &encode(phase, past));
            }
        }
        snapshot
    }

    /// Goes on with what was kept of series that are known again.
    pub(crate) fn restore(&mut self, snapshot: &SeriesSnapshot, series: &SeriesTable) {
        for (identity, bytes) in snapshot.each::<KEPT>() {
            let (Some(number), Some((phase, past))) = (series.find(identity), decode(bytes)) else { continue };
            *of(&mut self.phases, number as usize, Phase::Calm) = phase;
            if self.rule.looks_back() {
                *of(&mut self.past, number as usize, NOTHING) = past;
            }
        }
    }

    /// These series are gone; their numbers may come again for others.
    pub(crate) fn forget(&mut self, series: &[u32]) {
        let Self { rule: _, phases, past } = self;
        for number in series.iter().map(|&number| number as usize) {
            if let Some(phase) = phases.get_mut(number) {
                *phase = Phase::Calm;
            }
            if let Some(past) = past.get_mut(number) {
                *past = NOTHING;
            }
        }
    }
}

/// What is noted of a series; of one that is new, this.
#[inline]
fn of<T: Copy>(noted: &mut Vec<T>, number: usize, new: T) -> &mut T {
    if noted.len() <= number {
        noted.resize(number + 1, new);
    }
    &mut noted[number]
}

fn encode(phase: Phase, past: Past) -> [u8; KEPT] {
    let mut bytes = [0; KEPT];
    bytes[0] = phase as u8;
    bytes[1..9].copy_from_slice(&past.belonged.to_le_bytes());
    bytes[9..].copy_from_slice(&past.reported.unwrap_or(i64::MIN).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; KEPT]) -> Option<(Phase, Past)> {
    let [phase, rest @ ..] = bytes;
    let phase = [Phase::Calm, Phase::Unreported, Phase::Reported].into_iter().find(|one| *one as u8 == *phase)?;
    let (belonged, reported) = rest.split_first_chunk::<8>()?;
    let reported = Some(i64::from_le_bytes(*reported.first_chunk()?)).filter(|reported| *reported != i64::MIN);
    Some((phase, Past { belonged: u64::from_le_bytes(*belonged), reported }))
}

impl Past {
    /// Whether the rule lets the row at hand, which is taken in already, report an incident.
    fn allows(&self, rule: &Suppression, time: i64) -> bool {
        let window = self.belonged << (u64::BITS - rule.of);
        // What goes on after the cooldown is reported then: an outage must not stay silent. (A clock that was put back ends
        // the cooldown.)
        let cooling = self.reported.is_some_and(|reported| (0..rule.cooldown).contains(&time.saturating_sub(reported)));
        window.count_ones() >= rule.sustained && !cooling
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Finding::{GoesOn, Ordinary, Reported};
    use super::*;
    use crate::suppress::Direction;

    const NAN: f64 = f64::NAN;

    /// A row of which nothing is known but its score.
    fn row(series: u32, time: i64, score: f64) -> Row {
        Row { series, time, score, value: None, deviation: None }
    }

    /// What is found of a series' rows, one a second; another series is calm meanwhile.
    fn found(rule: Suppression, scores: &[f64]) -> Vec<Finding> {
        let mut incidents = Incidents::new(rule);
        let found = scores.iter().zip(0..).map(|(&score, time)| {
            assert_eq!(incidents.judge(row(7, time, 0.7)), Ordinary);
            incidents.judge(row(3, time, score))
        });
        found.collect()
    }

    /// Which rows are anomalies: `!` reports an incident, `+` goes on, `.` is none.
    fn drawn(rule: Suppression, scores: &[f64]) -> String {
        let draw = |finding: &Finding| match finding {
            Ordinary => '.',
            Reported => '!',
            GoesOn => '+',
        };
        found(rule, scores).iter().map(draw).collect()
    }

    #[test]
    fn an_incident_begins_above_one_and_ends_at_half_of_it() {
        let rule = Suppression::default();
        assert_eq!(drawn(rule, &[0.0, 0.7, 1.0, 1.1, 0.9, 0.6, 0.5, 0.6]), "...!++..");
        assert_eq!(drawn(rule, &[2.0, 0.8, 3.0, 0.8]), "!+++", "what becomes worse is the same incident");
        assert_eq!(drawn(rule, &[2.0, 0.1, 2.0, 0.1]), "!.!.");
    }

    /// As though there had been no restart, after each row.
    #[test]
    fn what_is_kept_goes_on() {
        use crate::series::{Limits, SeriesTable};
        let rule = Suppression { sustained: 2, of: 3, cooldown: 4, ..Suppression::default() };
        let scores = [2.0, 0.0, 2.0, 0.7, 0.1, 2.0, 2.0, 0.7, 0.7, 0.0, NAN, 3.0];
        let without = drawn(rule, &scores);
        for restart in 0..scores.len() {
            let (mut before, mut after) = (Incidents::new(rule), Incidents::new(rule));
            let mut series = SeriesTable::new(Limits::default());
            let [other, number] = [10, 11].map(|identity| series.number(identity));
            let mut again = SeriesTable::new(Limits::default());
            assert_eq!([11, 10].map(|identity| again.number(identity)), [other, number], "numbers come to mean others");
            let mut told = String::new();
            for (&score, time) in scores.iter().zip(0..) {
                if time as usize == restart {
                    after.restore(&before.keep(&series), &again);
                }
                let (incidents, number) =
                    if (time as usize) < restart { (&mut before, number) } else { (&mut after, other) };
                told.push(match incidents.judge(row(number, time, score)) {
                    Ordinary => '.',
                    Reported => '!',
                    GoesOn => '+',
                });
            }
            assert_eq!(told, without, "after {restart}");
        }
        let cut = SeriesSnapshot { identities: vec![1], ages: vec![0], state: vec![9; KEPT] };
        Incidents::new(rule).restore(&cut, &SeriesTable::new(Limits::default()));
        assert_eq!(decode(&[9; KEPT]), None);
    }

    #[test]
    fn a_row_without_a_score_neither_ends_an_incident_nor_belongs_to_it() {
        assert_eq!(drawn(Suppression::default(), &[NAN, 2.0, NAN, NAN, 0.7, 0.2, NAN, 0.7]), ".!..+...");
        let lasting = Suppression { sustained: 3, of: 3, ..Suppression::default() };
        assert_eq!(drawn(lasting, &[2.0, NAN, 0.7, NAN, 0.7, NAN, 0.7]), "....!.+");
    }

    #[test]
    fn one_that_must_last_is_reported_once_it_has() {
        let rule = Suppression { sustained: 3, of: 5, ..Suppression::default() };
        assert_eq!(drawn(rule, &[0.8, 2.0, 0.7, 0.6, 0.8, 0.2, 0.8, 3.0]), "...!+..!", "and others before it help");
        let rule = Suppression { sustained: 2, of: 3, ..Suppression::default() };
        assert_eq!(drawn(rule, &[2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 0.7, 0.5]), "..!...!+.");
        let longest = Suppression { sustained: 64, of: 64, ..Suppression::default() };
        assert_eq!(drawn(longest, &[2.0; 66]), ".".repeat(63) + "!++");
    }

    #[test]
    fn one_that_was_reported_goes_on_though_fewer_rows_are_left_in_the_window() {
        let rule = Suppression { sustained: 2, of: 2, cooldown: 1, ..Suppression::default() };
        assert_eq!(drawn(rule, &[2.0, 0.7, 0.7, 0.7, 0.1]), ".!++.");
    }

    #[test]
    fn the_next_one_within_the_cooldown_is_not_reported_unless_it_outlasts_it() {
        let rule = Suppression { cooldown: 4, ..Suppression::default() };
        assert_eq!(drawn(rule, &[2.0, 0.7, 0.1, 2.0, 0.1, 2.0]), "!+...!");
        assert_eq!(drawn(rule, &[2.0, 0.1, 2.0, 0.7, 0.7, 0.7, 0.1]), "!...!+.");
        assert_eq!(drawn(rule, &[2.0, 0.7, 0.7, 0.7, 0.7, 0.7]), "!+++++", "the one at hand goes on");
        let ever = Suppression { cooldown: i64::MAX, ..Suppression::default() };
        assert_eq!(drawn(ever, &[2.0, 0.1, 2.0, 2.0, 2.0]), "!....");
    }

    #[test]
    fn a_clock_that_was_put_back_and_another_series_end_the_cooldown() {
        let mut incidents = Incidents::new(Suppression { cooldown: 3, ..Suppression::default() });
        for (time, why) in [(100, "the first"), (50, "the clock"), (51, "another series' past")] {
            assert_eq!(incidents.judge(row(0, time, 2.0)), Reported, "{why}");
            if time == 50 {
                incidents.forget(&[0, 9]);
            } else {
                incidents.judge(row(0, time, 0.0));
            }
        }
    }

    #[test]
    fn a_series_that_is_gone_takes_its_incident_along() {
        let mut incidents = Incidents::default();
        assert_eq!(incidents.judge(row(0, 0, 2.0)), Reported);
        incidents.forget(&[0, 9]);
        assert_eq!(incidents.judge(row(0, 1, 0.7)), Ordinary);
    }

    #[test]
    fn what_does_not_count_begins_none_and_ends_the_one_at_hand() {
        let rule = Suppression { direction: Direction::Above, ..Suppression::default() };
        let mut incidents = Incidents::new(rule);
        let mut judge = |score, deviation| incidents.judge(Row { deviation: Some(deviation), ..row(0, 0, score) });
        let rows = [(2.0, -1.0), (0.7, 0.0), (2.0, 1.0), (0.7, 0.0), (2.0, -1.0), (0.7, 0.0), (2.0, 1.0)];
        let found = rows.map(|(score, deviation)| judge(score, deviation));
        assert_eq!(found, [Ordinary, Ordinary, Reported, GoesOn, Ordinary, Ordinary, Reported]);
        let unalarming = Suppression { expected_range: Some([0.0, 80.0]), ..Suppression::default() };
        let outside = Row { value: Some(1e9), ..row(0, 0, 0.7) };
        assert_eq!(Incidents::new(unalarming).judge(outside), Ordinary, "outside, the score decides");
    }

    /// Scores on either side of both thresholds, with what counts and what has none among them, and the time to the next.
    fn rows() -> impl Strategy<Value = Vec<(f64, f64, i64)>> {
        let score = prop::sample::select(vec![NAN, 0.0, 0.5, 0.500_001, 0.8, 0.8, 1.0, 1.000_001, 2.0]);
        let side = prop::sample::select(vec![-1.0, 1.0, 1.0, 1.0]);
        prop::collection::vec((score, side, -1..5_i64), 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The anomalies are, of each incident, all scored rows from the first that the rule lets report it.
        #[test]
        fn anomalies_are_what_remains_of_incidents(
            rows in rows(), sustained in 1..4_u32, more in 0..3_u32, cooldown in 0..20_i64,
        ) {
            let rule = Suppression {
                direction: Direction::Above, sustained, of: sustained + more, cooldown, ..Suppression::default()
            };
            let mut incidents = Incidents::new(rule);
            let (mut time, mut belonged, mut reported) = (0, Vec::new(), None);
            let (mut within, mut told) = (false, false);
            for (score, deviation, step) in rows {
                time += step;
                let finding = incidents.judge(Row { deviation: Some(deviation), ..row(0, time, score) });
                if score.is_nan() {
                    prop_assert_eq!(finding, Ordinary);
                    continue;
                }
                within = if score > 1.0 { deviation > 0.0 } else { within && score > 0.5 };
                belonged.push(within);
                told &= within;
                let lasts = belonged.iter().rev().take(rule.of as usize).filter(|one| **one).count() >= sustained as usize;
                let cools = reported.is_some_and(|then| time >= then && time - then < cooldown);
                let expected = match (within, told) {
                    (true, true) => GoesOn,
                    (true, false) if lasts && !cools => Reported,
                    _ => Ordinary,
                };
                prop_assert_eq!(finding, expected);
                if expected == Reported {
                    (told, reported) = (true, Some(time));
                }
            }
        }
    }
}
