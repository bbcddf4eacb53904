//! Plugins in the binary, from component to alarm: packed or trained, evaluated, replayed, in a real Telegraf, replaced and
//! restarted under load; and one that was built for the first version of the contract.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use qualm_bundle::Bundle;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Sandbox};
use qualm_tests::config::{self, quoted};
use qualm_tests::{Finished, Site, Telegraf, run, tools, until};
use serde_json::Value;

/// The first row's time.
const START: u64 = 1_700_000_000;

/// Rows of history that LODA learns from, rows after them, and the rows where the correlation of the features breaks.
const LEARNT: u64 = 5000;
const AFTER: u64 = 400;
const PARTED: std::ops::Range<u64> = LEARNT + 200..LEARNT + 220;

/// Correlated features.
const FEATURES: u64 = 6;

/// Rows of memory, four minutes apart, and the one from which on it leaks: on the third day.
const MEMORY: u64 = 4 * 360;
const LEAK: u64 = 2 * 360 + 100;

/// Rows of a temperature, and those where it is stuck.
const TEMPERATURES: u64 = 1000;
const STUCK: std::ops::Range<u64> = 700..800;

#[test]
fn each_plugin_finds_the_injected_anomaly_and_no_other() {
    let Some(bundles) = Bundles::get() else { return };
    let site = Site::new();
    let first = bundles.first_anomaly(&site, "leak", &column(memory, 0..MEMORY, 240));
    assert!((LEAK..LEAK + 400).contains(&first), "the leak that began in row {LEAK} is found in {first}");
    let first = bundles.first_anomaly(&site, "flatline", &column(temperature, 0..TEMPERATURES, 10));
    assert!(STUCK.contains(&first), "the value that is stuck in {STUCK:?} is found in {first}");
    let first = LEARNT + bundles.first_anomaly(&site, "loda", &vectors(LEARNT..LEARNT + AFTER));
    assert_eq!(first, PARTED.start, "features part in {PARTED:?}");
}

#[test]
fn bundles_of_plugins_are_verified_evaluated_and_explained() {
    let Some(bundles) = Bundles::get() else { return };
    let site = Site::new();
    for (name, history) in [
        ("leak", column(memory, 0..MEMORY, 240)),
        ("flatline", column(temperature, 0..TEMPERATURES, 10)),
        ("loda", vectors(LEARNT..LEARNT + AFTER)),
    ] {
        let input = text(&site.write("m.csv", history));
        // Without features it scores any field; evaluation and explanation need named features.
        let bundle = if name == "loda" { bundles.of(name) } else { bundles.pack_for_a_field(&site, name) };
        let verified = bundles.qualm(&["bundle", "verify", &bundle]);
        assert!(String::from_utf8_lossy(&verified.stdout).contains("It is good"), "{name}: {verified:?}");
        let judged = bundles.qualm(&["evaluate", "--bundle", &bundle, "--input", &input, "--no-robustness", "--json"]);
        let judged: Value = serde_json::from_slice(&judged.stdout).expect("JSON");
        assert!(judged.is_object(), "{name}: {judged}");
        let why = bundles.qualm(&["explain", "--bundle", &bundle, "--input", &input, "--top", "1", "--json"]);
        let why = String::from_utf8_lossy(&why.stdout).into_owned();
        assert!(
            why.contains(if name == "loda" { "\"feature\":\"f4\"" } else { "\"feature\":\"value\"" }),
            "{name}: {why}"
        );
    }
}

