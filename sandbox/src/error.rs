//! Why a component could not be loaded.

use std::io;

use qualm_system::untrusted::one_line;

use crate::inspect::ComponentError;

/// Why a component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was rejected before compilation.
    #[error(transparent)]
    ComponentError(#[from] ComponentError),
    /// The engine refused it.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// Compilation exceeded a limit.
    #[error("the component cannot be compiled: that takes {0}")]
    Limit(String),
    /// The process that compiles failed.
    #[error("the component is not compiled, for the process that does it failed: {0}")]
    Process(String),
    /// This machine lacks memory or another resource.
    #[error("the component cannot be made ready, for this machine lacks what that takes: {0}")]
    System(String),
}

impl From<wasmtime::Error> for LoadError {
    /// The text is sanitized, since the engine quotes names of the component.
    fn from(error: wasmtime::Error) -> Self {
        let why = one_line(&format!("{error:#}"));
        if is_of_system(&error) { Self::System(why) } else { Self::Compile(why) }
    }
}

/// Whether the system refused the engine something, such as memory or a file descriptor.
pub(crate) fn is_of_system(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(qualm_system::fault::is_of_system)
            || cause.is::<rustix::io::Errno>()
    })
}
