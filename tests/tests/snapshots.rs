//! Snapshots of help texts, errors, `--check` and metrics: `tests/tests/snapshots/`.
//!
//! After an intended change, `INSTA_UPDATE=always cargo test --locked --release -p qualm-tests --test snapshots` writes it
//! anew; read the diff.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use qualm_tests::{Server, Site, tools, until};

/// Runs the binary in `dir`, on a terminal of a fixed width.
fn qualm(binary: &Path, dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(dir).env("COLUMNS", "100").env_remove("RUST_BACKTRACE");
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn help_texts() {
    let Some(binary) = tools::qualm() else { return };
    let site = Site::new();
    let mut left = vec![Vec::<String>::new()];
    while let Some(path) = left.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let output = qualm(&binary, &site.path(""), &arguments);
        assert!(output.status.success(), "{arguments:?}");
        let help = text(&output.stdout);
        left.extend(commands(&help).into_iter().map(|name| [path.as_slice(), &[name]].concat()));
        let name = ["help"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        insta::assert_snapshot!(name, help);
    }
}

#[test]
fn the_configuration_in_force() {
    let Some(binary) = tools::qualm() else { return };
    let site = Site::new();
    let output = qualm(&binary, &site.path(""), &["execd", "--check"]);
    assert!(output.status.success());
    insta::assert_snapshot!("check", text(&output.stdout));
    let output = qualm(&binary, &site.path(""), &["--sample-config"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), include_str!("../../runtime/src/sample.toml"), "it is that file, to the byte");
}

/// Errors: what, where, what to do, and the exit code.
#[test]
fn errors() {
    let Some(binary) = tools::qualm() else { return };
    let site = Site::new();
    site.write("broken.toml", "[[detector]]\nfalse_alarm_rat = 1\n");
    site.write("contradiction.toml", "[[detector]]\nmodel = \"m\"\nmin_samples = 7\n");
    site.write("empty.csv", "");
    site.write("words.csv", "time,cpu\n2024-01-01T00:00:00Z,fast\n");
    let mut all = String::new();
    for arguments in [
        &["execd", "--config", "nowhere.toml"][..],
        &["execd", "--config", "broken.toml", "--check"],
        &["execd", "--config", "contradiction.toml", "--check"],
        &["replay", "--input", "nowhere.csv"],
        &["replay", "--input", "empty.csv"],
        &["validate", "--input", "words.csv"],
        &["train", "--input", "words.csv", "--out", "model"],
        &["train", "--input", "words.csv", "--detector", "guess", "--out", "model"],
        &["bundle", "inspect", "nowhere"],
        &["bundle", "verify", "words.csv"],
        &["plugin", "check", "words.csv"],
        &["explain", "--bundle", "nowhere", "--input", "words.csv"],
        &["evaluate", "--bundle", "nowhere", "--input", "words.csv"],
        &["collect", "--url", "ftp://elsewhere", "--out", "x.lp"],
        &["warm", "--config", "nowhere.toml", "--input", "words.csv"],
        &["exced"],
    ] {
        let output = qualm(&binary, &site.path(""), arguments);
        let code = output.status.code().expect("no signal ends it");
        assert_ne!(code, 0, "{arguments:?}");
        let _infallible = write!(all, "$ qualm {}\n{}[{code}]\n\n", arguments.join(" "), text(&output.stderr));
    }
    // The log begins with the time.
    let without_times: String = all
        .lines()
        .map(|line| match line.split_once("Z ") {
            Some((time, rest)) if time.starts_with("20") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    insta::assert_snapshot!("errors", without_times);
}

/// The families of `/metrics`: names, types and help texts, without their values.
#[test]
fn exposition() {
    let Some(binary) = tools::qualm() else { return };
    let site = Site::new();
    let config = site.write("qualm.toml", "[http]\nlisten = \"127.0.0.1:0\"\n");
    let server = Server::start(&binary, &config, &["--stdout"]);
    let shows_detectors = || server.get("/metrics").text().contains("qualm_detector_state");
    until("the detectors are shown", shows_detectors);
    let all = server.get("/metrics").text();
    let families: BTreeSet<&str> = all.lines().filter(|line| line.starts_with("# ")).collect();
    insta::assert_snapshot!("metrics", families.into_iter().collect::<Vec<_>>().join("\n"));
}
