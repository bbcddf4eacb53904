//! Drift of single entities: each is compared with its own first rows.
//!
//! A model's reference is of all its entities together, which one of them never looks like.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::{Clock, nanoseconds};
use crate::live::Live;
use crate::options::Options;
use crate::reference::Reference;
use crate::report::State;
use crate::window::{BLOCK_ROWS, BLOCKS};

/// For how many windows an entity's first rows last that it is compared with: as long as training should, at least.
const WINDOWS: usize = 5;

/// How many of these rows are needed, and how many are kept at most: of more every second one is dropped.
const LEAST_ROWS: usize = WINDOWS * BLOCKS * BLOCK_ROWS as usize;
const MOST_ROWS: usize = 2 * LEAST_ROWS;

/// Entities, as many as there may be, each with a window of its own.
///
/// An entity takes 41 kB of memory for each feature while its first rows are kept, and as much as a [`Live`] from then on.
#[derive(Debug)]
pub struct Entities {
    features: usize,
    most: usize,
    options: Options,
    by_series: HashMap<u32, Entity>,
    /// The time of the last row.
    now: i64,
}

#[derive(Debug)]
struct Entity {
    name: String,
    /// The time of its last row.
    last: i64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Learning(First),
    Watched(Box<Live>),
}

/// An entity's first rows.
#[derive(Debug)]
struct First {
    clock: Clock,
    times: Vec<i64>,
    values: Vec<f64>,
    /// One in so many rows is kept, and how many come before the next.
    stride: usize,
    skip: usize,
}

/// What was found of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// Its name.
    pub name: String,
    /// Whether it drifts; [`State::Learning`] until a window behind its first rows is full.
    pub state: State,
    /// Which features do.
    pub drifted: Vec<usize>,
}

impl Entities {
    /// Without any yet. Rows have as many `features`.
    #[must_use]
    pub fn new(features: usize, most: usize, options: Options) -> Self {
        Self { features, most, options, by_series: HashMap::new(), now: i64::MIN }
    }

    /// How many features rows have.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// From now on this number means this entity. It is looked at if there is room, or if there is one that has had no row for a
    /// window, whose place it takes.
    pub fn name(&mut self, series: u32, name: &str) {
        if self.by_series.get(&series).is_some_and(|entity| entity.name == name) {
            return;
        }
        self.by_series.remove(&series);
        // It may have had another number before.
        let before = self.by_series.iter().find(|(_, entity)| entity.name == name).map(|(series, _)| *series);
        if let Some(entity) = before.and_then(|before| self.by_series.remove(&before)) {
            self.by_series.insert(series, entity);
            return;
        }
        if self.by_series.len() >= self.most {
            let window = nanoseconds(self.options.window);
            let silent = self.by_series.iter().min_by_key(|(series, entity)| (entity.last, **series));
            let Some((silent, _)) = silent.filter(|(_, entity)| self.now.saturating_sub(entity.last) > window) else {
                return;
            };
            let silent = *silent;
            self.by_series.remove(&silent);
        }
        let phase = Phase::Learning(First::new(&self.options));
        self.by_series.insert(series, Entity { name: name.to_owned(), last: self.now, phase });
    }

    /// Takes a row of an entity, if it is looked at, as [`Live::observe`] does. Whether its report may be new.
    pub fn observe(&mut self, series: u32, time: i64, values: &[f64]) -> bool {
        self.now = time;
        let Some(entity) = self.by_series.get_mut(&series).filter(|_| values.len() == self.features) else {
            return false;
        };
        entity.last = time;
        match &mut entity.phase {
            Phase::Watched(live) => live.observe(time, values, f64::NAN),
            Phase::Learning(first) => {
                let Some(reference) = first.observe(time, values, &self.options) else { return false };
                entity.phase = Phase::Watched(Box::new(Live::new(Arc::new(reference), self.options.clone())));
                true
            }
        }
    }

    /// What was found of each, by name.
    #[must_use]
    pub fn reports(&self) -> Vec<EntityReport> {
        let report = |Entity { name, phase, .. }: &Entity| {
            let Phase::Watched(live) = phase else {
                return EntityReport { name: name.clone(), state: State::Learning, drifted: Vec::new() };
            };
            let features = live.report().features.iter().enumerate();
            let drifted = features.filter(|(_, feature)| feature.drifted).map(|(at, _)| at).collect();
            EntityReport { name: name.clone(), state: live.report().state, drifted }
        };
        let mut reports: Vec<_> = self.by_series.values().map(report).collect();
        reports.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        reports
    }
}

