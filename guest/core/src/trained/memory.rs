//! What a trained detector remembers of each series: an exponentially weighted mean of its last scores.

use crate::Error;

/// The first bytes of saved state: who wrote it, and which layout follows.
const STATE: &[u8; 8] = b"qualm-t1";

/// How many rows may be averaged over.
pub(crate) const SPANS: std::ops::RangeInclusive<f64> = 1.0..=1e6;

/// The largest mean that is taken back: what is averaged with it stays finite.
const MOST_MEAN: f64 = 1e100;

/// An exponentially weighted mean a series. In units of the threshold it means the same whichever model gave the scores,
/// so that a new model goes on where the old one was.
#[derive(Debug)]
pub(crate) struct Memory {
    /// The weight of a new score.
    weight: f64,
    span: f64,
    /// By series; NaN for one without rows. Empty where nothing is averaged.
    means: Vec<f64>,
}

impl Memory {
    /// Averages over some `span` rows: each weighs 2/(span + 1), as much as in a plain mean of so many.
    pub(crate) fn new(span: f64) -> Self {
        Self { weight: 2.0 / (span + 1.0), span, means: Vec::new() }
    }

    pub(crate) fn span(&self) -> f64 {
        self.span
    }

    /// Takes a series' next score in, and returns the mean.
    pub(crate) fn average(&mut self, series: u32, score: f64) -> f64 {
        if self.weight >= 1.0 {
            return score;
        }
        let mean = self.mean_mut(series);
        *mean = if mean.is_nan() { score } else { *mean };
        let old = *mean;
        let new = old + self.weight * (score - old);
        self.means[series as usize] = new;
        new
    }

    fn mean_mut(&mut self, series: u32) -> &mut f64 {
        let at = series as usize;
        if self.means.len() <= at {
            self.means.resize(at + 1, f64::NAN);
        }
        &mut self.means[at]
    }

    pub(crate) fn forget(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(mean) = self.means.get_mut(number as usize) {
                *mean = f64::NAN;
            }
        }
    }

    pub(crate) fn save(&self, series: &[u32]) -> Vec<u8> {
        let means = series.iter().map(|&number| self.means.get(number as usize).copied().unwrap_or(f64::NAN));
        STATE.iter().copied().chain(means.flat_map(f64::to_le_bytes)).collect()
    }

    pub(crate) fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        let bad = |what: &str| Error::BadState(what.to_owned());
        let means = state.strip_prefix(STATE).ok_or_else(|| bad("it was not saved by a trained detector"))?;
        let (means, rest) = means.as_chunks();
        if !rest.is_empty() || means.len() != series.len() {
            return Err(bad("it is longer or shorter than the series in it"));
        }
        let means = means.iter().map(|bytes| f64::from_le_bytes(*bytes));
        if means.clone().any(|mean| mean.abs() > MOST_MEAN) {
            return Err(bad("a mean in it is as good as infinite"));
        }
        if self.weight < 1.0 {
            for (mean, number) in means.zip(series).filter_map(|(mean, number)| Some((mean, (*number)?))) {
                *self.mean_mut(number) = mean;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_follows_and_is_forgotten() {
        let mut memory = Memory::new(3.0);
        assert_eq!([0.0, 4.0, 4.0].map(|score| memory.average(7, score) as i32), [0, 2, 3]);
        let state = memory.save(&[7, 9]);
        memory.forget(&[7, 1000]);
        assert_eq!(memory.average(7, 1.0).to_bits(), 1.0_f64.to_bits());
        memory.restore(&state, &[Some(2), None]).unwrap();
        assert_eq!(memory.average(2, 4.0).to_bits(), 3.5_f64.to_bits());
        assert_eq!(Memory::new(1.0).average(0, 5.0).to_bits(), 5.0_f64.to_bits());
    }

    #[test]
    fn a_state_that_cannot_be_is_refused() {
        let mut memory = Memory::new(3.0);
        memory.average(0, 1.0);
        let state = memory.save(&[0]);
        let of = |mean: f64| [&state[..8], &mean.to_le_bytes()].concat();
        let (infinite, huge) = (of(f64::INFINITY), of(-f64::MAX));
        for (state, series) in
            [(&state[..15], 1), (&state[..], 2), (&infinite[..], 1), (&huge[..], 1), (b"qualm-s1", 0)]
        {
            assert!(matches!(memory.restore(state, &vec![Some(0); series]), Err(Error::BadState(_))));
        }
    }
}
