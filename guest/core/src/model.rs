//! A model's bytes: a safetensors file, whose metadata holds the scalar parameters and whose tensors hold the rest.
//!
//! The format is <https://github.com/huggingface/safetensors>: a header that can be checked before anything is
//! allocated, and arrays behind it. What is written is the same to the byte whenever the parameters and arrays are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};
use std::str::FromStr;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use qualm_contract::Error;

/// A model that was read: its parameters and arrays, by name.
#[derive(Debug)]
pub struct Model<'a> {
    parameters: HashMap<String, String>,
    tensors: SafeTensors<'a>,
}

impl<'a> Model<'a> {
    /// Reads a model's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where they are no safetensors file.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |error| Error::BadModel(format!("it is not a safetensors file ({error})"));
        // `read_metadata` sees the header only; `deserialize` also checks that the arrays fill the rest exactly.
        let tensors = SafeTensors::deserialize(bytes).map_err(malformed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let parameters = header.metadata().clone().unwrap_or_default();
        Ok(Self { parameters, tensors })
    }

    /// A parameter as text.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn text(&self, name: &str) -> Result<&str, Error> {
        self.optional(name).ok_or_else(|| Error::BadModel(format!("its metadata has no `{name}`")))
    }

    /// A parameter as text, if there is one.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
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

    /// A parameter as a finite number.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing, no number, or not finite.
    pub fn finite(&self, name: &str) -> Result<f64, Error> {
        let number: f64 = self.number(name)?;
        if number.is_finite() { Ok(number) } else { Err(Error::BadModel(format!("its `{name}` is {number}"))) }
    }

    /// An array of finite doubles, in row-major order; its shape has any number of dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing, has not `length` numbers, or one of them is not finite.
    pub fn doubles(&self, name: &str, length: usize) -> Result<Vec<f64>, Error> {
        let numbers = self.array(name, Dtype::F64, f64::from_le_bytes)?;
        if numbers.len() != length {
            let what = format!("its array `{name}` has {} numbers where {length} are needed", numbers.len());
            return Err(Error::BadModel(what));
        }
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(number) => Err(Error::BadModel(format!("its array `{name}` has a {number}"))),
            None => Ok(numbers),
        }
    }

    /// An array of doubles, NaN and infinities included.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn values(&self, name: &str) -> Result<Vec<f64>, Error> {
        self.array(name, Dtype::F64, f64::from_le_bytes)
    }

    /// An array of times: 64-bit integers.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn times(&self, name: &str) -> Result<Vec<i64>, Error> {
        self.array(name, Dtype::I64, i64::from_le_bytes)
    }

    /// An array of 32-bit integers.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>, Error> {
        self.array(name, Dtype::U32, u32::from_le_bytes)
    }

    /// An array of single-precision numbers, none of them NaN.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing, or one of them is NaN.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, Error> {
        let numbers = self.array(name, Dtype::F32, f32::from_le_bytes)?;
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(Error::BadModel(format!("its array `{name}` has a NaN")));
        }
        Ok(numbers)
    }

    /// The shape of an array of single-precision numbers, and these in row-major order, NaN and infinities included.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn tensor_of_floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Error> {
        Ok((self.tensor(name)?.shape().to_vec(), self.array(name, Dtype::F32, f32::from_le_bytes)?))
    }

    /// How many numbers an array has.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it is missing.
    pub fn length(&self, name: &str) -> Result<usize, Error> {
        Ok(self.tensor(name)?.shape().iter().product())
    }

    fn array<T, const N: usize>(&self, name: &str, kind: Dtype, number: fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != kind {
            return Err(Error::BadModel(format!("its array `{name}` is of {:?}, not of {kind:?}", tensor.dtype())));
        }
        // Arrays are not aligned: they follow the header, of any length.
        Ok(tensor.data().as_chunks().0.iter().copied().map(number).collect())
    }

    fn tensor(&self, name: &str) -> Result<safetensors::tensor::TensorView<'_>, Error> {
        self.tensors.tensor(name).map_err(|_| Error::BadModel(format!("it has no array `{name}`")))
    }
}

