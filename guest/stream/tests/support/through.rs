//! Bodies through a pipeline, piece by piece.

use qualm_stream::native::VerdictStyle;
use qualm_stream::{Lane, Limits, Native, Pipeline, Rows, Scorer, Selector, Verdicts, glob::Globs};

/// Scores every row by its value, from 0 to 3.
pub(crate) struct ByValue;

impl Scorer for ByValue {
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
        verdicts.scores.extend(rows.values.iter().map(|value| (value.abs() / 100.0).min(3.0)));
    }

    fn forget(&mut self, _: &[u32]) {}
}

pub(crate) fn pipeline(style: VerdictStyle, measurement: &str) -> Pipeline<Native> {
    let selector = Selector { measurement: Globs::new([measurement]).unwrap(), ..Selector::default() };
    Pipeline::of(Native::new(style), vec![Lane::new(selector, Limits::default())], 7)
}

/// What is known of a row: head, field, time, value, score.
pub(crate) type Row = (String, String, i64, u64, u64);

/// Gives a body in pieces of the given lengths, and returns what comes out, and the rows.
pub(crate) fn through(pipeline: &mut Pipeline<Native>, body: &[u8], lengths: &[usize]) -> (Vec<u8>, Vec<Row>) {
    fn rows(pipeline: &Pipeline<Native>) -> impl Iterator<Item = Row> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pipeline.verdicts().map(move |v| (text(v.head), text(v.key), v.time, v.values[0].to_bits(), v.score.to_bits()))
    }
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    pipeline.format_mut().begin_body(body);
    while !rest.is_empty() {
        let most = lengths.next().map_or(1 << 20, |length| *length).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(most);
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), 5, &mut [ByValue]));
        told.extend(rows(pipeline));
        rest = behind;
    }
    out.extend_from_slice(pipeline.finish(5, &mut [ByValue]));
    told.extend(rows(pipeline));
    (out, told)
}
