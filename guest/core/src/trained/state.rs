//! The state of each series, and how it is saved.
//!
//! The state of a series is a row of numbers: the mean of its scores, its [`Incident`], the mean of each feature if a
//! baseline is subtracted, and its last rows if a kernel spans several. NaN is unknown. Saved state is
//!
//! > "qualm-t3", the numbers of feature means and of a window (32 bits each), and for each series 4 + so many doubles
//!
//! in little-endian order. A new model continues with them: only the last rows are prepared as the old model did, which is of
//! the past once as many rows have come.

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
    /// Numbers of its window, or none.
    window: usize,
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
    /// Its last rows as they were prepared, the oldest first. Empty where a kernel scores rows alone.
    pub(super) window: &'a mut [f64],
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
    /// For rows of so many features, of which `span` are scored together.
    pub(super) fn new(features: usize, baseline: bool, span: usize) -> Self {
        let window = if span > 1 { span * features } else { 0 };
        Self { features, means: if baseline { features } else { 0 }, window, numbers: Vec::new() }
    }

    /// The same shape, without series.
    pub(super) fn without_series(&self) -> Self {
        Self { numbers: Vec::new(), ..*self }
    }

    fn width(&self) -> usize {
        FIXED_VALUES + self.means + self.window
    }

    /// The state of a series.
    pub(super) fn series(&mut self, number: u32) -> Series<'_> {
        let means = self.means;
        let (fixed, rest) = self.numbers_of(number).split_at_mut(FIXED_VALUES);
        let (means, window) = rest.split_at_mut(means);
        let [score, factor, reported, rows] = fixed else { unreachable!("they are so many") };
        Series { score, incident: Incident { factor, reported, rows }, means, window }
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
        let mut out = Vec::with_capacity(STATE_MAGIC.len() + 8 + series.len() * width * 8);
        out.extend_from_slice(STATE_MAGIC);
        out.extend([self.means, self.window].iter().flat_map(|count| (*count as u32).to_le_bytes()));
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
        let Some((counts, numbers)) = state.strip_prefix(STATE_MAGIC).and_then(<[u8]>::split_first_chunk::<8>) else {
            return bad("it was not saved by a trained detector of this version".to_owned());
        };
        let [means, window] = [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|byte| counts[at + byte])) as usize);
        if means != 0 && means != self.features {
            return bad(format!("it has means of {means} features where there are {}", self.features));
        }
        let (numbers, rest) = numbers.as_chunks();
        let width = FIXED_VALUES + means + window;
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
            let to = self.series(number);
            let Incident { factor, reported, rows } = to.incident;
            for (to, number) in [to.score, factor, reported, rows].into_iter().zip(numbers) {
                *to = *number;
            }
            // What was saved without a baseline, or with another window, starts again.
            let (saved_means, saved_window) = numbers[FIXED_VALUES..].split_at(means);
            for (to, saved) in [(to.means, saved_means), (to.window, saved_window)] {
                if to.len() == saved.len() { to.copy_from_slice(saved) } else { to.fill(f64::NAN) }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> State {
        let mut state = State::new(2, true, 3);
        for number in [0, 7] {
            let series = state.series(number);
            (*series.score, *series.incident.reported) = (0.25, f64::from(number));
            series.means.copy_from_slice(&[-1.0, f64::NAN]);
            series.window.copy_from_slice(&[f64::NAN, 1.0, 2.0, 3.0, 4.0, 5.0]);
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
        assert_eq!(saved.len(), 16 + 3 * 12 * 8);
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
        let mut without = State::new(2, false, 1);
        without.restore_series(&saved, &[Some(1)]).unwrap();
        assert_eq!(
            known(&mut without, 1),
            "Series { score: 0.25, incident: Incident { factor: NaN, reported: 7.0, rows: NaN }, means: [], window: [] }"
        );
        let mut with = some();
        with.restore_series(&without.save_series(&[1]), &[Some(0)]).unwrap();
        assert_eq!(
            known(&mut with, 0),
            "Series { score: 0.25, incident: Incident { factor: NaN, reported: 7.0, rows: NaN }, means: [NaN, NaN], window: [NaN, NaN, NaN, NaN, NaN, NaN] }"
        );
    }

    #[test]
    fn a_state_that_cannot_be_is_refused() {
        let saved = some().save_series(&[0]);
        let mut infinite = saved.clone();
        infinite[16..24].copy_from_slice(&f64::INFINITY.to_le_bytes());
        let mut huge = saved.clone();
        huge[16..24].copy_from_slice(&(-f64::MAX).to_le_bytes());
        let (mut many, mut wide) = (saved.clone(), saved.clone());
        many[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        wide[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        for (saved, series) in [
            (&saved[..59], 1),
            (&saved[..], 2),
            (&infinite[..], 1),
            (&huge[..], 1),
            (&many[..], 1),
            (&wide[..], 1),
            (b"qualm-s1", 0),
            (b"qualm-t2\0\0\0\0", 0),
            (b"qualm-t3", 0),
        ] {
            let mut state = some();
            assert!(matches!(state.restore_series(saved, &vec![Some(0); series]), Err(Error::BadState(_))));
            assert_eq!(known(&mut state, 0), known(&mut some(), 0), "nothing was changed");
        }
        assert!(State::new(3, true, 1).restore_series(&saved, &[Some(0)]).is_err(), "means of other features");
    }
}
