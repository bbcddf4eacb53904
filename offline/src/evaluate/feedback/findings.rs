//! Feedback: events that were hit or missed, and false alarms, of each series and of all.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use super::{Series, Span};
use crate::evaluate::events::{Delay, Matches, Run, Sequences, median_delay};
use crate::evaluate::labels::{self, Labels, SeriesLabels};

/// The alarms of a replay compared with labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feedback {
    /// Labelled events that overlap in time, across series, in order of time.
    pub incidents: Vec<Incident>,
    /// How many of them were hit in any series.
    pub hit: usize,
    /// How many of them were hit in none.
    pub missed: usize,
    /// The median delay of those that were hit.
    pub delay: Option<Delay>,
    /// Alarms of all series that touch no event of theirs.
    pub false_alarms: usize,
    /// False alarms a day, of all series together.
    pub false_alarms_per_day: Option<f64>,
    /// The share of unlabelled values at which an alarm begins.
    pub false_alarm_share: Option<f64>,
    /// The configured share, if it is the same for all series.
    pub false_alarm_rate: Option<f64>,
    /// Caveats to the figures.
    pub notes: Vec<String>,
    /// The series, in the order of their first rows.
    pub series: Vec<SeriesFeedback>,
}

/// Events of several series that overlap in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// From the first row of the first event to the last of the last.
    pub from: Timestamp,
    /// See `from`.
    pub to: Timestamp,
    /// In how many series it is labelled.
    pub series: usize,
    /// In how many of them it was hit.
    pub hit: usize,
    /// The series that was hit first or, if none was, had the highest score.
    pub nearest: String,
    /// The indices of that series and its event.
    #[serde(skip)]
    pub(crate) at: (usize, usize),
}

/// The alarms of a series compared with labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesFeedback {
    /// The series' name.
    pub name: String,
    /// How many rows it has.
    pub rows: usize,
    /// How many of them have a score.
    pub scored: usize,
    /// Runs of labelled rows.
    pub events: Vec<Event>,
    /// The median delay of those that were hit.
    pub delay: Option<Delay>,
    /// Runs of alarming rows that touch no event.
    pub false_alarms: Vec<Span>,
    /// False alarms a day.
    pub false_alarms_per_day: Option<f64>,
    /// The share of unlabelled values with a score at which an alarm begins.
    pub false_alarm_share: Option<f64>,
    /// The configured share.
    pub false_alarm_rate: Option<f64>,
    /// Unlabelled rows with a score, and those of them at which an alarm begins.
    #[serde(skip)]
    ordinary: [usize; 2],
}

/// A run of labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Its rows and values.
    #[serde(flatten)]
    pub span: Span,
    /// Its delay; `None` if it was missed.
    pub hit: Option<Delay>,
    /// Whether it lasts to the series' end.
    pub goes_on: bool,
}

impl Event {
    /// When it was hit.
    fn hit_at(&self) -> Option<i128> {
        Some(self.span.from.as_nanosecond() + (self.hit?.seconds * 1e9) as i128)
    }
}

impl SeriesFeedback {
    /// Events that were hit.
    #[must_use]
    pub fn hit(&self) -> usize {
        self.events.iter().filter(|event| event.hit.is_some()).count()
    }

    /// Whether it has neither events nor false alarms.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.events.is_empty() && self.false_alarms.is_empty()
    }

    fn of(series: &Series, labels: &[bool]) -> Self {
        let Series { table, scores, alarms, false_alarm_rate, .. } = series;
        let sequences = Sequences::new(&table.series);
        let matches = Matches::of(&sequences, &table.times, |row| alarms[row], labels, 0);
        let span = |run: &Run<'_>| Span::of(series, run.rows[0]..run.rows[run.rows.len() - 1] + 1);
        let event = |(run, hit): &(Run<'_>, Option<Delay>)| {
            let span = span(run);
            Event { goes_on: span.places.end == table.len(), hit: *hit, span }
        };
        let events: Vec<Event> = matches.events.iter().map(event).collect();
        let false_alarms: Vec<Span> =
            matches.alarms.iter().filter(|(_, right)| !right).map(|(run, _)| span(run)).collect();
        let ordinary = || (0..table.len()).filter(|&row| !labels[row] && !scores[row].is_nan());
        let begins = |row: usize| alarms[row] && !row.checked_sub(1).is_some_and(|before| alarms[before]);
        let ordinary = [ordinary().count(), ordinary().filter(|&row| begins(row)).count()];
        Self {
            name: series.name().to_owned(),
            rows: table.len(),
            scored: scores.iter().filter(|score| !score.is_nan()).count(),
            delay: median_delay(events.iter().filter_map(|event| event.hit)),
            false_alarms_per_day: per_day(false_alarms.len(), table.times.iter().copied()),
            false_alarm_share: share(ordinary),
            false_alarm_rate: *false_alarm_rate,
            events,
            false_alarms,
            ordinary,
        }
    }
}

