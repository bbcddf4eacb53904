//! Safe rollout, with the real pipeline, bundles in files, and state on disk: a candidate in shadow changes nothing, takes over by
//! rule or by command, and gives way again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qualm::Pipeline;
use qualm::config::Config;
use qualm::rollout::{Answer, Command, Commander, Counts, Report, State, channel};
use qualm::view::View;
use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::Golden;
use qualm_bundle::manifest::{FORMAT, Feature, Manifest, Provenance, Shape, Suppression, Threshold};
use qualm_bundle::store::Store;
use qualm_contract::{Batch, ModelFactory, Transform};
use qualm_core::trained::{Rows, Settings, calibrate};
use qualm_core::zscore;
use qualm_sandbox::{BuiltInModels, Limits, Sandbox, SandboxFactory};
use tempfile::TempDir;

/// Series, each with a row a batch.
const SERIES: u64 = 40;

/// How long anything may take that is waited for.
const TIMEOUT: Duration = Duration::from_mins(1);

const BY_COMMAND: &str = "watch_for = \"1h\"";
const BY_RULE: &str = "promote_after = \"1s\"\nwatch_for = \"2s\"\nbounds = { rows = 400 }";

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    /// The model of all versions that are good.
    Good,
    /// One of values around 1000, to which all others are anomalies.
    Noisy,
    /// A plugin that traps after a few batches.
    Failing,
    /// One of vectors of two features.
    Wide,
}

/// A bundle of this version.
fn bundle(version: u64, who: Who) -> Bundle {
    let features = if who == Who::Wide { 2 } else { 1 };
    let shift = if who == Who::Noisy { 1000.0 } else { 0.0 };
    let rows: Vec<f64> = (0..2000 * features).map(|at| f64::from((at * 7919) % 101) / 10.0 + shift).collect();
    let settings =
        Settings { threshold: calibrate::Threshold::FalseAlarmRate(1e-3), memory: 5.0, ..Settings::default() };
    let batch = Batch { series: &[0; 2000], times: &[0; 2000], values: &rows };
    let mut trained = zscore::fit(Rows::new(&rows, features as usize), batch, &settings).unwrap();
    let few = Batch { series: &[0; 20], times: &[0; 20], values: &rows[..20 * features as usize] };
    let (model, golden, component, kind) = if who == Who::Failing {
        let values = [0.25, 0.5, 0.75];
        let golden = Golden::new(1, Batch { series: &[0, 1, 0], times: &[0, 1, 2], values: &values }, &values);
        (b"trap 12".to_vec(), golden, Some(qualm_test_plugins::HOSTILE.to_vec()), "hostile")
    } else {
        (trained.to_model(), Golden::of(&mut trained, few).unwrap(), None, zscore::KIND)
    };
    let feature = |field: &str| Feature {
        name: field.to_owned(),
        measurement: "m".to_owned(),
        field: field.to_owned(),
        tags: [].into(),
        transform: Transform::None,
        reference: None,
    };
    let manifest = Manifest {
        format: FORMAT,
        name: "model".to_owned(),
        version,
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires: None,
        kind: kind.to_owned(),
        shape: if who == Who::Wide { Shape::Vector } else { Shape::Field },
        entity: Vec::new(),
        interval: Duration::ZERO,
        threshold: Threshold { rule: "test".to_owned(), ordinary: 0.0, raw: 1.0 },
        suppression: Suppression::default(),
        features: ["v", "w"][..features as usize].iter().map(|field| feature(field)).collect(),
        provenance: Provenance::default(),
        sha256: [].into(),
    };
    let factory: &dyn ModelFactory = &SandboxFactory::new(
        Sandbox::new(None),
        Limits::default(),
        BuiltInModels::Native(Arc::new(qualm_core::BuiltIn)),
    );
    Draft { manifest, model, golden, reference: None, component }.finish(factory).unwrap()
}

