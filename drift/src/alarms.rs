//! Whether more rows are reported than in training, or fewer, where they come in bursts.

use crate::reference::Reference;
use crate::window::BLOCKS;

/// How many of a window's blocks, those with most alarms or the largest scores, do not count as more alarms or larger scores:
/// incidents that last for hours, such as a failure, are no drift.
const BURSTS: usize = 2;

/// Which blocks are calm: all but those with the largest of these numbers.
pub(crate) fn calm(numbers: &[f64; BLOCKS]) -> [bool; BLOCKS] {
    let mut order: [usize; BLOCKS] = std::array::from_fn(|at| at);
    order.sort_unstable_by(|a, b| numbers[*a].total_cmp(&numbers[*b]).then(a.cmp(b)));
    let mut calm = [false; BLOCKS];
    order[..BLOCKS - BURSTS].iter().for_each(|at| calm[*at] = true);
    calm
}

/// The alarms of a block.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Alarms {
    /// Rows with a score.
    pub(crate) rows: f64,
    /// Those that are reported, with a score above 1.
    pub(crate) reported: f64,
    /// Runs of alarms with a quiet time before each.
    pub(crate) incidents: f64,
}

impl Alarms {
    pub(crate) fn sum(blocks: &[Self]) -> Self {
        blocks.iter().fold(Self::default(), |sum, block| Self {
            rows: sum.rows + block.rows,
            reported: sum.reported + block.reported,
            incidents: sum.incidents + block.incidents,
        })
    }

    /// Of all blocks but those with most alarms.
    pub(crate) fn calm(blocks: &[Self; BLOCKS]) -> Self {
        let kept = calm(&blocks.map(|block| block.reported));
        let mut of = [Self::default(); BLOCKS];
        of.iter_mut().zip(*blocks).zip(kept).filter(|(_, kept)| *kept).for_each(|((to, block), _)| *to = block);
        Self::sum(&of)
    }

    /// The share of rows that are alarms; 0 without rows.
    pub(crate) fn rate(&self) -> f64 {
        self.reported / self.rows.max(1.0)
    }

    /// Alarms for each incident; 0 without alarms.
    pub(crate) fn burst(&self) -> f64 {
        if self.reported > 0.0 { self.reported / self.incidents.max(1.0) } else { 0.0 }
    }
}

/// What is found of the alarms of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    /// The share of rows that are alarms.
    pub(crate) rate: f64,
    /// The rate without the busiest blocks over what is expected, or what is expected over the rate: at least 1.
    pub(crate) ratio: f64,
    /// A bound on how likely as many alarms are, or as few, were the rate `factor` times what is expected, or that part of it.
    pub(crate) p_value: f64,
}

/// Compares the alarms of a window's blocks with those in training.
///
/// Counts are taken for those of a Poisson process of bursts, as long as those in training and live ones, though no longer than
/// an eighth of a block: what lasts for longer is no burst. P-values are Chernoff's bounds. For more alarms the busiest blocks
/// are left out, and what is expected is what training's busiest window had; for fewer, all count. Training without alarms is
/// taken for one that has one in the next row.
pub(crate) fn compare(reference: &Reference, blocks: &[Alarms; BLOCKS], factor: f64) -> Found {
    let scored = reference.scored();
    let (all, calm) = (Alarms::sum(blocks), Alarms::calm(blocks));
    let longest = (all.rows / (BLOCKS * BLOCKS) as f64).max(1.0);
    let burst = reference.ordinary.burst.max(all.burst()).clamp(1.0, longest);
    let expected = (reference.alarm_rate * scored + 1.0) / (scored + 1.0);
    let most = expected.max(reference.ordinary.alarm_rate);
    let more = chernoff(calm.reported / burst, factor * most * calm.rows / burst, true);
    let fewer = chernoff(all.reported / burst, reference.alarm_rate / factor * all.rows / burst, false);
    let ratio = (calm.rate() / most).max(reference.alarm_rate / all.rate().max(1.0 / (all.rows + 1.0))).max(1.0);
    Found { rate: all.rate(), ratio, p_value: more.min(fewer) }
}

/// A bound on the probability that a Poisson variable is as large, or as small, as seen: `exp(−(μ − k + k ln(k/μ)))` (Mitzenmacher
/// & Upfal, "Probability and Computing", theorem 5.4); 1 on the other side of the mean.
fn chernoff(seen: f64, mean: f64, more: bool) -> f64 {
    if (seen <= mean) == more || mean <= 0.0 {
        return 1.0;
    }
    let information = if seen > 0.0 { seen * libm::log(seen / mean) } else { 0.0 };
    libm::exp(-(mean - seen + information))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Distribution, Ordinary};

    fn reference(alarm_rate: f64) -> Reference {
        let score = Distribution::new((0..40_000).map(|at| f64::from(at) / 40_000.0));
        let ordinary = Ordinary { alarm_rate: alarm_rate * 1.5, burst: 2.0, ..Ordinary::default() };
        Reference { features: Vec::new(), score, alarm_rate, ordinary }
    }

    fn blocks(alarms: [f64; BLOCKS]) -> [Alarms; BLOCKS] {
        alarms.map(|reported| Alarms { rows: 1000.0, reported, incidents: (reported / 4.0).ceil() })
    }

    fn p_value(rate: f64, alarms: [f64; BLOCKS]) -> f64 {
        compare(&reference(rate), &blocks(alarms), 3.0).p_value
    }

    #[test]
    fn more_alarms_are_seen() {
        assert!(p_value(0.001, [40.0; BLOCKS]) < 1e-6);
        assert!(p_value(0.0, [8.0; BLOCKS]) < 0.01);
        // One incident that goes on and on.
        let all = [Alarms { rows: 1000.0, reported: 1000.0, incidents: 0.0 }; BLOCKS];
        assert!(compare(&reference(0.001), &all, 3.0).p_value < 1e-6);
    }

    #[test]
    fn a_burst_is_no_drift() {
        assert_eq!(p_value(0.001, [0.0, 0.0, 900.0, 1000.0, 0.0, 1.0, 0.0, 0.0]), 1.0);
        assert_eq!(p_value(0.001, [3.0; BLOCKS]), 1.0);
        assert_eq!(p_value(0.0, [0.0; BLOCKS]), 1.0);
    }

    #[test]
    fn alarms_that_end_are_seen() {
        assert!(p_value(0.02, [0.0; BLOCKS]) < 1e-6);
        assert!(p_value(0.0001, [0.0; BLOCKS]) > 0.5);
    }
}
