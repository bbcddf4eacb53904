//! Lines in, scored lines out, as a WASI 0.2 command: `wasmtime run qualm-cli.wasm < metrics.lp`.
//!
//! It has the same pipeline and the same detector as the qualm command.

use qualm_core::streaming::{Parameters, Streaming};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use wasip2::cli::{environment, stderr, stdin, stdout};
use wasip2::clocks::wall_clock;
use wasip2::exports::cli::run::Guest;
use wasip2::io::streams::{OutputStream, StreamError};

const HELP: &str = "\
Gives every numeric field in InfluxDB line protocol an anomaly score.

Usage: wasmtime run qualm-cli.wasm < metrics.lp

Each line comes back as it was, with `anomaly_score` and `is_anomaly` behind its fields once its series has been seen
often enough: 0 is ordinary, 1 is the threshold, above 1 is an anomaly. There are no options; the qualm binary has them.
";

/// The most bytes of one blocking write in WASI.
const MAX_WRITE: usize = 4096;

struct Command;

impl Guest for Command {
    fn run() -> Result<(), ()> {
        if environment::get_arguments().len() > 1 {
            return write(&stderr::get_stderr(), HELP.as_bytes());
        }
        score_stdin()
    }
}

fn score_stdin() -> Result<(), ()> {
    let (input, output) = (stdin::get_stdin(), stdout::get_stdout());
    let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 0);
    let mut detectors = [Streaming::new(Parameters::default())];
    loop {
        let room = pipeline.input();
        match input.blocking_read(room.len() as u64) {
            Ok(bytes) => {
                room[..bytes.len()].copy_from_slice(&bytes);
                write(&output, pipeline.run(bytes.len(), now(), &mut detectors))?;
            }
            Err(StreamError::Closed) => return write(&output, pipeline.finish(now(), &mut detectors)),
            Err(StreamError::LastOperationFailed(_)) => return Err(()),
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let now = wall_clock::now();
    i64::try_from(now.seconds).unwrap_or_default().saturating_mul(1_000_000_000).saturating_add(now.nanoseconds.into())
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), ()> {
    for piece in bytes.chunks(MAX_WRITE) {
        stream.blocking_write_and_flush(piece).map_err(drop)?;
    }
    Ok(())
}

wasip2::cli::command::export!(Command);
