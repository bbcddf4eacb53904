//! The shape of a vector: named features of one entity at one time, joined across metrics.

pub use qualm_contract::Transform;

use crate::glob::Globs;

/// The shape of the vectors that a detector scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The features, in the order of a row's values.
    pub features: Vec<Feature>,
    /// Tags that identify an entity, such as `host`: each entity has its own vectors.
    pub entity: Vec<String>,
    /// The interval in nanoseconds, counted from 1970: values with times in the same one belong to the same vector. 0: only
    /// values with the same time.
    pub interval: i64,
}

/// One feature, and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// The measurement of its field.
    pub measurement: String,
    /// The field.
    pub field: String,
    /// Tags that an event must also have, each with a value that matches.
    pub tags: Vec<(String, Globs)>,
    /// The conversion of the value.
    pub transform: Transform,
}
