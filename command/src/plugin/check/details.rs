//! The interface `details`: bands and reasons.

use qualm_contract::{Band, Reason, Verdicts};

use super::report::{Failed, Outcome, Passed};
use super::subject::{BATCH, Subject, same_bits, score_rows};
use crate::text::thousands;

/// `detection` and `details` give the same scores and contributions, since callers may use either.
pub(super) fn agrees(subject: &Subject) -> Outcome {
    let mut rows = subject.spiked(2, 41);
    let features = subject.features();
    rows.bands = features == 1; // the host asks for bands of one feature alone
    let plain = score_rows(&mut subject.start_plain()?, &rows, BATCH)?;
    let detailed = score_rows(&mut subject.start()?, &rows, BATCH)?;
    let scores = describe_difference("score", &plain.scores, &detailed.scores, 1);
    let contributions = describe_difference("contribution", &plain.contributions, &detailed.contributions, features);
    let violations: Vec<String> = scores.into_iter().chain(contributions).collect();
    if violations.is_empty() { Ok(Passed::ok(measured(&detailed))) } else { Err(Failed::new(violations.join("; "))) }
}

/// Describes the first difference of two answers with so many numbers a row, and counts the other rows that differ.
fn describe_difference(what: &str, plain: &[f64], detailed: &[f64], each: usize) -> Option<String> {
    let differing: Vec<usize> = (0..plain.len()).filter(|&at| !same_bits(plain[at], detailed[at])).collect();
    let first = *differing.first()?;
    let others = match differing.chunk_by(|one, next| one / each == next / each).count() - 1 {
        0 => String::new(),
        others => format!(", as do {} others", thousands(others)),
    };
    let of = if each > 1 { format!(" of its value {}", first % each) } else { String::new() };
    Some(format!(
        "row {} has a {what}{of} of {:?} by `detection` and of {:?} by `details`{others}; they must be the same",
        first / each,
        plain[first],
        detailed[first],
    ))
}

fn measured(verdicts: &Verdicts) -> String {
    let reasons = verdicts.reasons.iter().filter(|reason| **reason != Reason::None).count();
    let bands = verdicts.bands.iter().copied().filter(|band| Band::is_known(*band)).count();
    let [rows, reasons, bands] = [verdicts.scores.len(), reasons, bands].map(thousands);
    format!("{rows} rows get the scores and contributions of `detection`; {reasons} a reason, {bands} a band")
}
