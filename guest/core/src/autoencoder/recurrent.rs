//! Stacked recurrent layers: the encoder reduces a window to its last hidden state, and that to a code; the decoder gets
//! the code at each step, and its hidden states become rows (after Malhotra et al. 2016).
//!
//! What does not depend on the step before, the inputs' part of the gates, is one product for all rows of a window; the
//! decoder's is the same at each step. Only the hidden state's part is computed step by step.

use std::marker::PhantomData;

use super::activation::{sigmoid, tanh};
use super::architecture::{Architecture, Order};
use super::product::{Product, Rows, WIDTH, add};
use super::weights::Weights;

/// A number of each of eight units.
type Units = [f32; WIDTH];

/// The gates of eight units.
type Gates<const GATES: usize> = [Units; GATES];

/// A kind of recurrent cell.
pub(super) trait Cell<const GATES: usize> {
    /// Gates whose hidden bias is added with the input's; the others' hidden part is a sum of its own.
    const JOINED: usize;

    /// The new hidden state of eight units, of the gates' part of the input, and of their sums, which start where the
    /// joined gates' input parts end. `state` is what the cell keeps to its next step.
    fn step(input: &Gates<GATES>, sums: Gates<GATES>, state: &mut Units) -> Units;
}

/// Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000: gates i, f, g, o. It keeps
/// c' = σ(f)·c + σ(i)·tanh(g), and h' = σ(o)·tanh(c').
#[derive(Debug)]
pub(super) struct Lstm;

impl Cell<4> for Lstm {
    const JOINED: usize = 4;

    #[inline(always)]
    fn step(_: &Gates<4>, [i, f, g, o]: Gates<4>, state: &mut Units) -> Units {
        *state = std::array::from_fn(|at| sigmoid(f[at]) * state[at] + sigmoid(i[at]) * tanh(g[at]));
        std::array::from_fn(|at| sigmoid(o[at]) * tanh(state[at]))
    }
}

/// Cho et al. 2014, with a hidden bias of its own as in cuDNN and PyTorch: gates r, z, n. It keeps
/// h' = (1 − σ(z))·n' + σ(z)·h with n' = tanh(n + σ(r)·(W h + b)).
#[derive(Debug)]
pub(super) struct Gru;

impl Cell<3> for Gru {
    const JOINED: usize = 2;

    #[inline(always)]
    fn step([_, _, n]: &Gates<3>, [r, z, hidden]: Gates<3>, state: &mut Units) -> Units {
        *state = std::array::from_fn(|at| {
            let n = tanh(n[at] + sigmoid(r[at]) * hidden[at]);
            let z = sigmoid(z[at]);
            (1.0 - z) * n + z * state[at]
        });
        *state
    }
}

/// A recurrent layer.
#[derive(Debug)]
struct Layer<const GATES: usize> {
    hidden: usize,
    /// The gates' part of the input: for each eight units, for each gate, eight outputs.
    input: Product,
    /// For each eight units, what each gate's sum starts at, if not at the input's part.
    biases: Vec<Gates<GATES>>,
    /// For each eight units, for each hidden unit of the step before, the weights of the gates.
    weights: Vec<Gates<GATES>>,
}

impl<const GATES: usize> Layer<GATES> {
    /// The layer of a stack (`encoder` or `decoder`) with so many inputs.
    fn new<C: Cell<GATES>>(weights: &Weights, stack: &str, layer: usize, inputs: usize) -> Self {
        let hidden = weights.architecture().hidden;
        let tensor = |name: &str| weights.tensor(&format!("{stack}.{name}_l{layer}"));
        let (weight_ih, weight_hh) = (tensor("weight_ih"), tensor("weight_hh"));
        let (bias_ih, bias_hh) = (tensor("bias_ih"), tensor("bias_hh"));
        let blocks = hidden.div_ceil(WIDTH);
        // Which row of PyTorch's matrix a gate of a unit is; none for units that fill up the last block.
        let row = |unit: usize, gate: usize| (unit < hidden).then_some(gate * hidden + unit);
        let place = |output: usize| {
            let (block, within) = (output / (GATES * WIDTH), output % (GATES * WIDTH));
            let gate = within / WIDTH;
            row(block * WIDTH + within % WIDTH, gate).map(|row| (row, gate))
        };
        let input = Product::new(
            inputs,
            blocks * GATES * WIDTH,
            |output, input| place(output).map_or(0.0, |(row, _)| weight_ih[row * inputs + input]),
            |output| {
                place(output).map_or(
                    0.0,
                    |(row, gate)| {
                        if gate < C::JOINED { bias_ih[row] + bias_hh[row] } else { bias_ih[row] }
                    },
                )
            },
        );
        let gates = |block: usize, number: &dyn Fn(usize) -> f32| -> Gates<GATES> {
            std::array::from_fn(|gate| std::array::from_fn(|lane| row(block * WIDTH + lane, gate).map_or(0.0, number)))
        };
        let biases = (0..blocks).map(|block| gates(block, &|row| bias_hh[row])).collect();
        let weights = (0..blocks)
            .flat_map(|block| (0..hidden).map(move |from| (block, from)))
            .map(|(block, from)| gates(block, &|row| weight_hh[row * hidden + from]))
            .collect();
        Self { hidden, input, biases, weights }
    }

