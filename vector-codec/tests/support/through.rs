//! Bodies through a pipeline, piece by piece.

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector, glob::Globs};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

/// Scores every row by its value, from 0 to 3.
pub(crate) struct ByValue;

impl BatchScorer for ByValue {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend(batch.values.iter().map(|value| (value.abs() / 100.0).min(3.0)));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

pub(crate) fn pipeline(style: VerdictStyle, measurement: &str) -> Pipeline<VectorEvents> {
    let selector = Selector { measurement: Globs::new([measurement]).unwrap(), ..Selector::default() };
    Pipeline::of(VectorEvents::new(style), vec![Lane::new(selector, Limits::default())], 7)
}

/// What is known of a row: head, field, time, value, score.
pub(crate) type Row = (String, String, i64, u64, u64);

/// Gives a body in pieces of the given lengths, and returns what comes out, and the rows.
pub(crate) fn through(pipeline: &mut Pipeline<VectorEvents>, body: &[u8], lengths: &[usize]) -> (Vec<u8>, Vec<Row>) {
    fn rows(pipeline: &Pipeline<VectorEvents>) -> impl Iterator<Item = Row> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pipeline.verdicts().map(move |v| (text(v.head), text(v.key), v.time, v.values[0].to_bits(), v.score.to_bits()))
    }
    let (mut out, mut verdicts) = (Vec::new(), Vec::new());
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    pipeline.format_mut().begin_body(body);
    while !rest.is_empty() {
        let most = lengths.next().map_or(1 << 20, |length| *length).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(most);
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), 5, &mut [ByValue]));
        verdicts.extend(rows(pipeline));
        rest = behind;
    }
    out.extend_from_slice(pipeline.finish(5, &mut [ByValue]));
    verdicts.extend(rows(pipeline));
    (out, verdicts)
}
