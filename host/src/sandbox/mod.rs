//! Running a detector that is not trusted: a WebAssembly component in a store of its own.
//!
//! - [`engine`]: compiles components, caches what it compiled, and keeps the clock that deadlines are measured by;
//! - [`limiter`]: how much memory a guest may have;
//! - [`guest`]: one living detector, its calls, and the ways in which a call can fail;
//! - [`supervisor`]: makes of guests that fail a [`Scorer`](qualm_stream::Scorer) that does not.

pub mod engine;
pub mod guest;
pub mod limiter;
pub mod supervisor;

pub use engine::Sandbox;
pub use guest::{Failure, Guest, Limits, Recipe};
pub use supervisor::{Running, Supervisor};
