//! Address space: how much of it the memories of guests reserve.
//!
//! By itself the engine reserves 4 GiB for each, of which nothing is used before the guest grows into it. Where the process
//! may not have that much (`ulimit -v`, systemd's `LimitAS=`), a memory reserves a part of what there is, and is moved where
//! it grows beyond.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Resource, getrlimit};
use wasmtime::Config;

/// The part of the limit that one memory reserves: a pipeline has a guest, and a second one while models are swapped; so
/// has each detector.
const PART: u64 = 8;

/// What is reserved beyond a memory that was moved, so that it is not moved again with the next page.
const GROWTH: u64 = 32 << 20;

/// What catches an access beyond a memory's end, where the engine need not keep 32 MiB for it.
const GUARD: u64 = 64 << 10;

/// Bytes that a memory reserves; as many as the engine likes where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reservation(Option<u64>);

impl Reservation {
    /// What fits this process.
    pub(super) fn here() -> Self {
        // A power of two, so that compiled code serves more than one limit.
        Self(limit().map(|limit| 1 << (limit / PART).max(GUARD).ilog2()))
    }

    /// Whether there is so little that even a compiler must be expected to run out of it.
    pub(super) fn is_scarce(self) -> bool {
        self.0.is_some()
    }

    /// Has an engine keep to it. It is a part of what compiled code is made for.
    pub(super) fn apply(self, config: &mut Config) {
        if let Self(Some(bytes)) = self {
            config
                .memory_reservation(bytes)
                .memory_reservation_for_growth(GROWTH)
                .memory_guard_size(GUARD)
                .guard_before_linear_memory(false);
        }
    }
}

impl fmt::Display for Reservation {
    /// As it is handed to a process that compiles.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes}"),
            None => f.write_str("any"),
        }
    }
}

impl FromStr for Reservation {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "any" { Ok(Self(None)) } else { text.parse().map(|bytes| Self(Some(bytes))) }
    }
}

/// Bytes of address space that this process may have, where that is limited.
fn limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// What to do where there is too little, where a limit is what stands in the way.
pub(super) fn advice() -> String {
    limit().map_or_else(String::new, |limit| {
        format!(
            ": this process may have {} MiB of address space and no more; raise that limit (`ulimit -v`, systemd's `LimitAS=`)",
            limit >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_handed_on_as_it_is() {
        for reservation in [Reservation(None), Reservation(Some(256 << 20))] {
            assert_eq!(reservation.to_string().parse(), Ok(reservation));
        }
        assert!("much".parse::<Reservation>().is_err());
    }
}
