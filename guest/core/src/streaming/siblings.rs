//! Which series are siblings: groups, their members and statistics.
//!
//! The host gives each series' group by a number that is the same after a restart. A group stays when its series are dropped,
//! so that pods that follow each other share statistics. The number of groups is limited: a new one replaces the one that has
//! had no series for longest.

use std::collections::{BTreeMap, BTreeSet};

use super::counter::{Counter, Reading};
use super::record::take;
use super::sibling_stats::{GroupStats, SiblingStats};
use super::tuning::Tuning;

/// The most groups. They take 8 MiB.
const MAX_GROUPS: usize = 16_384;
const _: () = assert!(size_of::<Group>() * MAX_GROUPS <= 9 << 20);
/// The index of a series without a group.
const NO_GROUP: u32 = u32::MAX;
/// The age of a series that had values before it got its group: it neither adds to the statistics nor starts from them.
const NO_TEACHING: u16 = u16::MAX;

/// The group of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Membership {
    /// The index of the group.
    group_index: u32,
    /// Rows of the series, saturating.
    pub(super) age: u16,
    /// Whether it has started from the group's statistics.
    pub(super) started: bool,
}

/// The membership of a series, and its group's statistics.
#[derive(Debug)]
pub(super) struct GroupMember<'a> {
    pub(super) member: &'a mut Membership,
    pub(super) stats: &'a mut GroupStats,
}

/// A group of siblings.
#[derive(Debug)]
struct Group {
    /// The caller's number for it.
    name: u64,
    /// How many series belong to it, and its key in `Siblings::idle` while none does.
    members: u32,
    idle: u64,
    stats: GroupStats,
}

/// All groups, and the group of each series.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// By the number of the series.
    members: Vec<Membership>,
    groups: Vec<Group>,
    /// Indices of groups by the caller's number.
    index: BTreeMap<u64, u32>,
    /// Groups without series, in the order in which they lost the last one.
    idle: BTreeMap<u64, u32>,
    /// The next key of `idle`.
    idle_counter: u64,
}

/// Siblings in saved state: each series' group, age and whether it has started from it; and the groups.
#[derive(Debug)]
pub(super) struct SavedSiblings {
    series: Vec<Option<(u64, u16, bool)>>,
    groups: Vec<(u64, GroupStats)>,
}

impl Membership {
    const NO_GROUP: Self = Self { group_index: NO_GROUP, age: 0, started: false };

    /// How many summaries of it the group has, if it waits to start from the group's statistics: it has a few rows of its
    /// own, has not started from them, and had no values before it got its group.
    pub(super) fn summaries_if_waiting(self, t: &Tuning) -> Option<u8> {
        let doublings = (self.age / t.own_rows).checked_ilog2()?;
        (!self.started && self.age != NO_TEACHING).then_some(1 + doublings as u8)
    }

    /// Whether a summary is due: each time the series is twice as old.
    pub(super) fn is_summary_due(self, t: &Tuning) -> bool {
        self.age.is_multiple_of(t.own_rows) && (self.age / t.own_rows).is_power_of_two()
    }
}

impl GroupMember<'_> {
    /// Reads a value as [`Counter::read_value`] does; a new series is a counter if its siblings are. Counts the rise or fall
    /// for the group.
    pub(super) fn read_value(&mut self, counter: &mut Counter, seconds: f64, value: f64) -> Reading {
        if self.stats.is_counter() && counter.is_new() {
            *counter = Counter::KNOWN;
        }
        let before = counter.last_value();
        let reading = counter.read_value(seconds, value);
        if reading == Reading::KindChanged {
            (self.member.age, self.member.started) = (0, false); // it starts again
        }
        if let Some(before) = before
            && before.to_bits() != value.to_bits()
            && reading != Reading::Skip
        {
            self.stats.count_move(value > before);
        }
        reading
    }

    /// The statistics of siblings that count as its own.
    pub(super) fn sibling_stats(&self, t: &Tuning) -> Option<SiblingStats<'_>> {
        self.member.started.then(|| self.stats.sibling_stats(t.max_sibling_rows))
    }

    /// Whether its events are added to the group's statistics.
    pub(super) fn is_teaching(&self, t: &Tuning) -> bool {
        self.member.age < t.teaching_rows
    }
}

