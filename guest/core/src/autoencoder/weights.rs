//! The weights of a network, under PyTorch's names and in its layouts.

use std::collections::BTreeMap;

use qualm_contract::Error;

use super::architecture::{Architecture, ArchitectureError};
use crate::model::{Model, Writer};

/// The largest magnitude of a weight, and of what is between layers: products and sums of such numbers are finite,
/// whatever the sizes. A network that has larger ones did not learn, it diverged.
pub const LIMIT: f32 = 1e6;

/// An array of single-precision numbers, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// As many numbers as the product of these.
    pub numbers: Vec<f32>,
}

/// Why weights are none of an architecture.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The sizes are wrong.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A tensor could not be had.
    #[error(transparent)]
    Tensor(#[from] Error),
    /// A tensor has another shape.
    #[error("`{name}` has the shape {shape:?}, with {numbers} numbers; it must be {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many numbers it has.
        numbers: usize,
        /// The architecture's shape.
        expected: Vec<usize>,
    },
    /// A weight is not finite, or beyond [`LIMIT`].
    #[error("`{name}` has a weight of {value}; they must be numbers up to ±{LIMIT:e}")]
    Value {
        /// The tensor's name.
        name: String,
        /// The weight.
        value: f32,
    },
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Self {
        match error {
            WeightsError::Tensor(error) => error,
            error => Self::BadModel(error.to_string()),
        }
    }
}

/// The tensors of an architecture: all of them, of its shapes, of finite numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    architecture: Architecture,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// The weights that a function gives by name; see [`Architecture::tensors`].
    ///
    /// # Errors
    ///
    /// The architecture's; the function's; a tensor of another shape; a weight that is not finite or beyond [`LIMIT`].
    pub fn new(
        architecture: Architecture,
        mut tensor: impl FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, WeightsError> {
        architecture.check()?;
        let mut tensors = BTreeMap::new();
        for (name, expected) in architecture.tensors() {
            let Tensor { shape, numbers } = tensor(&name)?;
            if shape != expected || numbers.len() != expected.iter().product::<usize>() {
                return Err(WeightsError::Shape { name, shape, numbers: numbers.len(), expected });
            }
            if let Some(&value) = numbers.iter().find(|number| number.is_nan() || number.abs() > LIMIT) {
                return Err(WeightsError::Value { name, value });
            }
            tensors.insert(name, numbers);
        }
        Ok(Self { architecture, tensors })
    }

    /// The weights that a model has under the network's name: `lstm.encoder.weight_ih_l0` and so on.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] says what is wrong.
    pub fn read_model(architecture: Architecture, model: &Model<'_>) -> Result<Self, Error> {
        let prefix = architecture.network.name();
        let tensor = |name: &str| {
            let (shape, numbers) = model.tensor_of_floats(&format!("{prefix}.{name}"))?;
            Ok(Tensor { shape, numbers })
        };
        Ok(Self::new(architecture, tensor)?)
    }

    /// Adds them to a model, as [`Self::read_model`] reads them.
    pub fn write_model(&self, model: &mut Writer) {
        let prefix = self.architecture.network.name();
        for (name, shape) in self.architecture.tensors() {
            model.tensor_of_floats(format!("{prefix}.{name}"), &shape, self.tensor(&name));
        }
    }

    /// What they are the weights of.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// A tensor's numbers, in row-major order.
    ///
    /// # Panics
    ///
    /// Where the architecture has none of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name]
    }
}
