//! The summary of a warm start, as text and as JSON.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use qualm::now;
use qualm_bundle::duration::friendly;
use qualm_offline::history::timestamp;
use serde_json::json;

use super::progress::Tally;
use super::{Endpoint, Options};

/// An hour in nanoseconds.
const HOUR: i64 = 3_600_000_000_000;

/// The age of history's last row above which the summary warns, in nanoseconds.
const MAX_AGE: i64 = 2 * HOUR;

/// The summary of a warm start.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub(super) tally: Tally,
    /// Series in the state.
    pub series: u64,
    /// Series whose last row had a score, so that their next one will.
    pub ready: u64,
    /// Whether it resumed an interrupted run.
    pub resumed: bool,
    /// The endpoint that the state is for.
    pub endpoint: &'static str,
    /// The state's file.
    pub state: PathBuf,
    /// Whether it replaced another state.
    pub replaced: bool,
    /// The first value that is out of order.
    pub out_of_order: Option<String>,
    /// The duration.
    pub seconds: f64,
}

impl Summary {
    /// Rows of history, those of earlier runs included.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tally.rows
    }

    pub(super) fn to_json(&self) -> String {
        let Self { tally, series, ready, resumed, endpoint, state, replaced, out_of_order: _, seconds } = self;
        let Tally {
            rows, values, malformed, backwards, scored_before, verdicts, untimed, left_out, first, last, ..
        } = tally;
        let all = json!({
            "rows": rows,
            "values": values,
            "series": series,
            "ready": ready,
            "first": first.map(timestamp),
            "last": last.map(timestamp),
            "out_of_order": backwards,
            "malformed": malformed,
            "untimed": untimed,
            "scored_before": scored_before,
            "verdicts": verdicts,
            "left_out": left_out,
            "for": endpoint,
            "state": state,
            "replaced": replaced,
            "resumed": resumed,
            "seconds": seconds,
        });
        format!("{all}\n")
    }

    pub(super) fn to_text(&self, options: &Options) -> String {
        let Self { tally, series, ready, endpoint, state, .. } = self;
        let Tally { rows, values, first, last, .. } = tally;
        let took = friendly(Duration::from_millis((self.seconds * 1e3) as u64));
        let ends = first.zip(*last).map(|(first, last)| format!(", from {} to {}", timestamp(first), timestamp(last)));
        let mut text = format!("{rows} rows{}: {values} values in {took}\n", ends.unwrap_or_default());
        let _infallible = writeln!(text, "{ready} of {series} series will be scored from their first live row on");
        if *ready == 0 {
            text += "none had the `min_samples` values that it needs before its first score: ask for more history\n";
        }
        for (count, what) in self.remarks() {
            if count > 0 {
                let _infallible = writeln!(text, "{count} {what}");
            }
        }
        if let Some(gap) = last.map(|last| now().saturating_sub(last)).filter(|gap| *gap > MAX_AGE) {
            let gap = match gap / HOUR {
                hours @ ..48 => format!("{hours} hours"),
                hours => format!("{} days", hours / 24),
            };
            let _infallible = writeln!(
                text,
                "its last row is more than {gap} old: the longer the gap, the less of it counts. Ask for newer history"
            );
        }
        if self.replaced {
            text += "what had been there is set aside, with the ending .state.replaced\n";
        }
        let command = if *endpoint == Endpoint::Execd.name() { "execd" } else { "serve" };
        let config = options.config.display();
        let _infallible =
            writeln!(text, "it is in {}: `qualm {command} --config {config}` goes on from there", state.display());
        text
    }

    /// Counts of rows with a problem, each with its message.
    fn remarks(&self) -> [(u64, String); 6] {
        let Tally { malformed, backwards, scored_before, verdicts, untimed, left_out, .. } = &self.tally;
        let first = self.out_of_order.as_deref().map(|first| format!(": {first}")).unwrap_or_default();
        [
            (
                *backwards,
                format!("values are before the one before them in their series; sort the rows by time{first}"),
            ),
            (*malformed, "rows are no line protocol, and taught nothing".to_owned()),
            (*untimed, "rows have no timestamp, and were taken at that of the row before".to_owned()),
            (*scored_before, "rows had been scored before; only what was measured counts".to_owned()),
            (*verdicts, "rows are qualm's own verdicts, and were left out".to_owned()),
            (*left_out, "rows are left out: they have no name, or one that line protocol cannot say".to_owned()),
        ]
    }
}
