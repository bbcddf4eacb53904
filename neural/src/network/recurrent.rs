//! Stacked LSTM and GRU: an encoder whose last output is reduced to a code, and a decoder that gets this code at each step.

use burn_tensor::activation::sigmoid;
use burn_tensor::{Device, Tensor, TensorData};
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};

use super::{Batch, Dropout, Input, Weights};
use crate::windows::Windows;

/// Rows after rows, each of all windows, so that one step's are together.
pub(super) fn batch(order: Order, windows: &Windows<'_>, indices: &[usize], device: &Device) -> Batch {
    let (length, width) = (windows.window(), windows.features());
    let step = |at: usize| indices.iter().flat_map(move |&index| windows.row(index, at));
    let steps = (0..length).map(|at| {
        let values: Vec<f32> = step(at).map(|cell| cell.input).collect();
        Tensor::from_data(TensorData::new(values, [indices.len(), width]), device)
    });
    let steps = steps.collect();
    let ordered = (0..length).map(|at| match order {
        Order::Forward => at,
        Order::Reversed => length - 1 - at,
    });
    let (target, weights): (Vec<f32>, Vec<f32>) = ordered.flat_map(step).map(|cell| (cell.target, cell.weight)).unzip();
    let weight = weights.iter().copied().map(f64::from).sum();
    let tensor = |values: Vec<f32>| {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), device)
    };
    Batch { input: Input::Steps(steps), target: tensor(target), weights: tensor(weights), weight }
}

/// The reconstruction: (rows × windows) × features, the rows in the order of the decoder.
pub(super) fn output(
    architecture: &Architecture,
    weights: &mut Weights<'_>,
    steps: &[Tensor<2>],
    mut dropout: Option<&mut Dropout>,
) -> Tensor<2> {
    let Architecture { network, layers, .. } = *architecture;
    let mut encoded = steps.to_vec();
    for layer in 0..layers {
        if let (Some(dropout), true) = (dropout.as_deref_mut(), layer > 0) {
            encoded = encoded.into_iter().map(|step| dropout.apply(step)).collect();
        }
        let cell = Cell::new(network, weights);
        encoded = cell.run(encoded.iter().map(|step| cell.input(step.clone())));
    }
    let last = encoded.pop().expect("a window has rows");
    let bottleneck = linear(weights, last);
    let code = linear(weights, bottleneck);
    let cell = Cell::new(network, weights);
    // The same at each step, and so computed once.
    let input = cell.input(code);
    let mut decoded = cell.run(std::iter::repeat_n(input, steps.len()));
    for _ in 1..layers {
        if let Some(dropout) = dropout.as_deref_mut() {
            decoded = decoded.into_iter().map(|step| dropout.apply(step)).collect();
        }
        let cell = Cell::new(network, weights);
        decoded = cell.run(decoded.iter().map(|step| cell.input(step.clone())));
    }
    linear(weights, Tensor::cat(decoded, 0))
}

fn linear(weights: &mut Weights<'_>, input: Tensor<2>) -> Tensor<2> {
    let weight = weights.next::<2>();
    input.matmul(weight.transpose()) + weights.next::<1>().unsqueeze()
}

/// The weights of one layer.
struct Cell {
    network: Network,
    /// Inputs × (gates · hidden).
    input: Tensor<2>,
    /// Hidden × (gates · hidden).
    hidden: Tensor<2>,
    /// Of an LSTM the sum of both biases, of which its gates see nothing else.
    input_bias: Tensor<2>,
    /// Of a GRU.
    hidden_bias: Tensor<2>,
    width: usize,
}

impl Cell {
    fn new(network: Network, weights: &mut Weights<'_>) -> Self {
        let input = weights.next::<2>().transpose();
        let hidden = weights.next::<2>().transpose();
        let width = hidden.dims()[0];
        let input_bias: Tensor<2> = weights.next::<1>().unsqueeze();
        let hidden_bias: Tensor<2> = weights.next::<1>().unsqueeze();
        let input_bias = if network == Network::Lstm { input_bias + hidden_bias.clone() } else { input_bias };
        Self { network, input, hidden, input_bias, hidden_bias, width }
    }

    /// What one step's input adds to the gates.
    fn input(&self, step: Tensor<2>) -> Tensor<2> {
        step.matmul(self.input.clone()) + self.input_bias.clone()
    }

    /// The outputs for these inputs, from a state of zeros.
    fn run(&self, inputs: impl Iterator<Item = Tensor<2>>) -> Vec<Tensor<2>> {
        match self.network {
            Network::Lstm => self.lstm(inputs),
            Network::Gru | Network::Conv => self.gru(inputs),
        }
    }

    fn gate(&self, gates: &Tensor<2>, at: usize) -> Tensor<2> {
        gates.clone().narrow(1, at * self.width, self.width)
    }

    /// Gates i, f, g, o; c' = f·c + i·g; h' = o·tanh(c').
    fn lstm(&self, inputs: impl Iterator<Item = Tensor<2>>) -> Vec<Tensor<2>> {
        let mut state: Option<(Tensor<2>, Tensor<2>)> = None;
        inputs
            .map(|input| {
                let gates = match &state {
                    None => input,
                    Some((h, _)) => input + h.clone().matmul(self.hidden.clone()),
                };
                let added = sigmoid(self.gate(&gates, 0)) * self.gate(&gates, 2).tanh();
                let c = match state.take() {
                    None => added,
                    Some((_, c)) => sigmoid(self.gate(&gates, 1)) * c + added,
                };
                let h = sigmoid(self.gate(&gates, 3)) * c.clone().tanh();
                state = Some((h.clone(), c));
                h
            })
            .collect()
    }

    /// Gates r, z, n; n = tanh(input + r·hidden); h' = (1 − z)·n + z·h.
    fn gru(&self, inputs: impl Iterator<Item = Tensor<2>>) -> Vec<Tensor<2>> {
        let mut state: Option<Tensor<2>> = None;
        inputs
            .map(|input| {
                let hidden = match &state {
                    None => self.hidden_bias.clone(),
                    Some(h) => h.clone().matmul(self.hidden.clone()) + self.hidden_bias.clone(),
                };
                let r = sigmoid(self.gate(&input, 0) + self.gate(&hidden, 0));
                let z = sigmoid(self.gate(&input, 1) + self.gate(&hidden, 1));
                let n = (self.gate(&input, 2) + r * self.gate(&hidden, 2)).tanh();
                let h = match state.take() {
                    None => n.clone() - z * n,
                    Some(h) => z * (h - n.clone()) + n,
                };
                state = Some(h.clone());
                h
            })
            .collect()
    }
}
