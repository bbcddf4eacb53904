//! Verdicts compared with labels. Nothing is adjusted: a line counts with the verdict that it got when it passed.

use super::data::{Incident, MINUTE};
use super::passes::Verdict;

/// Alarming lines closer than this belong to the same stretch, in nanoseconds.
const MERGE_GAP: i64 = 10 * MINUTE;

/// The comparison of verdicts and labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Findings {
    /// Lines before the first score, which are not counted below.
    pub(super) warm_up: usize,
    pub(super) incidents: Vec<Finding>,
    pub(super) false_alarms: Vec<Stretch>,
    /// Lines outside all incidents.
    pub(super) ordinary: Tally,
    /// All lines.
    pub(super) all: Tally,
}

/// An incident and its detection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) incident: Incident,
    /// The lines within it.
    pub(super) tally: Tally,
    /// The largest score within it.
    pub(super) largest: Option<f64>,
    pub(super) detection: Option<Detection>,
}

/// The first alarming line of an incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Detection {
    /// Nanoseconds from the incident's start.
    pub(super) delay: i64,
    /// The line's `anomaly_cause`.
    pub(super) cause: Option<String>,
}

/// Alarming lines with less than [`MERGE_GAP`] from each to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) lines: usize,
    pub(super) largest: f64,
}

/// Lines with a score, and the anomalous ones of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) scored: usize,
    pub(super) anomalous: usize,
}

impl Findings {
    /// Compares the verdicts of the lines, in order of time, with the incidents.
    pub(super) fn compare(lines: &[(i64, Option<Verdict>)], incidents: &[Incident]) -> Self {
        let scored: Vec<(i64, &Verdict)> =
            lines.iter().filter_map(|(time, verdict)| verdict.as_ref().map(|verdict| (*time, verdict))).collect();
        let is_ordinary = |time: i64| !incidents.iter().any(|incident| incident.contains(time));
        let is_false_alarm = |stretch: &Stretch| !incidents.iter().any(|incident| stretch.overlaps(incident));
        Self {
            warm_up: lines.iter().take_while(|(_, verdict)| verdict.is_none()).count(),
            incidents: incidents.iter().map(|incident| Finding::of(incident, &scored)).collect(),
            false_alarms: stretches(&scored).into_iter().filter(is_false_alarm).collect(),
            ordinary: Tally::of(scored.iter().filter(|(time, _)| is_ordinary(*time)).map(|(_, verdict)| *verdict)),
            all: Tally::of(scored.iter().map(|(_, verdict)| *verdict)),
        }
    }

    /// Incidents that could be caught: those that did not end before the first score.
    pub(super) fn catchable(&self) -> usize {
        self.incidents.iter().filter(|finding| finding.tally.scored > 0).count()
    }

    /// Incidents that were caught.
    pub(super) fn caught(&self) -> usize {
        self.incidents.iter().filter(|finding| finding.detection.is_some()).count()
    }
}

impl Finding {
    fn of(incident: &Incident, scored: &[(i64, &Verdict)]) -> Self {
        let within = || scored.iter().filter(|(time, _)| incident.contains(*time));
        let first = within().find(|(_, verdict)| verdict.alarms());
        Self {
            incident: incident.clone(),
            tally: Tally::of(within().map(|(_, verdict)| *verdict)),
            largest: within().map(|(_, verdict)| verdict.score).reduce(f64::max),
            detection: first
                .map(|(time, verdict)| Detection { delay: time - incident.start, cause: verdict.cause.clone() }),
        }
    }
}

impl Incident {
    fn contains(&self, time: i64) -> bool {
        (self.start..self.end).contains(&time)
    }
}

impl Stretch {
    fn overlaps(&self, incident: &Incident) -> bool {
        self.first < incident.end && incident.start <= self.last
    }
}

impl Tally {
    fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Self {
        verdicts.fold(Self::default(), |Self { scored, anomalous }, verdict| Self {
            scored: scored + 1,
            anomalous: anomalous + usize::from(verdict.is_anomaly),
        })
    }
}