impl Siblings {
    /// A series' membership and its group's statistics; `None` without a group.
    pub(super) fn group_member(&mut self, number: u32) -> Option<GroupMember<'_>> {
        let Self { members, groups, .. } = self;
        let member = members.get_mut(number as usize)?;
        let stats = &mut groups.get_mut(member.group_index as usize)?.stats;
        Some(GroupMember { member, stats })
    }

    /// Puts a series into a group. A series that had values before (`has_past`) does not start from the group's statistics.
    pub(super) fn set_group(&mut self, number: u32, name: u64, has_past: bool) {
        let group_index = self.group_index(name).unwrap_or(NO_GROUP);
        let age = if has_past { NO_TEACHING } else { 0 };
        if self.members.get(number as usize).is_none_or(|member| member.group_index != group_index) {
            self.join(number, Membership { group_index, age, started: false });
        }
    }

    /// Removes a series from its group. The statistics stay.
    pub(super) fn forget_series(&mut self, number: u32) {
        if let Some(member) = self.members.get_mut(number as usize) {
            let left = std::mem::replace(member, Membership::NO_GROUP);
            self.leave(left.group_index);
        }
    }

    /// The index of the group with this number, which is made if there is room.
    fn group_index(&mut self, name: u64) -> Option<u32> {
        if let Some(&group_index) = self.index.get(&name) {
            return Some(group_index);
        }
        let new = Group { name, members: 0, idle: self.idle_counter, stats: GroupStats::new() };
        let group_index = if self.groups.len() < MAX_GROUPS {
            self.groups.push(new);
            self.groups.len() as u32 - 1
        } else {
            let (_, group_index) = self.idle.pop_first()?;
            let old = std::mem::replace(&mut self.groups[group_index as usize], new);
            self.index.remove(&old.name);
            group_index
        };
        self.index.insert(name, group_index);
        self.idle.insert(self.idle_counter, group_index);
        self.idle_counter += 1;
        Some(group_index)
    }

    fn join(&mut self, number: u32, new: Membership) {
        let at = number as usize;
        if self.members.len() <= at {
            self.members.resize(at + 1, Membership::NO_GROUP);
        }
        if let Some(group) = self.groups.get_mut(new.group_index as usize) {
            group.members += 1;
            self.idle.remove(&group.idle);
        }
        let left = std::mem::replace(&mut self.members[at], new);
        self.leave(left.group_index);
    }

    fn leave(&mut self, at: u32) {
        let Some(group) = self.groups.get_mut(at as usize) else { return };
        group.members -= 1;
        if group.members == 0 {
            group.idle = self.idle_counter;
            self.idle.insert(self.idle_counter, at);
            self.idle_counter += 1;
        }
    }

    /// Appends the memberships of these series, and their groups. Groups without series are written with the first series that
    /// has a group.
    pub(super) fn write_state(&self, series: &[u32], out: &mut Vec<u8>) {
        let mut groups = BTreeSet::new();
        for &number in series {
            let member = self.members.get(number as usize).copied().unwrap_or(Membership::NO_GROUP);
            let Some(group) = self.groups.get(member.group_index as usize) else {
                out.push(0);
                continue;
            };
            out.push(1 + u8::from(member.started));
            out.extend(group.name.to_le_bytes());
            out.extend(member.age.to_le_bytes());
            groups.insert(member.group_index);
        }
        let first = self.members.iter().position(|member| member.group_index != NO_GROUP);
        let has_first = first.is_some_and(|first| series.contains(&(first as u32)));
        let idle = self.idle.values().filter(|_| has_first);
        let written: Vec<_> = idle.chain(&groups).map(|&at| &self.groups[at as usize]).collect();
        out.extend((written.len() as u32).to_le_bytes());
        for group in written {
            out.extend(group.name.to_le_bytes());
            group.stats.write_state(out);
        }
    }

    /// Restores saved series, which have these numbers now.
    pub(super) fn restore(&mut self, saved: SavedSiblings, numbers: &[Option<u32>]) {
        for (name, stats) in saved.groups {
            if let Some(group_index) = self.group_index(name) {
                self.groups[group_index as usize].stats = stats;
            }
        }
        for (one, number) in saved.series.into_iter().zip(numbers) {
            let Some(number) = *number else { continue };
            self.forget_series(number);
            if let Some((name, age, started)) = one
                && let Some(group_index) = self.group_index(name)
            {
                self.join(number, Membership { group_index, age, started });
            }
        }
    }
}

