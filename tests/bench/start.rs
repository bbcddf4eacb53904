//! How long a start takes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Effort;
use crate::cpus::Cpus;
use crate::place::Place;
use crate::table::{Row, Wanted, median};

/// Lines of one head: enough for a score.
const LINES: usize = 40;

const CONFIG: &str = "[[detector]]\nmin_samples = 30\n";

/// From the start to the first scored line, in milliseconds at most.
const MAX_MS: f64 = 50.0;

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let mut cpus = Cpus::new(1);
    let mut lines = Vec::new();
    (0..LINES).for_each(|_| cpus.round(&mut lines));
    let (mut ours, mut cat) = (Vec::new(), Vec::new());
    // The first start compiles the detector, if nothing else has.
    let _cold = start(place.qualm(CONFIG), &lines, b"anomaly_score");
    for _ in 0..effort.starts {
        ours.push(start(place.qualm(CONFIG), &lines, b"anomaly_score").as_secs_f64() * 1e3);
        cat.push(start(place.cat(), &lines, b"\n").as_secs_f64() * 1e3);
    }
    let cold = start(place.qualm_with_cache(CONFIG, "cold-start"), &lines, b"anomaly_score").as_secs_f64() * 1e3;
    let (ours, cat) = (median(ours), median(cat));
    let figures = format!("{ours:.1} ms ({cold:.0} ms where the detector is compiled first)");
    let wanted = (Wanted::AtMost(MAX_MS), " ms", 1.0);
    vec![
        Row::figure("start to first scored line", figures, format!("cat: {cat:.1} ms"), ours, wanted)
            .beside(ours / cat),
    ]
}

/// From before the program exists until `sign` is in its output.
fn start(mut command: Command, lines: &[u8], sign: &[u8]) -> Duration {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    // Few enough to fit into the pipe. It is closed behind them: the program then ends by itself.
    child.stdin.take().expect("stdin is piped").write_all(lines).expect("the program reads");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let (mut out, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while !out.windows(sign.len()).any(|window| window == sign) {
        let read = stdout.read(&mut buffer).expect("the program writes");
        assert!(read > 0, "no line was scored");
        out.extend_from_slice(&buffer[..read]);
    }
    let elapsed = start.elapsed();
    while stdout.read(&mut buffer).is_ok_and(|read| read > 0) {}
    assert!(child.wait().expect("the program ends").success(), "{command:?} failed");
    elapsed
}
