//! Running a detector that is not trusted: a WebAssembly component in a store of its own.
//!
//! - [`inspect`]: what a component says of itself, before anything of it is compiled;
//! - [`engine`]: compiles components ([`compiler`]: in a process of its own), caches what it compiled, and keeps the clock
//!   that deadlines are measured by;
//! - [`limiter`]: how much memory a guest may have; `space`: what the system has room for; `imports`: what it may call ([`guest_log`], and WASI without rights);
//! - [`guest`]: one living detector, its calls, and the ways in which a call can fail; `pace`: how much one call is given;
//!   [`trainer`]: one that learns from
//!   history;
//! - [`runtime`]: guests for what is done to history.
//!
//! A call that fails is the caller's to deal with: in a pipeline that is the supervisor.

pub mod compiler;
pub mod engine;
pub mod guest;
pub mod guest_log;
mod imports;
pub mod inspect;
pub mod limiter;
mod meter;
mod pace;
pub mod runtime;
mod space;
mod text;
pub mod trainer;
mod wasi;

pub use engine::Sandbox;
pub use guest::{Failure, Guest, Limits, Recipe, RetiredStore};
pub use pace::Total;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package qualm:host;
            world host {
                include qualm:detector/trainable-plugin@0.1.2;
                include qualm:detector/detailed-plugin@0.1.2;
                include qualm:detector/related-plugin@0.1.2;
            }
        ",
        world: "qualm:host/host",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
