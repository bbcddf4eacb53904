//! Line protocol through the pipeline.

use std::cell::RefCell;

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::{Format, Grammar, Lane, Limits, Lines, Pipeline, Selector, glob::Globs};
use qualm_tests::unsplice;

/// The seed of series identities.
pub(crate) const SEED: u64 = 7;

/// Scores every row by its value, from 0 to 3, so that some are anomalies.
struct ByValue;

impl BatchScorer for ByValue {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend(batch.values.iter().map(|value| (value.abs() / 100.0).min(3.0)));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// A lane that selects every field of these measurements.
pub(crate) fn lane(measurement: &str) -> Lane {
    let measurement = Globs::new([measurement]).expect("a glob");
    Lane::new(Selector { measurement, ..Selector::default() }, Limits::default())
}

/// How bytes may arrive: whole, in small pieces (single bytes of short inputs), or split at lengths from the input itself.
pub(crate) fn arrivals(bytes: &[u8]) -> [Vec<usize>; 3] {
    let small = if bytes.len() < 500 { 1 } else { 61 };
    let odd = bytes.iter().rev().take(4).map(|byte| usize::from(*byte) + 1).collect();
    [vec![usize::MAX], vec![small], odd]
}

/// Splits bytes into pieces of these lengths, cyclically.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let length = lengths.next().map_or(bytes.len(), |length| bytes.len().min(*length));
        let (piece, rest) = bytes.split_at(length);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Lines are unchanged but for spliced verdicts, however they arrive; lines that no lane selects are unchanged.
pub(crate) fn line(bytes: &[u8]) {
    for grammar in [Grammar::Telegraf, Grammar::Influxdb] {
        let whole = through(grammar, "*", bytes, &[usize::MAX]);
        let splices = unsplice(bytes, &whole.0).unwrap_or_else(|error| panic!("{grammar:?}: {error}"));
        assert_eq!(splices.len() as u64, whole.1, "{grammar:?}: each line that is scored has a verdict");
        for lengths in arrivals(bytes) {
            let out = through(grammar, "*", bytes, &lengths);
            assert!(out == whole, "{grammar:?}, {lengths:?}: {} and {}", shown(&out.0), shown(&whole.0));
        }
        let untouched = through(grammar, "none such", bytes, &[usize::MAX]).0;
        assert!(untouched == bytes, "{grammar:?}: {}", shown(&untouched));
    }
}

thread_local! {
    static LINES: RefCell<Pipeline<Lines>> = RefCell::new(Pipeline::of(Lines::default(), vec![lane("*")], SEED));
}

/// The output, and how many lines were scored.
fn through(grammar: Grammar, measurement: &str, bytes: &[u8], lengths: &[usize]) -> (Vec<u8>, u64) {
    LINES.with_borrow_mut(|pipeline| {
        *pipeline.format_mut() = Lines::of(grammar);
        pump(pipeline, measurement, bytes, lengths)
    })
}

/// The output of a pipeline with a fresh lane, and how many events were scored. The pipeline is reused, because allocating its
/// buffers takes longer than a run.
pub(crate) fn pump<F: Format>(
    pipeline: &mut Pipeline<F>,
    measurement: &str,
    bytes: &[u8],
    lengths: &[usize],
) -> (Vec<u8>, u64) {
    pipeline.replace_lane(0, lane(measurement));
    let (mut out, before) = (Vec::new(), pipeline.counts().scored);
    for piece in pieces(bytes, lengths) {
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), 5, &mut [ByValue]));
    }
    out.extend_from_slice(pipeline.finish(5, &mut [ByValue]));
    (out, pipeline.counts().scored - before)
}

/// Bytes as text for a panic.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
