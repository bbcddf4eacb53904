//! Anomaly rates: how large a share of an entity's series is anomalous, interval by interval.
//!
//! One incident moves many metrics: a host of which a third is anomalous is in trouble, where one odd metric may be
//! nothing. An entity's series are counted as their rows are judged. The first row that belongs to the entity's next
//! interval ends the one at hand, and what was counted is told behind that row's event. A row that comes late counts in
//! the interval at hand.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entity::{self, MOST_TAGS};
use crate::format::EntityRate;

/// Whose anomaly rate is told, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnomalyRate {
    /// Tags that tell one entity from another, such as `host`. Without any, all series are of one.
    pub by: Vec<String>,
    /// How long an interval is: nanoseconds, counted from 1970; more than 0.
    pub interval: i64,
}

/// Counts the anomalous series of each entity.
#[derive(Debug)]
pub(crate) struct Census {
    rule: AnomalyRate,
    /// The detector's name, as a tag's value in a line.
    name: Vec<u8>,
    seed: u64,
    /// Identity to number.
    index: HashTable<u32>,
    /// By number. One without members is free.
    entities: Vec<Entity>,
    free: Vec<u32>,
    /// By series number.
    members: Vec<Member>,
    /// What was counted in the intervals that ended in this run.
    ended: Vec<Ended>,
}

#[derive(Debug)]
struct Entity {
    identity: u64,
    /// Its tags, as they stand in a line: `,host=a`.
    tags: Box<[u8]>,
    /// How many series it has.
    members: u32,
    /// When the interval at hand begins, and its number: 1 at least, as 0 stands for none.
    start: i64,
    round: u32,
    /// Series that got a score in it, and those that were anomalous.
    scored: u32,
    anomalous: u32,
}

/// A series, as one of its entity's.
#[derive(Debug, Clone, Copy)]
struct Member {
    home: Home,
    /// The rounds in which it was last scored, and last anomalous.
    scored: u32,
    anomalous: u32,
}

/// Where a series belongs.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// Nobody has looked yet.
    Unknown,
    /// To no entity.
    Nowhere,
    Entity(u32),
}

const STRANGER: Member = Member { home: Home::Unknown, scored: 0, anomalous: 0 };

/// An interval that ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    entity: u32,
    start: i64,
    scored: u32,
    anomalous: u32,
}

impl Census {
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
    pub(crate) fn begin(&mut self) {
        self.ended.clear();
    }

    /// A series has a row, in an event with this head.
    pub(crate) fn meet(&mut self, series: u32, head: &[u8]) {
        let number = series as usize;
        if self.members.len() <= number {
            self.members.resize(number + 1, STRANGER);
        }
        if let Home::Unknown = self.members[number].home {
            self.members[number].home = self.find_home(head);
        }
    }

    fn find_home(&mut self, head: &[u8]) -> Home {
        let Self { rule, seed, index, entities, free, .. } = self;
        let tags = entity::tags(head, &rule.by);
        if tags.len() > MOST_TAGS {
            return Home::Nowhere;
        }
        let identity = xxh3_64_with_seed(&tags, *seed);
        if let Some(&number) = index.find(identity, |&n| entities[n as usize].identity == identity) {
            entities[number as usize].members += 1;
            return Home::Entity(number);
        }
        let tags = tags.into();
        let entity = Entity { identity, tags, members: 1, start: i64::MIN, round: 1, scored: 0, anomalous: 0 };
        let number = if let Some(number) = free.pop() {
            entities[number as usize] = entity;
            number
        } else {
            entities.push(entity);
            (entities.len() - 1) as u32 // no more than there are series
        };
        index.insert_unique(identity, number, |&n| entities[n as usize].identity);
        Home::Entity(number)
    }

    /// Counts the next row of a series that was met. Where it ends an interval of which there is something to tell:
    /// which one, to [tell](Self::told) it behind the row's event.
    pub(crate) fn count(&mut self, series: u32, time: i64, scored: bool, anomalous: bool) -> Option<usize> {
        let Self { rule, entities, members, ended, .. } = self;
        let member = members.get_mut(series as usize)?;
        let Home::Entity(number) = member.home else { return None };
        let entity = &mut entities[number as usize];
        let start = entity::interval_start(time, rule.interval);
        let mut tell = None;
        if start > entity.start || start < entity.start.saturating_sub(entity::most_late(rule.interval)) {
            if start > entity.start && entity.scored > 0 {
                tell = Some(ended.len());
                let Entity { start, scored, anomalous, .. } = *entity;
                ended.push(Ended { entity: number, start, scored, anomalous });
            }
            entity.begin(start);
        }
        if scored && member.scored != entity.round {
            member.scored = entity.round;
            entity.scored += 1;
        }
        if anomalous && member.anomalous != entity.round {
            member.anomalous = entity.round;
            entity.anomalous += 1;
        }
        tell
    }

