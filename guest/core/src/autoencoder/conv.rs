//! Convolutions over time with stride 2, and transposed convolutions back.
//!
//! Rows stand one after another, between as many rows of zeros as a kernel reaches beyond them. So what an output row
//! depends on is a run of rows, and a convolution is a product with runs that overlap. A transposed convolution is two of
//! them: an even output row depends on every other row of the kernel, an odd one on the others.

use super::architecture::Architecture;
use super::product::{Product, Rows};
use super::weights::{LIMIT, Weights};
use crate::math::{max, min};

/// A product that gives every row of a layer's output, or every other one.
#[derive(Debug, Clone)]
struct Part {
    product: Product,
    /// The first row of the first run, counted from the first of zeros.
    first: usize,
    /// The output row of the first run.
    to: usize,
}

/// A layer, convolution or transposed convolution.
#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    outputs: usize,
    /// Rows from the start of a run to that of the next.
    step: usize,
    /// As many output rows apart are those of a part.
    parts: Vec<Part>,
    /// The least output: 0 after a hidden layer (a rectifier), none after the encoder and the decoder.
    least: f32,
}

impl Layer {
    /// out[t] = bias + Σⱼ W[j]·x[2t + j − p], with p = ⌊kernel/2⌋.
    fn convolution(weights: &Weights, at: usize, (inputs, outputs): (usize, usize)) -> Self {
        let Architecture { kernel, layers, .. } = *weights.architecture();
        let weight = weights.tensor(&format!("encoder.{at}.weight"));
        let bias = weights.tensor(&format!("encoder.{at}.bias"));
        let place = |output: usize, input: usize| (output * inputs + input % inputs) * kernel + input / inputs;
        let product =
            Product::new(kernel * inputs, outputs, |output, input| weight[place(output, input)], |output| bias[output]);
        Self { inputs, outputs, step: 2, parts: vec![Part { product, first: 0, to: 0 }], least: least(at, layers) }
    }

    /// out[t] = bias + Σ W[j]·x[i] over all i and j with 2i + j − p = t.
    ///
    /// For t = 2m + φ these are the j that are even or odd as φ + p is, from the largest down, and as many i from
    /// m + (φ + p − max j)/2 up.
    fn transposed(weights: &Weights, at: usize, (inputs, outputs): (usize, usize)) -> Self {
        let Architecture { kernel, layers, .. } = *weights.architecture();
        let weight = weights.tensor(&format!("decoder.{at}.weight"));
        let bias = weights.tensor(&format!("decoder.{at}.bias"));
        let padding = kernel / 2;
        let part = |to: usize| {
            let taps: Vec<usize> = (0..kernel).rev().filter(|tap| tap % 2 == (to + padding) % 2).collect();
            let place =
                |output: usize, input: usize| ((input % inputs) * outputs + output) * kernel + taps[input / inputs];
            let product = Product::new(
                taps.len() * inputs,
                outputs,
                |output, input| weight[place(output, input)],
                |output| bias[output],
            );
            // A kernel of one row has none for odd rows, which are the bias.
            let first = taps.first().map_or(0, |last| (to + 3 * padding - last) / 2);
            Part { product, first, to }
        };
        Self { inputs, outputs, step: 1, parts: vec![part(0), part(1)], least: least(at, layers) }
    }

    /// So many output rows; `out` may start with rows of zeros.
    fn run(&self, rows: usize, input: &[f32], out: &mut [f32]) {
        let apart = self.parts.len();
        for Part { product, first, to } in &self.parts {
            let from = Rows { start: first * self.inputs, step: self.step * self.inputs };
            let to = Rows { start: to * self.outputs, step: apart * self.outputs };
            let finish = |sum| min(max(sum, self.least), LIMIT);
            product.multiply(rows / apart, (input, from), (out, to), finish);
        }
    }
}

/// The least output of a layer of so many.
fn least(at: usize, layers: usize) -> f32 {
    if at + 1 < layers { 0.0 } else { -LIMIT }
}

/// A convolutional autoencoder, and room for what it computes.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    features: usize,
    /// Rows of zeros before and after each layer's rows.
    padding: usize,
    layers: Vec<Layer>,
    /// The rows between the layers, between rows of zeros; the window is the first.
    between: Vec<Vec<f32>>,
}

impl Conv {
    pub(super) fn new(weights: &Weights) -> Self {
        let architecture = *weights.architecture();
        let Architecture { features, window, layers: depth, kernel, .. } = architecture;
        let channels = architecture.channels();
        let encoder = channels.iter().enumerate().map(|(at, &wide)| Layer::convolution(weights, at, wide));
        let turned = channels.iter().rev().map(|&(outputs, inputs)| (inputs, outputs));
        let decoder = turned.enumerate().map(|(at, wide)| Layer::transposed(weights, at, wide));
        let layers: Vec<Layer> = encoder.chain(decoder).collect();
        let padding = kernel / 2;
        // Rows are halved by each layer of the encoder, and doubled by each of the decoder.
        let rows = |at: usize| window >> at.min(2 * depth - at);
        let between = layers.iter().enumerate().map(|(at, layer)| (rows(at) + 2 * padding) * layer.inputs);
        let between = between.map(|length| vec![0.0; length]).collect();
        Self { features, padding, layers, between }
    }

    /// Reconstructs all rows of a window, the oldest first as there.
    pub(super) fn reconstruct(&mut self, window: &[f32], out: &mut [f32]) {
        let start = self.padding * self.features;
        self.between[0][start..][..window.len()].copy_from_slice(window);
        for (at, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.between.split_at_mut(at + 1);
            let out = match after.first_mut() {
                Some(next) => {
                    let padding = self.padding * layer.outputs;
                    let end = next.len() - padding;
                    &mut next[padding..end]
                }
                None => &mut *out,
            };
            layer.run(out.len() / layer.outputs, &before[at], out);
        }
    }
}
