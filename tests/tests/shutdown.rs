//! No line is lost when Telegraf reloads or stops, by any signal.

use std::path::Path;

use qualm_tests::{Feeder, Site, Telegraf, children, config, numbered, tools, until};
use rustix::process::{Pid, Signal, kill_process};

const LOAD: &str = "{ measurement = \"load\", include_fields = [\"value\"] }";

/// Telegraf stops qualm and starts another process. Each must return all its lines before it ends.
#[test]
fn reloads_under_load_lose_no_line() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let feeder = Feeder::start(&site.path("fed.lp"));
    let running = Telegraf::start(&telegraf, &site, &recorded(&site, &qualm));
    let out = || numbered(&site.read_text("out.lp"));

    for reload in 0..3 {
        let so_far = out().len();
        until("lines to flow", || out().len() > so_far + 500);
        running.signal(Signal::HUP);
        until("Telegraf to reload", || running.log().matches("Reloading Telegraf config").count() > reload);
        until("qualm to start again", || running.log().matches("Starting process").count() > reload + 1);
    }
    let so_far = out().len();
    until("lines to flow after the last reload", || out().len() > so_far + 500);
    let _ = feeder.stop();
    running.stop();
    assert_all_came_back(&site);
}

/// On Ctrl-C a terminal sends the signal to Telegraf and to qualm at once. Telegraf still has metrics to pass then, so that
/// qualm must run until its input ends.
#[test]
fn an_interrupt_under_load_loses_no_line() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let site = Site::new();
        let _feeder = Feeder::start(&site.path("fed.lp"));
        let mut running = Telegraf::start(&telegraf, &site, &recorded(&site, &qualm));
        let out = || numbered(&site.read_text("out.lp")).len();
        until("lines to flow", || out() > 1_000);

        // First to qualm alone, since Telegraf may stop too fast for the test to fail.
        let child = children(running.pid())[0];
        kill_process(Pid::from_raw(child as i32).expect("a process id"), signal).expect("qualm is running");
        let so_far = out();
        until("lines to flow after the signal", || out() > so_far + 500);
        assert_eq!(children(running.pid()), [child], "qualm ended on {signal:?}, before its input did");

        running.signal_all(signal);
        assert!(running.wait().success());
        assert_all_came_back(&site);
    }
}

/// Telegraf drops what is in the pipe when a process ends. `cat` loses metrics in one of four such runs.
#[test]
fn telegraf_once_returns_every_line() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config(LOAD);
    let line = |n| format!("load,host=web-1 value={}.5,n={n}i {n}000000000", n % 7);
    let lines: Vec<String> = (0..1_000).map(line).collect();
    let input = site.write("input.lp", lines.join("\n"));
    for run in 0..20 {
        let name = format!("out-{run}.lp");
        let conf = config::from_file(&input) + &config::qualm(&qualm, &toml) + &config::to_file(&site.path(&name));
        let status = Telegraf::once(&telegraf, &site, &conf);
        assert!(status.success(), "run {run}: {status}");
        let out = numbered(&site.read_text(&name));
        assert!(out.iter().map(|line| line.n).eq(0..1_000), "run {run}: {} of 1000 lines, or not in order", out.len());
    }
}

/// The summary is qualm's last log line, which Telegraf would lose if qualm did not wait.
#[test]
fn the_summary_is_in_telegrafs_log() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config(LOAD);
    let conf = config::from_file(&site.write("input.lp", "load,host=web-1 value=1.5,n=0i 1\n".repeat(100)))
        + &config::qualm(&qualm, &toml)
        + &config::to_file(&site.path("out.lp"));
    for run in 1..=10 {
        let status = Telegraf::once(&telegraf, &site, &conf);
        assert!(status.success(), "run {run}: {status}");
        let log = site.read_text("telegraf.log");
        let summaries = log.lines().filter(|line| line.contains("I! [processors.execd] qualm: 100 lines in"));
        assert_eq!(summaries.count(), run, "one summary from each run:\n{log}");
    }
}

/// A configuration that feeds `fed.lp` to qualm, and records Telegraf's input for qualm in `handed.lp`.
///
/// The recorder is a processor before qualm, not a wrapper: Telegraf starts, waits for and signals qualm itself. The recorder
/// ignores signals, so that it records until the end.
fn recorded(site: &Site, qualm: &Path) -> String {
    let toml = site.quick_config(LOAD);
    let command = format!(
        "pipe={}.$$; mkfifo $pipe; exec 3<&0; (trap '' INT TERM; exec tee -a {} <&3 >$pipe) & \
         exec {} execd --config {} <$pipe 3<&-",
        site.path("pipe").display(),
        site.path("handed.lp").display(),
        qualm.display(),
        toml.display()
    );
    config::from_tail(&site.path("fed.lp"))
        + &config::execd(&["sh", "-c", &command])
        + &config::to_file(&site.path("out.lp"))
}

fn assert_all_came_back(site: &Site) {
    let numbers = |name| -> Vec<u64> { numbered(&site.read_text(name)).iter().map(|line| line.n).collect() };
    let (handed, out) = (numbers("handed.lp"), numbers("out.lp"));
    assert!(handed.len() > 1_000, "hardly a load: {} lines", handed.len());
    let differs = handed.iter().zip(&out).position(|(handed, out)| handed != out);
    assert_eq!(differs, None, "order; {} lines handed over, {} came back", handed.len(), out.len());
    assert_eq!(out.len(), handed.len(), "lines that came back, of those that were handed over");
}
