//! Weights and windows by the rule of `autoencoder/make.py`.

use qualm_core::autoencoder::architecture::Architecture;
use qualm_core::autoencoder::weights::{Tensor, Weights};

/// What stands for a window where the rule wants a tensor's number.
pub(crate) const WINDOW: u32 = 1000;

/// Numbers between ±limit for a tensor's number: the finaliser of `MurmurHash3`.
pub(crate) fn by_rule(number: u32, count: usize, limit: f64) -> Vec<f32> {
    let one = |at: u32| {
        let mut x = at.wrapping_mul(2_654_435_761).wrapping_add(number * 40503);
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35), (16, 1)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        ((f64::from(x) / 2_147_483_648.0 - 1.0) * limit) as f32
    };
    (1..=count as u32).map(one).collect()
}

/// Weights between ±1/√n, with n inputs of a tensor (of a bias the hidden units).
pub(crate) fn weights(architecture: Architecture) -> Weights {
    let tensors = architecture.tensors();
    let tensor = |name: &str| {
        let at = tensors.iter().position(|(known, _)| known == name).expect("the architecture's");
        let shape = tensors[at].1.clone();
        let inputs = if shape.len() > 1 { shape[1..].iter().product() } else { architecture.hidden };
        let numbers = by_rule(at as u32, shape.iter().product(), 1.0 / (inputs as f64).sqrt());
        Ok(Tensor { shape, numbers })
    };
    Weights::new(architecture, tensor).expect("the rule's weights are finite")
}
