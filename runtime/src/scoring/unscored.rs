//! Why nothing was scored: what a run says at its end, so that nobody has to guess.

use qualm_pipeline::Counts;

/// The reasons, with their counts; none where nothing came in, or something was scored. `series` are those known at the
/// end, `least` is how many values one needs before its first score, `left` are rows that a detector failed to score.
pub(super) fn why_unscored(counts: &Counts, series: u64, least: Option<u64>, left: u64) -> Option<String> {
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