impl Feedback {
    /// Compares the alarms of series, each with its rows in order of time, with labels.
    ///
    /// # Errors
    ///
    /// If the labels do not fit the series.
    pub fn of(series: &[Series], labels: &Labels) -> Result<Self, labels::Error> {
        let tables: Vec<_> = series.iter().map(|series| &series.table).collect();
        let SeriesLabels { labels, notes } = labels.of_series(&tables)?;
        let found: Vec<SeriesFeedback> =
            series.iter().zip(&labels).map(|(series, labels)| SeriesFeedback::of(series, labels)).collect();
        let incidents = incidents(&found);
        let hit = incidents.iter().filter(|incident| incident.hit > 0).count();
        let false_alarms = found.iter().map(|found| found.false_alarms.len()).sum();
        let sum = |at: usize| found.iter().map(|found| found.ordinary[at]).sum();
        let first_rate = series.first().and_then(|series| series.false_alarm_rate);
        let same_rate = series.iter().all(|series| series.false_alarm_rate == first_rate);
        let first_hits =
            incidents.iter().filter_map(|Incident { at: (series, event), .. }| found[*series].events[*event].hit);
        Ok(Self {
            hit,
            missed: incidents.len() - hit,
            delay: median_delay(first_hits),
            false_alarms,
            false_alarms_per_day: per_day(false_alarms, tables.iter().flat_map(|table| &table.times).copied()),
            false_alarm_share: share([sum(0), sum(1)]),
            false_alarm_rate: first_rate.filter(|_| same_rate),
            notes,
            incidents,
            series: found,
        })
    }

    /// Missed incidents, the longest first, each with the event with the highest score.
    pub(crate) fn worst_missed(&self) -> Vec<(&Incident, &Event)> {
        let missed = self.incidents.iter().filter(|incident| incident.hit == 0);
        let mut missed: Vec<_> = missed.map(|incident| (incident, self.event(incident))).collect();
        missed.sort_by_key(|(_, event)| Reverse(event.span.rows)); // stable
        missed
    }

    /// False alarms with the index of their series, the highest score first.
    pub(crate) fn worst_false_alarms(&self) -> Vec<(usize, &Span)> {
        let of_each = self.series.iter().enumerate();
        let mut all: Vec<_> =
            of_each.flat_map(|(at, found)| found.false_alarms.iter().map(move |span| (at, span))).collect();
        all.sort_by(|(_, one), (_, other)| other.score().total_cmp(&one.score()));
        all
    }

    /// The event that represents an incident.
    pub(crate) fn event(&self, incident: &Incident) -> &Event {
        let (series, event) = incident.at;
        &self.series[series].events[event]
    }
}

/// Joins events of all series that overlap in time.
fn incidents(found: &[SeriesFeedback]) -> Vec<Incident> {
    let of_each = found.iter().enumerate();
    let mut events: Vec<((usize, usize), &Event)> = of_each
        .flat_map(|(at, found)| found.events.iter().enumerate().map(move |(event, it)| ((at, event), it)))
        .collect();
    events.sort_by_key(|(_, event)| event.span.from);
    let mut joined: Vec<Vec<((usize, usize), &Event)>> = Vec::new();
    let mut end = None;
    for event in events {
        match joined.last_mut().filter(|_| end.is_some_and(|end| event.1.span.from <= end)) {
            Some(together) => together.push(event),
            None => joined.push(vec![event]),
        }
        end = end.max(Some(event.1.span.to));
    }
    let incident = |events: Vec<((usize, usize), &Event)>| {
        let first_hit = events.iter().filter(|(_, event)| event.hit.is_some()).min_by_key(|(_, event)| event.hit_at());
        let nearest = events.iter().max_by(|(_, a), (_, b)| a.span.score().total_cmp(&b.span.score()));
        let (at, _) = *first_hit.or(nearest)?;
        let series = |of: &dyn Fn(&Event) -> bool| {
            let mut series: Vec<usize> =
                events.iter().filter(|(_, event)| of(event)).map(|((series, _), _)| *series).collect();
            series.sort_unstable();
            series.dedup();
            series.len()
        };
        Some(Incident {
            from: events[0].1.span.from,
            to: events.iter().map(|(_, event)| event.span.to).max()?,
            series: series(&|_| true),
            hit: series(&|event| event.hit.is_some()),
            nearest: found[at.0].name.clone(),
            at,
        })
    };
    joined.into_iter().filter_map(incident).collect()
}

