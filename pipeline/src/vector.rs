//! What a vector is made of: named features of one entity at one time, joined across metrics.

pub use qualm_contract::Transform;

use crate::glob::Globs;

/// The vectors that a detector scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its features, in the order in which they stand in a row.
    pub features: Vec<Feature>,
    /// Tags that tell one entity from another, such as `host`: each entity has vectors of its own.
    pub entity: Vec<String>,
    /// Values whose times fall into the same interval, counted from 1970, belong to the same vector: nanoseconds, or 0
    /// where only values of the very same time do.
    pub interval: i64,
}

/// One feature, and how it is taken from metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// What people call it.
    pub name: String,
    /// The measurement that it is a field of.
    pub measurement: String,
    /// The field.
    pub field: String,
    /// Tags that an event must have beside, each with a value that matches.
    pub tags: Vec<(String, Globs)>,
    /// What becomes of the value.
    pub transform: Transform,
}
