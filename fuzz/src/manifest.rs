//! Manifests.

use qualm_bundle::manifest::Manifest;

/// A manifest that can be read round-trips, and its features can be used.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    manifest.vectors().expect("what was checked can be used");
    let text = manifest.to_text().expect("what was read can be written");
    let reread = Manifest::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(reread, manifest);
    assert_eq!(reread.to_text().ok().as_deref(), Some(&*text));
}