fn share([all, some]: [usize; 2]) -> Option<f64> {
    crate::evaluate::metrics::share(some as u64, all as u64)
}

fn per_day(count: usize, times: impl Iterator<Item = i64> + Clone) -> Option<f64> {
    let nanoseconds = times.clone().max()?.saturating_sub(times.min()?);
    (nanoseconds > 0).then(|| count as f64 / (nanoseconds as f64 / 86_400e9))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::series;
    use super::*;

    fn feedback(series: &[Series], labels: &str) -> Feedback {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        fs::write(&path, labels).unwrap();
        Feedback::of(series, &Labels::read(&path).unwrap()).unwrap()
    }

    #[test]
    fn events_are_hit_or_missed_and_alarms_beside_them_are_false() {
        //                                     00000000001111111111
        //                                     01234567890123456789
        let found = feedback(&[series("cpu", "__..!!..!....!......")], "start,end\n7,10\n11,13\n18,99\n");
        let cpu = &found.series[0];
        assert_eq!((cpu.rows, cpu.scored, cpu.events.len(), cpu.hit(), cpu.false_alarms.len()), (20, 18, 3, 1, 2));
        assert_eq!(cpu.events[0].hit, Some(Delay { rows: 1.0, seconds: 1.0 }));
        assert_eq!(cpu.events.iter().map(|event| event.goes_on).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((cpu.false_alarms[0].rows, cpu.false_alarms[1].rows), (2, 1));
        assert_eq!(cpu.false_alarms[0].peak.map(|peak| peak.score), Some(7.0), "the higher of two");
        // 18 rows with a score, of which 7 are labelled; at 2 of the other 11 an alarm begins. Two alarms in 19 seconds.
        assert!((cpu.false_alarm_share.unwrap() - 2.0 / 11.0).abs() < 1e-12);
        assert!((cpu.false_alarms_per_day.unwrap() - 2.0 * 86_400.0 / 19.0).abs() < 1e-6);
        assert_eq!((found.hit, found.missed, found.false_alarms, found.delay), (1, 2, 2, cpu.delay));
        assert_eq!(found.worst_false_alarms().iter().map(|(_, span)| span.places.start).collect::<Vec<_>>(), [13, 4]);
        assert_eq!(found.worst_missed()[0].1.span.rows, 2);
    }

    #[test]
    fn an_incident_is_hit_if_it_is_in_any_series() {
        let series = [series("a", "........"), series("b", "...!...."), series("c", "..!.....")];
        let found = feedback(&series, "start,end,series\n1,4,\n6,7,a\n");
        assert_eq!((found.incidents.len(), found.hit, found.missed), (2, 1, 1));
        let [first, second] = &found.incidents[..] else { panic!("{found:?}") };
        assert_eq!((first.series, first.hit, first.nearest.as_str()), (3, 2, "c"), "hit first");
        assert_eq!((second.series, second.hit, second.nearest.as_str()), (1, 0, "a"));
        assert_eq!(found.delay, Some(Delay { rows: 1.0, seconds: 1.0 }));
        assert_eq!(found.series.iter().map(SeriesFeedback::is_quiet).collect::<Vec<_>>(), [false; 3]);
    }

    #[test]
    fn an_alarm_that_runs_into_an_event_is_right_and_not_late() {
        let found = feedback(&[series("a", "..!!!..")], "start,end\n3,6\n");
        assert_eq!((found.hit, found.false_alarms), (1, 0));
        assert_eq!(found.delay, Some(Delay { rows: 0.0, seconds: 0.0 }));
    }

    #[test]
    fn without_events_or_alarms_there_is_no_feedback() {
        let found = feedback(&[], "start,end\n3,6\n");
        assert_eq!((found.incidents.len(), found.false_alarms_per_day, found.false_alarm_share), (0, None, None));
        let found = feedback(&[series("a", "....")], "start,end\n");
        assert!(found.series[0].is_quiet() && found.incidents.is_empty());
    }
}
