//! What a run says at its end, so that nobody has to guess: counts, failures, and why nothing was scored.

use std::fmt::Write as _;

use qualm_pipeline::{Counts, Format};

use super::Pipeline;
use crate::config;
use crate::supervisor::Health;

/// Detectors failed, so that rows passed unscored: the [`Pipeline::summary`] of what happened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DetectorsFailed(String);

impl<F: Format> Pipeline<F> {
    /// Checks that no detector failed, since metrics that passed unscored could be taken for ordinary ones.
    ///
    /// # Errors
    ///
    /// The [`summary`](Self::summary), if one did.
    pub fn check_no_failures(&self) -> Result<(), DetectorsFailed> {
        let whole = self.health().all(|(_, health)| health.failures.is_empty());
        if whole { Ok(()) } else { Err(DetectorsFailed(self.summary())) }
    }

    /// Counts and failures in a line of text.
    #[must_use]
    pub fn summary(&self) -> String {
        let Counts { events, selected, scored, incidents, malformed, unknown, upstream, unfinished, evicted, .. } =
            self.counts();
        let series = self.series();
        let mut out =
            format!("{events} lines in, {selected} selected, {scored} scored, {incidents} incidents, {series} series");
        let rare = [
            (malformed, "malformed"),
            (unknown, "of no known kind"),
            (upstream, "scored upstream"),
            (unfinished, "unfinished"),
            (evicted, "series evicted"),
        ];
        for (count, what) in rare.into_iter().filter(|(count, _)| *count > 0) {
            let _infallible = write!(out, ", {count} {what}");
        }
        for (name, Health { unscored, failures, rests, .. }) in self.health() {
            if !failures.is_empty() {
                let failures: Vec<_> = failures.iter().map(|(name, count)| format!("{name} {count}")).collect();
                let _infallible = write!(
                    out,
                    "; detector `{name}` failed ({}), rested {rests} times, left {unscored} rows unscored",
                    failures.join(", ")
                );
            }
        }
        out
    }

    /// Why nothing was scored, with counts, if there was input.
    #[must_use]
    pub fn why_unscored(&self) -> Option<String> {
        let members = self.own.iter().flat_map(config::Detector::members);
        let least = members.filter_map(|(member, _)| Some(member.parameters()?.min_samples)).min();
        let left = self.health().map(|(_, health)| health.unscored).sum();
        why_unscored(&self.counts(), self.series() as u64, least.map(u64::from), left)
    }
}

/// The reasons, with their counts; none where nothing came in, or something was scored. `series` are those known at the
/// end, `least` is how many values one needs before its first score, `left` are rows that a detector failed to score.
fn why_unscored(counts: &Counts, series: u64, least: Option<u64>, left: u64) -> Option<String> {
    let Counts { events, selected, scored, rows, malformed, unknown, upstream, unfinished, .. } = *counts;
    if scored > 0 || events + unknown + unfinished == 0 {
        return None;
    }
    let young = rows.saturating_sub(left);
    let needs = least.map_or_else(String::new, |least| format!(", each of which needs {least} before its first score"));
    let reasons = [
        (malformed, "lines are malformed".to_owned()),
        (unknown, "events are of no kind that is known".to_owned()),
        (unfinished, "lines were too long, or lacked their end".to_owned()),
        (upstream, "lines had a score already".to_owned()),
        (
            events.saturating_sub(selected + malformed + upstream),
            "lines have no number that a detector selects".to_owned(),
        ),
        (left, "values came while a detector had failed".to_owned()),
        (young, format!("values came of {series} series that are still new{needs}")),
    ];
    let reasons: Vec<_> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Some(format!("nothing was scored: {}", reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_count() {
        let counts = Counts { events: 10, selected: 3, rows: 6, malformed: 2, upstream: 1, ..Counts::default() };
        assert_eq!(
            why_unscored(&counts, 4, Some(100), 2).unwrap(),
            "nothing was scored: 2 lines are malformed; 1 lines had a score already; 4 lines have no number that a detector \
             selects; 2 values came while a detector had failed; 4 values came of 4 series that are still new, each of \
             which needs 100 before its first score"
        );
    }

    #[test]
    fn nothing_is_said_of_a_run_that_scored_or_had_nothing_to_score() {
        assert_eq!(why_unscored(&Counts::default(), 0, Some(100), 0), None);
        assert_eq!(why_unscored(&Counts { events: 5, scored: 1, ..Counts::default() }, 1, None, 0), None);
    }
}
