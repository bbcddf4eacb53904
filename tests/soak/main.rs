//! An hour of mixed load with injected faults: `make soak`, or `SOAK_SECONDS=600 make soak`.
//!
//! Numbered lines go through `qualm execd` over pipes and through `qualm serve` as writes for an InfluxDB and as events of
//! Vector, all at once, while models are swapped, a plugin traps or loops, state directories vanish, signals come, upstreams
//! fail, readers stall, and processes are stopped, killed and started again ([`faults`]). Whatever comes out is compared with
//! what went in, line by line ([`check`]). A line that is lost, changed, out of order or, over pipes, there twice makes it
//! fail. A full disk is not among the faults: a small file system takes root to mount.

mod check;
mod execd;
mod faults;
mod serve;

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use qualm_tests::tools;

use check::Counts;

/// The default duration.
const SECONDS: u64 = 3600;

fn main() -> ExitCode {
    let Some(qualm) = tools::qualm() else { return ExitCode::FAILURE };
    let number = |name: &str, default| env::var(name).map_or(default, |text| text.parse().expect(name));
    let (seconds, seed) = (number("SOAK_SECONDS", SECONDS), number("SOAK_SEED", 7));
    let end = Instant::now() + Duration::from_secs(seconds);
    println!("{seconds} s of mixed load with faults, SOAK_SEED={seed}");
    let ways = thread::scope(|scope| {
        let execd = scope.spawn(|| vec![execd::run(&qualm, end, seed)]);
        let serve = scope.spawn(|| serve::run(&qualm, end, seed + 1));
        [execd, serve].map(|way| way.join().expect("a way that cannot go on has failed")).concat()
    });
    println!("{}", Counts::TITLE);
    for way in &ways {
        println!("{way}");
    }
    if ways.iter().all(Counts::are_well) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
