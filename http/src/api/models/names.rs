//! The names of a model's features.

use std::collections::HashMap;

/// The names of a model's features.
#[derive(Debug)]
pub struct FeatureNames {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl FeatureNames {
    /// In the order of a row.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Self { names, places }
    }

    /// In the order of a row.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.names
    }

    /// A feature's place. Rows name them mostly in the same order, so that the one expected is looked at first.
    pub(in crate::api) fn place(&self, name: &str, expected: usize) -> Option<usize> {
        if self.names.get(expected).is_some_and(|next| next == name) {
            return Some(expected);
        }
        self.places.get(name).copied()
    }
}
