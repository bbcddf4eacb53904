//! Means of the unexplained rest over several lengths: in them adds up what no single row shows.

use super::band::{Limits, Needed};
use super::looks::{Looks, MEANS};
use super::lore::Loan;
use super::record::take;
use super::signal::{LIMIT, NEAR, Row};
use super::tail::{Counts, Tail};
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
    /// Above and below 0.
    tails: [[Tail; 2]; MEANS],
}

impl Means {
    pub(super) const fn new() -> Self {
        Self { values: [0.0; MEANS], squares: [0.0; MEANS], tails: [[Tail::new(); 2]; MEANS] }
    }

    /// Takes in a rest, with the gain of each mean, and looks at them.
    pub(super) fn observe(&mut self, row: &Row<'_>, rest: f32, gains: [f32; MEANS], looks: &mut Looks) {
        let (gain, limit) = (row.gain as f32, if row.settled { (LIMIT * LIMIT) as f32 } else { f32::MAX });
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
                let below = value < 0.0;
                let tail = &mut self.tails[look][usize::from(below)];
                let rarity = tail.observe((squared / scale).sqrt(), &row.moment(look, below), row.tuning);
                looks.set(look, rarity.nats * row.tuning.weights[look], rarity.rises, below);
            }
        }
    }

    /// Where the shortest mean is reported, in scales of the rest, after so many rows.
    pub(super) fn limits(&self, needed: Needed, rows: f64, loan: Option<Loan<'_>>, t: &Tuning) -> Limits {
        let [above, below] = &self.tails[0];
        let scale = max(self.squares[0], LEAST * LEAST).sqrt();
        let limit = |tail: &Tail, nats: f64, below: bool| {
            let lent = loan.map(|loan| loan.of(0, below));
            f64::from(scale * tail.distance(nats / t.weights[0], rows, lent, t))
        };
        Limits::at(limit(below, needed.below, true), limit(above, needed.above, false))
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
    pub(super) fn counts(&self) -> [&Counts; 2 * MEANS] {
        let [[short, shorter], [long, longer]] = &self.tails;
        [short.counts(), shorter.counts(), long.counts(), longer.counts()]
    }

    /// Each mean's tails.
    pub(super) fn tails(&mut self) -> &mut [[Tail; 2]; MEANS] {
        &mut self.tails
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { values, squares, tails } = self;
        out.extend(values.iter().chain(squares).flat_map(|value| value.to_le_bytes()));
        tails.as_flattened().iter().for_each(|tail| tail.write(out));
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut means = Self::new();
        for value in means.values.iter_mut().chain(&mut means.squares) {
            *value = f32::from_le_bytes(take(bytes)?);
        }
        for tail in means.tails.as_flattened_mut() {
            *tail = Tail::read(bytes)?;
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
