//! The engine's settings, on which compiled code depends: the same for whoever compiles and whoever runs.

use wasmtime::{Config, Engine};

use crate::space::AddressSpace;

/// The stack of a guest. The host has 8 MiB; a detector needs a few kilobytes.
const GUEST_STACK: usize = 512 << 10;

/// An engine with this address space.
///
/// # Panics
///
/// If the compiler does not support this processor.
pub(crate) fn engine(address_space: AddressSpace) -> Engine {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        // Its results differ between processors.
        .wasm_relaxed_simd(false);
    address_space.configure(&mut config);
    Engine::new(&config).expect("the configuration is valid on every processor that Cranelift knows")
}
