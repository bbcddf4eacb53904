//! New models under load: lines pass one process while valid and invalid bundles are published, and every line of the output
//! is compared.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::Golden;
use qualm_bundle::manifest::{FORMAT, Feature, Manifest, Provenance, Shape, Suppression, Threshold};
use qualm_contract::Batch;
use qualm_contract::Transform;
use qualm_core::BuiltIn;
use qualm_core::trained::calibrate;
use qualm_core::trained::prepare::Scaling;
use qualm_core::zscore;

use crate::Site;
use crate::config::quoted;

/// Entities, each with three lines a step.
const HOSTS: u64 = 10;

/// Lines of a step: cpu, mem and net of each host, of which cpu, mem make a vector.
const LINES: u64 = 3 * HOSTS;

/// How long a process may take to notice a bundle.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The counts of a run.
#[derive(Debug)]
pub struct Report {
    /// Lines of the output.
    pub lines: u64,
    /// Vectors that were scored.
    pub vectors: u64,
    /// Models that took over, and bundles that were refused.
    pub taken: usize,
    /// See `taken`.
    pub refused: usize,
    /// The pause of the pipeline for each model that took over, in milliseconds, ascending.
    pub pauses: Vec<f64>,
    /// The summary that the process logged.
    pub summary: String,
}

/// The flaw of a bundle.
#[derive(Debug, Clone, Copy)]
enum Flaw {
    Truncated,
    Digest,
    Golden,
    Older,
    Format,
    Features,
}

const FLAWS: [Flaw; 6] = [Flaw::Truncated, Flaw::Digest, Flaw::Golden, Flaw::Older, Flaw::Format, Flaw::Features];

/// Sends at least `lines` lines through `qualm` while `reloads` bundles are published, every third an invalid one.
///
/// # Panics
///
/// Where a line is lost, changed or out of order, a valid bundle is refused, or an invalid one is not.
#[must_use]
pub fn run(qualm: &Path, lines: u64, reloads: u64) -> Report {
    let site = Site::new();
    let source = site.path("model.qualm");
    publish(&source, &good(1).pack());
    let config = format!("[[detector]]\nname = \"hosts\"\nmodel = {}\n", quoted(&source));
    let config = site.write("qualm.toml", config);
    let mut child = Command::new(qualm)
        .args(["execd", "--config", &config.to_string_lossy()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let (said, log) = channel();
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut report = thread::scope(|scope| {
        scope.spawn(|| {
            let mut text = String::new();
            let mut step = 0;
            while step * LINES < lines || !done.load(Ordering::Relaxed) {
                text.clear();
                for step in step..step + 100 {
                    (0..LINES).for_each(|line| put_line(&mut text, step, line));
                }
                step += 100;
                stdin.write_all(text.as_bytes()).expect("it reads on");
            }
            written.store(step * LINES, Ordering::Relaxed);
            drop(stdin); // the end of the input
        });
        let compared = scope.spawn(|| compare(stdout));
        scope.spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let _nobody_waits_any_more = said.send(line.expect("a log is text"));
            }
        });
        let mut report = change_models(&source, &log, reloads);
        done.store(true, Ordering::Relaxed);
        (report.lines, report.vectors) = compared.join().expect("what came out is what went in");
        report.summary = log.iter().filter(|line| line.contains("lines in")).last().unwrap_or_default();
        report
    });
    assert!(child.wait().expect("it ends").success());
    assert_eq!(report.lines, written.into_inner(), "lines are missing at the end");
    assert_eq!(report.vectors, report.lines / LINES * HOSTS, "vectors have no score: {}", report.summary);
    report.pauses.sort_unstable_by(f64::total_cmp);
    report
}

/// Publishes bundles, and waits each time until the process logs its decision.
fn change_models(source: &Path, log: &Receiver<String>, reloads: u64) -> Report {
    let (mut taken, mut refused, mut pauses) = (0, 0, Vec::new());
    while !log.recv_timeout(TIMEOUT).expect("it logs its first model").contains("version 1 ") {}
    for number in 0..reloads {
        let version = number + 2;
        let flaw = (number % 3 == 2).then(|| FLAWS[(number / 3) as usize % FLAWS.len()]);
        let bundle = good(version);
        publish(source, &flaw.map_or_else(|| bundle.pack(), |flaw| with_flaw(&bundle, flaw)));
        loop {
            let line =
                log.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("nothing said about bundle {number}, {flaw:?}"));
            if let Some((title, time)) = line.split_once(" has taken over, in ") {
                assert!(flaw.is_none(), "a bad bundle took over ({flaw:?}): {line}");
                if title.contains(&format!("version {version} ")) {
                    taken += 1;
                    pauses.push(milliseconds(time));
                    break;
                }
            } else if line.contains("keeps its model") {
                assert!(flaw.is_some(), "a good bundle was refused: {line}");
                refused += 1;
                break;
            }
        }
    }
    Report { lines: 0, vectors: 0, taken, refused, pauses, summary: String::new() }
}

/// Compares the output with the input, and returns the number of lines and of vectors.
fn compare(from: impl Read) -> (u64, u64) {
    let mut out = BufReader::with_capacity(1 << 20, from);
    let (mut lines, mut vectors) = (0, 0);
    let (mut line, mut expected) = (Vec::new(), String::new());
    loop {
        line.clear();
        if out.read_until(b'\n', &mut line).expect("stdout can be read") == 0 {
            return (lines, vectors);
        }
        if line.starts_with(b"anomaly,") {
            vectors += 1;
            continue;
        }
        expected.clear();
        put_line(&mut expected, lines / LINES, lines % LINES);
        assert!(line == expected.as_bytes(), "line {lines} is {}", String::from_utf8_lossy(&line));
        lines += 1;
    }
}