/// A pipeline whose model changes, and one whose model does not, which get the same lines.
struct Bench {
    dir: TempDir,
    pipeline: Pipeline,
    twin: Pipeline,
    commander: Commander,
    view: Arc<View>,
    batch: u64,
    /// Whether both must have the same output.
    alike: bool,
}

impl Bench {
    /// With version 1 of the good model.
    fn new(rollout: &str) -> Self {
        Self::within(tempfile::tempdir().unwrap(), rollout, |dir| publish(dir, 1, Who::Good))
    }

    fn within(dir: TempDir, rollout: &str, first: impl FnOnce(&TempDir)) -> Self {
        first(&dir);
        let once = dir.path().join("first.qualm");
        if !once.exists() {
            fs::copy(source(&dir), &once).unwrap();
        }
        let text = |model: PathBuf, rollout: &str, state: &str| {
            format!(
                "[[detector]]\nname = \"d\"\nselect = {{ include_fields = \"v\" }}\nmodel = \"{}\"\n{rollout}\n[bundles]\npoll = \
                 \"1s\"\n[limits]\ndeadline = \"1s\"\n[state]\ninterval = \"1s\"\n{state}",
                model.display()
            )
        };
        let state = format!("dir = \"{}\"", dir.path().join("state").display());
        let config =
            Config::parse(&text(source(&dir), &format!("rollout = \"shadow\"\n{rollout}"), &state), "q").unwrap();
        let mut pipeline = Pipeline::start(&config).unwrap();
        let (commander, orders) = channel();
        pipeline.obey(orders);
        let view = Arc::new(View::new("test"));
        pipeline.watch(Arc::clone(&view));
        let twin = Pipeline::start(&Config::parse(&text(once, "", ""), "q").unwrap()).unwrap();
        Self { dir, pipeline, twin, commander, view, batch: 0, alike: true }
    }

    /// Ends the process, and starts another with the same state.
    fn restart(self, rollout: &str) -> Self {
        self.pipeline.close().unwrap();
        let mut again = Self::within(self.dir, rollout, |_| {});
        again.batch = self.batch;
        again.alike = false;
        again
    }

