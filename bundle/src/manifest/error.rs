//! Why a manifest is invalid.

use qualm_core::trained::MAX_FEATURES;
use qualm_pipeline::glob::BadGlob;

use super::FORMAT;
use super::check::MAX_NAME;
use super::suppression;

/// Why a manifest is invalid, or cannot be read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It is no TOML, or has unknown or missing keys.
    #[error("{}{what}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Syntax {
        /// The line, the first being 1.
        line: Option<usize>,
        /// What is wrong there.
        what: String,
    },
    /// TOML cannot hold it.
    #[error("{0}")]
    Unwritable(String),
    /// Another version of qualm made it.
    #[error("it is of format {0}; known here is {FORMAT}: another version of qualm made it")]
    Format(u32),
    /// A name cannot be part of a file's name.
    #[error(
        "the name `{}` must begin with a letter or digit and have only letters, digits, `-`, `_` and `.`, {MAX_NAME} at most",
        .0.chars().take(MAX_NAME).collect::<String>().escape_debug()
    )]
    Name(String),
    /// The kind cannot be part of a file's name.
    #[error("`kind`: {0}")]
    Kind(#[source] Box<Error>),
    /// The version is out of range.
    #[error("`version` is {0}; it must be 1 at least, and fit 63 bits")]
    Version(u64),
    /// It has too few features, or too many.
    #[error("it has {0} features, which are not between 1 and {MAX_FEATURES}")]
    Features(usize),
    /// It has more features than its shape allows.
    #[error("with the shape `field` there is one feature, not {0}")]
    Shape(usize),
    /// A feature has no name, or that of another.
    #[error("two features are called `{0}`, or one has no name")]
    SameName(String),
    /// A text has control characters.
    #[error("feature `{0}`: it has letters in it that cannot be printed")]
    Unprintable(String),
    /// A feature's reference statistics are invalid.
    #[error(
        "feature `{0}`: its `reference` must be finite: a share of missing values, a mean, a deviation, 11 ascending quantiles"
    )]
    Reference(String),
    /// The pattern of a feature's tag is no glob.
    #[error("feature `{feature}`, tag `{tag}`: {source}")]
    Glob {
        /// The feature.
        feature: String,
        /// The tag.
        tag: String,
        /// What is wrong with its pattern.
        source: BadGlob,
    },
    /// `entity` names a tag twice.
    #[error("`entity` names a tag twice")]
    SameEntity,
    /// `entity` names a tag that it may not.
    #[error("`entity` may not name the tag `detector`, which events of vectors have, nor one without a name")]
    Entity,
    /// The threshold is no number.
    #[error("[threshold] is not finite")]
    Threshold,
    /// `[suppression]` is invalid.
    #[error("[suppression] {0}")]
    Suppression(#[from] suppression::Error),
    /// A digest is of no file of a bundle.
    #[error("[sha256] lists `{}`, which is no file of a bundle", .0.escape_debug())]
    DigestOf(String),
    /// A digest is malformed.
    #[error("[sha256] has no digest for `{0}`: 64 digits 0 to 9 and a to f")]
    Digest(String),
}
