//! Models in the binary: imported from scikit-learn, kept for the next start, rolled back, trusted or not.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use qualm_tests::config::quoted;
use qualm_tests::{Site, reload, run, tools};
use serde_json::Value;

/// How long a process may take to log a message.
const TIMEOUT: Duration = Duration::from_mins(1);

#[test]
fn an_imported_forest_has_scikit_learns_scores() {
    let Some(qualm) = tools::qualm() else { return };
    let fixture = tools::workspace().join("guest/core/tests/fixtures/sklearn_forest.json");
    let cases: Value = serde_json::from_slice(&fs::read(fixture).expect("the fixture")).expect("JSON");
    let mut compared = 0;
    for (name, case) in cases.as_object().expect("cases by name") {
        let site = Site::new();
        let forest = &case["forest"];
        if forest["ordinary"].is_null() {
            continue;
        }
        let json = site.write("forest.json", forest.to_string());
        let model = site.path("model");
        let [json, model] = [&json, &model].map(|path| path.to_string_lossy().into_owned());
        let imported = run(&qualm, &["bundle", "import", &json, "--out", &model, "--measurement", "m"], b"");
        assert!(imported.status.success(), "{name}: {}", imported.stderr);
        assert!(run(&qualm, &["bundle", "verify", &model], b"").status.success());

        let rows = case["rows"].as_array().expect("rows");
        let features: Vec<&str> =
            forest["features"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        let mut csv = format!("time,{}\n", features.join(","));
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.as_array().expect("a row").iter().map(Value::to_string).collect();
            csv += &[&format!("{at},"), &*cells.join(","), "\n"].concat();
        }
        let (input, scores) = (site.write("rows.csv", csv), site.path("scores.csv"));
        let [input, out] = [&input, &scores].map(|path| path.to_string_lossy().into_owned());
        let replayed = run(&qualm, &["replay", "--model", &model, "--input", &input, "--scores", &out], b"");
        assert!(replayed.status.success(), "{name}: {}", replayed.stderr);
        let number = |value: &Value| value.as_f64().expect("a number");
        let (ordinary, threshold) = (-number(&forest["ordinary"]), -number(&forest["offset"]));
        let scores = site.read_text("scores.csv");
        assert_eq!(scores.lines().count(), rows.len() + 1);
        for (line, theirs) in scores.lines().skip(1).zip(case["score_samples"].as_array().expect("scores")) {
            let ours: f64 = line.rsplit(',').next().unwrap_or_default().parse().expect("a score");
            let theirs = ((-number(theirs) - ordinary) / (threshold - ordinary)).max(0.0);
            assert!((ours - theirs).abs() * (threshold - ordinary) < 1e-9, "{name}: {ours} is not {theirs}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared} rows compare little");
}

#[test]
fn the_last_model_is_used_where_the_source_is_missing() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let source = site.path("model.qualm");
    reload::publish(&source, &reload::good(7).pack());
    let config = config(&site, &source, "");
    Running::start(&qualm, &config).wait_for("version 7 ");
    fs::remove_file(&source).expect("it was there");
    Running::start(&qualm, &config).wait_for("begins with the last good model, hosts version 7 ");
}

/// A model that does not exist yet is added to a pipeline that has state.
#[test]
fn a_missing_model_delays_no_metric() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let config = config(&site, &site.path("none"), "[[detector]]\nname = \"all\"\nmin_samples = 2\n");
    for _ in 0..2 {
        let done = run(&qualm, &["execd", "--config", &config], b"cpu,host=a usage_user=1 1\n");
        assert!(done.status.success() && done.stdout.starts_with(b"cpu,host=a usage_user=1"), "{}", done.stderr);
    }
}

#[test]
fn a_rollback_of_a_running_pipeline_persists() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let source = site.path("model.qualm");
    reload::publish(&source, &reload::good(1).pack());
    let config = config(&site, &source, "");
    let running = Running::start(&qualm, &config);
    running.wait_for("version 1 ");
    reload::publish(&source, &reload::good(2).pack());
    running.wait_for("version 2 (zscore) has taken over");
    let state = site.path("state").to_string_lossy().into_owned();
    let rolled_back = run(&qualm, &["bundle", "rollback", "hosts", "--state", &state], b"");
    assert!(rolled_back.status.success(), "{}", rolled_back.stderr);
    running.wait_for("version 1 (zscore) has taken over");
    // The version that was rolled back is not used again, also not by a new process; a newer one is.
    drop(running);
    let running = Running::start(&qualm, &config);
    running.wait_for("begins with the last good model, hosts version 1 ");
    reload::publish(&source, &reload::good(3).pack());
    running.wait_for("version 3 (zscore) has taken over");
}

#[test]
fn with_trusted_keys_an_unsigned_model_is_refused_and_metrics_pass() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let source = site.path("model.qualm");
    reload::publish(&source, &reload::good(1).pack());
    let keys = "[bundles]\ntrusted_keys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n";
    let config = config(&site, &source, keys);
    let line = b"cpu,host=a usage_user=1 1\n";
    let done = run(&qualm, &["execd", "--config", &config], line);
    assert!(done.status.success() && done.stdout == line, "{}", done.stderr);
    assert!(done.stderr.contains("scores nothing until it has a model"), "{}", done.stderr);
    let checked = run(&qualm, &["execd", "--check", "--config", &config], b"");
    assert_eq!(checked.status.code(), Some(2), "{}", checked.stderr);
    assert!(checked.stderr.contains("sign"), "{}", checked.stderr);
}

/// A configuration with state, whose models come from `source`.
fn config(site: &Site, source: &Path, more: &str) -> String {
    let [source, state] = [quoted(source), quoted(&site.path("state"))];
    let config = format!("[[detector]]\nname = \"hosts\"\nmodel = {source}\n[state]\ndir = {state}\n{more}");
    site.write("qualm.toml", config).to_string_lossy().into_owned()
}

/// A pipeline that runs until it is dropped.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Receiver<String>,
}

impl Running {
    fn start(qualm: &Path, config: &str) -> Self {
        let mut child = Command::new(qualm)
            .args(["execd", "--config", config])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdin = child.stdin.take();
        let stderr = child.stderr.take().expect("it is piped");
        let (said, log) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _nobody_waits_any_more = said.send(line);
            }
        });
        Self { child, stdin, log }
    }

    /// Waits until its log has this text.
    fn wait_for(&self, text: &str) {
        let mut logged = Vec::new();
        loop {
            match self.log.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => logged.push(line),
                Err(error) => panic!("`{text}` was not logged ({error}), but: {logged:#?}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            let _gone_already = stdin.flush();
        }
        let _ends_with_its_input = self.child.wait();
    }
}
