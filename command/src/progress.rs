//! Progress on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The template of a [`progress_bar`] that counts bytes.
pub const BYTES_TEMPLATE: &str = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";

/// A bar of this length in the layout of indicatif's `template`. Hidden where stderr is no terminal.
#[must_use]
pub fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