    /// Passes a batch.
    fn pass(&mut self) {
        let lines: String = (0..SERIES)
            .map(|series| {
                let noise = (self.batch * 31 + series * 17) % 101;
                let value = if self.batch % 90 == 89 && series == self.batch / 90 % SERIES { 300 } else { noise / 10 };
                format!("m,s=s{series} v={value}.5 {}\n", 1_700_000_000_000_000_000 + self.batch * 10_000_000_000)
            })
            .collect();
        self.batch += 1;
        let out = [&mut self.pipeline, &mut self.twin].map(|pipeline| {
            let mut out = Vec::new();
            pipeline.score_body(lines.as_bytes(), 0, &mut out);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(out[0].lines().count(), SERIES as usize);
        for (line, scored) in lines.lines().zip(out[0].lines()) {
            let (head, time) = line.rsplit_once(' ').unwrap();
            assert!(scored.starts_with(head) && scored.ends_with(time), "{line} came out as {scored}");
        }
        if self.alike {
            assert_eq!(out[0], out[1], "in batch {}", self.batch);
        }
    }

    fn report(&self) -> Report {
        self.view.copy(|inside| inside.snapshot.detectors[0].rollout.clone()).unwrap()
    }

    /// Passes batches until the report is like this.
    fn pass_until(&mut self, like: impl Fn(&Report) -> bool) -> Report {
        let began = Instant::now();
        loop {
            self.pass();
            let report = self.report();
            if like(&report) {
                return report;
            }
            assert!(began.elapsed() < TIMEOUT, "{report:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn pass_until_state(&mut self, state: State) -> Report {
        self.pass_until(|report| report.state == state)
    }

    /// Gives a command, and passes batches until it is answered.
    fn command(&mut self, command: Command) -> Answer {
        let commander = self.commander.clone();
        let asked = thread::spawn(move || commander.ask(command, TIMEOUT));
        while !asked.is_finished() {
            self.pass();
        }
        asked.join().unwrap().unwrap()
    }

    fn version(&mut self) -> u64 {
        let Answer::Models(models) = self.command(Command::List) else { panic!("models") };
        models[0].model.as_ref().unwrap().version
    }

    fn publish(&self, version: u64, who: Who) {
        publish(&self.dir, version, who);
    }

    /// The current version in the store, and up to which none is taken; once it is so.
    fn assert_kept(&mut self, current: u64, refused: Option<u64>) {
        let began = Instant::now();
        loop {
            let store = Store::open(&self.dir.path().join("state"), "d").unwrap();
            if (store.version(), store.rolled_back_from()) == (Some(current), refused) {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "{:?}, {:?}", store.version(), store.rolled_back_from());
            self.pass();
        }
    }
}

fn source(dir: &TempDir) -> PathBuf {
    dir.path().join("model.qualm")
}

fn publish(dir: &TempDir, version: u64, who: Who) {
    let new = dir.path().join("new");
    fs::write(&new, bundle(version, who).pack()).unwrap();
    fs::rename(new, source(dir)).unwrap();
}

fn counts(promotions: u64, rollbacks: u64, rejections: u64) -> Counts {
    Counts { promotions, rollbacks, rejections }
}

fn done(answer: Answer) -> String {
    match answer {
        Answer::Done { detector, what } if detector == "d" => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_candidate_takes_over_by_rule_and_no_byte_differs() {
    let mut bench = Bench::new(BY_RULE);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Good);
    let shadow = bench.pass_until(|report| report.state == State::Shadow && report.rows > 0);
    assert_eq!(shadow.shadow.as_ref().unwrap().version, 2);
    bench.assert_kept(1, None);
    let watched = bench.pass_until_state(State::Watching);
    assert_eq!((watched.shadow.as_ref().unwrap().version, watched.counts), (1, counts(1, 0, 0)));
    assert_eq!(bench.version(), 2);
    let later = bench.pass_until(|report| report.alarms > 0);
    assert_eq!(later.agreement, Some(1.0), "{later:?}");
    assert!(later.correlation.unwrap() > 0.999 && later.alarms == later.shadow_alarms, "{later:?}");
    assert!(later.memory > 0 && later.cost.is_some_and(|cost| cost > 0.1 && cost < 10.0), "{later:?}");
    bench.assert_kept(2, None);
    bench.pass_until_state(State::None);
    assert_eq!(bench.version(), 2);
    // The model before is started again, with what was last saved of it.
    bench.alike = false;
    let what = done(bench.command(Command::RollBack(Some("d".to_owned()))));
    assert_eq!(what, "model version 2 (zscore) gives way to model version 1 (zscore) again: by command");
    assert_eq!(bench.version(), 1);
    bench.assert_kept(1, Some(2));
    let last = bench.pass_until(|report| report.counts == counts(1, 1, 0));
    assert_eq!(last.state, State::None);
}

#[test]
fn a_candidate_takes_over_by_command_and_gives_way_again_with_all_it_knew() {
    let mut bench = Bench::new(BY_COMMAND);
    (0..20).for_each(|_| bench.pass());
    let nothing = bench.command(Command::Promote(None));
    assert!(matches!(nothing, Answer::Refused(_)), "{nothing:?}");
    bench.publish(2, Who::Good);
    bench.pass_until_state(State::Shadow);
    (0..50).for_each(|_| bench.pass());
    let what = done(bench.command(Command::Promote(None)));
    assert!(
        what.starts_with("model version 2 (zscore) has taken over from model version 1 (zscore), by command"),
        "{what}"
    );
    bench.pass_until_state(State::Watching);
    (0..50).for_each(|_| bench.pass());
    // One that is newer waits until the watch is over.
    bench.publish(3, Who::Good);
    thread::sleep(Duration::from_millis(1500));
    (0..50).for_each(|_| bench.pass());
    assert_eq!((bench.version(), bench.report().state), (2, State::Watching));
    done(bench.command(Command::RollBack(None)));
    assert_eq!(bench.version(), 1);
    bench.assert_kept(1, Some(2));
    let third = bench.pass_until(|report| report.state == State::Shadow && report.rows > 100);
    assert_eq!((third.shadow.unwrap().version, third.counts), (3, counts(1, 1, 0)));
    done(bench.command(Command::RollBack(None)));
    let last = bench.pass_until_state(State::None);
    assert_eq!((bench.version(), last.counts), (1, counts(1, 1, 1)), "a candidate in shadow is given up");
    bench.assert_kept(1, Some(3));
}

#[test]
fn a_candidate_that_reports_too_much_is_given_up_and_not_tried_again() {
    let mut bench = Bench::new(BY_RULE);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Noisy);
    let shadow = bench.pass_until(|report| report.state == State::Shadow && report.rows > 0);
    assert!(shadow.shadow_alarms >= SERIES, "{shadow:?}");
    assert!(shadow.out_of_bounds.unwrap().contains("bounds allow"), "its report says so at once");
    let given_up = bench.pass_until_state(State::None);
    assert_eq!((given_up.counts, bench.version()), (counts(0, 0, 1), 1));
    bench.assert_kept(1, Some(2));
    let mut bench = bench.restart(BY_RULE);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        bench.pass();
        assert_eq!(bench.report().state, State::None);
    }
    assert_eq!(bench.version(), 1);
    bench.publish(3, Who::Good);
    bench.pass_until_state(State::Watching);
}

#[test]
fn a_model_that_reports_too_much_after_all_gives_way_by_itself() {
    let mut bench = Bench::new(BY_COMMAND);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Noisy);
    bench.pass_until_state(State::Shadow);
    bench.alike = false;
    done(bench.command(Command::Promote(Some("d".to_owned()))));
    let back = bench.pass_until(|report| report.counts.rollbacks == 1);
    assert_eq!((back.state, back.counts), (State::None, counts(1, 1, 0)));
    assert_eq!(bench.version(), 1);
    bench.assert_kept(1, Some(2));
    // It went on in shadow meanwhile: it is where it would be without all that. Incidents are the lane's, and end.
    (0..200).for_each(|_| bench.pass());
    bench.alike = true;
    (0..100).for_each(|_| bench.pass());
}

#[test]
fn a_candidate_that_fails_is_given_up_at_once() {
    let mut bench = Bench::new(BY_COMMAND);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Failing);
    let given_up = bench.pass_until(|report| report.counts.rejections == 1);
    assert_eq!((given_up.state, bench.version()), (State::None, 1));
    bench.assert_kept(1, Some(2));
    assert!(bench.pipeline.health().all(|(_, health)| health.failures.is_empty()), "no failure of what scores");
}

#[test]
fn what_has_other_rows_cannot_be_compared() {
    let mut bench = Bench::new(BY_RULE);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Wide);
    let refusal = |bench: &Bench| bench.view.copy(|inside| inside.snapshot.detectors[0].refusal.clone());
    let began = Instant::now();
    while refusal(&bench).is_none() {
        bench.pass();
        assert!(began.elapsed() < TIMEOUT);
    }
    assert!(refusal(&bench).unwrap().contains("so it cannot be compared"), "{:?}", refusal(&bench));
    assert_eq!((bench.version(), bench.report().state), (1, State::None));
}

#[test]
fn a_restart_does_not_promote_a_candidate() {
    let mut bench = Bench::new(BY_COMMAND);
    (0..20).for_each(|_| bench.pass());
    bench.publish(2, Who::Good);
    bench.pass_until_state(State::Shadow);
    let mut bench = bench.restart(BY_COMMAND);
    assert_eq!(bench.version(), 1, "the last one that took over");
    let again = bench.pass_until_state(State::Shadow);
    assert_eq!(again.shadow.unwrap().version, 2);
    done(bench.command(Command::Promote(None)));
    bench.assert_kept(2, None);
    let mut bench = bench.restart(BY_COMMAND);
    assert_eq!(bench.version(), 2);
}
