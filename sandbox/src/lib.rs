//! Runs untrusted detectors: WebAssembly components, each in its own store.
//!
//! - [`inspect`]: inspects a component before it is compiled;
//! - [`engine`]: compiles components ([`compiler`]: in a separate process), caches compiled code, and has the clock of
//!   deadlines;
//! - [`limiter`]: the memory limit of a guest; `space`: how much address space to reserve; `imports`: what a guest may call
//!   ([`guest_log`], and WASI without rights);
//! - [`spec`]: what a detector is started from; [`guest`]: a running detector and its calls, in a [`store`] with deadlines;
//!   `answers`: what it answers is checked; [`failure`]: how calls fail; [`pace`]: how many rows a call gets;
//! - [`running`]: a guest as a [`Detector`](qualm_contract::Detector); [`trainer`]: a plugin's training; [`factory`] opens both.

mod answers;
pub mod compiler;
pub mod engine;
pub mod error;
pub mod factory;
pub mod failure;
pub mod guest;
pub mod guest_log;
mod imports;
pub mod inspect;
pub mod limiter;
mod meter;
pub mod pace;
pub mod running;
mod settings;
mod space;
pub mod spec;
pub mod store;
mod thread_time;
pub mod trainer;
mod wasi;

pub use engine::Sandbox;
pub use factory::{BuiltInModels, SandboxFactory};
pub use failure::Failure;
pub use guest::Guest;
pub use running::Running;
pub use spec::{DetectorSpec, Limits, Title};
pub use store::RetiredStore;
pub use thread_time::thread_time;

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
