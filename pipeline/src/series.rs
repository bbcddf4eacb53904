//! Series and their numbers.
//!
//! A series is identified by its *identity*, a 64-bit hash of measurement, tags and field. The names themselves are not
//! stored: a series costs 16 bytes and about 8 of index, however long its tags are. Among a million series the chance
//! that any two share an identity is 3 in 10⁸ (n²/2⁶⁵); those two would be scored as one series.

use hashbrown::HashTable;

/// How many series a detector has, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most series. A batch may exceed it; at its end the series with the oldest last rows are dropped.
    pub max_series: usize,
    /// Nanoseconds without a row after which a series is dropped.
    pub ttl: i64,
}

impl Default for Limits {
    /// A million series (some 200 MB with their state and its last snapshot), and a day: longer than any usual interval between two rows.
    fn default() -> Self {
        Self { max_series: 1_000_000, ttl: 24 * 3_600 * 1_000_000_000 }
    }
}

/// The series of one detector.
#[derive(Debug)]
pub struct SeriesTable {
    limits: Limits,
    /// Identity to number.
    index: HashTable<u32>,
    /// By number.
    slots: Vec<Slot>,
    /// Numbers to reuse, the last one first.
    free: Vec<u32>,
    /// The last slot of the sweep for expired series.
    sweep_position: usize,
    /// The table's clock, and the caller's clock at the last update.
    clock: i64,
    last_now: i64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    identity: u64,
    /// The time of its last row, on the table's clock; [`FREE`] if the slot has no series.
    seen: i64,
}

const FREE: i64 = i64::MIN;

/// The largest step of the table's clock: neither a clock that is set to the right time nor a machine that slept overnight may
/// make all series expire.
const MAX_CLOCK_STEP: i64 = 60_000_000_000;

/// Slots that a sweep checks in addition to the number of new rows, so that idle pipelines sweep as well.
const MIN_SWEEP: usize = 16;

/// Slots of which the oldest is dropped when there are too many series. As in Redis' sampled LRU, a few are enough to
/// approximate the oldest of all, at a constant cost.
const SAMPLED_SLOTS: usize = 8;

