//! Series and their numbers: who is known, who is gone.
//!
//! A series is known by its *identity*, a 64-bit hash of measurement, tags and field. The names themselves are not
//! kept: a series costs 16 bytes and about 8 of index, however long its tags are. Among a million series the chance
//! that any two share an identity is 3 in 10⁸ (n²/2⁶⁵); those two would be scored as one.

use hashbrown::HashTable;

/// How many series a detector keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most series that are kept. A batch may exceed it; at its end those unseen for longest are dropped.
    pub max_series: usize,
    /// Nanoseconds after which a series that brings no more rows is dropped.
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
    /// Numbers to give out again, the last one first.
    free: Vec<u32>,
    /// Where the sweep for series that are gone goes on.
    hand: usize,
    /// Time that has passed, and the caller's clock when it was last looked at.
    clock: i64,
    looked: i64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    identity: u64,
    /// When its last row came, on the table's clock; [`FREE`] where the slot holds no series.
    seen: i64,
}

const FREE: i64 = i64::MIN;

/// The most time that passes between two looks at the clock: one that is set to the right time must not make every
/// series seem long gone, nor must a night in which the machine slept.
const MOST_PASSED: i64 = 60_000_000_000;

/// Slots that a sweep looks at beyond the number of rows just seen: so idle pipelines finish their sweep as well.
const SWEEP: usize = 16;

/// Slots among which the longest unseen is dropped when there are too many. As in Redis' sampled LRU, a few are enough
/// to come close to dropping the oldest of all, at a cost that does not grow with their number.
const SAMPLE: usize = 8;

impl SeriesTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            clock: 0,
            looked: i64::MAX,
        }
    }

    /// Lets time pass: `now` is the caller's clock, in nanoseconds.
    pub fn pass(&mut self, now: i64) {
        self.clock += now.saturating_sub(self.looked).clamp(0, MOST_PASSED);
        self.looked = now;
    }

    /// The number of the series with this identity, which has just been seen; a new number where it is new.
    pub fn number(&mut self, identity: u64) -> u32 {
        self.number_seen(identity, self.clock)
    }

    /// Takes a series of an earlier run back, which had not been seen for `age` nanoseconds when that ended.
    pub fn take_back(&mut self, identity: u64, age: i64) {
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
            // A table of 2³² slots is out of reach: memory is gone long before.
            (slots.len() - 1) as u32
        };
        index.insert_unique(identity, number, |&n| slots[n as usize].identity);
        number
    }

    /// The number of a series that is known.
    #[must_use]
    pub fn find(&self, identity: u64) -> Option<u32> {
        self.index.find(identity, |&n| self.slots[n as usize].identity == identity).copied()
    }

    /// Drops series that are gone, a few at a time, and more where there are more than the limit. Their numbers are
    /// appended to `gone` and may be given out again at once: tell the detector before its next batch.
    ///
    /// `rows` is the number of rows that came since the last call: the sweep keeps pace with them.
    pub fn retire(&mut self, rows: usize, gone: &mut Vec<u32>) {
        let expired = self.clock.saturating_sub(self.limits.ttl);
        for _ in 0..(SWEEP + rows).min(self.slots.len()) {
            let number = self.advance();
            let seen = self.slots[number as usize].seen;
            if seen != FREE && seen < expired {
                self.drop_series(number, gone);
            }
        }
        while self.len() > self.limits.max_series {
            let mut oldest = None;
            let mut sampled = 0;
            while sampled < SAMPLE.min(self.len()) {
                let number = self.advance();
                let seen = self.slots[number as usize].seen;
                if seen != FREE {
                    sampled += 1;
                    oldest = oldest.min(Some((seen, number))).or(Some((seen, number)));
                }
            }
            if let Some((_, number)) = oldest {
                self.drop_series(number, gone);
            }
        }
    }

    fn advance(&mut self) -> u32 {
        self.hand = if self.hand + 1 >= self.slots.len() { 0 } else { self.hand + 1 };
        self.hand as u32
    }

    fn drop_series(&mut self, number: u32, gone: &mut Vec<u32>) {
        let Self { index, slots, free, .. } = self;
        let slot = &mut slots[number as usize];
        if let Ok(entry) = index.find_entry(slot.identity, |&n| n == number) {
            entry.remove();
        }
        slot.seen = FREE;
        free.push(number);
        gone.push(number);
    }

    /// How many series are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no series is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// One more than the largest number that was ever given out.
    #[must_use]
    pub fn numbers(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The identity of a number, unless it is free, and for how many nanoseconds that series has not been seen.
    #[must_use]
    pub fn known(&self, number: u32) -> Option<(u64, i64)> {
        let slot = self.slots.get(number as usize).filter(|slot| slot.seen != FREE)?;
        Some((slot.identity, self.clock.saturating_sub(slot.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(max_series: usize, ttl: i64) -> SeriesTable {
        let mut table = SeriesTable::new(Limits { max_series, ttl });
        table.pass(0);
        table
    }

    fn identity(table: &SeriesTable, number: u32) -> Option<u64> {
        table.known(number).map(|(identity, _)| identity)
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
        table.pass(90);
        let new = table.number(2);
        let mut gone = Vec::new();
        table.pass(100);
        table.retire(2, &mut gone);
        assert!(gone.is_empty());
        table.pass(101);
        table.retire(2, &mut gone);
        assert_eq!(gone, [old]);
        assert_eq!((identity(&table, old), table.known(new)), (None, Some((2, 11))));
        assert_eq!(table.number(3), old, "a number that is free is given out again");
    }

    #[test]
    fn a_series_that_was_taken_back_is_as_old_as_it_was() {
        let mut table = table(10, 100);
        table.take_back(1, 95);
        table.take_back(2, i64::MAX);
        table.number(3);
        table.take_back(3, 50);
        assert_eq!((table.known(0), table.known(2)), (Some((1, 95)), Some((3, 0))));
        table.pass(6);
        let mut gone = Vec::new();
        table.retire(3, &mut gone);
        gone.sort_unstable();
        assert_eq!(gone, [0, 1]);
    }

    #[test]
    fn too_many_series_drop_those_unseen_for_longest() {
        let mut table = table(1000, i64::MAX);
        let mut gone = Vec::new();
        for now in 0..100_000_u64 {
            table.pass(now as i64);
            // Every other row belongs to one of ten series that are always there.
            table.number(if now % 2 == 0 { now % 20 } else { 1_000 + now });
            if now % 50 == 49 {
                table.retire(50, &mut gone);
                assert!(table.len() <= 1000);
            }
        }
        assert!(table.numbers() < 1100, "freed numbers are used again: {}", table.numbers());
        let lasting = (0..table.numbers()).filter_map(|n| identity(&table, n)).filter(|&i| i < 20).count();
        assert_eq!(lasting, 10, "series that keep coming are kept");
        assert_eq!(gone.len(), 50_010 - table.len());
    }

    #[test]
    fn a_clock_that_jumps_drops_nobody() {
        let day = 24 * 3_600_000_000_000;
        let mut table = table(1000, day);
        let mut gone = Vec::new();
        for now in [day, 400 * day, 3 * day, i64::MAX, i64::MIN, 0, i64::MIN] {
            table.pass(now);
            for identity in 0..300 {
                table.number(identity);
                table.retire(1, &mut gone);
            }
        }
        assert!(gone.is_empty());
    }
}
