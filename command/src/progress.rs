//! How far something is, for who watches.

use indicatif::{ProgressBar, ProgressStyle};

/// For what counts bytes: [`bar`]'s template.
pub const BYTES: &str = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";

/// A bar of this length, laid out as indicatif's templates say. It is hidden where standard error is no terminal.
#[must_use]
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
