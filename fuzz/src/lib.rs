//! Fuzz targets: properties that hold for any input.
//!
//! Each target takes untrusted bytes, and panics if a property is violated. The fuzzer (`fuzz/libfuzzer`, run by `make fuzz`)
//! searches for such bytes; `fuzz/corpus` has a folder of interesting inputs for each target, which `fuzz/tests/replay.rs`
//! runs as a test.

mod archive;
mod config;
mod line;
mod manifest;
mod native;
mod reference;
mod request;
mod rows;
mod safetensors;
mod state;

/// A target's name and property.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("line", line::line),
    ("native_json", native::native_json),
    ("native", native::native),
    ("archive", archive::archive),
    ("manifest", manifest::manifest),
    ("safetensors", safetensors::safetensors),
    ("reference", reference::reference),
    ("rows", rows::rows),
    ("state", state::state),
    ("config", config::config),
    ("request", request::request),
];

/// Checks a target's property for some bytes.
///
/// # Panics
///
/// If the property is violated, or the target is unknown.
pub fn check(target: &str, bytes: &[u8]) {
    let (_, holds) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target's name");
    holds(bytes);
}
