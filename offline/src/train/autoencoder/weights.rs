//! Weights that PyTorch saved: `safetensors.torch.save_file(model.state_dict(), …)`.

use std::fs;
use std::path::Path;

use qualm_core::autoencoder::architecture::Network;
use qualm_core::autoencoder::weights::{Tensor, Weights, WeightsError};
use qualm_core::model::Model;

use super::parameters::Parameters;
use crate::train::Fault;

/// Reads the weights of all networks from a file. Tensors of one network have PyTorch's names; those of several have the
/// network's before them, as in `lstm.encoder.weight_ih_l0`.
pub(super) fn read(path: &Path, parameters: &Parameters, features: usize) -> Result<Vec<Weights>, Fault> {
    let failed = |source: WeightsError| Fault::Weights { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(|source| Fault::WeightsFile { path: path.to_owned(), source })?;
    let model = Model::read(&bytes).map_err(|error| failed(error.into()))?;
    let alone = parameters.networks.len() == 1;
    let network = |network: Network| {
        let tensor = |name: &str| {
            let prefixed = format!("{}.{name}", network.name());
            let own = if alone && model.length(&prefixed).is_err() { name } else { &prefixed };
            let (shape, numbers) = model.tensor_of_floats(own)?;
            Ok(Tensor { shape, numbers })
        };
        Weights::new(parameters.architecture(network, features), tensor).map_err(failed)
    };
    parameters.networks.iter().copied().map(network).collect()
}
