//! How much address space the memories of guests reserve.
//!
//! By default the engine reserves 4 GiB for each. If the process may not have that much (`ulimit -v`, systemd's `LimitAS=`), a
//! memory reserves a part of the limit, and is moved when it grows beyond.

use rustix::process::{Resource, getrlimit};
use wasmtime::Config;

/// The part of the limit that one memory reserves: a pipeline has a guest, and a second one while models are swapped; so
/// has each detector.
const RESERVATION_DIVISOR: u64 = 8;

/// Reserved beyond a memory that was moved, so that it is not moved again soon.
const GROWTH_BYTES: u64 = 32 << 20;

/// The guard area that catches an access beyond a memory's end; by default it has 32 MiB.
const GUARD_BYTES: u64 = 64 << 10;

/// The address space of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressSpace {
    /// Bytes that a memory reserves; `None` is the engine's default.
    reservation: Option<u64>,
    /// Whether a memory's first contents may lie in a file that is only in memory, which starts a guest sooner. Not where files
    /// are limited (`ulimit -f`, `LimitFSIZE=`): that counts as one.
    images: bool,
}

impl AddressSpace {
    /// By the limits of this process.
    pub(crate) fn of_process() -> Self {
        // A power of two, so that compiled code serves more than one limit.
        let reservation = address_space_limit()
            .map(|address_space_limit| 1 << (address_space_limit / RESERVATION_DIVISOR).max(GUARD_BYTES).ilog2());
        Self { reservation, images: getrlimit(Resource::Fsize).current.is_none() }
    }

    /// Whether it is limited, so that even the compiler may run out of it.
    pub(crate) fn is_scarce(self) -> bool {
        self.reservation.is_some()
    }

    /// Sets it in the engine's configuration, on which compiled code depends.
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

    /// As arguments for a process that compiles.
    pub(crate) fn to_arguments(self) -> [String; 2] {
        let Self { reservation, images } = self;
        [reservation.map_or_else(|| UNLIMITED.to_owned(), |bytes| bytes.to_string()), images.to_string()]
    }

    /// From such arguments; `None` if they are invalid.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [reservation, images] = arguments else { return None };
        let reservation = if reservation == UNLIMITED { None } else { Some(reservation.parse().ok()?) };
        Some(Self { reservation, images: images.parse().ok()? })
    }
}

/// The argument for the engine's default.
const UNLIMITED: &str = "any";

/// The limit of this process' address space in bytes, if there is one.
fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// What to do about too little address space, if there is a limit.
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
