//! What must hold whatever the bytes are.
//!
//! Each target takes bytes as whoever sends them might, and panics where a promise does not hold. The fuzzer
//! (`fuzz/libfuzzer`, run by `make fuzz`) looks for such bytes; what it found interesting lies in `fuzz/corpus`, a folder
//! for each target, and `fuzz/tests/replay.rs` gives it to the same functions.

mod archive;
mod config;
mod line;
mod manifest;
mod native;
mod request;
mod safetensors;
mod state;

/// A target's name, and what must hold of bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("line", line::line),
    ("native_json", native::native_json),
    ("native", native::native),
    ("archive", archive::archive),
    ("manifest", manifest::manifest),
    ("safetensors", safetensors::safetensors),
    ("state", state::state),
    ("config", config::config),
    ("request", request::request),
];

/// Gives bytes to a target.
///
/// # Panics
///
/// Where what the target promises does not hold, and where there is no such target.
pub fn check(target: &str, bytes: &[u8]) {
    let (_, holds) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target's name");
    holds(bytes);
}
