//! Means of the unexplained rest over several lengths: in them adds up what no single row shows.

use super::band::{Limits, Needed};
use super::counts::Counts;
use super::looks::{Looks, MEANS};
use super::lore::Loan;
use super::record::take;
use super::sides::Sides;
use super::signal::{NEAR, Row};
use super::tuning::Tuning;
use crate::math::{max, min};

/// Least scale of a mean, in scales of the rest.
const LEAST: f32 = 0.02;
/// Largest mean, in scales of the rest, for which there is room.
pub(super) const LARGEST: f32 = 1e4;

/// The means, lengths side by side: of the rest in its scales, which single precision holds well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Means {
    values: [f32; MEANS],
    /// Mean squares of the values, limited.
    squares: [f32; MEANS],
    sides: [Sides; MEANS],
}

impl Means {
    pub(super) const fn new() -> Self {
        Self { values: [0.0; MEANS], squares: [0.0; MEANS], sides: [Sides::new(); MEANS] }
    }

    /// Takes in a rest, with the gain of each mean, and looks at them.
    pub(super) fn observe(&mut self, row: &Row<'_>, rest: f32, gains: [f32; MEANS], looks: &mut Looks) {
        let (gain, limit) = (row.gain as f32, if row.settled { row.limit as f32 } else { f32::MAX });
        let mut scales = [0.0; MEANS];
        let mut far = false;
        for (at, scale) in scales.iter_mut().enumerate() {
            let value = settle(self.values[at] + gains[at] * (rest - self.values[at]));
            let (squared, square) = (value * value, self.squares[at]);
            *scale = max(square, LEAST * LEAST);
            far |= squared >= NEAR as f32 * *scale;
            self.values[at] = value;
            self.squares[at] = square + gain * (min(squared, limit * *scale) - square);
        }
        if far && row.settled {
            self.look(row, scales, looks);
        }
    }

    /// Asks the tails of those that are far out.
    #[inline(never)]
    fn look(&mut self, row: &Row<'_>, scales: [f32; MEANS], looks: &mut Looks) {
        for (look, (value, scale)) in self.values.into_iter().zip(scales).enumerate() {
            let squared = value * value;
            if squared >= NEAR as f32 * scale {
                self.sides[look].look(row, look, value < 0.0, (squared / scale).sqrt(), looks);
            }
        }
    }

    /// Where the shortest mean is reported, in scales of the rest, after so many rows.
    pub(super) fn limits(&self, needed: Needed, rows: f64, loan: Option<Loan<'_>>, t: &Tuning) -> Limits {
        let scale = max(self.squares[0], LEAST * LEAST).sqrt();
        self.sides[0].limits(0, needed, rows, loan, t).scaled(scale.into())
    }

    /// Mean squares, limited.
    pub(super) fn squares(&self) -> [f32; MEANS] {
        self.squares
    }

    /// Begins anew with siblings' mean squares: a series' first rows are told in scales that mean nothing yet.
    pub(super) fn start(&mut self, squares: [f32; MEANS]) {
        (self.values, self.squares) = ([0.0; MEANS], squares);
    }

    /// What each mean's tails have counted, above and below.
    pub(super) fn counts(&self) -> [[Counts; 2]; MEANS] {
        self.sides.map(|sides| sides.counts())
    }

    /// Of each mean.
    pub(super) fn sides(&mut self) -> &mut [Sides; MEANS] {
        &mut self.sides
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { values, squares, sides } = self;
        out.extend(values.iter().chain(squares).flat_map(|value| value.to_le_bytes()));
        for sides in sides {
            sides.write(out);
        }
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut means = Self::new();
        for value in means.values.iter_mut().chain(&mut means.squares) {
            *value = f32::from_le_bytes(take(bytes)?);
        }
        for sides in &mut means.sides {
            *sides = Sides::read(bytes)?;
        }
        let possible = means.values.iter().all(|value| value.abs() <= LARGEST)
            && means.squares.iter().all(|square| (0.0..=LARGEST * LARGEST).contains(square));
        possible.then_some(means)
    }
}

/// What decays to nothing, without the numbers next to zero: they take a processor a hundred times as long.
fn settle(value: f32) -> f32 {
    if value.abs() < 1e-9 { 0.0 } else { value }
}
