//! How much memory it takes: at the start, for each series, and with more series than it may have.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use qualm_tests::config::quoted;

use crate::Effort;
use crate::cpus::Cpus;
use crate::live::Live;
use crate::place::Place;
use crate::table::{Row, Wanted};

const MIB: f64 = (1 << 20) as f64;

/// Fields of a line.
const FIELDS: usize = 10;

/// How long saving may take: it begins within the interval of a second.
const SAVED: Duration = Duration::from_secs(4);

pub(crate) fn measure(place: &Place, _: Effort) -> Vec<Row> {
    vec![at_start(place), per_series(place, false), per_series(place, true), too_many(place)]
}

fn at_start(place: &Place) -> Row {
    let mut line = Vec::new();
    Cpus::new(1).round(&mut line);
    let resident = |command| {
        let mut live = Live::start(command);
        live.pass(&line);
        live.memory("VmRSS")
    };
    let _cold = resident(place.qualm(""));
    let (ours, cat) = (resident(place.qualm("")), resident(place.cat()));
    let cold = resident(place.qualm_with_cache("", "cold-memory"));
    Row::figure(
        "resident after the first line",
        format!("{:.1} MiB ({:.0} MiB where the detector is compiled first)", ours / MIB, cold / MIB),
        format!("cat: {:.1} MiB", cat / MIB),
        ours,
        (Wanted::AtMost(40.0 * MIB), " MiB", MIB),
    )
    .beside(ours / cat)
}

/// What 200,000 series more take.
fn per_series(place: &Place, on_disk: bool) -> Row {
    const BASE_SERIES: usize = 10_000;
    const ALL_SERIES: usize = 210_000;
    let state = place.state("state");
    let dir = if on_disk { format!("dir = {}\n", quoted(&state)) } else { String::new() };
    let toml = format!("[state]\ninterval = \"1s\"\n{dir}");
    // Compiles the detector where this configuration keeps what is compiled: memory that compiling left behind would
    // hide what the series take.
    let ready = place.qualm(&toml).arg("--check").stdout(Stdio::null()).status();
    assert!(ready.is_ok_and(|status| status.success()), "the configuration is good");
    let mut live = Live::start(place.qualm(&toml));
    let mut resident = [BASE_SERIES, ALL_SERIES].into_iter().map(|series| {
        let mut cpus = Cpus::new(series / FIELDS);
        let mut round = Vec::new();
        for _ in 0..5 {
            round.clear();
            cpus.round(&mut round);
            live.pass(&round);
        }
        let learnt = live.memory("VmRSS");
        thread::sleep(SAVED);
        (learnt, live.memory("VmRSS"))
    });
    let (few, many) = (resident.next().unwrap_or_default(), resident.next().unwrap_or_default());
    let more = (ALL_SERIES - BASE_SERIES) as f64;
    let bytes = (many.1 - few.1) / more;
    let (what, wanted) = if on_disk {
        ("the same with a state directory", Wanted::Nothing)
    } else {
        ("bytes for each series, snapshot included", Wanted::AtMost(256.0))
    };
    let beside = format!("before the snapshot: {:.0} B", (many.0 - few.0) / more);
    Row::figure(what, format!("{bytes:.0} B"), beside, bytes, (wanted, " B", 1.0))
}

/// A million series where a hundred thousand are kept.
fn too_many(place: &Place) -> Row {
    const KEPT: usize = 100_000;
    const SERIES: usize = 1_000_000;
    let mut live = Live::start(place.qualm(&format!("[limits]\nmax_series = {KEPT}\n")));
    let mut round = Vec::new();
    Cpus::new(SERIES / FIELDS).round(&mut round);
    let newline = |from: usize| round[from..].iter().position(|&byte| byte == b'\n').map_or(0, |at| from + at + 1);
    let fifth = newline(round.len() / 5);
    live.pass(&round[..fifth]);
    let first = live.memory("VmRSS");
    live.pass(&round[fifth..]);
    live.pass(&round);
    let last = live.memory("VmRSS");
    // A line too many would come after those that were waited for.
    thread::sleep(Duration::from_millis(100));
    let whole = if live.back() == live.sent() { "as many" } else { "NOT as many" };
    Row::ratio(
        "1,000,000 series twice, max_series = 100,000",
        format!("{:.1} MiB, {} lines in and {whole} out", last / MIB, live.sent()),
        format!("after 200,000 series: {:.1} MiB", first / MIB),
        last / first,
        Wanted::AtMost(1.25),
    )
}
