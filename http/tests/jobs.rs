//! Uploads, trained by a program that acts like `qualm`, or badly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_bundle::Bundle;
use qualm_bundle::secret::Secret;
use qualm_bundle::signature::{PublicKey, Trust};
use qualm_core::BuiltIn;
use qualm_http::api::jobs::{Format, Jobs, OWNERS, Options, Owner, State, Status, Wanted};
use qualm_http::api::models::{self, Registry};
use qualm_http::api::problem::Problem;
use qualm_system::child;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// A program, and a directory of models.
struct Place {
    tools: TempDir,
    models: TempDir,
    registry: Arc<Registry>,
}

/// The output of `qualm` after a success.
const VALIDATE: &str = r#"echo '{"verdict":"ok","rows":2000,"from":"a","until":"b","checks":[]}'"#;
const TRAIN: &str =
    r#"cp -r "$TRAINED" bundle; echo '{"rows":{"train":1,"validation":2,"test":3},"warnings":["few rows"]}'"#;
const EVALUATE: &str = r#"echo '{"figures":{"alarm_rate":0.01,"injected_auc_pr":null},"notes":["flattered"]}'"#;

impl Place {
    fn new() -> Self {
        let (tools, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        support::train(tools.path(), "trained", "host", 1, "zscore", None);
        let registry = Registry::open(models::Options::of(models.path()), BuiltIn);
        Self { tools, models, registry }
    }

    /// A program that does these for `validate`, `train` and `evaluate`.
    fn options(&self, validate: &str, train: &str, evaluate: &str) -> Options {
        let program = self.tools.path().join("qualm");
        let trained = self.tools.path().join("trained");
        let script = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\nTRAINED={}\ncase $1 in\nvalidate) {validate};;\ntrain) {train};;\n\
             evaluate) {evaluate};;\nesac\n",
            trained.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Options::of(program)
    }

    fn start(&self, options: Options) -> Jobs {
        // What another test has just forked holds the lock of the jobs before, until it begins its own program.
        if let Ok(lock) = File::open(self.models.path().join(".jobs/lock")) {
            flock(&lock, FlockOperation::LockExclusive).unwrap();
            flock(&lock, FlockOperation::Unlock).unwrap();
        }
        Jobs::start(options, Arc::clone(&self.registry)).unwrap()
    }

    /// What is in the directory of models.
    fn names(&self) -> Vec<String> {
        names(self.models.path())
    }

    /// What is left of uploads.
    fn left(&self) -> Vec<String> {
        let mut left = names(&self.models.path().join(".jobs"));
        left.retain(|name| name != "lock");
        left
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".jobs" && name != OWNERS);
    names.sort();
    names
}

fn wanted() -> Wanted {
    Wanted { name: "host".to_owned(), detector: "zscore".to_owned(), format: Format::Csv }
}

/// The owner with this token.
fn of(jobs: &Jobs, token: &str) -> Owner {
    jobs.owner(Some(&Secret::token(token)))
}

fn submit(jobs: &Jobs, token: &str) -> Result<Status, Problem> {
    let upload = jobs.begin(&of(jobs, token), wanted())?;
    fs::write(upload.path(), support::history(2000)).unwrap();
    upload.submit()
}

fn until(jobs: &Jobs, id: &str, wanted: impl Fn(State) -> bool) -> Status {
    until_of(jobs, "me", id, wanted)
}

