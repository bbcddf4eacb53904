//! The state of each series, and how it is saved.
//!
//! The state of a series is a row of numbers: the mean of its scores, its [`Incident`], and the mean of each feature if a
//! baseline is subtracted. NaN is unknown. Saved state is
//!
//! > "qualm-t3", the number of feature means (32 bits), and for each series 4 + so many doubles
//!
//! in little-endian order. The numbers do not depend on the model, so that a new model continues with them.

use qualm_contract::Error;

/// The first bytes of saved state: its format and version.
const STATE_MAGIC: &[u8; 8] = b"qualm-t3";

/// The numbers of a series besides its features' means.
const FIXED_VALUES: usize = 4;

/// The largest score in valid state: averages with it are finite, and so are their products with a factor.
const MAX_STATE_SCORE: f64 = 1e100;

/// The numbers of all series.
#[derive(Debug)]
pub(super) struct State {
    /// Values in a row.
    features: usize,
    /// Feature means of a series: as many as features, or none.
    means: usize,
    numbers: Vec<f64>,
}

/// The state of one series.
#[derive(Debug)]
pub(super) struct Series<'a> {
    /// The mean of its scores.
    pub(super) score: &'a mut f64,
    /// What was reported of it.
    pub(super) incident: Incident<'a>,
    /// The mean of each feature.
    pub(super) means: &'a mut [f64],
}

/// What was reported of a series, and what that did to its threshold.
#[derive(Debug)]
pub(super) struct Incident<'a> {
    /// The factor of its threshold.
    pub(super) factor: &'a mut f64,
    /// The score of the last report, in units of calibration, fading.
    pub(super) reported: &'a mut f64,
    /// Rows since the last report while the incident lasts; NaN otherwise.
    pub(super) rows: &'a mut f64,
}

impl State {
    pub(super) fn new(features: usize, baseline: bool) -> Self {
        Self { features, means: if baseline { features } else { 0 }, numbers: Vec::new() }
    }

    /// The same shape, without series.
    pub(super) fn without_series(&self) -> Self {
        Self { numbers: Vec::new(), ..*self }
    }

    fn width(&self) -> usize {
        FIXED_VALUES + self.means
    }

