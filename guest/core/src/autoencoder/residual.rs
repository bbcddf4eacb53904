//! How far a row is from what a network expects of it.
//!
//! A residual is the newest row of a window less its reconstruction. Features' residuals differ in size and move together, so
//! they are whitened by those of ordinary rows ([`Whitening`]), and their [`energy`] is what counts.

use super::Autoencoder;
use crate::linalg::as_matrix;
use crate::trained::whiten::{Buffers, Whitening, energy};

/// The ridge of the whitening, as a share of the mean variance.
pub(super) const RIDGE: f64 = 0.03;

/// Buffers for the residuals of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Residuals {
    expected: Vec<f32>,
    own: Vec<f64>,
    white: Vec<f64>,
    products: Buffers,
}

impl Residuals {
    /// The residuals of the row `newest` from what a network expects of it in `window`. They are 0 where the row has no value, as
    /// if the network had been right.
    pub(super) fn of(&mut self, network: &mut Autoencoder, window: &[f32], newest: &[f64]) -> &[f64] {
        self.expected.resize(newest.len(), 0.0);
        network.reconstruct_newest(window, &mut self.expected);
        self.own.clear();
        let pairs = newest.iter().zip(&self.expected);
        self.own.extend(pairs.map(|(value, expected)| if value.is_nan() { 0.0 } else { value - f64::from(*expected) }));
        &self.own
    }

    /// The energy of each feature's last residual.
    pub(super) fn energies(&mut self, whitening: &Whitening) -> impl Iterator<Item = f64> {
        self.white.clear();
        whitening.apply(as_matrix(&self.own, self.own.len()), &mut self.products, &mut self.white);
        self.white.iter().map(|white| energy(*white))
    }

    /// The energy of each of these residuals.
    pub(super) fn energies_of(&mut self, residuals: &[f64], whitening: &Whitening) -> impl Iterator<Item = f64> {
        self.own.clear();
        self.own.extend_from_slice(residuals);
        self.energies(whitening)
    }
}