fn until_of(jobs: &Jobs, token: &str, id: &str, wanted: impl Fn(State) -> bool) -> Status {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let status = jobs.get(&of(jobs, token), id).unwrap();
        if wanted(status.state) || Instant::now() > end {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run(place: &Place, options: Options) -> Status {
    let jobs = place.start(options);
    let id = submit(&jobs, "me").unwrap().id;
    let status = until(&jobs, &id, State::is_end);
    assert!(place.left().is_empty(), "{:?}", place.left());
    status
}

#[test]
fn an_upload_becomes_the_next_version() {
    let place = Place::new();
    for version in 1..=2 {
        let status = run(&place, place.options(VALIDATE, TRAIN, EVALUATE));
        assert_eq!((status.state, status.percent), (State::Done, 100), "{status:?}");
        assert_eq!(status.model.unwrap().version, version);
        assert_eq!(status.training.unwrap().warnings, ["few rows"]);
        assert_eq!(status.evaluation.unwrap().figures["alarm_rate"], Some(0.01));
        assert_eq!(status.validation.unwrap().rows, 2000);
        assert_eq!(place.registry.find("host").unwrap().version, version);
    }
    assert_eq!(place.names(), ["host-1.qualm", "host-2.qualm"]);
    let bundle = Bundle::read(&place.models.path().join("host-2.qualm")).unwrap();
    assert_eq!(bundle.manifest.version, 2);
}

#[test]
fn a_name_belongs_to_the_first_who_publishes_it() {
    let place = Place::new();
    assert_eq!(run(&place, place.options(VALIDATE, TRAIN, EVALUATE)).state, State::Done);
    // After a restart, with whatever other tokens there are.
    let jobs = place.start(place.options(VALIDATE, TRAIN, EVALUATE));
    let refused = submit(&jobs, "other").unwrap_err();
    assert_eq!((refused.status, refused.field.as_deref()), (403, Some("name")), "{refused}");
    assert!(refused.to_string().contains("uploaded with another token"), "{refused}");
    assert_eq!(jobs.begin(&jobs.owner(None), wanted()).unwrap_err().status, 403);
    assert!(place.left().is_empty(), "{:?}", place.left());
    let id = submit(&jobs, "me").unwrap().id;
    assert_eq!(until(&jobs, &id, State::is_end).model.unwrap().version, 2);
    assert_eq!(place.names(), ["host-1.qualm", "host-2.qualm"]);
}

#[test]
fn of_two_who_want_the_same_new_name_one_gets_it() {
    let place = Place::new();
    let wait = format!("while [ ! -e \"$TRAINED.go\" ]; do sleep 0.01; done; {TRAIN}");
    let jobs = place.start(Options { at_once: 2, ..place.options(VALIDATE, &wait, EVALUATE) });
    let ids = ["me", "other"].map(|token| (token, submit(&jobs, token).unwrap().id));
    fs::write(place.tools.path().join("trained.go"), "").unwrap();
    let ends = ids.map(|(token, id)| until_of(&jobs, token, &id, State::is_end));
    let done = ends.iter().filter(|status| status.state == State::Done).count();
    let failed = ends.iter().find(|status| status.state == State::Failed).unwrap();
    assert_eq!((done, place.names()), (1, vec!["host-1.qualm".to_owned()]));
    let error = &failed.error.as_ref().unwrap().error;
    assert!(error.contains("uploaded with another token"), "{error}");
}

#[test]
fn what_the_operator_put_there_is_never_replaced() {
    for theirs in [
        |place: &Place| {
            support::train(place.models.path(), "mine", "host", 7, "zscore", None);
        },
        |place: &Place| {
            let bundle = support::train(place.tools.path(), "theirs", "host", 3, "zscore", None);
            let bundle = Bundle::read(&bundle).unwrap();
            bundle.write_packed(&place.models.path().join(bundle.archive_name())).unwrap();
        },
        // It is being copied, it seems.
        |place: &Place| fs::write(place.models.path().join("host-9.qualm"), "half a bundle").unwrap(),
    ] {
        // Before anything was uploaded, and after.
        for uploads in [0, 2] {
            let place = Place::new();
            for version in 1..=uploads {
                let status = run(&place, place.options(VALIDATE, TRAIN, EVALUATE));
                assert_eq!(status.model.map(|model| model.version), Some(version));
            }
            if uploads > 0 {
                fs::remove_file(place.models.path().join("host-2.qualm")).unwrap();
                fs::remove_file(place.models.path().join("host-1.qualm")).unwrap();
            }
            theirs(&place);
            place.registry.refresh();
            let names = place.names();
            let jobs = place.start(place.options(VALIDATE, TRAIN, EVALUATE));
            for token in ["me", "other"] {
                let refused = submit(&jobs, token).unwrap_err();
                assert_eq!(refused.status, 403, "{names:?}");
            }
            assert_eq!(place.names(), names);
        }
    }
}

#[test]
fn what_the_operator_puts_there_while_an_upload_is_trained_stays() {
    let place = Place::new();
    let wait = format!("while [ ! -e \"$TRAINED.go\" ]; do sleep 0.01; done; {TRAIN}");
    let jobs = place.start(place.options(VALIDATE, &wait, EVALUATE));
    let id = submit(&jobs, "me").unwrap().id;
    support::train(place.models.path(), "mine", "host", 7, "zscore", None);
    fs::write(place.tools.path().join("trained.go"), "").unwrap();
    let error = until(&jobs, &id, State::is_end).error.unwrap().error;
    assert!(error.contains("whoever runs this server"), "{error}");
    assert_eq!(place.names(), ["mine"]);
}

#[test]
fn findings_of_validation_are_in_the_report() {
    let place = Place::new();
    let bad = r#"echo '{"verdict":"bad","rows":2,"from":null,"until":null,"checks":[{"findings":[{"check":"schema",
        "verdict":"bad","what":"text where numbers are","advice":"leave it empty","column":"cpu","line":3,"count":1}]}]}'; exit 1"#;
    let status = run(&place, place.options(bad, TRAIN, EVALUATE));
    let error = status.error.unwrap();
    assert_eq!(
        (status.state, &*error.error),
        (State::Failed, "the data are not fit to train on: line 3: column `cpu`: text where numbers are")
    );
    assert_eq!(status.validation.unwrap().findings[0].line, Some(3));

    let refused = "echo 'E! qualm: upload.csv: feature `cpu` is always 2' >&2; exit 2";
    let status = run(&place, place.options(VALIDATE, refused, EVALUATE));
    assert_eq!(status.error.unwrap().error, "training: upload.csv: feature `cpu` is always 2");
    assert!(place.names().is_empty());
}