impl SeriesTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            sweep_position: 0,
            clock: 0,
            last_now: i64::MAX,
        }
    }

    /// Advances the table's clock: `now` is the caller's clock, in nanoseconds.
    pub fn advance_clock(&mut self, now: i64) {
        self.clock += now.saturating_sub(self.last_now).clamp(0, MAX_CLOCK_STEP);
        self.last_now = now;
    }

    /// The number of the series with this identity, which has a row now; a new number for a new series.
    pub fn number(&mut self, identity: u64) -> u32 {
        self.number_seen(identity, self.clock)
    }

    /// Restores a saved series whose last row was `age` nanoseconds old.
    pub fn restore_series(&mut self, identity: u64, age: i64) {
        if self.find(identity).is_none() {
            self.number_seen(identity, self.clock.saturating_sub(age).max(FREE + 1));
        }
    }

    fn number_seen(&mut self, identity: u64, seen: i64) -> u32 {
        let Self { index, slots, free, .. } = self;
        if let Some(&number) = index.find(identity, |&n| slots[n as usize].identity == identity) {
            slots[number as usize].seen = seen;
            return number;
        }
        let slot = Slot { identity, seen };
        let number = if let Some(number) = free.pop() {
            slots[number as usize] = slot;
            number
        } else {
            slots.push(slot);
            // There is not enough memory for 2³² slots.
            (slots.len() - 1) as u32
        };
        index.insert_unique(identity, number, |&n| slots[n as usize].identity);
        number
    }

    /// The number of a series, if there is one with this identity.
    #[must_use]
    pub fn find(&self, identity: u64) -> Option<u32> {
        self.index.find(identity, |&n| self.slots[n as usize].identity == identity).copied()
    }

    /// Drops expired series, a few for each call, and more if there are more than the limit. Their numbers are appended to
    /// `dropped` and may be reused at once, so pass them on to the detector before its next batch.
    ///
    /// `rows` is the number of rows since the last call, which determines how many slots are checked.
    pub fn drop_expired(&mut self, rows: usize, dropped: &mut Vec<u32>) {
        let expired = self.clock.saturating_sub(self.limits.ttl);
        for _ in 0..(MIN_SWEEP + rows).min(self.slots.len()) {
            let number = self.next_slot();
            let seen = self.slots[number as usize].seen;
            if seen != FREE && seen < expired {
                self.drop_series(number, dropped);
            }
        }
        while self.len() > self.limits.max_series {
            let mut oldest = None;
            let mut sampled = 0;
            while sampled < SAMPLED_SLOTS.min(self.len()) {
                let number = self.next_slot();
                let seen = self.slots[number as usize].seen;
                if seen != FREE {
                    sampled += 1;
                    oldest = oldest.min(Some((seen, number))).or(Some((seen, number)));
                }
            }
            if let Some((_, number)) = oldest {
                self.drop_series(number, dropped);
            }
        }
    }

    fn next_slot(&mut self) -> u32 {
        self.sweep_position = if self.sweep_position + 1 >= self.slots.len() { 0 } else { self.sweep_position + 1 };
        self.sweep_position as u32
    }

    fn drop_series(&mut self, number: u32, dropped: &mut Vec<u32>) {
        let Self { index, slots, free, .. } = self;
        let slot = &mut slots[number as usize];
        if let Ok(entry) = index.find_entry(slot.identity, |&n| n == number) {
            entry.remove();
        }
        slot.seen = FREE;
        free.push(number);
        dropped.push(number);
    }

    /// The number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// One more than the largest number so far.
    #[must_use]
    pub fn numbers(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The identity of a number, unless it is free, and the nanoseconds since the last row of that series.
    #[must_use]
    pub fn identity_and_age(&self, number: u32) -> Option<(u64, i64)> {
        let slot = self.slots.get(number as usize).filter(|slot| slot.seen != FREE)?;
        Some((slot.identity, self.clock.saturating_sub(slot.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(max_series: usize, ttl: i64) -> SeriesTable {
        let mut table = SeriesTable::new(Limits { max_series, ttl });
        table.advance_clock(0);
        table
    }

    fn identity(table: &SeriesTable, number: u32) -> Option<u64> {
        table.identity_and_age(number).map(|(identity, _)| identity)
    }

    #[test]
    fn numbers_are_dense_and_stay() {
        let mut table = table(10, 100);
        assert_eq!([7, 8, 7, 9].map(|identity| table.number(identity)), [0, 1, 0, 2]);
        assert_eq!((table.len(), identity(&table, 1), table.find(8), table.find(1)), (3, Some(8), Some(1), None));
    }

    #[test]
    fn a_series_without_rows_is_dropped_after_its_time() {
        let mut table = table(10, 100);
        let old = table.number(1);
        table.advance_clock(90);
        let new = table.number(2);
        let mut dropped = Vec::new();
        table.advance_clock(100);
        table.drop_expired(2, &mut dropped);
        assert!(dropped.is_empty());
        table.advance_clock(101);
        table.drop_expired(2, &mut dropped);
        assert_eq!(dropped, [old]);
        assert_eq!((identity(&table, old), table.identity_and_age(new)), (None, Some((2, 11))));
        assert_eq!(table.number(3), old, "a number that is free is given out again");
    }

    #[test]
    fn a_series_that_was_taken_back_is_as_old_as_it_was() {
        let mut table = table(10, 100);
        table.restore_series(1, 95);
        table.restore_series(2, i64::MAX);
        table.number(3);
        table.restore_series(3, 50);
        assert_eq!((table.identity_and_age(0), table.identity_and_age(2)), (Some((1, 95)), Some((3, 0))));
        table.advance_clock(6);
        let mut dropped = Vec::new();
        table.drop_expired(3, &mut dropped);
        dropped.sort_unstable();
        assert_eq!(dropped, [0, 1]);
    }

    #[test]
    fn too_many_series_drop_those_unseen_for_longest() {
        let mut table = table(1000, i64::MAX);
        let mut dropped = Vec::new();
        for now in 0..100_000_u64 {
            table.advance_clock(now as i64);
            // Every other row belongs to one of ten series that are always there.
            table.number(if now % 2 == 0 { now % 20 } else { 1_000 + now });
            if now % 50 == 49 {
                table.drop_expired(50, &mut dropped);
                assert!(table.len() <= 1000);
            }
        }
        assert!(table.numbers() < 1100, "freed numbers are used again: {}", table.numbers());
        let lasting = (0..table.numbers()).filter_map(|n| identity(&table, n)).filter(|&i| i < 20).count();
        assert_eq!(lasting, 10, "series that keep coming are kept");
        assert_eq!(dropped.len(), 50_010 - table.len());
    }

    #[test]
    fn a_clock_that_jumps_drops_nobody() {
        let day = 24 * 3_600_000_000_000;
        let mut table = table(1000, day);
        let mut dropped = Vec::new();
        for now in [day, 400 * day, 3 * day, i64::MAX, i64::MIN, 0, i64::MIN] {
            table.advance_clock(now);
            for identity in 0..300 {
                table.number(identity);
                table.drop_expired(1, &mut dropped);
            }
        }
        assert!(dropped.is_empty());
    }
}
