//! Random numbers that depend on the seed and on what they are for, never on what was drawn before. So training goes on
//! after an interruption with the numbers that it would have had.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// What random numbers are for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The weights at first.
    Weights,
    /// The order of windows in this epoch.
    Shuffle { epoch: usize },
    /// What is left out in this batch of this epoch.
    Dropout { epoch: usize, batch: usize },
}

/// A stream of random numbers.
#[derive(Debug)]
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let (kind, epoch, batch) = match purpose {
            Purpose::Weights => (1, 0, 0),
            Purpose::Shuffle { epoch } => (2, epoch, 0),
            Purpose::Dropout { epoch, batch } => (3, epoch, batch),
        };
        let mixed = [kind, epoch as u64, batch as u64].into_iter().fold(seed, |state, part| mix(state ^ part));
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed))
    }

    /// From 0 and below 1, a multiple of 2⁻²⁴.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1 << 24) as f32
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// Brings items into a random order (Fisher & Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A permutation of all numbers in which neighbours are far apart: that of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_are_for_decides() {
        let first = |seed, purpose| Random::new(seed, purpose).unit().to_bits();
        let shuffle = Purpose::Shuffle { epoch: 1 };
        assert_eq!(first(1, shuffle), first(1, shuffle));
        let others = [
            first(2, shuffle),
            first(1, Purpose::Shuffle { epoch: 2 }),
            first(1, Purpose::Weights),
            first(1, Purpose::Dropout { epoch: 1, batch: 0 }),
            first(1, Purpose::Dropout { epoch: 1, batch: 1 }),
        ];
        for other in others {
            assert_ne!(other, first(1, shuffle));
        }
    }

    #[test]
    fn a_shuffle_keeps_each_item() {
        let mut items: Vec<_> = (0..100).collect();
        Random::new(1, Purpose::Weights).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
