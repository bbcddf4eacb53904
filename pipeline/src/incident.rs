//! Incidents: which rows of a series belong together, and from which of them on they are anomalies.
//!
//! An incident begins with a score above 1 that counts by the [`Suppression`]. It ends with a score of [`INCIDENT_END_SCORE`] or
//! less, or with one above 1 that does not count, which is something else. `sustained` and `cooldown` decide which of its rows
//! reports it. That row and all later ones are anomalies, so that an alert rule that waits for some minutes gets them without a
//! gap. A row without a score changes nothing.

use crate::series::SeriesTable;
use crate::snapshot::SeriesSnapshot;
use crate::suppress::Suppression;

/// The largest score with which an incident ends. `streaming` gives a score above 1 only at the onset of an incident or when it
/// becomes worse; other scores during an incident are between the two.
pub const INCIDENT_END_SCORE: f64 = 0.5;

/// The incidents of each series of a detector.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    rule: Suppression,
    /// By series.
    phases: Vec<Phase>,
    /// By series; empty if the rule needs no history.
    history: Vec<History>,
}

/// What a rule needs to know of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) series: u32,
    pub(crate) time: i64,
    pub(crate) score: f64,
    /// Its value, if it has only one.
    pub(crate) value: Option<f64>,
    /// The signed distance from the expected value; `None` if the detector does not give it.
    pub(crate) deviation: Option<f64>,
}

/// The result for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No anomaly: there is no incident, or it has not been reported yet.
    Ordinary,
    /// The anomaly that reports the incident.
    Reported,
    /// A later row of an incident that was reported.
    Ongoing,
}

impl Finding {
    pub(crate) fn is_anomaly(self) -> bool {
        self != Self::Ordinary
    }
}

/// The phase of a series' incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no incident.
    NoIncident,
    /// It lasts, and has not been reported yet.
    Unreported,
    /// It lasts, and was reported.
    Reported,
}

/// Earlier rows, for rules that need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct History {
    /// Whether each of the last scored rows was in an incident; the last row is the lowest bit.
    in_incident: u64,
    /// The time of the series' last report.
    last_report: Option<i64>,
}

const NO_HISTORY: History = History { in_incident: 0, last_report: None };

/// Bytes of a series in saved state: its phase and history.
const SAVED_BYTES: usize = 17;

impl Incidents {
    /// No incidents, and the rule for new ones.
    pub(crate) fn new(rule: Suppression) -> Self {
        Self { rule, ..Self::default() }
    }

    pub(crate) fn rule(&self) -> Suppression {
        self.rule
    }

    /// Judges the next row of a series.
    pub(crate) fn judge_row(&mut self, row: Row) -> Finding {
        let Self { rule, phases, history } = self;
        let Row { series, time, score, value, deviation } = row;
        if score.is_nan() {
            return Finding::Ordinary;
        }
        let number = series as usize;
        let phase = slot(phases, number, Phase::NoIncident);
        let in_incident_now = if score > 1.0 {
            rule.counts(value, deviation)
        } else {
            score > INCIDENT_END_SCORE && *phase != Phase::NoIncident
        };
        let mut history = if rule.needs_history() { Some(slot(history, number, NO_HISTORY)) } else { None };
        if let Some(history) = &mut history {
            history.in_incident = history.in_incident << 1 | u64::from(in_incident_now);
        }
        if !in_incident_now {
            *phase = Phase::NoIncident;
            return Finding::Ordinary;
        }
        if *phase == Phase::Reported {
            return Finding::Ongoing;
        }
        if let Some(history) = history {
            if !history.allows(rule, time) {
                *phase = Phase::Unreported;
                return Finding::Ordinary;
            }
            history.last_report = Some(time);
        }
        *phase = Phase::Reported;
        Finding::Reported
    }

    /// Saves the incidents of these series for a restart.
    pub(crate) fn save_snapshot(&self, series: &SeriesTable) -> SeriesSnapshot {
        let mut snapshot = SeriesSnapshot::default();
        for number in 0..self.phases.len() {
            let (phase, history) = (self.phases[number], self.history.get(number).copied().unwrap_or(NO_HISTORY));
            if phase == Phase::NoIncident && history == NO_HISTORY {
                continue;
            }
            if let Some((identity, age)) = series.identity_and_age(number as u32) {
                snapshot.add(identity, age, &encode(phase, history));
            }
        }
        snapshot
    }

    /// Restores incidents of series that have been restored.
    pub(crate) fn restore_snapshot(&mut self, snapshot: &SeriesSnapshot, series: &SeriesTable) {
        for (identity, bytes) in snapshot.each::<SAVED_BYTES>() {
            let (Some(number), Some((phase, history))) = (series.find(identity), decode(bytes)) else { continue };
            *slot(&mut self.phases, number as usize, Phase::NoIncident) = phase;
            if self.rule.needs_history() {
                *slot(&mut self.history, number as usize, NO_HISTORY) = history;
            }
        }
    }

    /// Clears the state of dropped series, whose numbers may be used for others.
    pub(crate) fn end_incidents(&mut self, series: &[u32]) {
        let Self { rule: _, phases, history } = self;
        for number in series.iter().map(|&number| number as usize) {
            if let Some(phase) = phases.get_mut(number) {
                *phase = Phase::NoIncident;
            }
            if let Some(history) = history.get_mut(number) {
                *history = NO_HISTORY;
            }
        }
    }
}

/// The entry of a series; `new` if there is none yet.
#[inline]
fn slot<T: Copy>(slots: &mut Vec<T>, number: usize, new: T) -> &mut T {
    if slots.len() <= number {
        slots.resize(number + 1, new);
    }
    &mut slots[number]
}