#[test]
fn whatever_a_process_does_the_job_ends_and_nothing_is_left() {
    let place = Place::new();
    let limits =
        child::Limits { time: Duration::from_secs(1), output: 1 << 16, memory: 1 << 30, ..child::Limits::default() };
    for (train, what) in [
        ("sleep 600", "training took longer than 1 s"),
        ("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", "training wrote more than it may"),
        ("kill -SEGV $$", "training failed"),
        ("kill -KILL $$", "training took more memory than 1024 MiB"),
        ("exit 101", "training failed"),
        ("exit 2", "training failed"),
        ("echo '{}'", "training failed"),
        ("echo nonsense", "training failed"),
        (
            "echo '{\"rows\":{\"train\":1,\"validation\":2,\"test\":3},\"warnings\":[]}'",
            "the model cannot be published",
        ),
        ("exec /no/such/program", "training failed"),
    ] {
        let options = Options { child: limits, ..place.options(VALIDATE, train, EVALUATE) };
        let status = run(&place, options);
        let error = status.error.as_ref().map_or("none", |fault| &fault.error);
        assert!(status.state == State::Failed && error.starts_with(what), "{train}: {error}");
        assert!(place.names().is_empty(), "{train}: {:?}", place.names());
    }
    let missing = Options::of("/no/such/program");
    assert_eq!(run(&place, missing).error.unwrap().error, "validating failed");
}

#[test]
fn a_job_can_be_cancelled_at_any_time_but_the_last() {
    let place = Place::new();
    let jobs = place.start(place.options(VALIDATE, "sleep 600", EVALUATE));
    let running = submit(&jobs, "me").unwrap().id;
    until(&jobs, &running, |state| state == State::Training);
    let waiting = submit(&jobs, "me").unwrap().id;
    assert_eq!(jobs.cancel(&of(&jobs, "other"), &waiting).unwrap_err().status, 404);
    for id in [&waiting, &running] {
        assert_eq!(jobs.cancel(&of(&jobs, "me"), id).unwrap().state, State::Cancelled);
    }
    let end = Instant::now() + Duration::from_mins(1);
    while !place.left().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(place.left().is_empty());
    assert_eq!(jobs.get(&of(&jobs, "me"), &running).unwrap().state, State::Cancelled);
    assert_eq!(jobs.cancel(&of(&jobs, "me"), &running).unwrap_err().status, 409);
    let listed: Vec<_> = jobs.list(&of(&jobs, "me")).into_iter().map(|status| status.id).collect();
    assert_eq!(listed, [waiting, running]);
    assert!(jobs.list(&of(&jobs, "other")).is_empty());
}

#[test]
fn stopping_ends_all_and_leaves_nothing() {
    let place = Place::new();
    let jobs = place.start(place.options(VALIDATE, "echo $$ > \"$TRAINED.pid\"; sleep 600", EVALUATE));
    let id = submit(&jobs, "me").unwrap().id;
    submit(&jobs, "me").unwrap();
    let unfinished = jobs.begin(&of(&jobs, "me"), wanted()).unwrap();
    fs::write(unfinished.path(), "time,cpu\n").unwrap();
    let pid = place.tools.path().join("trained.pid");
    let end = Instant::now() + Duration::from_mins(1);
    while fs::read_to_string(&pid).unwrap_or_default().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    jobs.stop();
    assert_eq!(jobs.get(&of(&jobs, "me"), &id).unwrap().state, State::Cancelled);
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    assert!(!Path::new(&process).exists());
    assert_eq!(unfinished.submit().unwrap_err().status, 503);
    assert!(place.left().is_empty() && place.names().is_empty());
}

