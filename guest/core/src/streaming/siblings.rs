//! Which series are siblings: groups, who belongs to them, and what each group knows.
//!
//! Whoever hands rows over says which group a series is of, by a number that stays the same when it starts again. A group
//! outlives its series, so that pods that come one after another hand on what they knew. There are only so many groups: one
//! without a series gives way to a new one, first the one that has been so for longest.

use std::collections::{BTreeMap, BTreeSet};

use super::counter::{Counter, Reading};
use super::lore::{Loan, Lore};
use super::record::take;
use super::tuning::Tuning;

/// Groups that there may be. They take 8 MiB.
const MOST_GROUPS: usize = 16_384;
const _: () = assert!(size_of::<Group>() * MOST_GROUPS <= 9 << 20);
/// Where the group of a series is that has none.
const NONE: u32 = u32::MAX;
/// The age of a series that had a past before its group was told: it neither teaches nor starts anew.
const OLD: u16 = u16::MAX;

/// A series among its siblings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kin {
    /// Where its group is.
    group: u32,
    /// Its rows, as long as they are few.
    pub(super) age: u16,
    /// Whether it has started from what its siblings know.
    pub(super) started: bool,
}

/// A series among its siblings, and what they know.
#[derive(Debug)]
pub(super) struct Kinship<'a> {
    pub(super) kin: &'a mut Kin,
    pub(super) lore: &'a mut Lore,
}

/// Siblings.
#[derive(Debug)]
struct Group {
    /// What the caller calls it.
    name: u64,
    /// Series that belong to it, and since when none does.
    members: u32,
    idle: u64,
    lore: Lore,
}

/// All groups, and where each series belongs.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// By series' number.
    kin: Vec<Kin>,
    groups: Vec<Group>,
    /// Where a group is, by what it is called.
    index: BTreeMap<u64, u32>,
    /// Those without a series, in the order in which they came to have none.
    idle: BTreeMap<u64, u32>,
    /// How often a group came to have none.
    idled: u64,
}

/// What a save has of siblings: what is known of each series, and groups.
#[derive(Debug)]
pub(super) struct Kept {
    series: Vec<Option<(u64, u16, bool)>>,
    groups: Vec<(u64, Lore)>,
}

impl Kin {
    const NONE: Self = Self { group: NONE, age: 0, started: false };

    /// How often it was portrayed, where it is time for its siblings to help it: it has a few rows of its own, and has neither
    /// started from them nor without them.
    pub(super) fn waits(self, t: &Tuning) -> Option<u8> {
        let twice = (self.age / t.own_rows).checked_ilog2()?;
        (!self.started && self.age != OLD).then_some(1 + twice as u8)
    }

    /// Whether it is time for a portrait: each time it is twice as old.
    pub(super) fn sits(self, t: &Tuning) -> bool {
        self.age.is_multiple_of(t.own_rows) && (self.age / t.own_rows).is_power_of_two()
    }
}

impl Kinship<'_> {
    /// Reads a value as what the series is known to be, or its siblings are where it is new; and tells these which way it went.
    pub(super) fn read(&mut self, counter: &mut Counter, seconds: f64, value: f64) -> Reading {
        if self.lore.counts_up() && counter.is_new() {
            *counter = Counter::KNOWN;
        }
        let before = counter.last();
        let reading = counter.read(seconds, value);
        if reading == Reading::Other {
            (self.kin.age, self.kin.started) = (0, false); // it begins anew
        }
        if let Some(before) = before
            && before.to_bits() != value.to_bits()
            && reading != Reading::Nothing
        {
            self.lore.moves(value > before);
        }
        reading
    }

    /// What its siblings lend it.
    pub(super) fn loan(&self, t: &Tuning) -> Option<Loan<'_>> {
        self.kin.started.then(|| self.lore.loan(t.lent))
    }

    /// Whether what its tails count is handed on.
    pub(super) fn teaches(&self, t: &Tuning) -> bool {
        self.kin.age < t.teaches
    }
}

