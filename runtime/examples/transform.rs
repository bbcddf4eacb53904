//! The pipeline as a library: Vector's events in on stdin, out on stdout with their scores. Whoever builds a Vector of
//! their own can wrap it as a native transform in the same way: `native` encodes and decodes what it has in memory.
//!
//!     cargo run --release -p qualm --example transform < events.ndjson

use std::io::{self, Read as _, Write as _};

use qualm::Pipeline;
use qualm::config::Config;
use qualm_vector_codec::{VectorEvents, VerdictStyle};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The same configuration as everywhere; `Config::read` takes a file.
    let config = Config::parse("[[detector]]\nselect = { measurement = \"host.*\" }\n", "this example")?;
    let mut pipeline = Pipeline::start_apart(
        VectorEvents::new(VerdictStyle::Gauges),
        "transform",
        &config,
        &qualm::model_builder(&config),
    )?;

    let mut batch = Vec::new();
    io::stdin().read_to_end(&mut batch)?;
    pipeline.format_mut().begin_body(&batch);
    let mut scored = Vec::new();
    pipeline.score_body(&batch, qualm::now(), &mut scored);
    io::stdout().write_all(&scored)?;

    pipeline.close()?; // at the end: what was learnt is saved
    Ok(())
}
