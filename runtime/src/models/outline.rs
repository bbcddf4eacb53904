//! What a manifest says of its model.

use qualm_bundle::manifest::{self, Manifest};
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;

/// What is known of a model before it runs.
#[derive(Debug)]
pub struct ModelOutline {
    /// See [`Candidate`].
    pub shape: Option<Shape>,
    /// See [`Candidate`].
    pub suppression: Suppression,
}

impl ModelOutline {
    pub(super) fn of(manifest: &Manifest) -> Result<Self, manifest::Error> {
        Ok(Self {
            shape: (manifest.shape == manifest::Shape::Vector).then(|| manifest.vectors()).transpose()?,
            suppression: manifest.suppression.for_pipeline()?,
        })
    }
}
