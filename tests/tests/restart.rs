//! After a restart qualm resumes from its state; killed under load, it loses lines in flight only.

use qualm_tests::{Feeder, Numbered, Site, Telegraf, children, config, numbered, tools, until, until_some};
use rustix::process::{Pid, Signal, kill_process};

/// Telegraf is stopped and started, as on every update of a host: nothing has to warm up again.
#[test]
fn state_survives_an_orderly_restart() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\", include_fields = [\"value\"] }");
    let run = |from: &str, to: &str| {
        let conf =
            config::from_tail(&site.path(from)) + &config::qualm(&qualm, &toml) + &config::to_file(&site.path(to));
        let feeder = Feeder::start(&site.path(from));
        let running = Telegraf::start(&telegraf, &site, &conf);
        until("scored lines", || numbered(&site.read_text(to)).iter().any(|line| line.scored));
        let _ = feeder.stop();
        running.stop();
        numbered(&site.read_text(to))[0]
    };
    let first = run("fed-before.lp", "out-before.lp");
    assert!(!first.scored, "a score without a warm-up says nothing");
    let first = run("fed-after.lp", "out-after.lp");
    assert!(first.scored, "warming up again after a restart");
}

/// The bytes in flight at the kill: in the pipe to qualm, in qualm, and in the pipe back, 64 KiB each on Linux.
/// The fourth is for lines in the file that Telegraf has not read yet.
const BYTES_IN_FLIGHT: u64 = 4 * 64 * 1024;

/// The least bytes of a line.
const LINE: u64 = 50;

/// A kill may lose one range of lines: those in flight, and those that Telegraf drops until it has started the next process.
/// All lines before and after it are there, in order.
#[test]
fn a_kill_under_load_loses_one_range_of_lines() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\", include_fields = [\"value\"] }");
    let fed = site.write("fed.lp", "");
    let conf = config::from_tail(&fed) + &config::qualm(&qualm, &toml) + &config::to_file(&site.path("out.lp"));
    let running = Telegraf::start(&telegraf, &site, &conf);
    let feeder = Feeder::start(&fed);
    let out = || numbered(&site.read_text("out.lp"));

    until("scored lines, no more than a second old", || {
        out().last().is_some_and(|line| line.scored && line.n + 2_000 > feeder.fed())
    });
    let killed = children(running.pid())[0];
    let fed_at_the_kill = feeder.fed();
    kill_process(Pid::from_raw(killed as i32).expect("a process id"), Signal::KILL).expect("qualm was running");

    until_some("Telegraf to start qualm again", || children(running.pid()).into_iter().find(|&pid| pid != killed));
    let fed_at_the_restart = feeder.fed();
    until("scored lines from the second process", || {
        out().iter().any(|line| line.scored && line.n > fed_at_the_restart + 1_000)
    });
    let all = feeder.stop();
    until("the last line", || out().last().is_some_and(|line| line.n == all - 1));
    running.stop();

    let out = out();
    assert_eq!(out[0].n, 0, "the first line");
    let gaps = gaps(&out);
    assert!(gaps.len() <= 1, "one kill, but gaps at {gaps:?}");
    for (before, after) in gaps {
        let lost_at_the_kill = fed_at_the_kill.saturating_sub(before + 1);
        assert!(lost_at_the_kill * LINE <= BYTES_IN_FLIGHT, "{lost_at_the_kill} lines from before the kill are lost");
        assert!(
            after <= fed_at_the_restart,
            "lines up to {after} are lost, but the restart was at {fed_at_the_restart}"
        );
    }
}

/// The pairs of adjacent lines in the output that are not adjacent in the input. Fails if a line is repeated or out of order.
fn gaps(out: &[Numbered]) -> Vec<(u64, u64)> {
    let pairs = out.windows(2).map(|pair| (pair[0].n, pair[1].n));
    pairs
        .inspect(|(one, next)| assert!(one < next, "{next} came after {one}"))
        .filter(|(one, next)| one + 1 < *next)
        .collect()
}
