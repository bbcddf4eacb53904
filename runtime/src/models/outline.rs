//! What a manifest says of its model.

use qualm_bundle::manifest::{self, Manifest};
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;

/// What is known of a model before it runs.
#[derive(Debug)]
pub(crate) struct ModelOutline {
    /// What its vectors are made of; none where it scores single fields.
    pub shape: Option<Shape>,
    /// Which of its incidents are reported.
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
