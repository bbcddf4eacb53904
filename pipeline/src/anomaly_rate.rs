//! Anomaly rates: the share of an entity's series that is anomalous, by interval.
//!
//! An incident affects many metrics: if a third of a host's metrics is anomalous, the host has a problem, while a single
//! anomalous metric may be harmless. Series are counted as their rows are judged. The first row of an entity's next interval
//! ends the current one, and the rate is emitted after that row's event. A late row counts in the current interval.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entity::{self, MAX_TAGS_LENGTH};
use crate::format::EntityRate;

/// Whose anomaly rate is emitted, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnomalyRate {
    /// Tags that identify an entity, such as `host`. Without tags, all series belong to one entity.
    pub by: Vec<String>,
    /// The length of an interval in nanoseconds, counted from 1970; more than 0.
    pub interval: i64,
}

/// Counts the anomalous series of each entity.
#[derive(Debug)]
pub(crate) struct EntityCounter {
    rule: AnomalyRate,
    /// The detector's name, as a tag's value in a line.
    name: Vec<u8>,
    seed: u64,
    /// Identity to number.
    index: HashTable<u32>,
    /// By number. An entity without members is free.
    entities: Vec<Entity>,
    free: Vec<u32>,
    /// By series number.
    members: Vec<Member>,
    /// The counts of intervals that ended in this run.
    ended: Vec<Ended>,
}

#[derive(Debug)]
struct Entity {
    identity: u64,
    /// Its tags, as in line protocol: `,host=a`.
    tags: Box<[u8]>,
    /// How many series it has.
    members: u32,
    /// The beginning of the current interval, and its number: at least 1, since 0 is none.
    start: i64,
    interval_number: u32,
    /// Series with a score in it, and those that were anomalous.
    scored: u32,
    anomalous: u32,
}

/// A series of an entity.
#[derive(Debug, Clone, Copy)]
struct Member {
    entity: EntityRef,
    /// The numbers of the intervals in which it was last scored, and last anomalous.
    scored: u32,
    anomalous: u32,
}

/// The entity of a series.
#[derive(Debug, Clone, Copy)]
enum EntityRef {
    /// Not determined yet.
    Unknown,
    /// None.
    Nowhere,
    Entity(u32),
}

const UNASSIGNED: Member = Member { entity: EntityRef::Unknown, scored: 0, anomalous: 0 };

/// An interval that ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    entity: u32,
    start: i64,
    scored: u32,
    anomalous: u32,
}

