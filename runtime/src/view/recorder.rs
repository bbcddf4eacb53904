//! Series as the live page shows them: names, the last hour's scores, what is anomalous now and what was.
//!
//! Of each series the largest score and the last value of every ten seconds are kept, for at most [`MAX_TRACKS`] series: with
//! more of them, those that are ordinary make room for those that are not.

use std::collections::VecDeque;
use std::sync::Arc;

use qualm_contract::Reason;
use qualm_pipeline::pipeline::Verdict;
use qualm_pipeline::vector::Shape;
use qualm_pipeline::{Counts, Format, Pipeline};

use super::track::{Now, Track, shown};

/// The most series that are recorded.
pub const MAX_TRACKS: usize = 2_000;

/// The most incidents that are remembered.
pub const MAX_INCIDENTS: usize = 200;

/// Over how many seconds rates are taken.
const RATE: i64 = 10;

/// What is recorded of a pipeline.
#[derive(Debug, Default)]
pub struct Recorder {
    tracks: Vec<Track>,
    /// For each lane and series number: the place of its track, counted from 1; 0 for none.
    places: Vec<Vec<u16>>,
    /// The track that is looked at next for one to give away.
    hand: usize,
    /// The last incidents, the newest first.
    incidents: VecDeque<Incident>,
    /// For each lane: what its features are called; empty where it scores single fields.
    features: Vec<Vec<String>>,
    /// For each lane: what it was given, and what became of it.
    totals: Vec<Totals>,
    /// Counts at the beginning of each of the last seconds: when, events, rows.
    seconds: VecDeque<(i64, u64, u64)>,
}

/// A time during which a series was anomalous.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Whose.
    pub lane: usize,
    /// See `lane`.
    pub series: u32,
    /// What the series is called.
    pub name: Arc<str>,
    /// The field, where it is one field's.
    pub key: Arc<str>,
    /// When it began and ended, in milliseconds since 1970.
    pub started: i64,
    /// See `started`.
    pub ended: Option<i64>,
    /// The largest score.
    pub peak: f64,
    /// Why, as its detector says.
    pub reason: Reason,
    /// How much each feature contributed then, and its value.
    pub contributions: Arc<[(f64, f64)]>,
}

/// Rows of one detector, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// That it was given.
    pub rows: u64,
    /// That got a score.
    pub scored: u64,
    /// That reported an incident.
    pub incidents: u64,
}

/// How much passes, in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Events.
    pub events: f64,
    /// Rows.
    pub rows: f64,
}

impl Recorder {
    /// Takes in the rows of the last batch, at `now` (milliseconds since 1970).
    pub(crate) fn take<F: Format>(&mut self, pipeline: &Pipeline<F>, now: i64) {
        let lanes = pipeline.lanes();
        self.places.resize_with(lanes.len(), Vec::new);
        self.totals.resize_with(lanes.len(), Totals::default);
        if self.features.len() != lanes.len() {
            let names = |shape: &Shape| shape.features.iter().map(|feature| feature.name.clone()).collect();
            self.features = lanes.iter().map(|lane| lane.shape().map(names).unwrap_or_default()).collect();
        }
        for verdict in pipeline.verdicts() {
            let totals = &mut self.totals[verdict.lane];
            totals.rows += 1;
            totals.scored += u64::from(!verdict.score.is_nan());
            totals.incidents += u64::from(verdict.reports);
            let Some(place) = self.place(&verdict, now) else { continue };
            let track = &mut self.tracks[place];
            track.add(&verdict, now);
            let now_is = &mut track.now;
            match (now_is.since, verdict.anomaly) {
                (None, true) => {
                    now_is.since = Some(now);
                    self.incidents.push_front(Incident::new(now_is, &verdict, now));
                    self.incidents.truncate(MAX_INCIDENTS);
                }
                (Some(_), true) => {
                    if let Some(incident) = open(&mut self.incidents, now_is.lane, now_is.series) {
                        incident.rise(&verdict);
                    }
                }
                // A row without a score does not end it.
                (Some(_), false) if !verdict.score.is_nan() => {
                    now_is.since = None;
                    if let Some(incident) = open(&mut self.incidents, now_is.lane, now_is.series) {
                        incident.ended = Some(now);
                    }
                }
                _ => {}
            }
        }
    }

    /// These series are gone; their numbers may come again for others.
    pub(crate) fn forget(&mut self, lane: usize, series: &[u32], now: i64) {
        let Some(places) = self.places.get_mut(lane) else { return };
        for &number in series {
            let Some(place) = places.get_mut(number as usize).filter(|place| **place > 0) else { continue };
            let track = &mut self.tracks[usize::from(std::mem::take(place)) - 1];
            track.retire();
            if let Some(incident) = open(&mut self.incidents, lane, number) {
                incident.ended = Some(now);
            }
        }
    }

    /// All series of a lane are others now.
    pub(crate) fn forget_all(&mut self, lane: usize, now: i64) {
        let known = self.tracks.iter().filter(|track| track.now.lane == lane && !track.is_retired());
        let known: Vec<u32> = known.map(|track| track.now.series).collect();
        self.forget(lane, &known, now);
        self.features.clear(); // looked up again with the next batch
    }

