//! The networks as functions of their weights and a batch, with gradients.

mod conv;
mod recurrent;

use burn_tensor::{Device, Tensor, TensorData};
use qualm_core::autoencoder::architecture::{Architecture, Network};

use crate::random::Random;
use crate::windows::Windows;

/// A network without its weights.
#[derive(Debug)]
pub(crate) struct Shape {
    architecture: Architecture,
    tensors: Vec<Vec<usize>>,
}

/// Windows as a network takes them.
#[derive(Debug)]
pub(crate) struct Batch {
    input: Input,
    /// What the output should be, in its order.
    target: Tensor<1>,
    /// How much the loss of each cell counts.
    weights: Tensor<1>,
    /// The sum of these.
    pub(crate) weight: f64,
}

#[derive(Debug)]
enum Input {
    /// Recurrent: one tensor for each row of the windows, the oldest first: windows × features.
    Steps(Vec<Tensor<2>>),
    /// Convolution: windows × features × rows.
    Signals(Box<Tensor<3>>),
}

impl Shape {
    pub(crate) fn new(architecture: Architecture) -> Self {
        let tensors = architecture.tensors().into_iter().map(|(_, shape)| shape).collect();
        Self { architecture, tensors }
    }

    /// These windows.
    pub(crate) fn batch(&self, windows: &Windows<'_>, indices: &[usize], device: &Device) -> Batch {
        match self.architecture.network {
            Network::Lstm | Network::Gru => recurrent::batch(self.architecture.order, windows, indices, device),
            Network::Conv => conv::batch(windows, indices, device),
        }
    }

    /// The sum of the weighted losses of all cells. The loss is Huber's (Robust estimation of a location parameter, 1964) with
    /// δ = 1: half the square of an error up to 1, and linear beyond, so that a few wild rows do not decide what is learnt.
    pub(crate) fn loss(&self, weights: &[Tensor<1>], batch: &Batch, dropout: Option<&mut Dropout>) -> Tensor<1> {
        let error = (self.output(weights, batch, dropout) - batch.target.clone()).abs();
        let near = error.clone().clamp_max(1.0);
        (near.clone() * (error - near * 0.5) * batch.weights.clone()).sum()
    }

    /// The reconstruction.
    fn output(&self, weights: &[Tensor<1>], batch: &Batch, dropout: Option<&mut Dropout>) -> Tensor<1> {
        let mut weights = Weights { tensors: weights.iter().zip(&self.tensors) };
        match &batch.input {
            Input::Steps(steps) => recurrent::output(&self.architecture, &mut weights, steps, dropout).flatten(0, 1),
            Input::Signals(signals) => {
                conv::output(&self.architecture, &mut weights, signals.as_ref().clone(), dropout).flatten(0, 2)
            }
        }
    }
}

/// The weights as tensors; with gradients where the device has them.
pub(crate) fn weights(weights: &[Vec<f32>], device: &Device) -> Vec<Tensor<1>> {
    let tensor = |weights: &Vec<f32>| {
        let tensor = Tensor::from_data(TensorData::new(weights.clone(), [weights.len()]), device);
        if device.is_autodiff() { tensor.require_grad() } else { tensor }
    };
    weights.iter().map(tensor).collect()
}

/// The weights one after another, in the order of [`Architecture::tensors`].
struct Weights<'a> {
    tensors: std::iter::Zip<std::slice::Iter<'a, Tensor<1>>, std::slice::Iter<'a, Vec<usize>>>,
}

impl Weights<'_> {
    fn next<const D: usize>(&mut self) -> Tensor<D> {
        let next = self.tensors.next();
        let shaped = next.and_then(|(tensor, shape)| Some((tensor.clone(), <[usize; D]>::try_from(&shape[..]).ok()?)));
        let (tensor, shape) = shaped.expect("the architecture has the tensors that its network takes");
        tensor.reshape(shape)
    }
}