/// A configuration of each kind of plugin, and of an ensemble with one.
#[test]
fn plugins_score_inline_in_telegraf() {
    let (Some(bundles), Some(telegraf)) = (Bundles::get(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = format!(
        "[[detector]]\nname = \"leak\"\nselect = {{ measurement = \"mem\" }}\nmodel = {leak}\n\
         [[detector]]\nname = \"flatline\"\nselect = {{ measurement = \"valve\" }}\nmodel = {flatline}\n\
         [[detector]]\nname = \"loda\"\nmodel = {loda}\n\
         [[detector]]\nname = \"both\"\nselect = {{ measurement = \"temp\" }}\nkind = \"ensemble\"\ncombine = \"maximum\"\n\
         members = [{{ kind = \"streaming\", min_samples = 10 }}, {{ model = {flatline} }}]\n\
         [limits]\ndeadline = \"2s\"\n",
        leak = bundles.quoted("leak"),
        flatline = bundles.quoted("flatline"),
        loda = bundles.quoted("loda"),
    );
    let toml = site.write("qualm.toml", toml);
    let live = site.write("live.lp", lines(0..MEMORY));
    let conf = config::from_file(&live)
        + "interval = \"1h\"\n"
        + &config::qualm(&bundles.qualm, &toml)
        + &config::to_file(&site.path("out.lp"));
    let running = Telegraf::start(&telegraf, &site, &conf);
    let out = || site.read_text("out.lp");
    until("every line", || passed(&out()).len() as u64 == 4 * MEMORY);
    running.stop();

    let out = out();
    assert!(passed(&out).iter().eq(lines(0..MEMORY).lines()), "what came out is not what went in, in its order");
    let scored = |measurement: &str| {
        let of = |line: &&str| line.starts_with(measurement) && line.contains("anomaly_score=");
        out.lines().filter(of).count() as u64
    };
    assert!(scored("mem ") > MEMORY / 2, "leak: {}", scored("mem "));
    assert_eq!(scored("valve "), MEMORY - 100, "flatline: all but those that it warms up with");
    assert!(scored("temp ") > MEMORY - 20, "the ensemble scores as soon as one member does: {}", scored("temp "));
    let scored = out.lines().filter(|line| line.starts_with("anomaly,") && line.contains("detector=loda")).count();
    assert_eq!(scored as u64, MEMORY, "LODA scores each vector");
}

#[test]
fn a_newer_plugin_takes_over_under_load() {
    let (Some(bundles), Some(telegraf)) = (Bundles::get(), tools::telegraf()) else { return };
    let site = Site::new();
    let model = site.path("flatline");
    let pack = |version: u64, memory: u64| {
        let manifest = fs::read_to_string(manifest("flatline")).expect("it is there");
        let manifest = manifest.replace("memory = 20000", &format!("memory = {memory}"));
        let manifest = text(&site.write("plugin.toml", format!("version = {version}\n{manifest}")));
        bundles.qualm(&[
            "plugin",
            "pack",
            &bundles.component("flatline"),
            "--manifest",
            &manifest,
            "--out",
            &text(&model),
        ]);
    };
    pack(1, 20_000);
    let toml = format!(
        "[[detector]]\nname = \"stuck\"\nselect = {{ include_fields = [\"value\"] }}\nmodel = {}\n",
        quoted(&model)
    );
    let toml = site.write("qualm.toml", toml + "[bundles]\npoll = \"1s\"\n");
    let fed = site.write("fed.lp", "");
    let conf = config::from_tail(&fed) + &config::qualm(&bundles.qualm, &toml) + &config::to_file(&site.path("out.lp"));
    let running = Telegraf::start(&telegraf, &site, &conf);
    let feeder = qualm_tests::Feeder::start(&fed);
    let out = || qualm_tests::numbered(&site.read_text("out.lp"));
    until("scored lines", || out().iter().any(|line| line.scored));
    pack(2, 30_000);
    until("the newer one to take over", || running.log().contains("version 2 (flatline) has taken over"));
    let since = feeder.fed();
    until("lines that it scored", || out().iter().any(|line| line.scored && line.n > since));
    let all = feeder.stop();
    until("the last line", || out().last().is_some_and(|line| line.n + 1 == all));
    running.stop();
    assert!(out().iter().map(|line| line.n).eq(0..all), "a line is missing, or out of order");
}

/// The same scores with a restart in between as without, also of the one in Python.
#[test]
fn state_of_plugins_survives_a_restart() {
    let Some(bundles) = Bundles::get() else { return };
    let site = Site::new();
    let scored = |state: &str, restarts: &[u64]| -> Vec<u8> {
        let state = site.path(state);
        share_compiled(&state);
        let toml = format!(
            "[[detector]]\nname = \"leak\"\nselect = {{ measurement = \"mem\" }}\nmodel = {}\n\
             [[detector]]\nname = \"flatline\"\nselect = {{ measurement = \"temp\" }}\nmodel = {}\n\
             [limits]\ndeadline = \"2s\"\n[state]\ndir = {}\n",
            bundles.quoted("leak"),
            bundles.quoted("flatline"),
            quoted(&state)
        );
        let toml = text(&site.write("qualm.toml", toml));
        let part = |(from, to): (&u64, &u64)| {
            let done = run(&bundles.qualm, &["execd", "--config", &toml], lines(*from..*to).as_bytes());
            assert!(done.status.success() && !done.stderr.contains("E! "), "{}", done.stderr);
            done.stdout
        };
        [&0].into_iter().chain(restarts).zip(restarts.iter().chain([&MEMORY])).flat_map(part).collect()
    };
    let once = scored("once", &[]);
    let twice = scored("twice", &[MEMORY - 301]);
    // Scores alone: an incident reported before a restart may be reported again after it.
    let [once, twice] = [&once, &twice].map(|out| String::from_utf8_lossy(out));
    let scores = |out: &str| -> Vec<String> {
        out.lines().map(|line| line.split(",is_anomaly=").next().unwrap_or_default().to_owned()).collect()
    };
    let (once, twice) = (scores(&once), scores(&twice));
    assert!(
        once.last().is_some_and(|line| line.contains("anomaly_score=")),
        "scores would be there: {:?}",
        once.last()
    );
    let differ = once.iter().zip(&twice).enumerate().find(|(_, (one, other))| one != other);
    assert_eq!(differ, None, "a restart changed scores");
    assert_eq!(once.len(), twice.len());
}

/// Whatever the damage: the model is refused, and no guest traps.
#[test]
fn damaged_models_of_loda_are_refused() {
    let Some(bundles) = Bundles::get() else { return };
    let Bundle { component, model, .. } = Bundle::read(&bundles.site.path("loda")).expect("a bundle");
    let component = component.expect("it has a component");
    let good =
        DetectorSpec::plugin(&Sandbox::new(None), &component, model.clone(), Limits::default()).expect("it is good");
    Guest::start(&good).expect("it starts");
    let last = model.len() - 1;
    let flipped = [0, 1, 9, 20, 40, last / 2, last - 4, last].map(|at| {
        let mut model = model.clone();
        model[at] ^= 0x40;
        model
    });
    let cut = [0, 3, 4, 100, last].map(|length| model[..length].to_vec());
    for damaged in flipped.into_iter().chain(cut).chain([b"{}".to_vec(), vec![0xff; 1000]]) {
        let refused = Guest::start(&good.with_model(damaged)).expect_err("it is damaged").to_string();
        assert!(refused.contains("bad model: it is no model of loda"), "{refused}");
    }
}

#[test]
fn a_plugin_of_the_first_contract_runs() {
    let Some(qualm) = tools::qualm() else { return };
    let fixture = tools::workspace().join("tests/fixtures/plugin-0.1.0");
    let bundle = Bundle::read(&fixture.join("bundle")).expect("a bundle");
    let component = bundle.component.expect("it has a component");
    let exports = b"qualm:detector/detection@0.1.0";
    assert!(component.windows(exports.len()).any(|name| name == exports), "it is no old component any more");
    let newer = b"qualm:detector/detection@0.1.1";
    assert!(!component.windows(newer.len()).any(|name| name == newer), "somebody built it anew");

    let [bundle, history] = ["bundle", "history.csv"].map(|name| text(&fixture.join(name)));
    let verified = run(&qualm, &["bundle", "verify", &bundle], b"");
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && said.contains("all golden rows"), "{said}{}", verified.stderr);
    let site = Site::new();
    let scores = text(&site.path("scores.csv"));
    let replayed = run(&qualm, &["replay", "--model", &bundle, "--input", &history, "--scores", &scores], b"");
    assert!(replayed.status.success(), "{}", replayed.stderr);
    let recorded = fs::read_to_string(fixture.join("scores.csv")).expect("scores");
    assert_eq!(site.read_text("scores.csv"), recorded, "other scores than when it was packed");
}

/// The bundles of the three plugins, made and compiled once for all tests.
struct Bundles {
    qualm: PathBuf,
    site: Site,
}

impl Bundles {
    /// `None` where a plugin is not built.
    fn get() -> Option<&'static Self> {
        static MADE: OnceLock<Option<Bundles>> = OnceLock::new();
        let all = ["leak", "flatline", "loda"].map(tools::plugin);
        let (qualm, [Some(_), Some(_), Some(_)]) = (tools::qualm()?, all) else { return None };
        MADE.get_or_init(|| Some(Self::make(qualm))).as_ref()
    }

    fn make(qualm: PathBuf) -> Self {
        let bundles = Self { qualm, site: Site::new() };
        for name in ["leak", "flatline"] {
            let (component, manifest, out) = (bundles.component(name), text(&manifest(name)), bundles.of(name));
            bundles.qualm(&["plugin", "pack", &component, "--manifest", &manifest, "--out", &out]);
        }
        let spec = fs::read_to_string(manifest("loda")).expect("it is there");
        let spec = text(&bundles.site.write("loda.toml", format!("threshold = {{ false_alarm_rate = 1e-3 }}\n{spec}")));
        let history = text(&bundles.site.write("m.csv", vectors(0..LEARNT)));
        let (component, out) = (bundles.component("loda"), bundles.of("loda"));
        let trained = bundles
            .qualm(&["train", "--plugin", &component, "--spec", &spec, "--input", &history, "--out", &out, "--json"]);
        assert!(String::from_utf8_lossy(&trained.stdout).contains("bins"), "{trained:?}");
        bundles
    }

    fn of(&self, name: &str) -> String {
        text(&self.site.path(name))
    }

    fn quoted(&self, name: &str) -> String {
        quoted(&self.site.path(name))
    }

    #[expect(clippy::unused_self, reason = "it is there only where they are")]
    fn component(&self, name: &str) -> String {
        text(&tools::plugin(name).expect("it is there"))
    }

    /// A bundle that scores the field `value` of `m`.
    fn pack_for_a_field(&self, site: &Site, name: &str) -> String {
        let features = "[[features]]\nname = \"value\"\nmeasurement = \"m\"\nfield = \"value\"\n";
        let spec = fs::read_to_string(manifest(name)).expect("it is there") + features;
        let (spec, out) = (text(&site.write("plugin.toml", spec)), text(&site.path(name)));
        self.qualm(&["plugin", "pack", &self.component(name), "--manifest", &spec, "--out", &out]);
        out
    }

    /// Runs the binary, which must log no warning.
    fn qualm(&self, arguments: &[&str]) -> Finished {
        let done = run(&self.qualm, arguments, b"");
        assert!(done.status.success(), "{arguments:?}: {}{}", done.stderr, String::from_utf8_lossy(&done.stdout));
        done
    }

    /// The first row that is an anomaly.
    fn first_anomaly(&self, site: &Site, name: &str, history: &str) -> u64 {
        let input = text(&site.write("m.csv", history));
        let scores = text(&site.path("scores.csv"));
        self.qualm(&["replay", "--model", &self.of(name), "--input", &input, "--scores", &scores]);
        let scores = site.read_text("scores.csv");
        assert_eq!(scores.lines().count(), history.lines().count(), "{name}");
        let score = |line: &str| line.rsplit(',').next().and_then(|score| score.parse::<f64>().ok());
        let first = scores.lines().skip(1).position(|line| score(line).is_some_and(|score| score > 1.0));
        first.unwrap_or_else(|| panic!("{name} finds nothing")) as u64
    }
}

