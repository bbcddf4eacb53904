//! The components, as bytes.

/// The detectors: exports `qualm:detector/detection`, imports nothing.
pub static DETECTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-detector.wasm"));

/// The command: lines in, scored lines out, under any runtime of WASI 0.2.
pub static CLI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-cli.wasm"));

/// A detector that misbehaves as its model tells it to, for the host's tests.
pub static HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-hostile.wasm"));

/// A detector that keeps the contract but for one flaw, which its model names, for the tests of `qualm plugin check`.
pub static FLAWED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-flawed.wasm"));
