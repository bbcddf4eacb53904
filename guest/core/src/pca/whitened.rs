//! The index of whitened rows: the mean of their energies ([`energy`](crate::trained::whiten::energy)), nearly squares.
//!
//! Whitening with a ridge ([`crate::trained`]) is a soft choice of components: the weight of a direction changes
//! smoothly from that of T² to that of the squared prediction error. Unlike the raw score of a [`super::form`], this one is
//! about a square, so that extreme rows count more when it is averaged over rows.

use ndarray::ArrayView2;

use crate::linalg::as_rows;
use crate::model::Writer;
use crate::trained::Kernel;
use crate::trained::whiten::{mean_energy, shares};

#[derive(Debug)]
pub(super) struct Whitened;

impl Kernel for Whitened {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        raw.extend(as_rows(rows).map(mean_energy));
    }

    /// Contributions are not negative, and add up to the raw score but for rounding: they are its terms.
    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        shares(row, contributions);
    }

    fn write_model(&self, model: &mut Writer) {
        model.set("index", "whitened");
    }
}