/// Links the compiled code of the bundles into a state directory.
fn share_compiled(state: &Path) {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let Some(compiled) = cache.map(|cache| cache.join("qualm/compiled")).filter(|dir| dir.is_dir()) else { return };
    fs::create_dir_all(state.join("qualm")).expect("a directory can be made");
    std::os::unix::fs::symlink(compiled, state.join("qualm/compiled")).expect("a link can be made");
}

fn manifest(name: &str) -> PathBuf {
    tools::workspace().join("plugins").join(name).join("plugin.toml")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Between -1 and 1, the same in every run, and different for each salt.
fn noise(row: u64, salt: u64) -> f64 {
    let mut hash = (row * 31 + salt).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (hash >> 40) as f64 / f64::from(1 << 23) - 1.0
}

fn memory(row: u64) -> f64 {
    400.0 + 4.0 * noise(row, 1) + row.saturating_sub(LEAK) as f64 / 3.0
}

fn temperature(row: u64) -> f64 {
    let moving = |row| (100.0 * (20.0 + noise(row, 2))).round() / 100.0;
    moving(if STUCK.contains(&row) { STUCK.start } else { row })
}

fn feature(row: u64, feature: u64) -> f64 {
    let load = 50.0 + 30.0 * (row as f64 / 60.0).sin() + 5.0 * noise(row, 3);
    let load = if PARTED.contains(&row) && feature < FEATURES / 2 { 130.0 - load } else { load };
    (load + noise(row, 10 + feature)) * (feature + 1) as f64
}

fn column(value: fn(u64) -> f64, rows: std::ops::Range<u64>, seconds: u64) -> String {
    let row = |row: u64| format!("{},{}\n", START + row * seconds, value(row));
    "time,value\n".to_owned() + &rows.map(row).collect::<String>()
}

fn vectors(rows: std::ops::Range<u64>) -> String {
    let mut out = "time".to_owned();
    (0..FEATURES).for_each(|feature| write!(out, ",f{feature}").expect("text can be appended to"));
    for row in rows {
        write!(out, "\n{}", START + row * 10).expect("text can be appended to");
        (0..FEATURES).for_each(|at| write!(out, ",{}", feature(row, at)).expect("text can be appended to"));
    }
    out + "\n"
}

/// All lines in Telegraf's format.
fn lines(rows: std::ops::Range<u64>) -> String {
    let line = |row: u64| {
        let time = (START + row * 240) * 1_000_000_000;
        let features: Vec<String> = (0..FEATURES).map(|at| format!("f{at}={}", feature(row, at))).collect();
        let (memory, temperature) = (memory(row), temperature(row));
        format!(
            "mem used={memory} {time}\nvalve celsius={temperature} {time}\nm {} {time}\ntemp celsius={temperature} {time}\n",
            features.join(",")
        )
    };
    rows.map(line).collect()
}

/// The lines of the input in the output, without verdicts.
fn passed(out: &str) -> Vec<String> {
    let whole = out.rfind('\n').map_or("", |end| &out[..end]);
    let plain = |line: &str| {
        let (head, rest) = line.split_once(' ').expect("fields");
        let (fields, time) = rest.rsplit_once(' ').expect("a time");
        let own = |field: &&str| !field.starts_with("anomaly_") && !field.starts_with("is_anomaly=");
        let fields: Vec<&str> = fields.split(',').filter(own).collect();
        format!("{head} {} {time}", fields.join(","))
    };
    whole.lines().filter(|line| !line.starts_with("anomaly,")).map(plain).collect()
}