impl First {
    fn new(options: &Options) -> Self {
        Self { clock: Clock::new(options.window), times: Vec::new(), values: Vec::new(), stride: 1, skip: 0 }
    }

    /// Keeps a row. Once there are enough, what they look like. A row that is older than one before it is not kept.
    fn observe(&mut self, time: i64, values: &[f64], options: &Options) -> Option<Reference> {
        let Self { clock, times, values: all, stride, skip } = self;
        clock.observe(time);
        let passed = clock.total() / WINDOWS as i64 >= nanoseconds(options.window);
        if passed && times.len() >= LEAST_ROWS {
            let scores = vec![f64::NAN; times.len()];
            return Reference::new(times, all, values.len(), &scores, options.window).ok();
        }
        if *skip > 0 {
            *skip -= 1;
        } else if times.last().is_none_or(|last| time >= *last) {
            *skip = *stride - 1;
            times.push(time);
            all.extend_from_slice(values);
        }
        if times.len() >= MOST_ROWS {
            *times = times.iter().copied().step_by(2).collect();
            *all = all.chunks(values.len().max(1)).step_by(2).flatten().copied().collect();
            *stride *= 2;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn entities(most: usize) -> Entities {
        let options = Options { window: Duration::from_hours(12), ..Options::default() };
        Entities::new(2, most, options)
    }

    /// A row a minute of each series for so many hours; the values of series 1 are around 100, and `by` larger.
    fn feed(entities: &mut Entities, hours: std::ops::Range<i64>, by: f64) {
        for minute in hours.start * 60..hours.end * 60 {
            for series in 0..3 {
                let noise = |seed: i64| ((minute * 7919 + seed) * 104_729 % 10_007) as f64 / 10_007.0;
                let level = if series == 1 { 100.0 + by } else { 0.0 };
                entities.observe(series, minute * MINUTE, &[noise(i64::from(series)) + level, noise(7)]);
            }
        }
    }

    fn state(entities: &Entities, name: &str) -> Option<(State, Vec<usize>)> {
        entities.reports().into_iter().find(|report| report.name == name).map(|report| (report.state, report.drifted))
    }

    #[test]
    fn one_that_moves_drifts_and_others_do_not_however_they_differ() {
        let mut entities = entities(3);
        ["host=a", "host=b", "host=c"].iter().zip(0..).for_each(|(name, series)| entities.name(series, name));
        feed(&mut entities, 0..60, 0.0);
        assert_eq!(state(&entities, "host=b"), Some((State::Learning, vec![])));
        feed(&mut entities, 60..90, 0.0);
        assert!(entities.reports().iter().all(|report| report.state == State::None), "{:?}", entities.reports());
        feed(&mut entities, 90..120, 1.0);
        assert_eq!(state(&entities, "host=b"), Some((State::Drifting, vec![0])));
        assert_eq!(state(&entities, "host=a"), Some((State::None, vec![])));
    }

    #[test]
    fn there_are_so_many_and_a_silent_one_gives_way() {
        let mut entities = entities(2);
        ["host=a", "host=b", "host=c"].iter().zip(0..).for_each(|(name, series)| entities.name(series, name));
        feed(&mut entities, 0..1, 0.0);
        let names = |entities: &Entities| entities.reports().into_iter().map(|report| report.name).collect::<Vec<_>>();
        assert_eq!(names(&entities), ["host=a", "host=b"]);
        for minute in 0..13 * 60 {
            entities.observe(1, (60 + minute) * MINUTE, &[1.0, 2.0]);
        }
        entities.name(2, "host=c");
        assert_eq!(names(&entities), ["host=b", "host=c"], "the first had no row for a window");
        entities.name(9, "host=c");
        entities.name(1, "host=d");
        assert_eq!(names(&entities), ["host=c", "host=d"], "numbers may come to mean others");
        assert!(!entities.observe(9, 0, &[1.0]), "another number of features");
    }

    #[test]
    fn first_rows_are_few_and_in_order_whatever_the_clock() {
        let mut entities = entities(1);
        entities.name(0, "");
        for minute in 0..100_000_i64 {
            entities.observe(0, minute * MINUTE / 60, &[minute as f64, 1.0]);
            entities.observe(0, i64::MIN + minute, &[minute as f64, 1.0]);
        }
        let Phase::Learning(first) = &entities.by_series[&0].phase else { panic!("no time has passed") };
        assert!(
            first.times.is_sorted() && first.times.len() < MOST_ROWS && first.values.len() == 2 * first.times.len()
        );
    }
}
