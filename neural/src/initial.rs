//! The weights at first, as PyTorch draws them by default.

use qualm_core::autoencoder::architecture::{Architecture, Network};

use crate::random::{Purpose, Random};

/// Numbers for each of [`Architecture::tensors`], uniform between `-bound` and `bound`.
///
/// The bound of a recurrent cell is 1/√hidden (`RNNBase.reset_parameters`). That of a linear layer or a convolution is
/// 1/√(numbers that an output is computed from), for its bias as well (He et al. 2015 with a = √5); PyTorch takes them from
/// the second and further axes of the weight, of a transposed convolution too.
pub(crate) fn weights(architecture: &Architecture, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed ^ network(architecture.network), Purpose::Weights);
    let mut inputs = 1;
    architecture
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            if shape.len() > 1 {
                inputs = shape[1..].iter().product();
            }
            let cell = name.ends_with(|last: char| last.is_ascii_digit());
            let bound = 1.0 / (if cell { architecture.hidden } else { inputs } as f32).sqrt();
            (0..shape.iter().product()).map(|_| (2.0 * random.unit() - 1.0) * bound).collect()
        })
        .collect()
}

/// Networks of one seed have different weights.
fn network(network: Network) -> u64 {
    match network {
        Network::Lstm => 1 << 32,
        Network::Gru => 2 << 32,
        Network::Conv => 3 << 32,
    }
}

#[cfg(test)]
mod tests {
    use qualm_core::autoencoder::architecture::Order;

    use super::*;

    #[test]
    fn bounds_are_those_of_pytorch() {
        let architecture = Architecture {
            network: Network::Lstm,
            features: 9,
            window: 8,
            hidden: 16,
            layers: 1,
            bottleneck: 4,
            kernel: 5,
            order: Order::Forward,
        };
        let bounds = |network| {
            let architecture = Architecture { network, ..architecture };
            let names = architecture.tensors().into_iter().map(|(name, _)| name);
            let most = weights(&architecture, 7).into_iter().map(|all| all.iter().fold(0.0_f32, |a, b| a.max(b.abs())));
            names.zip(most).collect::<Vec<_>>()
        };
        for (name, most) in bounds(Network::Lstm).into_iter().chain(bounds(Network::Gru)) {
            let bound: f32 = match name.as_str() {
                "bottleneck.weight" | "bottleneck.bias" | "output.weight" | "output.bias" => 0.25,
                "expand.weight" | "expand.bias" => 0.5,
                _ => 0.25,
            };
            assert!((0.5 * bound..=bound).contains(&most), "{name}: {most} of {bound}");
        }
        for (name, most) in bounds(Network::Conv) {
            // Both weights have the shape 4 × 9 × 5.
            let bound = 1.0 / 45.0_f32.sqrt();
            assert!((0.3 * bound..=bound).contains(&most), "{name}: {most} of {bound}");
        }
    }
}
