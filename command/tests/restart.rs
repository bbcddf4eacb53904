//! Decisions before a restart hold after it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use qualm::Pipeline;
use qualm::config::Config;
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

/// The output of `qualm execd` for these lines, with its state in this directory.
fn execd(dir: &Path, detector: &str, input: String) -> String {
    let path = dir.join("qualm.toml");
    let state = dir.join("state");
    let state = state.display();
    fs::write(&path, format!("[[detector]]\nmin_samples = 50\n{detector}\n[state]\ndir = \"{state}\"\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["execd", "--config", path.to_str().unwrap()]);
    let output = common::output(&mut command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Lines of one series, ten seconds apart, with these odd values.
fn lines(at: std::ops::Range<u32>, odd: &[(u32, f64)]) -> String {
    let value = |at| odd.iter().find(|(odd, _)| *odd == at).map_or(f64::from(at % 7) + 0.5, |(_, value)| *value);
    at.map(|at| format!("m,host=a v={} {}0000000000\n", value(at), 170_000_000 + at)).collect()
}

#[test]
fn an_incident_is_not_reported_again_within_its_cooldown() {
    let (before, after) = (lines(0..600, &[(300, 100.0)]), lines(600..720, &[(700, -100.0)]));
    for (cooldown, again) in [("", true), ("cooldown = \"2h\"", false)] {
        let dir = tempfile::tempdir().unwrap();
        let first = execd(dir.path(), cooldown, before.clone());
        assert!(first.contains("is_anomaly=1i"), "{first}");
        let second = execd(dir.path(), cooldown, after.clone());
        assert!(second.contains("anomaly_score"), "its state is there: {second}");
        assert_eq!(second.contains("is_anomaly=1i"), again, "{cooldown}: {second}");
    }
}

#[test]
fn a_sustained_incident_is_reported_across_a_restart() {
    // The same rows, with the restart within the incident and without one.
    let odd: Vec<(u32, f64)> = (398..403).map(|at| (at, 900.0)).collect();
    let rule = "sustained = \"3 of 5\"";
    let anomalies = |out: &str| out.lines().map(|line| line.contains("is_anomaly=1i")).collect::<Vec<_>>();
    let dir = tempfile::tempdir().unwrap();
    let whole = anomalies(&execd(dir.path(), rule, lines(0..410, &odd)));
    assert!(whole[..400].iter().all(|one| !one) && whole[400..].contains(&true), "{whole:?}");
    let dir = tempfile::tempdir().unwrap();
    let mut parts = anomalies(&execd(dir.path(), rule, lines(0..400, &odd)));
    parts.extend(anomalies(&execd(dir.path(), rule, lines(400..410, &odd))));
    assert_eq!(parts, whole);
}

#[test]
fn vectors_counters_have_rates_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let config = Config::parse(&format!("[state]\ndir = \"{}\"", state.display()), "q.toml").unwrap();
    let total = |at: i64| {
        format!(
            "{{\"metric\":{{\"name\":\"hits\",\"kind\":\"absolute\",\"timestamp\":\"2026-03-01T12:00:{at:02}Z\",\
             \"counter\":{{\"value\":{}.0}}}}}}\n",
            100 * at
        )
    };
    // A total that is the first of its counter has no rate yet, and is no row.
    for (restart, rows) in [1, 2].into_iter().enumerate() {
        let native = VectorEvents::new(VerdictStyle::Gauges);
        let mut pipeline = Pipeline::start_apart(native, "vector", &config, &qualm::model_builder(&config)).unwrap();
        for at in [10, 20] {
            let mut out = Vec::new();
            pipeline.score_body(total(20 * restart as i64 + at).as_bytes(), 1_772_366_400_000_000_000, &mut out);
        }
        assert_eq!(pipeline.counts().rows, rows, "{restart}");
        pipeline.close().unwrap();
    }
}
