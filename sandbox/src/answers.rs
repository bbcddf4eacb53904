//! What a guest answers is checked before it is used.

use qualm_contract::{Band, Reason, Verdicts};

use crate::bindings::exports::qualm::detector::{details, detection};
use crate::failure::Failure;

/// Checks number and range of scores and contributions.
pub(crate) fn check_scores(answer: &detection::Verdicts, rows: usize, contributions: usize) -> Result<(), Failure> {
    if answer.scores.len() != rows {
        return Err(Failure::Nonsense(format!("{} scores for {rows} rows", answer.scores.len())));
    }
    if answer.contributions.len() != contributions {
        let answer = answer.contributions.len();
        return Err(Failure::Nonsense(format!("{answer} contributions where {contributions} were asked for")));
    }
    if let Some(score) = answer.scores.iter().find(|score| **score < 0.0 || score.is_infinite()) {
        return Err(Failure::Nonsense(format!("a score of {score}")));
    }
    if let Some(share) = answer.contributions.iter().find(|share| !share.is_finite()) {
        return Err(Failure::Nonsense(format!("a contribution of {share}")));
    }
    Ok(())
}

/// Appends checked scores and contributions.
pub(crate) fn append_scores(answer: &detection::Verdicts, verdicts: &mut Verdicts) {
    verdicts.scores.extend_from_slice(&answer.scores);
    verdicts.contributions.extend_from_slice(&answer.contributions);
}

/// Checks number and range of reasons and bands.
pub(crate) fn check_details(
    reasons: &[details::Reason],
    bands: &[details::Band],
    rows: usize,
    bands_wanted: usize,
) -> Result<(), Failure> {
    if !reasons.is_empty() && reasons.len() != rows {
        return Err(Failure::Nonsense(format!("{} reasons for {rows} rows", reasons.len())));
    }
    if bands.len() != bands_wanted {
        return Err(Failure::Nonsense(format!("{} bands where {bands_wanted} were asked for", bands.len())));
    }
    let cannot_be = |band: &&details::Band| {
        let details::Band { expected, lower, upper } = **band;
        lower > upper || [expected, lower, upper].iter().any(|value| value.is_infinite())
    };
    if let Some(details::Band { expected, lower, upper }) = bands.iter().find(cannot_be) {
        return Err(Failure::Nonsense(format!("a band from {lower} to {upper}, with {expected} expected")));
    }
    Ok(())
}

/// The reason as a type of the contract.
pub(crate) fn reason(reason: details::Reason) -> Reason {
    match reason {
        details::Reason::None => Reason::None,
        details::Reason::OutsideBand => Reason::OutsideBand,
        details::Reason::LevelShift => Reason::LevelShift,
        details::Reason::Stuck => Reason::Stuck,
        details::Reason::Novel => Reason::Novel,
        details::Reason::Rate => Reason::Rate,
        details::Reason::Variance => Reason::Variance,
    }
}

/// The band as a type of the contract.
pub(crate) fn band(band: details::Band) -> Band {
    let details::Band { expected, lower, upper } = band;
    Band { expected, lower, upper }
}