    /// The hidden states of so many steps, row after row, of the gates' part of the input: one row a step, or one for
    /// all.
    fn run<C: Cell<GATES>>(&self, steps: usize, input: &[f32], states: &mut [Units], out: &mut [f32]) {
        let width = self.input.outputs();
        let step = if input.len() == width { 0 } else { width };
        states.fill([0.0; WIDTH]);
        for at in 0..steps {
            let (before, after) = out.split_at_mut(at * self.hidden);
            // The first step's hidden state is 0, and so are its products.
            let before = &before[at.saturating_sub(1) * self.hidden..];
            let input = &input[at * step..][..width];
            self.step::<C>(input, before, states, &mut after[..self.hidden]);
        }
    }

    fn step<C: Cell<GATES>>(&self, input: &[f32], before: &[f32], states: &mut [Units], after: &mut [f32]) {
        let inputs = input.as_chunks::<WIDTH>().0.as_chunks::<GATES>().0;
        let blocks = self.weights.chunks_exact(self.hidden).zip(&self.biases).zip(inputs).zip(states);
        for ((((weights, biases), input), state), after) in blocks.zip(after.chunks_mut(WIDTH)) {
            let mut sums = *biases;
            sums[..C::JOINED].copy_from_slice(&input[..C::JOINED]);
            for (weights, h) in weights.iter().zip(before) {
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    add(sums, weights, *h);
                }
            }
            let units = C::step(input, sums, state);
            match after.as_chunks_mut::<WIDTH>().0 {
                [whole] => *whole = units,
                _ => after.copy_from_slice(&units[..after.len()]),
            }
        }
    }
}

/// Layers, each of which reads the hidden states of the one below.
#[derive(Debug)]
struct Stack<const GATES: usize>(Vec<Layer<GATES>>);

impl<const GATES: usize> Stack<GATES> {
    fn new<C: Cell<GATES>>(weights: &Weights, name: &str, inputs: usize) -> Self {
        let Architecture { hidden, layers, .. } = *weights.architecture();
        let inputs = |layer: usize| if layer == 0 { inputs } else { hidden };
        Self((0..layers).map(|layer| Layer::new::<C>(weights, name, layer, inputs(layer))).collect())
    }

    /// Leaves the hidden states of the last layer in the scratch. The first layer reads so many rows of `input`, or one
    /// for all steps.
    fn run<C: Cell<GATES>>(&self, steps: usize, input: &[f32], rows: usize, scratch: &mut Scratch) {
        let Scratch { gates, hidden, states } = scratch;
        for (at, layer) in self.0.iter().enumerate() {
            let width = layer.input.outputs();
            let (input, rows) = if at == 0 { (input, rows) } else { (&hidden[..], steps) };
            let gates = &mut gates[..rows * width];
            let from = Rows::of(layer.input.inputs());
            layer.input.multiply(rows, (input, from), (gates, Rows::of(width)), |sum| sum);
            layer.run::<C>(steps, gates, states, hidden);
        }
    }
}

/// A fully connected layer.
fn linear(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Product {
    let (weight, bias) = (weights.tensor(&format!("{name}.weight")), weights.tensor(&format!("{name}.bias")));
    Product::new(inputs, outputs, |output, input| weight[output * inputs + input], |output| bias[output])
}

/// What layers compute, overwritten by the next.
#[derive(Debug)]
struct Scratch {
    /// The gates' part of the input at each step.
    gates: Vec<f32>,
    /// Hidden states at each step.
    hidden: Vec<f32>,
    /// What cells keep from step to step.
    states: Vec<Units>,
}

/// A recurrent autoencoder, and room for what it computes.
#[derive(Debug)]
pub(super) struct Recurrent<C, const GATES: usize> {
    architecture: Architecture,
    encoder: Stack<GATES>,
    bottleneck: Product,
    expand: Product,
    decoder: Stack<GATES>,
    output: Product,
    scratch: Scratch,
    code: Vec<f32>,
    expanded: Vec<f32>,
    cell: PhantomData<C>,
}

impl<const GATES: usize, C: Cell<GATES>> Recurrent<C, GATES> {
    pub(super) fn new(weights: &Weights) -> Self {
        let architecture = *weights.architecture();
        let Architecture { features, window, hidden, bottleneck, .. } = architecture;
        let blocks = hidden.div_ceil(WIDTH);
        Self {
            architecture,
            encoder: Stack::new::<C>(weights, "encoder", features),
            bottleneck: linear(weights, "bottleneck", hidden, bottleneck),
            expand: linear(weights, "expand", bottleneck, hidden),
            decoder: Stack::new::<C>(weights, "decoder", hidden),
            output: linear(weights, "output", hidden, features),
            scratch: Scratch {
                gates: vec![0.0; window * blocks * GATES * WIDTH],
                hidden: vec![0.0; window * hidden],
                states: vec![[0.0; WIDTH]; blocks],
            },
            code: vec![0.0; bottleneck],
            expanded: vec![0.0; hidden],
            cell: PhantomData,
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
        self.encoder.run::<C>(rows, window, rows, &mut self.scratch);
        let last = &self.scratch.hidden[(rows - 1) * hidden..];
        one(&self.bottleneck, last, &mut self.code);
        one(&self.expand, &self.code, &mut self.expanded);
        self.decoder.run::<C>(steps, &self.expanded, 1, &mut self.scratch);
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