fn stretches(scored: &[(i64, &Verdict)]) -> Vec<Stretch> {
    let mut out: Vec<Stretch> = Vec::new();
    for &(time, verdict) in scored.iter().filter(|(_, verdict)| verdict.alarms()) {
        match out.last_mut().filter(|stretch| time - stretch.last < MERGE_GAP) {
            Some(stretch) => {
                stretch.last = time;
                stretch.lines += 1;
                stretch.largest = stretch.largest.max(verdict.score);
            }
            None => out.push(Stretch { first: time, last: time, lines: 1, largest: verdict.score }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line a minute: `_` without a score, `.` ordinary, `!` alarming, `+` of an incident that continues.
    fn lines(text: &str) -> Vec<(i64, Option<Verdict>)> {
        let verdict = |byte, minute: usize| match byte {
            b'_' => None,
            b'!' => {
                Some(Verdict { score: 2.0 + minute as f64, is_anomaly: true, cause: Some(format!("m{minute:02}")) })
            }
            b'+' => Some(Verdict { score: 0.75, is_anomaly: true, cause: Some("m00".to_owned()) }),
            _ => Some(Verdict { score: 0.25, is_anomaly: false, cause: None }),
        };
        text.bytes().enumerate().map(|(minute, byte)| (minute as i64 * MINUTE, verdict(byte, minute))).collect()
    }

    fn incident(start: i64, end: i64) -> Incident {
        Incident { start: start * MINUTE, end: end * MINUTE, metrics: Vec::new() }
    }

    fn delays(found: &Findings) -> Vec<Option<i64>> {
        found
            .incidents
            .iter()
            .map(|finding| finding.detection.as_ref().map(|detection| detection.delay / MINUTE))
            .collect()
    }

    #[test]
    fn incidents_are_caught_at_once_late_or_not() {
        let found = Findings::compare(&lines("..!!...!.....!"), &[incident(2, 4), incident(5, 9), incident(10, 13)]);
        assert_eq!(delays(&found), [Some(0), Some(2), None]);
        assert_eq!((found.caught(), found.catchable()), (2, 3));
        assert_eq!(found.incidents[1].detection.as_ref().unwrap().cause.as_deref(), Some("m07"));
        assert_eq!(found.incidents[1].tally, Tally { scored: 4, anomalous: 1 });
        assert_eq!(
            found.incidents.iter().map(|finding| finding.largest).collect::<Vec<_>>(),
            [Some(5.0), Some(9.0), Some(0.25)]
        );
    }

    #[test]
    fn lines_of_a_continued_incident_catch_no_other() {
        let found = Findings::compare(&lines("!++++!++.."), &[incident(2, 4), incident(5, 9)]);
        assert_eq!(delays(&found), [None, Some(0)]);
        assert_eq!((found.ordinary, found.all.anomalous), (Tally { scored: 4, anomalous: 3 }, 8));
    }

    #[test]
    fn an_incidents_end_is_exclusive() {
        assert_eq!(delays(&Findings::compare(&lines("....!"), &[incident(1, 4)])), [None]);
        assert_eq!(delays(&Findings::compare(&lines("...!."), &[incident(1, 4)])), [Some(2)]);
    }

    #[test]
    fn close_false_alarms_are_one() {
        let found = Findings::compare(&lines("!.........!!........!.........."), &[]);
        // Ten minutes from the first to the second; nine from there to the last.
        let [first, second] = found.false_alarms.as_slice() else { panic!("{:?}", found.false_alarms) };
        assert_eq!((first.first, first.last, first.lines), (0, 0, 1));
        assert_eq!((second.first, second.last, second.lines), (10 * MINUTE, 20 * MINUTE, 3));
        assert!((second.largest - 22.0).abs() < 1e-9);
        assert_eq!(found.ordinary, Tally { scored: 31, anomalous: 4 });
    }

    #[test]
    fn a_stretch_around_an_incident_is_neither_false_alarm_nor_detection() {
        let around = Findings::compare(&lines("..!....!..............!"), &[incident(3, 6)]);
        assert_eq!(delays(&around), [None]);
        assert_eq!(around.false_alarms.len(), 1, "only the one at the end");
        assert_eq!(around.ordinary.anomalous, 3);
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let found = Findings::compare(&lines("____..!."), &[incident(0, 3), incident(3, 7)]);
        assert_eq!(found.warm_up, 4);
        assert_eq!((found.caught(), found.catchable()), (1, 1));
        assert_eq!(delays(&found), [None, Some(3)]);
        assert_eq!(found.all, Tally { scored: 4, anomalous: 1 });
        assert_eq!(found.ordinary, Tally { scored: 1, anomalous: 0 });
    }
}