impl Siblings {
    /// What a series has of its siblings, where it has any.
    pub(super) fn of(&mut self, number: u32) -> Option<Kinship<'_>> {
        let Self { kin, groups, .. } = self;
        let kin = kin.get_mut(number as usize)?;
        let lore = &mut groups.get_mut(kin.group as usize)?.lore;
        Some(Kinship { kin, lore })
    }

    /// Puts a series into a group. One that has a past has no need of the others'.
    pub(super) fn relate(&mut self, number: u32, name: u64, has_past: bool) {
        let group = self.group(name).unwrap_or(NONE);
        let age = if has_past { OLD } else { 0 };
        if self.kin.get(number as usize).is_none_or(|kin| kin.group != group) {
            self.join(number, Kin { group, age, started: false });
        }
    }

    /// Takes a series out of its group, which keeps what it learned of it.
    pub(super) fn forget(&mut self, number: u32) {
        if let Some(kin) = self.kin.get_mut(number as usize) {
            let left = std::mem::replace(kin, Kin::NONE);
            self.leave(left.group);
        }
    }

    /// Where the group of this name is, made where there is none and there is room.
    fn group(&mut self, name: u64) -> Option<u32> {
        if let Some(&group) = self.index.get(&name) {
            return Some(group);
        }
        let new = Group { name, members: 0, idle: self.idled, lore: Lore::new() };
        let group = if self.groups.len() < MOST_GROUPS {
            self.groups.push(new);
            self.groups.len() as u32 - 1
        } else {
            let (_, group) = self.idle.pop_first()?;
            let old = std::mem::replace(&mut self.groups[group as usize], new);
            self.index.remove(&old.name);
            group
        };
        self.index.insert(name, group);
        self.idle.insert(self.idled, group);
        self.idled += 1;
        Some(group)
    }

    fn join(&mut self, number: u32, new: Kin) {
        let at = number as usize;
        if self.kin.len() <= at {
            self.kin.resize(at + 1, Kin::NONE);
        }
        if let Some(group) = self.groups.get_mut(new.group as usize) {
            group.members += 1;
            self.idle.remove(&group.idle);
        }
        let left = std::mem::replace(&mut self.kin[at], new);
        self.leave(left.group);
    }

    fn leave(&mut self, at: u32) {
        let Some(group) = self.groups.get_mut(at as usize) else { return };
        group.members -= 1;
        if group.members == 0 {
            group.idle = self.idled;
            self.idle.insert(self.idled, at);
            self.idled += 1;
        }
    }

    /// Appends what is known of these series, and their groups. Those without a series go with the first that has a group.
    pub(super) fn write(&self, series: &[u32], out: &mut Vec<u8>) {
        let mut groups = BTreeSet::new();
        for &number in series {
            let kin = self.kin.get(number as usize).copied().unwrap_or(Kin::NONE);
            let Some(group) = self.groups.get(kin.group as usize) else {
                out.push(0);
                continue;
            };
            out.push(1 + u8::from(kin.started));
            out.extend(group.name.to_le_bytes());
            out.extend(kin.age.to_le_bytes());
            groups.insert(kin.group);
        }
        let first = self.kin.iter().position(|kin| kin.group != NONE);
        let has_first = first.is_some_and(|first| series.contains(&(first as u32)));
        let idle = self.idle.values().filter(|_| has_first);
        let written: Vec<_> = idle.chain(&groups).map(|&at| &self.groups[at as usize]).collect();
        out.extend((written.len() as u32).to_le_bytes());
        for group in written {
            out.extend(group.name.to_le_bytes());
            group.lore.write(out);
        }
    }

    /// Takes back what was kept of series that have these numbers now.
    pub(super) fn restore(&mut self, kept: Kept, numbers: &[Option<u32>]) {
        for (name, lore) in kept.groups {
            if let Some(group) = self.group(name) {
                self.groups[group as usize].lore = lore;
            }
        }
        for (one, number) in kept.series.into_iter().zip(numbers) {
            let Some(number) = *number else { continue };
            self.forget(number);
            if let Some((name, age, started)) = one
                && let Some(group) = self.group(name)
            {
                self.join(number, Kin { group, age, started });
            }
        }
    }
}

impl Kept {
    /// Takes what was written of so many series back off the front; `None` where it is impossible.
    pub(super) fn read(bytes: &mut &[u8], series: usize) -> Option<Self> {
        let mut kept = Self { series: Vec::new(), groups: Vec::new() };
        for _ in 0..series {
            let [kind] = take(bytes)?;
            let started = match kind {
                0 => None,
                1 => Some(false),
                2 => Some(true),
                _ => return None,
            };
            let one = match started {
                None => None,
                Some(started) => Some((u64::from_le_bytes(take(bytes)?), u16::from_le_bytes(take(bytes)?), started)),
            };
            kept.series.push(one);
        }
        for _ in 0..u32::from_le_bytes(take(bytes)?) {
            kept.groups.push((u64::from_le_bytes(take(bytes)?), Lore::read(bytes)?));
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the group of a series knows of rises.
    fn rises(siblings: &mut Siblings, number: u32) -> bool {
        siblings.of(number).expect("it has a group").lore.counts_up()
    }

    /// A series of this group that makes it one of counters.
    fn teach(siblings: &mut Siblings, number: u32, name: u64) {
        siblings.relate(number, name, false);
        let Kinship { lore, .. } = siblings.of(number).expect("it has a group");
        (0..300).for_each(|_| lore.moves(true));
    }

    #[test]
    fn a_group_outlives_its_series_and_its_number_means_others() {
        let mut siblings = Siblings::default();
        teach(&mut siblings, 3, 7);
        siblings.forget(3);
        assert!(siblings.of(3).is_none() && siblings.of(9).is_none());
        siblings.forget(9);
        siblings.relate(3, 8, false);
        siblings.relate(4, 7, false);
        assert!(!rises(&mut siblings, 3) && rises(&mut siblings, 4));
        siblings.relate(3, 7, false);
        assert!(rises(&mut siblings, 3), "it has moved");
        assert_eq!((siblings.groups.len(), siblings.idle.len()), (2, 1));
    }

    #[test]
    fn groups_without_a_series_give_way_to_new_ones_and_others_do_not() {
        let mut siblings = Siblings::default();
        for name in 0..MOST_GROUPS as u64 {
            siblings.relate(name as u32, name, false);
        }
        let next = MOST_GROUPS as u32;
        siblings.relate(next, 1 << 40, false);
        assert!(siblings.of(next).is_none(), "there is no room, and it is as though it had no siblings");
        siblings.forget(20);
        siblings.forget(10);
        siblings.relate(next, 1 << 41, false);
        assert!(siblings.of(next).is_some() && !siblings.index.contains_key(&20) && siblings.index.contains_key(&10));
        assert_eq!((siblings.groups.len(), siblings.index.len(), siblings.idle.len()), (MOST_GROUPS, MOST_GROUPS, 1));
    }

    #[test]
    fn whoever_has_a_past_is_old() {
        let mut siblings = Siblings::default();
        siblings.relate(0, 1, true);
        assert!(!siblings.of(0).expect("it has a group").teaches(&Tuning::SHIPPED));
        siblings.relate(0, 1, false);
        assert_eq!(siblings.kin[0].age, OLD, "that it is of its group is no news");
    }
}
