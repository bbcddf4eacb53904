//! Stacked recurrent layers: the encoder reduces a window to its last hidden state, and that to a code; the decoder gets
//! the code at each step, and its hidden states become rows (after Malhotra et al. 2016).
//!
//! What does not depend on the step before, the inputs' part of the gates, is one product for all rows of a window; the
//! decoder's is the same at each step. Only the hidden state's part is computed step by step.

use std::marker::PhantomData;

use super::activation::{sigmoid, tanh};
use super::architecture::{Architecture, Order};
use super::product::{Product, Rows, SIDE};
use super::weights::Weights;

/// A kind of recurrent cell.
pub(super) trait Cell {
    /// PyTorch's gates in the order in which they are computed: those through the logistic function stand together.
    const GATES: &[usize];

    /// How many of these have one sum, of input and hidden state; the others' hidden part is a sum of its own.
    const JOINED: usize;

    /// A step's hidden state, of the sums and of the other gates' input part. `state` is what the cell keeps to its next step.
    fn step(sums: &mut [f32], input: &[f32], state: &mut [f32], hidden: &mut [f32]);
}

/// Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. It keeps c' = σ(f)·c + σ(i)·tanh(g), and
/// h' = σ(o)·tanh(c').
#[derive(Debug, Clone)]
pub(super) struct Lstm;

impl Cell for Lstm {
    // i, f, o, g.
    const GATES: &[usize] = &[0, 1, 3, 2];
    const JOINED: usize = 4;

    fn step(sums: &mut [f32], _: &[f32], state: &mut [f32], hidden: &mut [f32]) {
        let units = state.len();
        let (ifo, g) = sums.split_at_mut(3 * units);
        sigmoid(ifo);
        tanh(g);
        let (i, rest) = ifo.split_at_mut(units);
        let (f, o) = rest.split_at_mut(units);
        for (((state, i), f), g) in state.iter_mut().zip(i).zip(f).zip(&mut *g) {
            *state = *f * *state + *i * *g;
            *g = *state;
        }
        tanh(g);
        for ((hidden, o), tanh) in hidden.iter_mut().zip(o).zip(g) {
            *hidden = *o * *tanh;
        }
    }
}

/// Cho et al. 2014, with a hidden bias of its own as in cuDNN and PyTorch. It keeps h' = (1 − σ(z))·n' + σ(z)·h with
/// n' = tanh(n + σ(r)·(W h + b)).
#[derive(Debug, Clone)]
pub(super) struct Gru;

impl Cell for Gru {
    // r, z, n.
    const GATES: &[usize] = &[0, 1, 2];
    const JOINED: usize = 2;

    fn step(sums: &mut [f32], input: &[f32], state: &mut [f32], hidden: &mut [f32]) {
        let units = state.len();
        let (rz, n) = sums.split_at_mut(2 * units);
        sigmoid(rz);
        let (r, z) = rz.split_at_mut(units);
        for ((n, r), input) in n.iter_mut().zip(r).zip(input) {
            *n = input + *r * *n;
        }
        tanh(n);
        for ((state, z), n) in state.iter_mut().zip(z).zip(n) {
            *state = (1.0 - *z) * *n + *z * *state;
        }
        hidden.copy_from_slice(&state[..hidden.len()]);
    }
}

/// A recurrent layer. Its gates stand one after another, each of as many units as fill whole sides.
#[derive(Debug, Clone)]
struct Layer<C> {
    hidden: usize,
    /// The gates' part of the input, with the hidden biases of the joined.
    input: Product,
    /// The gates' part of the hidden state of the step before.
    recurrent: Product,
    /// The hidden biases of the gates that are not joined.
    biases: Vec<f32>,
    cell: PhantomData<C>,
}

