//! Who wants events with which head (measurement and tags), and which series are theirs.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::lane::Lane;
use crate::line;

/// How many detectors there may be: an event's are a set of bits.
pub const MAX_LANES: usize = 64;

/// Heads whose selection is remembered. Beyond this many they begin to be worked out again, which costs some 200 ns.
const MEMO: usize = 4096;

/// What the detectors want of events with a given head, worked out once a head and remembered.
///
/// A direct-mapped cache: bounded, lossy, and right without being told when a head is gone.
#[derive(Debug)]
pub(crate) struct Heads {
    seed: u64,
    memo: Vec<Head>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    /// The hash of the head as it stands in the line.
    pub(crate) hash: u64,
    /// The hash of what it says, in whichever order its tags stand.
    pub(crate) identity: u64,
    /// The hash of its measurement.
    pub(crate) measurement: u64,
    /// The lanes that want it, as a set of bits.
    pub(crate) lanes: u64,
}

impl Head {
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

impl Heads {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, memo: vec![Head::default(); MEMO] }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Forgets what each lane wants.
    pub(crate) fn forget(&mut self) {
        self.memo.fill(Head::default());
    }

    /// What is remembered of this head; nothing where it is to be [learnt](Self::learn).
    pub(crate) fn find(&self, head: &[u8]) -> Option<Head> {
        let hash = self.hash(head);
        let entry = self.memo[place(hash)];
        (entry.hash == hash).then_some(entry)
    }

    /// Works out what the lanes want of events with this head, and remembers it.
    pub(crate) fn learn(&mut self, head: &[u8], lanes: &[Lane]) -> Head {
        let hash = self.hash(head);
        let bits = lanes.iter().enumerate().filter(|(_, lane)| lane.wants_event(head));
        let lanes = bits.fold(0, |lanes, (bit, _)| lanes | 1 << bit);
        // Each part hashed alone and added up: the order of the tags does not matter.
        let parts = line::head_parts(head).enumerate();
        let identity = parts.fold(0_u64, |sum, (at, part)| {
            sum.wrapping_add(xxh3_64_with_seed(part, self.seed.wrapping_add(u64::from(at > 0))))
        });
        let measurement = line::head_parts(head).next().map_or(0, |name| xxh3_64_with_seed(name, self.seed));
        let entry = Head { hash, identity, measurement, lanes };
        self.memo[place(hash)] = entry;
        entry
    }

    /// A head's hash: never 0, which is how an empty entry looks.
    fn hash(&self, head: &[u8]) -> u64 {
        xxh3_64_with_seed(head, self.seed) | 1
    }
}

/// Where a head of this hash is remembered.
fn place(hash: u64) -> usize {
    (hash >> 32) as usize % MEMO
}
