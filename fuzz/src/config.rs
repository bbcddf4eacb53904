//! The configuration.

use qualm::config::Config;

/// A configuration that can be read can be shown and read again with the same settings. An error names its place.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let config = match Config::parse(text, "qualm.toml") {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().starts_with("qualm.toml"), "{error}");
            return;
        }
    };
    let shown = config.effective();
    if shown.contains("***") {
        return; // secrets are not shown, so it cannot be read again
    }
    // The shown text needs no escapes: a dollar is a dollar.
    let reread = Config::parse(&shown, "shown").unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(reread.effective(), shown);
}
