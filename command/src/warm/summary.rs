//! What was learnt, in words and for machines.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use qualm::clock::now;
use qualm_bundle::duration::friendly;
use serde_json::json;

use super::progress::Tally;
use super::{Options, Way};
use crate::text::time;

/// Nanoseconds.
const HOUR: i64 = 3_600_000_000_000;

/// A history that ended so long ago leaves a gap that is worth a word.
const GAP: i64 = 2 * HOUR;

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub(super) tally: Tally,
    /// Series that are known.
    pub series: u64,
    /// Those that had a score in their last row, and will have one in their next.
    pub ready: u64,
    /// Whether it went on from where an earlier run was interrupted.
    pub resumed: bool,
    /// For which way in it is.
    pub way: &'static str,
    /// Where it is.
    pub state: PathBuf,
    /// Whether something else had been there.
    pub replaced: bool,
    /// The first value that is out of order.
    pub out_of_order: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    /// Rows of history, those of earlier runs included.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tally.rows
    }

    pub(super) fn for_machines(&self) -> String {
        let Self { tally, series, ready, resumed, way, state, replaced, out_of_order: _, seconds } = self;
        let Tally {
            rows, values, malformed, backwards, scored_before, verdicts, untimed, left_out, first, last, ..
        } = tally;
        let all = json!({
            "rows": rows,
            "values": values,
            "series": series,
            "ready": ready,
            "first": first.map(time),
            "last": last.map(time),
            "out_of_order": backwards,
            "malformed": malformed,
            "untimed": untimed,
            "scored_before": scored_before,
            "verdicts": verdicts,
            "left_out": left_out,
            "for": way,
            "state": state,
            "replaced": replaced,
            "resumed": resumed,
            "seconds": seconds,
        });
        format!("{all}\n")
    }

    pub(super) fn for_people(&self, options: &Options) -> String {
        let Self { tally, series, ready, way, state, .. } = self;
        let Tally { rows, values, first, last, .. } = tally;
        let took = friendly(Duration::from_millis((self.seconds * 1e3) as u64));
        let ends = first.zip(*last).map(|(first, last)| format!(", from {} to {}", time(first), time(last)));
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
        if let Some(gap) = last.map(|last| now().saturating_sub(last)).filter(|gap| *gap > GAP) {
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
        let command = if *way == Way::Execd.name() { "execd" } else { "serve" };
        let config = options.config.display();
        let _infallible =
            writeln!(text, "it is in {}: `qualm {command} --config {config}` goes on from there", state.display());
        text
    }

    /// What was not as it should be.
    fn remarks(&self) -> [(u64, String); 6] {
        let Tally { malformed, backwards, scored_before, verdicts, untimed, left_out, .. } = &self.tally;
        let first = self.out_of_order.as_deref().map(|first| format!(": {first}")).unwrap_or_default();
        [
            (
                *backwards,
                format!("values are before the one before them in their series; sort the rows by time{first}"),
            ),
            (*malformed, "rows are no line protocol, and taught nothing".to_owned()),
            (*untimed, "rows do not tell their time, and were taken for as late as those before them".to_owned()),
            (*scored_before, "rows had been scored before; only what was measured counts".to_owned()),
            (*verdicts, "rows are qualm's own verdicts, and were left out".to_owned()),
            (*left_out, "rows are left out: they have no name, or one that line protocol cannot say".to_owned()),
        ]
    }
}
