//! Grid search: all combinations of the given parameter values.

use std::collections::BTreeMap;

use qualm_core::trained::FitError;
use toml::Value;

/// One combination of parameter values, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice(pub BTreeMap<String, Value>);

/// The most combinations, each of which is a model to fit.
const MAX_CHOICES: usize = 10_000;

/// Why parameters are invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A list of values is empty.
    #[error("[parameters] `{0}` has an empty list; give it a value, or leave it out")]
    Empty(String),
    /// There are too many combinations.
    #[error("[parameters] stand for more than {MAX_CHOICES} combinations; try fewer at a time")]
    TooManyChoices,
    /// A parameter has another type, or is out of range.
    #[error("[parameters] `{name}` is {value}; it must be {must}")]
    Value {
        /// The parameter.
        name: String,
        /// Its value.
        value: Value,
        /// The valid values.
        must: &'static str,
    },
    /// A parameter with named values has an unknown one.
    #[error("[parameters] `{name}` is `{value}`; known are {known}")]
    Word {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// The known values.
        known: &'static str,
    },
    /// A parameter is out of the range of its kind.
    #[error("[parameters] {0}")]
    Range(#[from] FitError),
    /// A parameter is unknown.
    #[error("[parameters] has an unknown `{name}`; known here are {known}")]
    Unknown {
        /// Its name.
        name: String,
        /// The known parameters.
        known: String,
    },
}

impl Error {
    fn value(name: &str, value: Value, must: &'static str) -> Self {
        Self::Value { name: name.to_owned(), value, must }
    }
}

/// All combinations, in the order of the values: the first parameter changes slowest.
///
/// # Errors
///
/// If a parameter has no value, or there are too many combinations.
pub fn choices(parameters: &BTreeMap<String, Value>) -> Result<Vec<Choice>, Error> {
    let mut choices = vec![Choice::default()];
    for (name, given) in parameters {
        let values = match given {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        if values.is_empty() {
            return Err(Error::Empty(name.clone()));
        }
        if choices.len() * values.len() > MAX_CHOICES {
            return Err(Error::TooManyChoices);
        }
        let with = |choice: &Choice, value: &Value| {
            let mut choice = choice.clone();
            choice.0.insert(name.clone(), value.clone());
            choice
        };
        choices = choices.iter().flat_map(|choice| values.iter().map(move |value| with(choice, value))).collect();
    }
    Ok(choices)
}

impl Choice {
    /// A parameter that is a number, or its default.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn number(&mut self, name: &str, default: f64) -> Result<f64, Error> {
        match self.0.remove(name) {
            None => Ok(default),
            Some(Value::Float(number)) if number.is_finite() => Ok(number),
            Some(Value::Integer(number)) => Ok(number as f64),
            Some(other) => Err(Error::value(name, other, "a number")),
        }
    }

    /// A parameter that is a whole number from 0 on, or its default.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn count(&mut self, name: &str, default: u32) -> Result<u32, Error> {
        match self.0.remove(name) {
            None => Ok(default),
            Some(Value::Integer(number)) if u32::try_from(number).is_ok() => Ok(number as u32),
            Some(other) => Err(Error::value(name, other, "a whole number, not below 0")),
        }
    }

    /// A parameter that is a text, or its default.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn text(&mut self, name: &str, default: &str) -> Result<String, Error> {
        match self.0.remove(name) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(Error::value(name, other, "a text in quotes")),
        }
    }

    /// Takes out a parameter of any type.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Checks that all parameters have been taken out; the others are unknown. `known` are the names of all parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`].
    pub fn check_all_taken(&self, known: &[&str]) -> Result<(), Error> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::Unknown { name: name.clone(), known: known.join(", ") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_tried() {
        let parameters: BTreeMap<String, Value> = toml::from_str("a = [1, 2]\nb = \"x\"\nc = [0.5, 1]").unwrap();
        let all = choices(&parameters).unwrap();
        assert_eq!(all.len(), 4);
        let mut third = all[2].clone();
        assert_eq!(
            (third.count("a", 0), third.number("c", 0.0), third.text("b", "")),
            (Ok(2), Ok(0.5), Ok("x".into()))
        );
        assert_eq!(third, Choice::default());
        assert_eq!(choices(&BTreeMap::new()).unwrap(), [Choice::default()]);
    }

    #[test]
    fn errors_name_the_parameter() {
        let parse = |text: &str| toml::from_str::<BTreeMap<String, Value>>(text).unwrap();
        assert!(choices(&parse("a = []")).unwrap_err().to_string().contains("`a` has an empty list"));
        let many: String = (0..5).map(|n| format!("p{n} = [1,2,3,4,5,6,7,8,9,10]\n")).collect();
        assert!(choices(&parse(&many)).unwrap_err().to_string().contains("more than 10000"));
        let mut choice = choices(&parse("a = \"x\"\nb = -1\nc = 1.5\nd = nan")).unwrap().remove(0);
        assert!(choice.check_all_taken(&["x"]).unwrap_err().to_string().contains("unknown `a`; known here are x"));
        assert!(choice.number("a", 0.0).unwrap_err().to_string().contains("must be a number"));
        assert!(choice.count("b", 0).unwrap_err().to_string().contains("whole number"));
        assert!(choice.text("c", "").unwrap_err().to_string().contains("in quotes"));
        assert!(choice.number("d", 0.0).is_err());
    }
}