impl<C: Cell> Layer<C> {
    /// The layer of a stack (`encoder` or `decoder`) with so many inputs.
    fn new(weights: &Weights, stack: &str, layer: usize, inputs: usize) -> Self {
        let hidden = weights.architecture().hidden;
        let units = units(hidden);
        let tensor = |name: &str| weights.tensor(&format!("{stack}.{name}_l{layer}"));
        let (weight_ih, weight_hh) = (tensor("weight_ih"), tensor("weight_hh"));
        let (bias_ih, bias_hh) = (tensor("bias_ih"), tensor("bias_hh"));
        // The row of PyTorch's matrices; none for units that fill up the last side.
        let row = |output: usize| {
            let unit = output % units;
            (unit < hidden).then_some(C::GATES[output / units] * hidden + unit)
        };
        let joined = C::JOINED * units;
        let outputs = C::GATES.len() * units;
        let weight = |weights: &[f32], inputs: usize, output: usize, input: usize| {
            row(output).map_or(0.0, |row| weights[row * inputs + input])
        };
        let bias = |output: usize| {
            row(output).map_or(0.0, |row| if output < joined { bias_ih[row] + bias_hh[row] } else { bias_ih[row] })
        };
        Self {
            hidden,
            input: Product::new(inputs, outputs, |output, input| weight(weight_ih, inputs, output, input), bias),
            recurrent: Product::new(hidden, outputs, |output, input| weight(weight_hh, hidden, output, input), |_| 0.0),
            biases: (joined..outputs).map(|output| row(output).map_or(0.0, |row| bias_hh[row])).collect(),
            cell: PhantomData,
        }
    }

    /// The hidden states of so many steps, row after row, of the gates' part of the input: one row a step, or one for all.
    fn run(&self, steps: usize, input: &[f32], sums: &mut [f32], state: &mut [f32], out: &mut [f32]) {
        let width = self.input.outputs();
        let step = if input.len() == width { 0 } else { width };
        state.fill(0.0);
        for at in 0..steps {
            let (joined, others) = input[at * step..][..width].split_at(C::JOINED * state.len());
            let (joined_sums, other_sums) = sums.split_at_mut(joined.len());
            joined_sums.copy_from_slice(joined);
            other_sums.copy_from_slice(&self.biases);
            let (before, after) = out.split_at_mut(at * self.hidden);
            // The first step's hidden state is 0, and so are its products.
            if at > 0 {
                self.recurrent.add(&before[(at - 1) * self.hidden..], sums);
            }
            C::step(sums, others, state, &mut after[..self.hidden]);
        }
    }
}

/// Units that fill whole sides.
fn units(hidden: usize) -> usize {
    hidden.next_multiple_of(SIDE)
}

/// Layers, each of which reads the hidden states of the one below.
#[derive(Debug, Clone)]
struct Stack<C>(Vec<Layer<C>>);

impl<C: Cell> Stack<C> {
    fn new(weights: &Weights, name: &str, inputs: usize) -> Self {
        let Architecture { hidden, layers, .. } = *weights.architecture();
        let inputs = |layer: usize| if layer == 0 { inputs } else { hidden };
        Self((0..layers).map(|layer| Layer::new(weights, name, layer, inputs(layer))).collect())
    }

    /// Leaves the hidden states of the last layer in the scratch. The first layer reads so many rows of `input`, or one
    /// for all steps.
    fn run(&self, steps: usize, input: &[f32], rows: usize, scratch: &mut Scratch) {
        let Scratch { gates, sums, hidden, state } = scratch;
        for (at, layer) in self.0.iter().enumerate() {
            let width = layer.input.outputs();
            let (input, rows) = if at == 0 { (input, rows) } else { (&hidden[..], steps) };
            let gates = &mut gates[..rows * width];
            let from = Rows::of(layer.input.inputs());
            layer.input.multiply(rows, (input, from), (gates, Rows::of(width)), |sum| sum);
            layer.run(steps, gates, sums, state, hidden);
        }
    }
}

