//! The components, as bytes.

/// The detectors: exports `qualm:detector/detection`, imports nothing.
pub static DETECTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-detector.wasm"));

/// The command: lines in, scored lines out, under any runtime of WASI 0.2.
pub static CLI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qualm-cli.wasm"));