fn encode(phase: Phase, history: History) -> [u8; SAVED_BYTES] {
    let mut bytes = [0; SAVED_BYTES];
    bytes[0] = phase as u8;
    bytes[1..9].copy_from_slice(&history.in_incident.to_le_bytes());
    bytes[9..].copy_from_slice(&history.last_report.unwrap_or(i64::MIN).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SAVED_BYTES]) -> Option<(Phase, History)> {
    let [phase, rest @ ..] = bytes;
    let phase = [Phase::NoIncident, Phase::Unreported, Phase::Reported].into_iter().find(|one| *one as u8 == *phase)?;
    let (in_incident, last_report) = rest.split_first_chunk::<8>()?;
    let last_report =
        Some(i64::from_le_bytes(*last_report.first_chunk()?)).filter(|last_report| *last_report != i64::MIN);
    Some((phase, History { in_incident: u64::from_le_bytes(*in_incident), last_report }))
}

impl History {
    /// Whether the rule lets the current row, which is part of the history, report an incident.
    fn allows(&self, rule: &Suppression, time: i64) -> bool {
        let window = self.in_incident << (u64::BITS - rule.of);
        // An incident that lasts longer than the cooldown is reported after it, so that no outage is missed. (A clock that
        // was set back ends the cooldown.)
        let cooling =
            self.last_report.is_some_and(|last_report| (0..rule.cooldown).contains(&time.saturating_sub(last_report)));
        window.count_ones() >= rule.sustained && !cooling
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Finding::{Ongoing, Ordinary, Reported};
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
            assert_eq!(incidents.judge_row(row(7, time, 0.7)), Ordinary);
            incidents.judge_row(row(3, time, score))
        });
        found.collect()
    }

    /// Which rows are anomalies: `!` reports an incident, `+` goes on, `.` is none.
    fn drawn(rule: Suppression, scores: &[f64]) -> String {
        let draw = |finding: &Finding| match finding {
            Ordinary => '.',
            Reported => '!',
            Ongoing => '+',
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
            let mut reported = String::new();
            for (&score, time) in scores.iter().zip(0..) {
                if time as usize == restart {
                    after.restore_snapshot(&before.save_snapshot(&series), &again);
                }
                let (incidents, number) =
                    if (time as usize) < restart { (&mut before, number) } else { (&mut after, other) };
                reported.push(match incidents.judge_row(row(number, time, score)) {
                    Ordinary => '.',
                    Reported => '!',
                    Ongoing => '+',
                });
            }
            assert_eq!(reported, without, "after {restart}");
        }
        let cut = SeriesSnapshot { identities: vec![1], ages: vec![0], state: vec![9; SAVED_BYTES] };
        Incidents::new(rule).restore_snapshot(&cut, &SeriesTable::new(Limits::default()));
        assert_eq!(decode(&[9; SAVED_BYTES]), None);
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
            assert_eq!(incidents.judge_row(row(0, time, 2.0)), Reported, "{why}");
            if time == 50 {
                incidents.end_incidents(&[0, 9]);
            } else {
                incidents.judge_row(row(0, time, 0.0));
            }
        }
    }

    #[test]
    fn a_series_that_is_gone_takes_its_incident_along() {
        let mut incidents = Incidents::default();
        assert_eq!(incidents.judge_row(row(0, 0, 2.0)), Reported);
        incidents.end_incidents(&[0, 9]);
        assert_eq!(incidents.judge_row(row(0, 1, 0.7)), Ordinary);
    }

    #[test]
    fn what_does_not_count_begins_none_and_ends_the_one_at_hand() {
        let rule = Suppression { direction: Direction::Above, ..Suppression::default() };
        let mut incidents = Incidents::new(rule);
        let mut judge = |score, deviation| incidents.judge_row(Row { deviation: Some(deviation), ..row(0, 0, score) });
        let rows = [(2.0, -1.0), (0.7, 0.0), (2.0, 1.0), (0.7, 0.0), (2.0, -1.0), (0.7, 0.0), (2.0, 1.0)];
        let found = rows.map(|(score, deviation)| judge(score, deviation));
        assert_eq!(found, [Ordinary, Ordinary, Reported, Ongoing, Ordinary, Ordinary, Reported]);
        let unalarming = Suppression { expected_range: Some([0.0, 80.0]), ..Suppression::default() };
        let outside = Row { value: Some(1e9), ..row(0, 0, 0.7) };
        assert_eq!(Incidents::new(unalarming).judge_row(outside), Ordinary, "outside, the score decides");
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
            let (mut time, mut in_incident, mut last_report) = (0, Vec::new(), None);
            let (mut within, mut reported) = (false, false);
            for (score, deviation, step) in rows {
                time += step;
                let finding = incidents.judge_row(Row { deviation: Some(deviation), ..row(0, time, score) });
                if score.is_nan() {
                    prop_assert_eq!(finding, Ordinary);
                    continue;
                }
                within = if score > 1.0 { deviation > 0.0 } else { within && score > 0.5 };
                in_incident.push(within);
                reported &= within;
                let lasts = in_incident.iter().rev().take(rule.of as usize).filter(|one| **one).count() >= sustained as usize;
                let cools = last_report.is_some_and(|then| time >= then && time - then < cooldown);
                let expected = match (within, reported) {
                    (true, true) => Ongoing,
                    (true, false) if lasts && !cools => Reported,
                    _ => Ordinary,
                };
                prop_assert_eq!(finding, expected);
                if expected == Reported {
                    (reported, last_report) = (true, Some(time));
                }
            }
        }
    }
}