    /// The state of a series.
    pub(super) fn series(&mut self, number: u32) -> Series<'_> {
        let (fixed, means) = self.numbers_of(number).split_at_mut(FIXED_VALUES);
        let [score, factor, reported, rows] = fixed else { unreachable!("they are so many") };
        Series { score, incident: Incident { factor, reported, rows }, means }
    }

    /// The numbers of a series, unknown ones where it is new.
    fn numbers_of(&mut self, number: u32) -> &mut [f64] {
        let (at, width) = (number as usize, self.width());
        if self.numbers.len() < (at + 1) * width {
            self.numbers.resize((at + 1) * width, f64::NAN);
        }
        &mut self.numbers[at * width..(at + 1) * width]
    }

    pub(super) fn forget_series(&mut self, series: &[u32]) {
        let width = self.width();
        for &number in series {
            if let Some(numbers) = self.numbers.chunks_exact_mut(width).nth(number as usize) {
                numbers.fill(f64::NAN);
            }
        }
    }

    pub(super) fn save_series(&self, series: &[u32]) -> Vec<u8> {
        let width = self.width();
        let mut out = Vec::with_capacity(STATE_MAGIC.len() + 4 + series.len() * width * 8);
        out.extend_from_slice(STATE_MAGIC);
        out.extend_from_slice(&(self.means as u32).to_le_bytes());
        for &number in series {
            match self.numbers.chunks_exact(width).nth(number as usize) {
                Some(numbers) => out.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
                None => out.extend(std::iter::repeat_n(f64::NAN.to_le_bytes(), width).flatten()),
            }
        }
        out
    }

    pub(super) fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        let bad = |what: String| Err(Error::BadState(what));
        let Some((means, numbers)) = state.strip_prefix(STATE_MAGIC).and_then(<[u8]>::split_first_chunk) else {
            return bad("it was not saved by a trained detector of this version".to_owned());
        };
        let means = u32::from_le_bytes(*means) as usize;
        if means != 0 && means != self.features {
            return bad(format!("it has means of {means} features where there are {}", self.features));
        }
        let (numbers, rest) = numbers.as_chunks();
        let width = FIXED_VALUES + means;
        if !rest.is_empty() || numbers.len() != series.len().saturating_mul(width) {
            return bad("it is longer or shorter than the series in it".to_owned());
        }
        let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        // Feature means may be any finite number, as metrics may.
        let huge = |numbers: &[f64]| numbers[..FIXED_VALUES].iter().any(|score| score.abs() > MAX_STATE_SCORE);
        if numbers.chunks_exact(width).any(huge) || numbers.iter().any(|number| number.is_infinite()) {
            return bad("a number in it is infinite, or as good as that".to_owned());
        }
        for (numbers, series) in numbers.chunks_exact(width).zip(series) {
            let Some(number) = *series else { continue };
            let to = self.numbers_of(number);
            let (fixed, to) = to.split_at_mut(FIXED_VALUES);
            fixed.copy_from_slice(&numbers[..FIXED_VALUES]);
            if means == to.len() {
                to.copy_from_slice(&numbers[FIXED_VALUES..]);
            } else {
                to.fill(f64::NAN); // saved without a baseline: means start again
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> State {
        let mut state = State::new(2, true);
        for number in [0, 7] {
            let series = state.series(number);
            (*series.score, *series.incident.reported) = (0.25, f64::from(number));
            series.means.copy_from_slice(&[-1.0, f64::NAN]);
        }
        state
    }

    fn known(state: &mut State, number: u32) -> String {
        format!("{:?}", state.series(number))
    }

    #[test]
    fn what_was_saved_is_there_again() {
        let mut state = some();
        let saved = state.save_series(&[7, 9, 0]);
        assert_eq!(saved.len(), 12 + 3 * 6 * 8);
        let mut other = some();
        other.restore_series(&saved, &[Some(3), Some(0), None]).unwrap();
        assert_eq!(known(&mut other, 3), known(&mut state, 7));
        assert_eq!((known(&mut other, 0), known(&mut other, 7)), (known(&mut state, 9), known(&mut state, 7)));
        state.forget_series(&[7, 1000]);
        assert_eq!(known(&mut state, 7), known(&mut state.without_series(), 0));
    }

    #[test]
    fn with_and_without_a_baseline_scores_go_on() {
        let saved = some().save_series(&[7]);
        let mut without = State::new(2, false);
        without.restore_series(&saved, &[Some(1)]).unwrap();
        assert_eq!(
            known(&mut without, 1),
            "Series { score: 0.25, incident: Incident { factor: NaN, reported: 7.0, rows: NaN }, means: [] }"
        );
        let mut with = some();
        with.restore_series(&without.save_series(&[1]), &[Some(0)]).unwrap();
        assert_eq!(
            known(&mut with, 0),
            "Series { score: 0.25, incident: Incident { factor: NaN, reported: 7.0, rows: NaN }, means: [NaN, NaN] }"
        );
    }

    #[test]
    fn a_state_that_cannot_be_is_refused() {
        let saved = some().save_series(&[0]);
        let mut infinite = saved.clone();
        infinite[12..20].copy_from_slice(&f64::INFINITY.to_le_bytes());
        let mut huge = saved.clone();
        huge[12..20].copy_from_slice(&(-f64::MAX).to_le_bytes());
        let mut many = saved.clone();
        many[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        for (saved, series) in [
            (&saved[..59], 1),
            (&saved[..], 2),
            (&infinite[..], 1),
            (&huge[..], 1),
            (&many[..], 1),
            (b"qualm-s1", 0),
            (b"qualm-t2\0\0\0\0", 0),
            (b"qualm-t3", 0),
        ] {
            let mut state = some();
            assert!(matches!(state.restore_series(saved, &vec![Some(0); series]), Err(Error::BadState(_))));
            assert_eq!(known(&mut state, 0), known(&mut some(), 0), "nothing was changed");
        }
        assert!(State::new(3, true).restore_series(&saved, &[Some(0)]).is_err(), "means of other features");
    }
}