/// Type, shape and bytes of an array.
type Array = (&'static str, Vec<usize>, Vec<u8>);

/// The parameters and arrays of a model, to write its bytes.
#[derive(Debug, Default)]
pub struct Writer {
    parameters: BTreeMap<Cow<'static, str>, String>,
    tensors: BTreeMap<Cow<'static, str>, Array>,
}

impl Writer {
    /// Sets a parameter.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Display) -> &mut Self {
        self.parameters.insert(name.into(), value.to_string());
        self
    }

    /// Adds an array of doubles.
    ///
    /// # Panics
    ///
    /// Where the numbers do not fill the shape.
    pub fn doubles(&mut self, name: impl Into<Cow<'static, str>>, shape: &[usize], numbers: &[f64]) -> &mut Self {
        let name = name.into();
        assert_eq!(shape.iter().product::<usize>(), numbers.len(), "`{name}` does not fill its shape");
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.insert(name, ("F64", shape.to_vec(), bytes));
        self
    }

    /// Adds an array of single-precision numbers.
    pub fn floats(&mut self, name: &'static str, numbers: &[f32]) -> &mut Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.insert(name.into(), ("F32", vec![numbers.len()], bytes));
        self
    }

    /// Adds an array of single-precision numbers with a shape.
    ///
    /// # Panics
    ///
    /// Where the numbers do not fill the shape.
    pub fn tensor_of_floats(&mut self, name: String, shape: &[usize], numbers: &[f32]) -> &mut Self {
        assert_eq!(shape.iter().product::<usize>(), numbers.len(), "`{name}` does not fill its shape");
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.insert(name.into(), ("F32", shape.to_vec(), bytes));
        self
    }

    /// Adds an array of 32-bit integers.
    pub fn integers(&mut self, name: &'static str, numbers: &[u32]) -> &mut Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.insert(name.into(), ("U32", vec![numbers.len()], bytes));
        self
    }

    /// Adds an array of times: 64-bit integers.
    pub fn times(&mut self, name: &'static str, times: &[i64]) -> &mut Self {
        let bytes = times.iter().flat_map(|time| time.to_le_bytes()).collect();
        self.tensors.insert(name.into(), ("I64", vec![times.len()], bytes));
        self
    }

    /// The model's bytes. (The library writes a file's metadata in an order that changes from run to run.)
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let parameters = self.parameters.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
        let mut header = format!("{{\"__metadata__\":{{{}}}", parameters.collect::<Vec<_>>().join(","));
        let mut end = 0;
        for (name, (kind, shape, bytes)) in &self.tensors {
            let start = end;
            end += bytes.len();
            let _infallible = write!(
                header,
                ",{}:{{\"dtype\":\"{kind}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}",
                quoted(name)
            );
        }
        header.push('}');
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut out = Vec::with_capacity(8 + header.len() + end);
        out.extend_from_slice(&(header.len() as u64).to_le_bytes());
        out.extend_from_slice(header.as_bytes());
        for (_, _, bytes) in self.tensors.values() {
            out.extend_from_slice(bytes);
        }
        out
    }
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::default();
        writer.set("kind", "x \"y\"\n\\").set("rate", 1e-4);
        writer
            .doubles("weights", &[2, 3], &[1.0, 2.0, 3.0, -4.5, f64::MIN_POSITIVE, 6.0])
            .doubles("rows", &[2], &[f64::NAN, 1.0])
            .integers("children", &[7, 8])
            .floats("thresholds", &[0.1, f32::NEG_INFINITY])
            .times("times", &[i64::MIN, -1, 1_700_000_000_000_000_000]);
        let bytes = writer.finish();
        assert_eq!(writer.finish(), bytes);
        let model = Model::read(&bytes).unwrap();
        assert_eq!(model.text("kind").unwrap(), "x \"y\"\n\\");
        assert_eq!(model.finite("rate").unwrap().to_bits(), 1e-4_f64.to_bits());
        assert_eq!(model.doubles("weights", 6).unwrap(), [1.0, 2.0, 3.0, -4.5, f64::MIN_POSITIVE, 6.0]);
        assert_eq!(model.times("times").unwrap(), [i64::MIN, -1, 1_700_000_000_000_000_000]);
        assert!(matches!(model.values("rows").unwrap()[..], [missing, 1.0] if missing.is_nan()));
        assert_eq!((model.integers("children").unwrap(), model.length("weights").unwrap()), (vec![7, 8], 6));
        assert_eq!(model.floats("thresholds").unwrap(), [0.1, f32::NEG_INFINITY]);
        assert!(Model::read(&Writer::default().finish()).is_ok(), "an empty one is one as well");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut writer = Writer::default();
        writer.set("rate", "often").set("far", "inf").doubles("weights", &[2], &[1.0, f64::NAN]);
        writer.floats("thresholds", &[f32::NAN]);
        let bytes = writer.finish();
        let model = Model::read(&bytes).unwrap();
        for (error, what) in [
            (model.text("kind").unwrap_err(), "no `kind`"),
            (model.number::<f64>("rate").unwrap_err(), "`rate` is `often`"),
            (model.finite("far").unwrap_err(), "`far` is inf"),
            (model.doubles("weights", 3).unwrap_err(), "2 numbers where 3"),
            (model.doubles("weights", 2).unwrap_err(), "has a NaN"),
            (model.floats("thresholds").unwrap_err(), "has a NaN"),
            (model.integers("weights").unwrap_err(), "is of F64, not of U32"),
            (model.doubles("biases", 2).unwrap_err(), "no array `biases`"),
        ] {
            assert!(error.to_string().contains(what), "{error}");
        }
        for bytes in [b"".as_slice(), b"not a model", &[0xff; 64], &bytes[..bytes.len() - 1]] {
            assert!(matches!(Model::read(bytes), Err(Error::BadModel(_))));
        }
    }
}
