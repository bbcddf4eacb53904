//! What the system has room for: how much address space the memories of guests reserve, above all.
//!
//! By itself the engine reserves 4 GiB for each, of which nothing is used before the guest grows into it. Where the process
//! may not have that much (`ulimit -v`, systemd's `LimitAS=`), a memory reserves a part of what there is, and is moved where
//! it grows beyond.

use rustix::process::{Resource, getrlimit};
use wasmtime::Config;

/// The part of the limit that one memory reserves: a pipeline has a guest, and a second one while models are swapped; so
/// has each detector.
const RESERVATION_DIVISOR: u64 = 8;

/// What is reserved beyond a memory that was moved, so that it is not moved again with the next page.
const GROWTH_BYTES: u64 = 32 << 20;

/// What catches an access beyond a memory's end, where the engine need not keep 32 MiB for it.
const GUARD_BYTES: u64 = 64 << 10;

/// What there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressSpace {
    /// Bytes that a memory reserves; as many as the engine likes where nothing is said.
    reservation: Option<u64>,
    /// Whether a memory's first contents may lie in a file that is only in memory, which starts a guest sooner. Not where files
    /// are limited (`ulimit -f`, `LimitFSIZE=`): that counts as one.
    images: bool,
}

impl AddressSpace {
    /// What there is for this process.
    pub(crate) fn of_process() -> Self {
        // A power of two, so that compiled code serves more than one limit.
        let reservation = address_space_limit()
            .map(|address_space_limit| 1 << (address_space_limit / RESERVATION_DIVISOR).max(GUARD_BYTES).ilog2());
        Self { reservation, images: getrlimit(Resource::Fsize).current.is_none() }
    }

    /// Whether there is so little that even a compiler must be expected to run out of it.
    pub(crate) fn is_scarce(self) -> bool {
        self.reservation.is_some()
    }

    /// Has an engine keep to it. It is a part of what compiled code is made for.
    pub(crate) fn configure(self, config: &mut Config) {
        let Self { reservation, images } = self;
        config.memory_init_cow(images);
        if let Some(bytes) = reservation {
            config
                .memory_reservation(bytes)
                .memory_reservation_for_growth(GROWTH_BYTES)
                .memory_guard_size(GUARD_BYTES)
                .guard_before_linear_memory(false);
        }
    }

    /// As it is handed to a process that compiles.
    pub(crate) fn to_arguments(self) -> [String; 2] {
        let Self { reservation, images } = self;
        [reservation.map_or_else(|| UNLIMITED.to_owned(), |bytes| bytes.to_string()), images.to_string()]
    }

    /// What was handed over; none where that is nothing of the kind.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [reservation, images] = arguments else { return None };
        let reservation = if reservation == UNLIMITED { None } else { Some(reservation.parse().ok()?) };
        Some(Self { reservation, images: images.parse().ok()? })
    }
}

/// What a process that compiles is told where nothing is said of how much is reserved.
const UNLIMITED: &str = "any";

/// Bytes of address space that this process may have, where that is limited.
fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// What to do where there is too little, where a limit is what stands in the way.
pub(crate) fn limit_hint() -> String {
    address_space_limit().map_or_else(String::new, |address_space_limit| {
        format!(
            ": this process may have {} MiB of address space and no more; raise that limit (`ulimit -v`, systemd's `LimitAS=`)",
            address_space_limit >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_handed_on_as_it_is() {
        for address_space in [
            AddressSpace { reservation: None, images: true },
            AddressSpace { reservation: Some(256 << 20), images: false },
        ] {
            assert_eq!(AddressSpace::from_arguments(&address_space.to_arguments()), Some(address_space));
        }
        for odd in [vec![], vec!["any"], vec!["much", "true"], vec!["1", "maybe"]] {
            assert_eq!(AddressSpace::from_arguments(&odd.into_iter().map(str::to_owned).collect::<Vec<_>>()), None);
        }
    }
}