/// A fully connected layer.
fn linear(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Product {
    let (weight, bias) = (weights.tensor(&format!("{name}.weight")), weights.tensor(&format!("{name}.bias")));
    Product::new(inputs, outputs, |output, input| weight[output * inputs + input], |output| bias[output])
}

/// What layers compute, overwritten by the next.
#[derive(Debug, Clone)]
struct Scratch {
    /// The gates' part of the input at each step.
    gates: Vec<f32>,
    /// The gates of a step.
    sums: Vec<f32>,
    /// Hidden states at each step.
    hidden: Vec<f32>,
    /// What cells keep from step to step.
    state: Vec<f32>,
}

/// A recurrent autoencoder, and room for what it computes.
#[derive(Debug, Clone)]
pub(super) struct Recurrent<C> {
    architecture: Architecture,
    encoder: Stack<C>,
    bottleneck: Product,
    expand: Product,
    decoder: Stack<C>,
    output: Product,
    scratch: Scratch,
    code: Vec<f32>,
    expanded: Vec<f32>,
}

impl<C: Cell> Recurrent<C> {
    pub(super) fn new(weights: &Weights) -> Self {
        let architecture = *weights.architecture();
        let Architecture { features, window, hidden, bottleneck, .. } = architecture;
        let gates = C::GATES.len() * units(hidden);
        Self {
            architecture,
            encoder: Stack::new(weights, "encoder", features),
            bottleneck: linear(weights, "bottleneck", hidden, bottleneck),
            expand: linear(weights, "expand", bottleneck, hidden),
            decoder: Stack::new(weights, "decoder", hidden),
            output: linear(weights, "output", hidden, features),
            scratch: Scratch {
                gates: vec![0.0; window * gates],
                sums: vec![0.0; gates],
                hidden: vec![0.0; window * hidden],
                state: vec![0.0; units(hidden)],
            },
            code: vec![0.0; bottleneck],
            expanded: vec![0.0; hidden],
        }
    }

    /// Reconstructs all rows of a window, the oldest first as there.
    pub(super) fn reconstruct(&mut self, window: &[f32], out: &mut [f32]) {
        self.run(window, self.architecture.window);
        self.output_rows(0, out);
        if self.architecture.order == Order::Reversed {
            turn_round(out, self.architecture.features);
        }
    }

    /// Reconstructs the newest row of a window.
    pub(super) fn reconstruct_newest(&mut self, window: &[f32], out: &mut [f32]) {
        let steps = match self.architecture.order {
            Order::Forward => self.architecture.window,
            Order::Reversed => 1,
        };
        self.run(window, steps);
        self.output_rows(steps - 1, out);
    }

    /// Encodes a window, and decodes so many steps.
    fn run(&mut self, window: &[f32], steps: usize) {
        let Architecture { window: rows, hidden, .. } = self.architecture;
        self.encoder.run(rows, window, rows, &mut self.scratch);
        let last = &self.scratch.hidden[(rows - 1) * hidden..];
        one(&self.bottleneck, last, &mut self.code);
        one(&self.expand, &self.code, &mut self.expanded);
        self.decoder.run(steps, &self.expanded, 1, &mut self.scratch);
    }

    /// The rows of the decoder's hidden states from this step on, as many as `out` holds.
    fn output_rows(&self, first: usize, out: &mut [f32]) {
        let Architecture { features, hidden, .. } = self.architecture;
        let hidden = (&self.scratch.hidden[first * hidden..], Rows::of(hidden));
        self.output.multiply(out.len() / features, hidden, (out, Rows::of(features)), |sum| sum);
    }
}

/// The output of one row.
fn one(product: &Product, row: &[f32], out: &mut [f32]) {
    product.multiply(1, (row, Rows::of(0)), (out, Rows::of(0)), |sum| sum);
}

/// The last row first.
fn turn_round(rows: &mut [f32], features: usize) {
    let (mut first, mut last) = (0, rows.len() - features);
    while first < last {
        let (head, tail) = rows.split_at_mut(last);
        head[first..first + features].swap_with_slice(&mut tail[..features]);
        first += features;
        last -= features;
    }
}
