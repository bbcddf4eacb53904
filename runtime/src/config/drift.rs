//! `[drift]`: how live rows are compared with those that models were trained on.

use std::fmt::Write as _;
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_drift::Options;
use serde::Deserialize;

use super::Invalid;

/// The most entities that are looked at one by one: each takes some kilobytes of memory for a feature.
const MAX_ENTITIES: usize = 1000;

/// How live rows are compared with those in training.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Whether they are.
    pub enabled: bool,
    /// How many of five tests must vote for drift of a feature.
    pub consensus: usize,
    /// At how many ends of blocks in a row; a window has eight.
    pub sustained: usize,
    /// Below which p-value a test that has one may vote.
    pub significance: f64,
    /// How many entities are looked at one by one, each compared with its own first rows.
    pub entities: usize,
    /// How often what is known of drift is emitted among the metrics; never by default.
    #[serde(deserialize_with = "duration::some")]
    pub emit: Option<Duration>,
}

impl Default for Drift {
    fn default() -> Self {
        let Options { consensus, sustained, significance, .. } = Options::default();
        Self { enabled: true, consensus, sustained, significance, entities: 0, emit: None }
    }
}

impl Drift {
    /// The rules for windows of this length.
    #[must_use]
    pub fn rules(&self, window: Duration) -> Options {
        let Self { enabled: _, entities: _, emit: _, consensus, sustained, significance } = *self;
        Options { window, consensus, sustained, significance, ..Options::default() }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::check_ranges(&[
            (!(1..=5).contains(&self.consensus), "[drift] `consensus` must lie between 1 and 5: there are five tests"),
            (self.emit.is_some_and(|emit| emit < Duration::from_secs(1)), "[drift] `emit` must be a second at least"),
            (!(1..=1000).contains(&self.sustained), "[drift] `sustained` must lie between 1 and 1000"),
            (self.entities > MAX_ENTITIES, "[drift] `entities` must be 1000 at most"),
            (!(1e-12..=0.5).contains(&self.significance), "[drift] `significance` must lie between 1e-12 and 0.5"),
        ])
    }

    pub(super) fn effective(&self) -> String {
        let Self { enabled, consensus, sustained, significance, entities, emit } = self;
        let mut out = String::new();
        let _infallible = write!(
            out,
            "[drift]\nenabled = {enabled}\nconsensus = {consensus}\nsustained = {sustained}\nsignificance = {significance:?}\nentities = {entities}\n"
        );
        if let Some(emit) = emit {
            let _infallible = writeln!(out, "emit = \"{}\"", friendly(*emit));
        }
        out + "\n"
    }
}