impl EntityCounter {
    pub(crate) fn new(name: Vec<u8>, rule: AnomalyRate) -> Self {
        Self {
            rule,
            name,
            seed: 0,
            index: HashTable::new(),
            entities: Vec::new(),
            free: Vec::new(),
            members: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The seed of identities, as in [`crate::Pipeline::new`].
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Begins a run.
    pub(crate) fn begin_run(&mut self) {
        self.ended.clear();
    }

    /// Assigns a series, which has a row in an event with this head, to its entity.
    pub(crate) fn assign_entity(&mut self, series: u32, head: &[u8]) {
        let number = series as usize;
        if self.members.len() <= number {
            self.members.resize(number + 1, UNASSIGNED);
        }
        if let EntityRef::Unknown = self.members[number].entity {
            self.members[number].entity = self.find_entity(head);
        }
    }

    fn find_entity(&mut self, head: &[u8]) -> EntityRef {
        let Self { rule, seed, index, entities, free, .. } = self;
        let tags = entity::tags(head, &rule.by);
        if tags.len() > MAX_TAGS_LENGTH {
            return EntityRef::Nowhere;
        }
        let identity = xxh3_64_with_seed(&tags, *seed);
        if let Some(&number) = index.find(identity, |&n| entities[n as usize].identity == identity) {
            entities[number as usize].members += 1;
            return EntityRef::Entity(number);
        }
        let tags = tags.into();
        let entity =
            Entity { identity, tags, members: 1, start: i64::MIN, interval_number: 1, scored: 0, anomalous: 0 };
        let number = if let Some(number) = free.pop() {
            entities[number as usize] = entity;
            number
        } else {
            entities.push(entity);
            (entities.len() - 1) as u32 // at most as many as series
        };
        index.insert_unique(identity, number, |&n| entities[n as usize].identity);
        EntityRef::Entity(number)
    }

    /// Counts a row of a series. If it ends an interval with scores, returns the number for [`entity_rate`](Self::entity_rate).
    pub(crate) fn count_row(&mut self, series: u32, time: i64, scored: bool, anomalous: bool) -> Option<usize> {
        let Self { rule, entities, members, ended, .. } = self;
        let member = members.get_mut(series as usize)?;
        let EntityRef::Entity(number) = member.entity else { return None };
        let entity = &mut entities[number as usize];
        let start = entity::interval_start(time, rule.interval);
        let mut ended_index = None;
        if start > entity.start || start < entity.start.saturating_sub(entity::max_lateness(rule.interval)) {
            if start > entity.start && entity.scored > 0 {
                ended_index = Some(ended.len());
                let Entity { start, scored, anomalous, .. } = *entity;
                ended.push(Ended { entity: number, start, scored, anomalous });
            }
            entity.begin_interval(start);
        }
        if scored && member.scored != entity.interval_number {
            member.scored = entity.interval_number;
            entity.scored += 1;
        }
        if anomalous && member.anomalous != entity.interval_number {
            member.anomalous = entity.interval_number;
            entity.anomalous += 1;
        }
        ended_index
    }

    /// The anomaly rate of an interval that ended in this run.
    pub(crate) fn entity_rate(&self, ended: usize) -> EntityRate<'_> {
        let Ended { entity, start, scored, anomalous } = self.ended[ended];
        EntityRate {
            tags: &self.entities[entity as usize].tags,
            detector: &self.name,
            anomalous,
            series: scored,
            time: start,
        }
    }

    /// Removes dropped series from their entities. An entity without series is dropped.
    pub(crate) fn remove_series(&mut self, series: &[u32]) {
        let Self { index, entities, free, members, .. } = self;
        for &number in series {
            let Some(member) = members.get_mut(number as usize) else { continue };
            let Member { entity, scored, anomalous } = std::mem::replace(member, UNASSIGNED);
            let EntityRef::Entity(number) = entity else { continue };
            let entity = &mut entities[number as usize];
            // The series may return under another number, and must not be counted twice.
            entity.scored = entity.scored.saturating_sub(u32::from(scored == entity.interval_number));
            entity.anomalous = entity.anomalous.saturating_sub(u32::from(anomalous == entity.interval_number));
            entity.members -= 1;
            if entity.members == 0 {
                entity.tags = Box::default();
                let identity = entity.identity;
                if let Ok(entry) = index.find_entry(identity, |&n| n == number) {
                    entry.remove();
                }
                free.push(number);
            }
        }
    }
}

impl Entity {
    fn begin_interval(&mut self, start: i64) {
        self.start = start;
        self.interval_number += 1; // one a second for a hundred years
        self.scored = 0;
        self.anomalous = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn counter() -> EntityCounter {
        EntityCounter::new(b"cpu".to_vec(), AnomalyRate { by: vec!["host".to_owned()], interval: MINUTE })
    }

    /// Counts a row. Returns the interval that it ends, if it ends one: when it began, how many series were anomalous, of how many.
    fn count_row(
        counter: &mut EntityCounter,
        series: u32,
        head: &str,
        time: i64,
        score: f64,
    ) -> Option<(i64, u32, u32)> {
        counter.assign_entity(series, head.as_bytes());
        let ended = counter.count_row(series, time, !score.is_nan(), score > 1.0)?;
        let EntityRate { tags, detector, anomalous, series, time } = counter.entity_rate(ended);
        assert_eq!((tags, detector), (&b",host=a"[..], &b"cpu"[..]));
        Some((time, anomalous, series))
    }

    #[test]
    fn each_series_counts_once_an_interval() {
        let mut counter = counter();
        for second in 0..60 {
            for series in 0..4 {
                let score = if series < 2 && second == 7 + i64::from(series) { 3.0 } else { 0.2 };
                assert_eq!(count_row(&mut counter, series, "cpu,host=a", second * MINUTE / 60, score), None);
            }
        }
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", MINUTE, 0.2), Some((0, 2, 4)));
        assert_eq!(count_row(&mut counter, 1, "cpu,host=a", MINUTE, 2.0), None, "it was emitted");
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", 5 * MINUTE, 0.2), Some((MINUTE, 1, 2)), "those that came");
    }

    #[test]
    fn of_what_has_no_score_there_is_nothing_to_tell() {
        let mut counter = counter();
        for minute in 0..3 {
            assert_eq!(count_row(&mut counter, 0, "cpu,host=a", minute * MINUTE, f64::NAN), None);
        }
        assert_eq!(count_row(&mut counter, 1, "cpu,host=a", 2 * MINUTE, 0.0), None);
        assert_eq!(count_row(&mut counter, 1, "cpu,host=a", 3 * MINUTE, f64::NAN), Some((2 * MINUTE, 0, 1)));
    }

    #[test]
    fn clocks_may_go_backwards() {
        let mut counter = counter();
        let day = 1440 * MINUTE;
        count_row(&mut counter, 0, "cpu,host=a", day, 0.2);
        assert_eq!(count_row(&mut counter, 1, "cpu,host=a", day - MINUTE, 2.0), None, "it is late");
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", day + MINUTE, 0.2), Some((day, 1, 2)));
        count_row(&mut counter, 0, "cpu,host=a", 365 * day, 0.2); // ran wild
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", day + 2 * MINUTE, 0.2), None, "and was put back");
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", day + 3 * MINUTE, 0.2), Some((day + 2 * MINUTE, 0, 1)));
        for time in [i64::MAX, i64::MIN, 0] {
            count_row(&mut counter, 0, "cpu,host=a", time, 2.0); // no overflow
        }
    }

    #[test]
    fn a_series_that_is_gone_leaves_its_entity_and_the_last_one_takes_it_along() {
        let mut counter = counter();
        for series in 0..3 {
            count_row(&mut counter, series, "cpu,host=a", 0, 2.0);
        }
        counter.remove_series(&[1, 2, 9]);
        assert_eq!(count_row(&mut counter, 2, "cpu,host=a", 1, 2.0), None, "it came back");
        assert_eq!(count_row(&mut counter, 0, "cpu,host=a", MINUTE, 0.0), Some((0, 2, 2)));
        counter.remove_series(&[0, 2]);
        assert!(counter.index.is_empty());
        for host in 0..100 {
            count_row(&mut counter, 0, &format!("cpu,host=h{host}"), host * MINUTE, 2.0);
            counter.remove_series(&[0]);
        }
        assert_eq!((counter.entities.len(), counter.index.len()), (1, 0), "what is free is used again");
        let long = format!("cpu,host={}", "h".repeat(MAX_TAGS_LENGTH));
        for minute in 0..2 {
            assert_eq!(
                count_row(&mut counter, 0, &long, minute * MINUTE, 2.0),
                None,
                "its tags are too long to be kept"
            );
        }
    }
}
