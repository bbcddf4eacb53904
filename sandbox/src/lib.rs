//! Running a detector that is not trusted: a WebAssembly component in a store of its own.
//!
//! - [`inspect`]: what a component says of itself, before anything of it is compiled;
//! - [`engine`]: compiles components ([`compiler`]: in a process of its own), caches what it compiled, and keeps the clock
//!   that deadlines are measured by;
//! - [`limiter`]: how much memory a guest may have; `space`: what the system has room for; `imports`: what it may call
//!   ([`guest_log`], and WASI without rights);
//! - [`guest`]: one living detector, its calls, and the ways in which a call can fail; [`pace`]: how much one call is given;
//! - [`running`]: a guest as a detector like any other; [`trainer`]: one that learns from history; [`factory`] opens both.

pub mod compiler;
pub mod engine;
pub mod factory;
pub mod guest;
pub mod guest_log;
mod imports;
pub mod inspect;
pub mod limiter;
mod meter;
pub mod pace;
pub mod running;
mod space;
mod text;
pub mod trainer;
mod wasi;

pub use engine::Sandbox;
pub use factory::{BuiltInModels, SandboxFactory};
pub use guest::{DetectorSpec, Failure, Guest, Limits, RetiredStore, Title};
pub use running::Running;

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
