//! A cache of which detectors want events with a head (measurement and tags), and of its hashes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::lane::Lane;
use crate::line;

/// The most detectors: those of an event are a set of bits.
pub const MAX_LANES: usize = 64;

/// Heads in the cache. With more, entries replace each other, and each miss costs some 200 ns.
const CACHE_SLOTS: usize = 4096;

/// The lanes that want events with a head. A direct-mapped cache: bounded, lossy, and without invalidation.
#[derive(Debug)]
pub(crate) struct HeadCache {
    seed: u64,
    slots: Vec<CachedHead>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CachedHead {
    /// The hash of the head's bytes.
    pub(crate) hash: u64,
    /// The hash of the head for any order of its tags.
    pub(crate) identity: u64,
    /// The hash of its measurement.
    pub(crate) measurement: u64,
    /// The lanes that want it, as a set of bits.
    pub(crate) lanes: u64,
}

impl CachedHead {
    /// The lanes that want it, by number.
    pub(crate) fn lanes(self) -> impl Iterator<Item = usize> {
        let mut left = self.lanes;
        std::iter::from_fn(move || {
            let lane = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (lane < MAX_LANES).then_some(lane)
        })
    }
}

impl HeadCache {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, slots: vec![CachedHead::default(); CACHE_SLOTS] }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Clears the cache.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(CachedHead::default());
    }

    /// The entry of this head; `None` if it must be [added](Self::insert).
    pub(crate) fn get(&self, head: &[u8]) -> Option<CachedHead> {
        let hash = self.hash(head);
        let entry = self.slots[slot(hash)];
        (entry.hash == hash).then_some(entry)
    }

    /// Adds the entry of this head.
    pub(crate) fn insert(&mut self, head: &[u8], lanes: &[Lane]) -> CachedHead {
        let hash = self.hash(head);
        let bits = lanes.iter().enumerate().filter(|(_, lane)| lane.wants_event(head));
        let lanes = bits.fold(0, |lanes, (bit, _)| lanes | 1 << bit);
        // A sum of the parts' hashes: the order of tags does not matter.
        let parts = line::head_parts(head).enumerate();
        let identity = parts.fold(0_u64, |sum, (at, part)| {
            sum.wrapping_add(xxh3_64_with_seed(part, self.seed.wrapping_add(u64::from(at > 0))))
        });
        let measurement = line::head_parts(head).next().map_or(0, |name| xxh3_64_with_seed(name, self.seed));
        let entry = CachedHead { hash, identity, measurement, lanes };
        self.slots[slot(hash)] = entry;
        entry
    }

    /// A head's hash: never 0, which is that of an empty entry.
    fn hash(&self, head: &[u8]) -> u64 {
        xxh3_64_with_seed(head, self.seed) | 1
    }
}

/// The slot of a hash.
fn slot(hash: u64) -> usize {
    (hash >> 32) as usize % CACHE_SLOTS
}
