//! A model's bytes: a safetensors file, whose metadata holds the scalar parameters.
//!
//! The format is <https://github.com/huggingface/safetensors>: a header that can be checked before anything is
//! allocated, and arrays behind it.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::Error;

/// A model that was read: its parameters, by name.
#[derive(Debug)]
pub struct Model {
    parameters: HashMap<String, String>,
}

impl Model {
    /// Reads a model's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where they are no safetensors file, or one without metadata.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |error| Error::BadModel(format!("it is not a safetensors file ({error})"));
        // `read_metadata` sees the header only; `deserialize` also checks that the arrays fill the rest exactly.
        SafeTensors::deserialize(bytes).map_err(malformed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let parameters = header.metadata().clone().unwrap_or_default();
        Ok(Self { parameters })
    }

    /// The bytes of a model with these parameters and no arrays.
    #[must_use]
    pub fn write<'a>(parameters: impl IntoIterator<Item = (&'a str, String)>) -> Vec<u8> {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let none: [(&str, TensorView<'_>); 0] = [];
        // Writing fails for arrays whose length does not fit their shape; there are none.
        safetensors::serialize(none, Some(parameters)).unwrap_or_default()
    }

    /// A parameter as it stands there.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn text(&self, name: &str) -> Result<&str, Error> {
        let value = self.parameters.get(name).map(String::as_str);
        value.ok_or_else(|| Error::BadModel(format!("its metadata has no `{name}`")))
    }

    /// A parameter as a number.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing, or no such number.
    pub fn number<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Error> {
        let text = self.text(name)?;
        text.parse().map_err(|error| Error::BadModel(format!("its `{name}` is `{text}` ({error})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let model = Model::read(&Model::write([("kind", "x".to_owned()), ("rate", 1e-4.to_string())])).unwrap();
        assert_eq!(
            (model.text("kind").unwrap(), model.number::<f64>("rate").unwrap().to_bits()),
            ("x", 1e-4_f64.to_bits())
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let model = Model::read(&Model::write([("rate", "often".to_owned())])).unwrap();
        assert!(model.text("kind").unwrap_err().to_string().contains("no `kind`"));
        assert!(model.number::<f64>("rate").unwrap_err().to_string().contains("`rate` is `often`"));
        for bytes in [b"".as_slice(), b"not a model", &[0xff; 64]] {
            assert!(matches!(Model::read(bytes), Err(Error::BadModel(_))));
        }
    }
}
