//! The way of lines through the pipeline and the built-in detector, for a count of instructions: `make instructions`.
//!
//! `hot_path LINES` passes so many lines of a hundred hosts with ten fields each, a mebibyte at a time.

use std::fmt::Write as _;
use std::hint::black_box;

use qualm_core::streaming::{Parameters, Streaming};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};

const HOSTS: usize = 100;
const FIELDS: usize = 10;

fn main() {
    let lines = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 1);
    let mut detectors = [Streaming::new(Parameters::default())];
    let mut text = String::new();
    let mut state = 1_u64;
    for line in 0..lines {
        let _infallible = write!(text, "cpu,host=web-{},region=eu ", line % HOSTS);
        for field in 0..FIELDS {
            // Any generator will do: its values are the same in every run.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let separator = if field == 0 { "" } else { "," };
            let _infallible = write!(text, "{separator}f{field}={:.3}", 50.0 + (state >> 40) as f64 / 1e7);
        }
        let _infallible = writeln!(text, " {}", 1_700_000_000_000_000_000 + line / HOSTS * 10_000_000_000);
        if text.len() > 900_000 || line + 1 == lines {
            pipeline.input()[..text.len()].copy_from_slice(text.as_bytes());
            black_box(pipeline.run(text.len(), 0, &mut detectors));
            text.clear();
        }
    }
}
