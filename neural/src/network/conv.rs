//! Convolutions over time with stride 2, and transposed convolutions back.

use burn_tensor::activation::relu;
use burn_tensor::module::{conv_transpose1d, conv1d};
use burn_tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn_tensor::{Device, Tensor, TensorData};
use qualm_core::autoencoder::architecture::Architecture;

use super::{Batch, Dropout, Input, Weights};
use crate::windows::Windows;

/// Windows × features × rows.
pub(super) fn batch(windows: &Windows<'_>, indices: &[usize], device: &Device) -> Batch {
    let (length, width) = (windows.window(), windows.features());
    let size = indices.len() * length * width;
    let (mut input, mut target, mut weights) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
    for (window, &index) in indices.iter().enumerate() {
        for at in 0..length {
            for (feature, cell) in windows.row(index, at).enumerate() {
                let place = (window * width + feature) * length + at;
                (input[place], target[place], weights[place]) = (cell.input, cell.target, cell.weight);
            }
        }
    }
    let weight = weights.iter().copied().map(f64::from).sum();
    let signals = Tensor::from_data(TensorData::new(input, [indices.len(), width, length]), device);
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [size]), device);
    Batch { input: Input::Signals(Box::new(signals)), target: tensor(target), weights: tensor(weights), weight }
}

/// The reconstruction: windows × features × rows.
pub(super) fn output(
    architecture: &Architecture,
    weights: &mut Weights<'_>,
    signals: Tensor<3>,
    mut dropout: Option<&mut Dropout>,
) -> Tensor<3> {
    let Architecture { layers, kernel, .. } = *architecture;
    let mut active = |signals: Tensor<3>, layer: usize| {
        if layer + 1 == layers {
            return signals;
        }
        let signals = relu(signals);
        match dropout.as_deref_mut() {
            Some(dropout) => dropout.apply(signals),
            None => signals,
        }
    };
    let padding = kernel / 2;
    let mut signals = signals;
    for layer in 0..layers {
        let options = ConvOptions::new([2], [padding], [1], 1);
        let (weight, bias) = (weights.next(), weights.next());
        signals = active(conv1d(signals, weight, Some(bias), options), layer);
    }
    for layer in 0..layers {
        // One more at the end, so that twice as many rows come out as go in.
        let options = ConvTransposeOptions::new([2], [padding], [1], [1], 1);
        let (weight, bias) = (weights.next(), weights.next());
        signals = active(conv_transpose1d(signals, weight, Some(bias), options), layer);
    }
    signals
}