    /// What is told of one of the intervals that ended in this run.
    pub(crate) fn told(&self, ended: usize) -> EntityRate<'_> {
        let Ended { entity, start, scored, anomalous } = self.ended[ended];
        EntityRate {
            tags: &self.entities[entity as usize].tags,
            detector: &self.name,
            anomalous,
            series: scored,
            time: start,
        }
    }

    /// These series are gone, and leave their entities. One that has no other left is gone too.
    pub(crate) fn forget(&mut self, series: &[u32]) {
        let Self { index, entities, free, members, .. } = self;
        for &number in series {
            let Some(member) = members.get_mut(number as usize) else { continue };
            let Member { home, scored, anomalous } = std::mem::replace(member, STRANGER);
            let Home::Entity(number) = home else { continue };
            let entity = &mut entities[number as usize];
            // It may come back under another number, and must not be counted twice.
            entity.scored = entity.scored.saturating_sub(u32::from(scored == entity.round));
            entity.anomalous = entity.anomalous.saturating_sub(u32::from(anomalous == entity.round));
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
    fn begin(&mut self, start: i64) {
        self.start = start;
        self.round += 1; // one a second for a hundred years
        self.scored = 0;
        self.anomalous = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn census() -> Census {
        Census::new(b"cpu".to_vec(), AnomalyRate { by: vec!["host".to_owned()], interval: MINUTE })
    }

    /// Counts a row; what is told of the interval that it ends: when that began, how many series were anomalous, of how many.
    fn count(census: &mut Census, series: u32, head: &str, time: i64, score: f64) -> Option<(i64, u32, u32)> {
        census.meet(series, head.as_bytes());
        let ended = census.count(series, time, !score.is_nan(), score > 1.0)?;
        let EntityRate { tags, detector, anomalous, series, time } = census.told(ended);
        assert_eq!((tags, detector), (&b",host=a"[..], &b"cpu"[..]));
        Some((time, anomalous, series))
    }

    #[test]
    fn each_series_counts_once_an_interval() {
        let mut census = census();
        for second in 0..60 {
            for series in 0..4 {
                let score = if series < 2 && second == 7 + i64::from(series) { 3.0 } else { 0.2 };
                assert_eq!(count(&mut census, series, "cpu,host=a", second * MINUTE / 60, score), None);
            }
        }
        assert_eq!(count(&mut census, 0, "cpu,host=a", MINUTE, 0.2), Some((0, 2, 4)));
        assert_eq!(count(&mut census, 1, "cpu,host=a", MINUTE, 2.0), None, "it was told");
        assert_eq!(count(&mut census, 0, "cpu,host=a", 5 * MINUTE, 0.2), Some((MINUTE, 1, 2)), "those that came");
    }

    #[test]
    fn of_what_has_no_score_there_is_nothing_to_tell() {
        let mut census = census();
        for minute in 0..3 {
            assert_eq!(count(&mut census, 0, "cpu,host=a", minute * MINUTE, f64::NAN), None);
        }
        assert_eq!(count(&mut census, 1, "cpu,host=a", 2 * MINUTE, 0.0), None);
        assert_eq!(count(&mut census, 1, "cpu,host=a", 3 * MINUTE, f64::NAN), Some((2 * MINUTE, 0, 1)));
    }

    #[test]
    fn clocks_may_go_backwards() {
        let mut census = census();
        let day = 1440 * MINUTE;
        count(&mut census, 0, "cpu,host=a", day, 0.2);
        assert_eq!(count(&mut census, 1, "cpu,host=a", day - MINUTE, 2.0), None, "it is late");
        assert_eq!(count(&mut census, 0, "cpu,host=a", day + MINUTE, 0.2), Some((day, 1, 2)));
        count(&mut census, 0, "cpu,host=a", 365 * day, 0.2); // ran wild
        assert_eq!(count(&mut census, 0, "cpu,host=a", day + 2 * MINUTE, 0.2), None, "and was put back");
        assert_eq!(count(&mut census, 0, "cpu,host=a", day + 3 * MINUTE, 0.2), Some((day + 2 * MINUTE, 0, 1)));
        for time in [i64::MAX, i64::MIN, 0] {
            count(&mut census, 0, "cpu,host=a", time, 2.0); // no overflow
        }
    }

    #[test]
    fn a_series_that_is_gone_leaves_its_entity_and_the_last_one_takes_it_along() {
        let mut census = census();
        for series in 0..3 {
            count(&mut census, series, "cpu,host=a", 0, 2.0);
        }
        census.forget(&[1, 2, 9]);
        assert_eq!(count(&mut census, 2, "cpu,host=a", 1, 2.0), None, "it came back");
        assert_eq!(count(&mut census, 0, "cpu,host=a", MINUTE, 0.0), Some((0, 2, 2)));
        census.forget(&[0, 2]);
        assert!(census.index.is_empty());
        for host in 0..100 {
            count(&mut census, 0, &format!("cpu,host=h{host}"), host * MINUTE, 2.0);
            census.forget(&[0]);
        }
        assert_eq!((census.entities.len(), census.index.len()), (1, 0), "what is free is used again");
        let long = format!("cpu,host={}", "h".repeat(MOST_TAGS));
        for minute in 0..2 {
            assert_eq!(count(&mut census, 0, &long, minute * MINUTE, 2.0), None, "its tags are too long to be kept");
        }
    }
}
