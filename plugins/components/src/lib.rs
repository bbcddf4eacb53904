//! Plugins for tests, as bytes. No program that runs in production contains them.

/// A detector that misbehaves as its model tells it to, for the host's tests.
pub static HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-hostile.wasm"));

/// A detector that keeps the contract but for one flaw, which its model names, for the tests of `qualm plugin check`.
pub static FLAWED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-flawed.wasm"));