/// Leaves numbers out, at random, and enlarges the others to the same mean (Srivastava et al. 2014).
#[derive(Debug)]
pub(crate) struct Dropout {
    rate: f32,
    random: Random,
    device: Device,
}

impl Dropout {
    pub(crate) fn new(rate: f32, random: Random, device: Device) -> Self {
        Self { rate, random, device }
    }

    fn apply<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let kept = 1.0 / (1.0 - self.rate);
        let dims = tensor.dims();
        let mask: Vec<f32> =
            (0..dims.iter().product()).map(|_| if self.random.unit() < self.rate { 0.0 } else { kept }).collect();
        tensor * Tensor::from_data(TensorData::new(mask, dims), &self.device)
    }
}

#[cfg(test)]
mod tests {
    use qualm_core::autoencoder::architecture::Order;
    use safetensors::SafeTensors;

    use super::*;
    use crate::device;
    use crate::windows::Rows;

    const SMALL: Architecture = Architecture {
        network: Network::Lstm,
        features: 3,
        window: 8,
        hidden: 4,
        layers: 2,
        bottleneck: 2,
        kernel: 3,
        order: Order::Forward,
    };

    /// Error and gradients for all of the windows.
    fn gradients(shape: &Shape, weights: &[Vec<f32>], windows: &Windows<'_>) -> (f32, Vec<Vec<f32>>) {
        let all: Vec<usize> = (0..windows.len()).collect();
        let batch = shape.batch(windows, &all, &device());
        let leaves = super::weights(weights, &device().autodiff());
        let error = shape.loss(&leaves, &batch, None);
        let mut gradients = error.backward();
        let numbers = |tensor: Tensor<1>| tensor.try_into_vec_as::<f32>().unwrap();
        let of = leaves.iter().map(|leaf| numbers(leaf.grad_remove(&mut gradients).unwrap())).collect();
        (error.into_scalar(), of)
    }

    #[test]
    fn errors_and_gradients_are_those_of_pytorch() {
        let bytes = include_bytes!("../../tests/pytorch.safetensors");
        let tensors = SafeTensors::deserialize(bytes).unwrap();
        let numbers = |name: &str| -> Vec<f32> {
            let tensor = tensors.tensor(name).unwrap();
            tensor.data().as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect()
        };
        let known: Vec<bool> = numbers("known").into_iter().map(|known| known > 0.0).collect();
        let values = numbers("x");
        let rows = Rows { features: 3, values: &values, known: &known };
        let runs: Vec<_> = (0..5).map(|window| window * 8..(window + 1) * 8).collect();
        let windows = Windows::new(rows, &runs, 8, 1).unwrap();
        for network in Network::ALL {
            let architecture = Architecture { network, ..SMALL };
            let names: Vec<String> = architecture.tensors().into_iter().map(|(name, _)| name).collect();
            let name = network.name();
            let weights: Vec<_> = names.iter().map(|of| numbers(&format!("{name}.weight.{of}"))).collect();
            for (order, ordered) in [(Order::Forward, "forward"), (Order::Reversed, "reversed")] {
                // A convolution has no order.
                let ordered = if network == Network::Conv { "forward" } else { ordered };
                let (error, found) = gradients(&Shape::new(Architecture { order, ..architecture }), &weights, &windows);
                let expected = numbers(&format!("{name}.{ordered}.error"))[0];
                assert!((error - expected).abs() < 1e-4 * expected, "{name} {ordered}: {error} for {expected}");
                for (of, found) in names.iter().zip(found) {
                    let expected = numbers(&format!("{name}.{ordered}.gradient.{of}"));
                    let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                    for (found, expected) in found.iter().zip(expected) {
                        let difference = (found - expected).abs();
                        assert!(difference <= 2e-4 * largest + 1e-5, "{name} {ordered} {of}: {found} for {expected}");
                    }
                }
            }
        }
    }
}