impl SavedSiblings {
    /// Reads what was written of so many series from the front; `None` where it is impossible.
    pub(super) fn read_state(bytes: &mut &[u8], series: usize) -> Option<Self> {
        let mut saved = Self { series: Vec::new(), groups: Vec::new() };
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
            saved.series.push(one);
        }
        for _ in 0..u32::from_le_bytes(take(bytes)?) {
            saved.groups.push((u64::from_le_bytes(take(bytes)?), GroupStats::read_state(bytes)?));
        }
        Some(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the group of a series is one of counters.
    fn rises(siblings: &mut Siblings, number: u32) -> bool {
        siblings.group_member(number).expect("it has a group").stats.is_counter()
    }

    /// Adds a series to this group and makes the group one of counters.
    fn teach(siblings: &mut Siblings, number: u32, name: u64) {
        siblings.set_group(number, name, false);
        let GroupMember { stats, .. } = siblings.group_member(number).expect("it has a group");
        (0..300).for_each(|_| stats.count_move(true));
    }

    #[test]
    fn a_group_outlives_its_series_and_its_number_means_others() {
        let mut siblings = Siblings::default();
        teach(&mut siblings, 3, 7);
        siblings.forget_series(3);
        assert!(siblings.group_member(3).is_none() && siblings.group_member(9).is_none());
        siblings.forget_series(9);
        siblings.set_group(3, 8, false);
        siblings.set_group(4, 7, false);
        assert!(!rises(&mut siblings, 3) && rises(&mut siblings, 4));
        siblings.set_group(3, 7, false);
        assert!(rises(&mut siblings, 3), "it has moved");
        assert_eq!((siblings.groups.len(), siblings.idle.len()), (2, 1));
    }

    #[test]
    fn groups_without_a_series_give_way_to_new_ones_and_others_do_not() {
        let mut siblings = Siblings::default();
        for name in 0..MAX_GROUPS as u64 {
            siblings.set_group(name as u32, name, false);
        }
        let next = MAX_GROUPS as u32;
        siblings.set_group(next, 1 << 40, false);
        assert!(siblings.group_member(next).is_none(), "there is no room, and it is as though it had no siblings");
        siblings.forget_series(20);
        siblings.forget_series(10);
        siblings.set_group(next, 1 << 41, false);
        assert!(
            siblings.group_member(next).is_some()
                && !siblings.index.contains_key(&20)
                && siblings.index.contains_key(&10)
        );
        assert_eq!((siblings.groups.len(), siblings.index.len(), siblings.idle.len()), (MAX_GROUPS, MAX_GROUPS, 1));
    }

    #[test]
    fn a_series_with_values_does_not_teach() {
        let mut siblings = Siblings::default();
        siblings.set_group(0, 1, true);
        assert!(!siblings.group_member(0).expect("it has a group").is_teaching(&Tuning::SHIPPED));
        siblings.set_group(0, 1, false);
        assert_eq!(siblings.members[0].age, NO_TEACHING, "it already is in its group");
    }
}