    /// Takes in how much has passed until `now`.
    pub(crate) fn pass(&mut self, counts: Counts, now: i64) {
        let second = now.div_euclid(1000);
        if self.seconds.back().is_none_or(|(last, ..)| *last != second) {
            self.seconds.push_back((second, counts.events, counts.rows));
        }
        while self.seconds.front().is_some_and(|(first, ..)| (second - first).abs() > RATE) {
            self.seconds.pop_front();
        }
    }

    /// How much passed in each of the last seconds.
    #[must_use]
    pub fn rates(&self, counts: Counts, now: i64) -> Rates {
        let Some(&(first, events, rows)) = self.seconds.front() else { return Rates::default() };
        let seconds = ((now - first * 1000) as f64 / 1e3).max(1.0);
        let rate = |total: u64, then: u64| total.saturating_sub(then) as f64 / seconds;
        Rates { events: rate(counts.events, events), rows: rate(counts.rows, rows) }
    }

    /// The series, in no order.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| !track.is_retired())
    }

    /// One series.
    #[must_use]
    pub fn track(&self, lane: usize, series: u32) -> Option<&Track> {
        let place = *self.places.get(lane)?.get(series as usize)?;
        self.tracks.get(usize::from(place).checked_sub(1)?)
    }

    /// What a lane's features are called; none where it scores single fields.
    #[must_use]
    pub fn features(&self, lane: usize) -> &[String] {
        self.features.get(lane).map_or(&[], Vec::as_slice)
    }

    /// What a lane was given, and what became of it.
    #[must_use]
    pub fn totals(&self, lane: usize) -> Totals {
        self.totals.get(lane).copied().unwrap_or_default()
    }

    /// The last incidents, the newest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter()
    }

    /// The place of a row's series among the tracks: a new one, where it has none as yet and there is room.
    fn place(&mut self, verdict: &Verdict<'_>, now: i64) -> Option<usize> {
        let places = &mut self.places[verdict.lane];
        let number = verdict.series as usize;
        if places.len() <= number {
            places.resize(number + 1, 0);
        }
        if let Some(place) = usize::from(places[number]).checked_sub(1) {
            return Some(place);
        }
        let place = if self.tracks.len() < MAX_TRACKS {
            self.tracks.push(Track::default());
            self.tracks.len() - 1
        } else {
            let place = self.hand;
            let track = &self.tracks[place];
            // Looked at one a row, so it costs the same however many there are.
            self.hand = (place + 1) % MAX_TRACKS;
            if !track.is_retired() && (!verdict.anomaly || track.now.since.is_some()) {
                return None;
            }
            if !track.is_retired() {
                self.places[track.now.lane][track.now.series as usize] = 0;
            }
            place
        };
        self.places[verdict.lane][number] = place as u16 + 1;
        self.tracks[place] = Track::new(verdict, now);
        Some(place)
    }
}

/// The incident of a series that has not ended.
fn open(incidents: &mut VecDeque<Incident>, lane: usize, series: u32) -> Option<&mut Incident> {
    incidents.iter_mut().find(|one| one.lane == lane && one.series == series && one.ended.is_none())
}

impl Incident {
    fn new(of: &Now, verdict: &Verdict<'_>, now: i64) -> Self {
        let Now { lane, series, ref name, .. } = *of;
        let key = shown(verdict.key).into();
        let (name, reason, contributions) = (name.clone(), verdict.reason, Arc::default());
        let mut new = Self { lane, series, name, key, started: now, ended: None, peak: 0.0, reason, contributions };
        new.rise(verdict);
        new
    }

    /// Takes in another of its rows.
    fn rise(&mut self, verdict: &Verdict<'_>) {
        if verdict.score > self.peak {
            self.peak = verdict.score;
            self.contributions = verdict.contributions.iter().copied().zip(verdict.values.iter().copied()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
    use qualm_pipeline::{Lane, Limits, Selector};

    use super::*;

    /// Scores by value; what is negative has no score. All is novel.
    struct ByValue;

    impl BatchScorer for ByValue {
        fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
            verdicts
                .scores
                .extend(batch.values.iter().map(|value| if *value < 0.0 { f64::NAN } else { value / 100.0 }));
            verdicts.reasons.extend(batch.values.iter().map(|_| Reason::Novel));
            Ok(())
        }

        fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn an_incident_is_open_for_as_long_as_its_rows_are_anomalies() {
        let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 7);
        let mut recorder = Recorder::default();
        let mut open = Vec::new();
        for (now, value) in (0..).zip([10, 200, 70, -1, 300, 50, 60, 200]) {
            let line = format!("m v={value}\n");
            pipeline.input()[..line.len()].copy_from_slice(line.as_bytes());
            pipeline.run(line.len(), 0, &mut [ByValue]);
            recorder.take(&pipeline, now);
            open.push(recorder.tracks().next().unwrap().now.since);
        }
        assert_eq!(open, [None, Some(1), Some(1), Some(1), Some(1), None, None, Some(7)]);
        let incidents: Vec<_> = recorder.incidents().map(|one| (one.started, one.ended, one.peak)).collect();
        assert_eq!(incidents, [(7, None, 2.0), (1, Some(5), 3.0)]);
        assert_eq!(recorder.totals(0), Totals { rows: 8, scored: 7, incidents: 2 });
        assert!(recorder.incidents().all(|one| one.reason == Reason::Novel));
    }
}
