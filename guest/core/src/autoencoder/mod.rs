//! `autoencoder`: how badly networks that learnt to reconstruct windows of ordinary rows reconstruct a window.

mod activation;
pub mod architecture;
mod conv;
mod product;
mod recurrent;
pub mod weights;

use self::architecture::{Architecture, Network};
use self::conv::Conv;
use self::recurrent::{Gru, Lstm, Recurrent};
use self::weights::{LIMIT, Weights};
use crate::math::{max, min};

/// A network that reconstructs windows.
///
/// A window's rows stand one after another, from the oldest to the newest. Numbers of a window are clipped to
/// ±[`LIMIT`], and so is what is between the layers of a convolution: so all sums are finite. Everything is allocated
/// when the network is made.
#[derive(Debug)]
pub struct Autoencoder {
    architecture: Architecture,
    network: Kind,
    /// The window, clipped.
    window: Vec<f32>,
    /// All rows, where only the newest is asked for.
    rows: Vec<f32>,
}

#[derive(Debug)]
enum Kind {
    Lstm(Recurrent<Lstm>),
    Gru(Recurrent<Gru>),
    Conv(Conv),
}

impl Autoencoder {
    /// Arranges the weights as the products read them.
    #[must_use]
    pub fn new(weights: &Weights) -> Self {
        let architecture = *weights.architecture();
        let network = match architecture.network {
            Network::Lstm => Kind::Lstm(Recurrent::new(weights)),
            Network::Gru => Kind::Gru(Recurrent::new(weights)),
            Network::Conv => Kind::Conv(Conv::new(weights)),
        };
        let length = architecture.window * architecture.features;
        Self { architecture, network, window: vec![0.0; length], rows: vec![0.0; length] }
    }

    /// What it is.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Reconstructs a window: `out` gets as many rows, in the same order (whatever the order that they are decoded in).
    ///
    /// # Panics
    ///
    /// Where `window` or `out` is not of the architecture's window × features.
    pub fn reconstruct(&mut self, window: &[f32], out: &mut [f32]) {
        assert_eq!((window.len(), out.len()), (self.window.len(), self.window.len()), "window × features");
        clip(window, &mut self.window);
        match &mut self.network {
            Kind::Lstm(network) => network.reconstruct(&self.window, out),
            Kind::Gru(network) => network.reconstruct(&self.window, out),
            Kind::Conv(network) => network.reconstruct(&self.window, out),
        }
    }

    /// Reconstructs the newest row of a window: the same bits as the last row of [`Self::reconstruct`]. A recurrent network
    /// whose order is reversed decodes one step for it; others decode all.
    ///
    /// # Panics
    ///
    /// Where `window` is not of the architecture's window × features, or `out` of its features.
    pub fn reconstruct_newest(&mut self, window: &[f32], out: &mut [f32]) {
        let features = self.architecture.features;
        assert_eq!((window.len(), out.len()), (self.window.len(), features), "window × features, features");
        clip(window, &mut self.window);
        match &mut self.network {
            Kind::Lstm(network) => network.reconstruct_newest(&self.window, out),
            Kind::Gru(network) => network.reconstruct_newest(&self.window, out),
            Kind::Conv(network) => {
                network.reconstruct(&self.window, &mut self.rows);
                out.copy_from_slice(&self.rows[self.rows.len() - features..]);
            }
        }
    }
}

fn clip(window: &[f32], clipped: &mut [f32]) {
    for (clipped, number) in clipped.iter_mut().zip(window) {
        *clipped = max(min(*number, LIMIT), -LIMIT);
    }
}
