//! Drift of rows as they come.

use std::sync::Arc;

use crate::consensus::{judge, learning};
use crate::evidence::Evidence;
use crate::options::Options;
use crate::reference::Reference;
use crate::report::Report;
use crate::window::Window;

/// Compares live rows with a reference, as they come.
///
/// It has a window in eight blocks, of which the oldest is dropped as a new one begins; what is said of drift changes as a block
/// ends. A block lasts an eighth of the window, by the times of its rows, and has 64 rows at least. For each feature, and for the
/// score, it takes 5.6 kB of memory; it allocates as it is made and at the end of a block, when it tests all features (in
/// [`Live::observe`]), not for a row. The same rows give the same reports.
#[derive(Debug, Clone)]
pub struct Live {
    reference: Arc<Reference>,
    options: Options,
    window: Window,
    evidence: Evidence,
    report: Report,
}

impl Live {
    /// Without rows. The reference must have passed [`Reference::check`], if it comes from elsewhere.
    #[must_use]
    pub fn new(reference: Arc<Reference>, options: Options) -> Self {
        let window = Window::new(&reference, options.window);
        let (evidence, report) = (Evidence::new(&reference), learning(&reference, &options));
        Self { reference, options, window, evidence, report }
    }

    /// Takes a row: its time in nanoseconds, its values, as many as there are features, and its score. NaN is missing, as are
    /// infinity and what lies beyond ±10¹⁵⁰; so are values that a shorter row lacks, and further ones of a longer row are ignored.
    /// Whether a block ended before it, so that the report is new.
    ///
    /// Times may be in any order. A row that is older than one before it counts as of now; a step by more than the window, in
    /// either direction, counts as a clock that was set, and takes no time.
    pub fn observe(&mut self, time: i64, values: &[f64], score: f64) -> bool {
        let Self { reference, options, window, evidence, report } = self;
        window.observe(time, values, score, |window| {
            if window.is_full() {
                evidence.of_window(reference, window);
                judge(reference, evidence, options, report);
            }
        })
    }

    /// What was found at the last end of a block.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What rows are compared with.
    #[must_use]
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }
}