#[test]
fn leftovers_are_removed_and_nobody_elses_work() {
    let place = Place::new();
    let left = place.models.path().join(".jobs/abc");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("upload.csv"), "half").unwrap();
    let jobs = place.start(place.options(VALIDATE, TRAIN, EVALUATE));
    assert!(place.left().is_empty());
    let upload = jobs.begin(&of(&jobs, "me"), wanted()).unwrap();
    let again = Jobs::start(Options::of("qualm"), Arc::clone(&place.registry)).unwrap_err().to_string();
    assert!(again.contains("another process trains here"), "{again}");
    assert_eq!(place.left().len(), 1);
    drop(upload);
    assert!(place.left().is_empty(), "an upload that broke off leaves nothing");
    let mode = fs::metadata(place.models.path().join(".jobs")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "uploads are nobody else's business");
}

#[test]
fn only_what_is_ours_is_removed_and_no_link_is_followed() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let precious = elsewhere.path().join("Zq3kW9xY1aBcD2eF/thesis.tex");
    fs::create_dir_all(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "precious").unwrap();
    let jobs = place.models.path().join(".jobs");
    std::os::unix::fs::symlink(elsewhere.path(), &jobs).unwrap();
    let error = Jobs::start(Options::of("qualm"), Arc::clone(&place.registry)).unwrap_err().to_string();
    assert!(error.contains(".jobs") && error.contains("a link"), "{error}");
    fs::remove_file(&jobs).unwrap();
    fs::create_dir_all(jobs.join("not-a-job")).unwrap();
    std::os::unix::fs::symlink(precious.parent().unwrap(), jobs.join("link")).unwrap();
    std::os::unix::fs::symlink(&precious, jobs.join("lock")).unwrap();
    let error = Jobs::start(Options::of("qualm"), Arc::clone(&place.registry)).unwrap_err().to_string();
    assert!(error.contains("symbolic link"), "{error}");
    fs::remove_file(jobs.join("lock")).unwrap();
    drop(Jobs::start(Options::of("qualm"), Arc::clone(&place.registry)).unwrap());
    assert!(jobs.join("not-a-job").is_dir() && jobs.join("link").is_symlink());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn each_has_their_share() {
    let place = Place::new();
    let options = Options { jobs_of_token: 2, queue: 3, ..place.options("sleep 600", TRAIN, EVALUATE) };
    let jobs = place.start(options);
    let status = |result: Result<Status, Problem>| result.map(|status| status.state).map_err(|problem| problem.status);
    let first = submit(&jobs, "me").unwrap().id;
    until(&jobs, &first, |state| state == State::Validating);
    assert_eq!(status(submit(&jobs, "me")), Ok(State::Queued));
    assert_eq!(status(submit(&jobs, "me")), Err(429));
    assert_eq!(status(submit(&jobs, "other")), Ok(State::Queued));
    let uploading = jobs.begin(&of(&jobs, "other"), wanted()).unwrap();
    assert_eq!(status(submit(&jobs, "third")), Err(503), "three wait");
    drop(uploading);
    jobs.cancel(&of(&jobs, "me"), &jobs.list(&of(&jobs, "me"))[0].id).unwrap();
    assert_eq!(status(submit(&jobs, "me")), Ok(State::Queued), "what is cancelled makes room");
    let empty = jobs.begin(&of(&jobs, "third"), wanted()).unwrap();
    fs::write(empty.path(), "").unwrap();
    assert_eq!(status(empty.submit()), Err(422));
}

#[test]
fn where_only_signed_models_serve_and_there_is_no_key_nothing_is_taken() {
    let place = Place::new();
    let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
    let trusting = models::Options { trust: Trust { keys: vec![key] }, ..models::Options::of(place.models.path()) };
    let jobs = Jobs::start(Options::of("qualm"), Registry::open(trusting, BuiltIn)).unwrap();
    assert_eq!(jobs.begin(&of(&jobs, "me"), wanted()).unwrap_err().status, 403);
}

#[test]
fn a_full_directory_takes_no_more() {
    let place = Place::new();
    fs::write(place.models.path().join("x.qualm"), vec![0; 5000]).unwrap();
    let jobs = place.start(Options { models: 5000, ..Options::of("qualm") });
    assert_eq!(jobs.begin(&of(&jobs, "me"), wanted()).unwrap_err().status, 503);
}
