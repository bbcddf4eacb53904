//! The data of a guest's store.

use std::time::Duration;

use crate::guest_log::GuestLog;
use crate::limiter::Limiter;

/// The data of a guest's store: its limits, log, clock and random numbers.
pub(crate) struct Meter {
    pub(crate) limiter: Limiter,
    /// The deadline of a call, and the thread's time when half of it was over.
    pub(crate) deadline: Duration,
    pub(crate) halfway: Option<Duration>,
    /// Its log.
    pub(crate) log: GuestLog,
    /// Its random numbers, which are the same for every guest.
    pub(crate) random: SplitMix,
    /// The latest timestamp that it has seen, in nanoseconds since 1970.
    latest: i64,
}

impl Meter {
    pub(crate) fn new(memory: usize, deadline: Duration, log: GuestLog) -> Self {
        Self { limiter: Limiter::new(memory), deadline, halfway: None, log, random: SplitMix(0), latest: 0 }
    }

    /// Moves the clock on, never back.
    pub(crate) fn advance_time(&mut self, times: &[i64]) {
        self.latest = times.iter().fold(self.latest, |latest, time| latest.max(*time));
    }

    /// What its clock shows: nanoseconds since 1970.
    pub(crate) fn time(&self) -> u64 {
        self.latest.max(0) as u64
    }
}

/// Numbers that look random (Steele, Lea & Flood 2014, figure 10), of a seed that is always the same.
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
