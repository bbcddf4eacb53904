//! Drift: how far live values have moved from those in training.
//!
//! - [`Reference`]: what training rows looked like, and which differences are ordinary of them;
//! - [`Live`]: rows as they come, over a window of bounded memory; [`compare_table`]: rows of a table at once;
//! - [`newest_regime`]: since when rows look like the newest, which a successor learns from;
//! - [`Entities`]: single entities, each compared with its own first rows;
//! - [`Report`]: what was found, by five tests of each feature and of the score, and by the score's errors and alarms;
//! - [`two_sample`], [`binned`], [`adjust`]: the statistics, equal to those of `scipy`.
//!
//! Features are tested one at a time: that two of them are no longer correlated only the score can tell, where its detector knows
//! of it. Metrics are autocorrelated and have seasons, so that p-values mean little by themselves; an effect must also exceed what
//! windows of training had. Training should last for five windows, and have a week's season if the metrics do and the window is
//! a day. Incidents that fill more than a tenth of a window look like drift.

#![cfg_attr(test, expect(clippy::float_cmp, reason = "these numbers are exact"))]

pub mod adjust;
mod alarms;
pub mod binned;
mod bins;
mod clock;
mod consensus;
mod effects;
mod entities;
mod error;
mod evidence;
mod live;
mod moments;
mod options;
mod ordinary;
mod reference;
mod regime;
mod report;
mod sample;
mod table;
pub mod two_sample;
mod window;

pub use entities::{Entities, EntityReport};
pub use error::{Error, Invalid};
pub use live::Live;
pub use options::{Levels, Options};
pub use reference::{Distribution, Effects, MAX_BINS, Ordinary, QUANTILES, Reference};
pub use regime::newest_regime;
pub use report::{Compare, FeatureReport, Report, State, Summary, Test, TestResult};
pub use table::compare_table;
