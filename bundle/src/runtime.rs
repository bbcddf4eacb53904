//! Who opens the detectors of bundles.
//!
//! Those that are built in are code like any other. A plugin is a component, which only a sandbox runs: whoever has one
//! hands in a runtime of its own.

use qualm_core::Detector;

use crate::bundle::Fault;
use crate::clean::clean;

/// Opens the detectors of bundles.
pub trait Runtime: Sync {
    /// A detector with this model that has seen nothing yet: that of the component, or where there is none the one that
    /// is built in.
    ///
    /// # Errors
    ///
    /// [`Fault::Model`] or, of the component, [`Fault::File`].
    fn open(&self, component: Option<&[u8]>, model: &[u8]) -> Result<Box<dyn Detector>, Fault>;
}

/// Detectors that are built in, without a sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Runtime for Native {
    fn open(&self, component: Option<&[u8]>, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        if component.is_some() {
            return Err(Fault::Sandbox);
        }
        qualm_core::open(model).map_err(|error| Fault::Model(clean(&error.to_string())))
    }
}
