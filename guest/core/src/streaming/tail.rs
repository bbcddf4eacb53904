//! How rare a distance is: the survival function of a series' own distances, from counts by powers of two.
//!
//! Between the powers and beyond all that was seen it falls with the square of the distance, a heavy tail as of a
//! generalised Pareto law with shape ½ (Pickands, Annals of Statistics 1975): each distance seen counts in full up to
//! the upper edge of its bin, and beyond that by the square of how much farther out one asks.

use super::record::take;
use crate::math::max;

/// Distances counted before all counts are halved: what was seen some 7,000 rows ago counts half; measured, 2,000 to
/// 30,000 are alike.
const MOST: u16 = 14_000;
/// Distances before any means something.
const LEAST: u16 = 8;

/// Counts of distances: bin 0 up to 2^`LOWEST`, and from there on a bin for each doubling, the last for all beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail<const BINS: usize, const LOWEST: i32> {
    counts: [u16; BINS],
    total: u16,
}

impl<const BINS: usize, const LOWEST: i32> Tail<BINS, LOWEST> {
    /// Nothing seen yet.
    pub(crate) const fn new() -> Self {
        Self { counts: [0; BINS], total: 0 }
    }

    /// How rare it is to be at `distance` or farther, as 1/P and from 1 on; and counts it.
    pub(crate) fn observe(&mut self, distance: f64) -> f64 {
        let (bin, rarity) = self.place(distance);
        self.counts[bin] += 1;
        self.total += 1;
        if self.total == MOST {
            self.counts = self.counts.map(|count| count / 2);
            self.total = self.counts.iter().sum();
        }
        rarity
    }

    /// The bin of a distance, and how rare that is. Farther is never less rare; in the lowest bin, and before `LEAST`
    /// distances, nothing is rare. A law of 1/(1 + distance) has the weight of one distance.
    fn place(&self, distance: f64) -> (usize, f64) {
        const MANTISSA: u64 = (1 << 52) - 1;
        // 2^(1023 - LOWEST) in the exponent's field, so that 1 is the lowest edge.
        let scaled = distance * f64::from_bits(((1023 - LOWEST) as u64) << 52);
        let (bin, rarity) = if scaled < 1.0 {
            (0, 1.0)
        } else {
            let bits = scaled.to_bits();
            let bin = (bits >> 52) as usize - 1022;
            let (bin, times) =
                if bin < BINS { (bin, f64::from_bits(bits & MANTISSA | 1_f64.to_bits())) } else { (BINS - 1, 2.0) };
            let (below, from) = self.counts.split_at(bin);
            let from: u32 = from.iter().map(|&count| u32::from(count)).sum();
            // Each bin below counts a quarter of the one above it; as integers, so that the sum has no order.
            let below: u64 = below.iter().zip(0..).map(|(&count, at)| u64::from(count) << (2 * at)).sum();
            let below = below as f64 * f64::from_bits(((1023 - 2 * (bin as i64 - 1)) as u64) << 52);
            // (total + 1) / (from + below/times² + 1/(1 + distance)) with one division.
            let (squared, prior) = (times * times, 1.0 + distance);
            let survival = (f64::from(from) * squared + below) * prior + squared;
            (bin, max((f64::from(self.total) + 1.0) * squared * prior / survival, 1.0))
        };
        (bin, if self.total < LEAST { 1.0 } else { rarity })
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.counts.map(u16::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut counts = [0; BINS];
        for count in &mut counts {
            *count = u16::from_le_bytes(take(bytes)?);
        }
        let total = counts.iter().try_fold(0_u16, |total, &count| total.checked_add(count))?;
        (total < MOST).then_some(Self { counts, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Any = Tail<12, -6>;

    fn nats(rarity: f64) -> f64 {
        libm::log(rarity)
    }

    #[test]
    fn surprise_is_continuous_and_monotone() {
        let mut tail = Any::new();
        for i in 0..5000_u32 {
            tail.observe(f64::from(i * 617 % 1000) * 0.004);
        }
        let mut previous = 0.0;
        for i in 0..4000 {
            let surprise = nats(tail.place(0.002 * libm::exp(f64::from(i) * 0.003)).1);
            assert!((-1e-9..0.2).contains(&(surprise - previous)), "{i}: {previous} to {surprise}");
            previous = surprise;
        }
        assert!((4.0..6.0).contains(&previous), "{previous}");
    }

    #[test]
    fn a_frequency_is_found() {
        let mut tail = Any::new();
        for i in 0..10_000 {
            tail.observe(if i % 100 == 0 { 3.9 } else { 0.0 });
        }
        let surprise = nats(tail.place(3.9).1);
        assert!((surprise - libm::log(100.0)).abs() < 0.1, "{surprise}");
        assert!(nats(tail.place(15.0).1) > surprise + 2.0 * libm::log(3.0), "farther than anything is rarer");
    }

    #[test]
    fn a_rare_event_is_learned_in_a_few_occurrences() {
        let mut tail = Any::new();
        (0..1000).for_each(|_| _ = tail.observe(0.0));
        let first = nats(tail.observe(8.0));
        let fifth = (0..4).fold(0.0, |_, _| nats(tail.observe(8.0)));
        assert!(first > 8.0 && fifth < 6.0, "{first} {fifth}");
    }

    #[test]
    fn counts_never_overflow() {
        let mut tail = Any::new();
        for i in 0..200_000 {
            tail.observe(f64::from(i % 3) * 1e4);
            assert!(tail.total < MOST);
        }
    }
}
