//! What was found, in sentences.

use qualm_drift::State;

use super::words::listed;
use super::{Causes, Outcome};
use crate::evaluate::format::count;

/// What was found: what drifts, whether it lasts, and how much of what the model sees it is.
pub(crate) fn verdict(outcome: &Outcome) -> Vec<String> {
    let all = outcome.report.features.len();
    if outcome.report.state == State::Learning {
        return vec!["Drift is unknown: there is no row to compare.".to_owned()];
    }
    if !outcome.drifts() {
        let features = count(all as u64, "feature", "features");
        return vec![format!("No drift: none of {features} is off by more than windows of the training rows were.")];
    }
    let drifted = outcome.drifted();
    let at_end = outcome.timeline.last().map(|moment| outcome.drifting(moment));
    let began = outcome.began().is_some();
    let lasts = at_end.as_ref() == Some(&drifted);
    let at_some_time = if began && !lasts { " at some time" } else { "" };
    let what = format!("Drift of {}{at_some_time}.", listed(&drifted.counted_of(all), "of "));
    let end = at_end.map(|at_end| if began { end(&at_end, lasts) } else { never_sustained() });
    std::iter::once(what).chain(end).chain([grade(&drifted, all)]).collect()
}

/// What still drifts at the end of the rows.
fn end(at_end: &Causes, lasts: bool) -> String {
    if lasts {
        return "It lasts to the end of the rows.".to_owned();
    }
    if at_end.is_empty() {
        return "At the end of the rows, nothing drifts any more.".to_owned();
    }
    let one = matches!((at_end.features.len(), at_end.scores, at_end.alarms), (1, false, false) | (0, false, true));
    format!("At the end of the rows, {} still {}.", listed(&at_end.counted(), ""), if one { "drifts" } else { "drift" })
}

fn never_sustained() -> String {
    "All rows together drift; no window did for long enough to be reported live.".to_owned()
}

/// How much of what the model sees has changed, and whether that matters to its scores.
fn grade(drifted: &Causes, all: usize) -> String {
    let others = match (drifted.scores, drifted.alarms) {
        (true, true) => Some("its scores and its alarm rate"),
        (true, false) => Some("its scores"),
        (false, true) => Some("its alarm rate"),
        (false, false) => None,
    };
    let part = match drifted.features.len() {
        0 => None,
        some if some * 2 >= all => Some("Most"),
        some if some * 4 >= all => Some("A part"),
        _ => Some("A small part"),
    };
    match (part, others) {
        (Some(part), Some(others)) => format!("{part} of what the model sees changed, and so did {others}."),
        (Some(part), None) => format!("{part} of what the model sees changed; its scores and its alarm rate did not."),
        (None, _) => "No feature drifts by itself.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(features: usize, scores: bool, alarms: bool) -> Causes {
        Causes { features: (0..features).collect(), scores, alarms }
    }

    #[test]
    fn drift_is_graded() {
        let graded = |features, scores, alarms| grade(&causes(features, scores, alarms), 38);
        assert!(graded(3, false, false).starts_with("A small part of what the model sees changed; its scores"));
        assert!(
            graded(10, false, true).starts_with("A part of what the model sees changed, and so did its alarm rate")
        );
        assert!(graded(22, true, false).starts_with("Most of what the model sees changed, and so did its scores"));
        assert_eq!(graded(0, true, false), "No feature drifts by itself.");
    }

    #[test]
    fn what_lasts_is_said() {
        assert!(end(&causes(2, true, false), true).contains("lasts to the end"));
        assert!(end(&causes(0, false, false), false).contains("nothing drifts any more"));
        assert!(end(&causes(1, false, false), false).ends_with("1 feature still drifts."));
        assert!(end(&causes(2, true, false), false).ends_with("2 features and the scores still drift."));
    }
}
