//! Drift of all rows of a table at once.

use crate::consensus::{judge, learning};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::options::Options;
use crate::reference::Reference;
use crate::report::Report;

/// Compares all rows with a reference, which must have passed [`Reference::check`] if it comes from elsewhere. `values` has row
/// after row, `scores` one score for each, as in [`Reference::new`].
///
/// The tests and levels are those of live rows, but nothing has to be sustained. Levels that follow from ordinary windows are
/// right for rows that last for as long as a window, or longer; fewer differ more.
///
/// # Errors
///
/// [`Error::Shape`] where the lengths do not fit together.
pub fn compare_table(
    reference: &Reference,
    values: &[f64],
    scores: &[f64],
    options: &Options,
) -> Result<Report, Error> {
    let features = reference.features.len();
    if scores.len().checked_mul(features) != Some(values.len()) {
        return Err(Error::Shape { times: scores.len(), values: values.len(), scores: scores.len(), features });
    }
    let at_once = Options { sustained: 1, ..options.clone() };
    let mut report = learning(reference, &at_once);
    let mut evidence = Evidence::new(reference);
    evidence.of_table(reference, values, scores);
    if evidence.rows > 0 {
        judge(reference, &evidence, &at_once, &mut report);
    }
    Ok(report)
}
