//! What it says besides its scores: `details`.

use qualm_contract::{Band, Reason, Verdicts};

use super::report::{Fault, Found, Outcome};
use super::subject::{BATCH, Subject, alike, feed};
use crate::text::thousands;

/// Asked by `detection` and by `details` it gives the same scores and contributions: whoever builds on either relies on it.
pub(super) fn agrees(subject: &Subject) -> Outcome {
    let mut rows = subject.spiked(2, 41);
    let features = subject.features();
    rows.bands = features == 1; // as where the host asks for them
    let plain = feed(&mut subject.start_plain()?, &rows, BATCH)?;
    let told = feed(&mut subject.start()?, &rows, BATCH)?;
    let scores = differing("score", &plain.scores, &told.scores, 1);
    let contributions = differing("contribution", &plain.contributions, &told.contributions, features);
    let violations: Vec<String> = scores.into_iter().chain(contributions).collect();
    if violations.is_empty() { Ok(Found::ok(measured(&told))) } else { Err(Fault::new(violations.join("; "))) }
}

/// What the first row is told that is told otherwise by the other; a row has so many of these numbers.
fn differing(what: &str, plain: &[f64], told: &[f64], each: usize) -> Option<String> {
    let places: Vec<usize> = (0..plain.len()).filter(|&at| !alike(plain[at], told[at])).collect();
    let first = *places.first()?;
    let more = match places.chunk_by(|one, next| one / each == next / each).count() - 1 {
        0 => String::new(),
        more => format!(", as do {} others", thousands(more)),
    };
    let whose = if each > 1 { format!(" of its value {}", first % each) } else { String::new() };
    Some(format!(
        "row {} has a {what}{whose} of {:?} by `detection` and of {:?} by `details`{more}; they must be the same",
        first / each,
        plain[first],
        told[first],
    ))
}

fn measured(told: &Verdicts) -> String {
    let reasons = told.reasons.iter().filter(|reason| **reason != Reason::None).count();
    let bands = told.bands.iter().copied().filter(|band| Band::is_known(*band)).count();
    let [rows, reasons, bands] = [told.scores.len(), reasons, bands].map(thousands);
    format!("{rows} rows get the scores and contributions of `detection`; {reasons} a reason, {bands} a band")
}