fn put_line(out: &mut String, step: u64, line: u64) {
    let (host, what) = (line / 3, line % 3);
    let time = 1_700_000_000_000_000_000 + step * 1_000_000_000;
    let noise = (step * 7 + host * 13) % 100;
    let infallible = match what {
        0 => writeln!(out, "cpu,cpu=cpu-total,host=h{host} usage_user={noise}.5,usage_system=1.25 {time}"),
        1 => writeln!(out, "net,host=h{host},interface=eth0 bytes_recv={}i {time}", step * 1000 + noise),
        _ => writeln!(out, "mem,host=h{host} used_percent={}.25 {time}", 100 - noise),
    };
    infallible.unwrap_or_default();
}

/// A valid bundle of this version: z-scores of cpu and mem of a host.
///
/// # Panics
///
/// Never: the training data are constant.
#[must_use]
pub fn good(version: u64) -> Bundle {
    let rows: Vec<f64> =
        (0..2000).flat_map(|row| [f64::from(row % 100), f64::from((row + version as i32) % 90)]).collect();
    let settings = qualm_core::trained::Settings {
        scaling: Scaling::Standard,
        threshold: calibrate::Threshold::FalseAlarmRate(1e-3),
        memory: 5.0,
        ..qualm_core::trained::Settings::default()
    };
    let (series, times) = (vec![0; 2000], vec![0; 2000]);
    let all = Batch { series: &series, times: &times, values: &rows };
    let mut trained =
        zscore::fit(qualm_core::trained::Rows::new(&rows, 2), all, &settings).expect("there are rows enough");
    let model = trained.to_model();
    let few = Batch { series: &series[..20], times: &times[..20], values: &rows[..40] };
    let golden = Golden::of(&mut trained, few).expect("the model is good");
    let feature = |measurement: &str, field: &str| Feature {
        name: field.to_owned(),
        measurement: measurement.to_owned(),
        field: field.to_owned(),
        tags: [].into(),
        transform: Transform::None,
        reference: None,
    };
    let calibration = trained.calibration();
    let manifest = Manifest {
        format: FORMAT,
        name: "hosts".to_owned(),
        version,
        created: "2026-01-01T00:00:00Z".parse().expect("a time"),
        expires: None,
        kind: zscore::KIND.to_owned(),
        shape: Shape::Vector,
        entity: vec!["host".to_owned()],
        interval: Duration::from_secs(1),
        threshold: Threshold { rule: "test".to_owned(), ordinary: calibration.ordinary, raw: calibration.threshold },
        suppression: Suppression::default(),
        features: vec![feature("cpu", "usage_user"), feature("mem", "used_percent")],
        provenance: Provenance::default(),
        sha256: [].into(),
    };
    Draft { manifest, model, golden, reference: None, component: None }.finish(&BuiltIn).expect("a good bundle")
}

/// A packed bundle with this flaw.
fn with_flaw(bundle: &Bundle, flaw: Flaw) -> Vec<u8> {
    let with = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = bundle.clone();
        change(&mut bundle);
        bundle.pack()
    };
    let text = |bundle: &mut Bundle, from: &str, to: &str| {
        let text = String::from_utf8_lossy(&bundle.manifest_text).replacen(from, to, 1);
        bundle.manifest_text = text.into_bytes();
    };
    match flaw {
        Flaw::Truncated => {
            let whole = bundle.pack();
            whole[..whole.len() / 2].to_vec()
        }
        Flaw::Digest => with(&|bundle| {
            let last = bundle.model.len() - 1;
            bundle.model[last] ^= 1;
        }),
        // Valid digests of another model's golden rows.
        Flaw::Golden => {
            let mut draft = Draft {
                manifest: bundle.manifest.clone(),
                model: bundle.model.clone(),
                golden: bundle.golden.clone(),
                reference: None,
                component: None,
            };
            let other = good(bundle.manifest.version + 45);
            draft.model = other.model;
            let right = Draft { golden: other.golden, ..draft }.finish(&BuiltIn).expect("a good bundle");
            with(&|bundle| {
                let digest = |bundle: &Bundle| bundle.manifest.sha256["golden.safetensors"].clone();
                let wrong = (right.manifest.sha256["golden.safetensors"].clone(), right.golden.clone());
                let old = digest(bundle);
                bundle.golden = wrong.1;
                text(bundle, &old, &wrong.0);
            })
        }
        Flaw::Older => good(1).pack(),
        Flaw::Format => with(&|bundle| text(bundle, "format = 1", "format = 99")),
        Flaw::Features => with(&|bundle| text(bundle, "name = \"used_percent\"", "name = \"usage_user\"")),
    }
}

/// Replaces a file atomically, as publishing a model requires.
///
/// # Panics
///
/// If it cannot be written.
pub fn publish(path: &Path, bytes: &[u8]) {
    let new: PathBuf = path.with_extension("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).expect("a bundle can be published");
}

/// A duration as Rust prints it.
fn milliseconds(text: &str) -> f64 {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..unit].parse().expect("a duration");
    number
        * match &text[unit..] {
            "ns" => 1e-6,
            "µs" => 1e-3,
            "ms" => 1.0,
            _ => 1e3,
        }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, vectors, taken, refused, pauses, .. } = self;
        let (median, most) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
        write!(
            f,
            "{lines} lines in order, {vectors} vectors scored, {taken} models taken up, {refused} refused; \
             a swap took {median:.2} ms (median), {most:.2} ms at most"
        )
    }
}
