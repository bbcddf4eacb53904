//! The API of the real binary: scores on request, and models trained from uploads.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qualm_tests::config::quoted;
use qualm_tests::{Server, Site, children, fixtures, http::Answer, run, tools, until, until_some};
use rustix::process::{Pid, Signal, kill_process, set_child_subreaper};
use serde_json::{Value, json};

/// A history of three correlated metrics with anomalies in the last rows.
fn history(rows: u64) -> Vec<[f64; 3]> {
    let row = |n: u64| {
        let cpu = fixtures::noise(n);
        if n + 3 > rows {
            [cpu, 10.0, 5000.0]
        } else {
            [cpu, 40.0 + cpu / 2.0 + fixtures::noise(n + 7) / 50.0, 900.0 + fixtures::noise(n * 3)]
        }
    };
    (0..rows).map(row).collect()
}

fn csv(rows: &[[f64; 3]], from: u64) -> String {
    let mut text = "time,cpu,mem,net\n".to_owned();
    for (n, [cpu, mem, net]) in (from..).zip(rows) {
        let _infallible = writeln!(text, "{},{cpu},{mem},{net}", 1_700_000_000 + n * 10);
    }
    text
}

/// `qualm serve` with a directory of models.
struct Service {
    server: Server,
    models: PathBuf,
    site: Site,
}

impl Service {
    /// Starts it; `more` goes below `[http]`.
    fn start(qualm: &Path, more: &str) -> Self {
        Self::start_in(qualm, Site::new(), more)
    }

    fn start_in(qualm: &Path, site: Site, more: &str) -> Self {
        let models = site.path("models");
        fs::create_dir_all(&models).expect("a directory can be made");
        let config = format!("[http]\nlisten = \"127.0.0.1:0\"\nmodels = {}\n{more}\n", quoted(&models));
        let server = Server::start(qualm, &site.write("qualm.toml", config), &[]);
        Self { server, models, site }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        status_and_json(&self.server.ask(
            "POST",
            path,
            &["content-type: application/json"],
            body.to_string().as_bytes(),
        ))
    }

    fn score(&self, body: &Value) -> (u16, Value) {
        self.post("/api/v1/score", body)
    }

    fn upload(&self, query: &str, csv: &str) -> (u16, Value) {
        let path = format!("/api/v1/bundles?{query}");
        status_and_json(&self.server.ask("POST", &path, &["content-type: text/csv"], csv.as_bytes()))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        status_and_json(&self.server.get(path))
    }

    /// Waits until an upload has ended.
    fn ended(&self, id: &str) -> Value {
        until_some("the upload to end", || {
            let (status, upload) = self.get(&format!("/api/v1/bundles/{id}"));
            assert_eq!(status, 200, "{upload}");
            (!upload["ended"].is_null()).then_some(upload)
        })
    }

    /// The files of uploads.
    fn left(&self) -> Vec<String> {
        let mut names = names(&self.models.join(".jobs"));
        names.retain(|name| name != "lock");
        names
    }

    /// Waits until a training runs, and suspends its process, so that it does not end.
    fn training(&self) -> Pid {
        until_some("a process that trains", || {
            let all = children(self.server.pid());
            // Only once it trains, so that its own cleanup is set up.
            let trains = |pid: &&u32| command_line(**pid).contains(" train ") && has_open(**pid, "upload.csv");
            let pid = Pid::from_raw(i32::try_from(*all.iter().find(trains)?).ok()?)?;
            kill_process(pid, Signal::STOP).ok()?;
            runs(pid).then_some(pid)
        })
    }
}

/// Whether a process has a file of this name open.
fn has_open(pid: u32, name: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.ends_with(name))
}

fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

fn status_and_json(answer: &Answer) -> (u16, Value) {
    let body = serde_json::from_slice(&answer.body);
    (answer.status, body.unwrap_or_else(|error| panic!("{error}: {}\n{}", answer.head, answer.text())))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether a process runs, and is no zombie.
fn runs(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// An upload that takes a while to train.
fn large() -> String {
    csv(&history(200_000), 0)
}

#[test]
fn scores_are_those_of_replay() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let models = site.path("models");
    fs::create_dir_all(&models).expect("a directory can be made");
    let all = history(2_000);
    let input = site.write("history.csv", csv(&all[..1_900], 0));
    let rows = &all[1_900..];
    let live = site.write("live.csv", csv(rows, 1_900));
    for kind in ["zscore", "pca-mahalanobis", "isolation-forest", "extended-isolation-forest"] {
        let (model, out) = (models.join(kind), site.path("scores.csv"));
        let [input, live, model, out] = [&input, &live, &model, &out].map(|path| path.to_string_lossy().into_owned());
        let trained =
            run(&qualm, &["train", "--detector", kind, "--input", &input, "--out", &model, "--measurement", "m"], b"");
        assert!(trained.status.success(), "{kind}: {}", trained.stderr);
        let replayed = run(&qualm, &["replay", "--model", &model, "--input", &live, "--scores", &out], b"");
        assert!(replayed.status.success(), "{kind}: {}", replayed.stderr);
        fs::rename(&out, site.path(&format!("{kind}.csv"))).expect("it can be renamed");
    }
    let service = Service::start_in(&qualm, site, "");
    for kind in ["zscore", "pca-mahalanobis", "isolation-forest", "extended-isolation-forest"] {
        let replayed = service.site.read_text(&format!("{kind}.csv"));
        let expected: Vec<f64> = replayed
            .lines()
            .skip(1)
            .map(|line| line.rsplit(',').next().unwrap_or_default().parse().expect("a score"))
            .collect();
        let timestamps: Vec<_> = (0..rows.len()).map(|n| 1_700_000_000 + (1_900 + n) * 10).collect();
        let objects: Vec<_> =
            rows.iter().map(|[cpu, mem, net]| json!({ "net": net, "cpu": cpu, "mem": mem })).collect();
        for data in [json!(rows), json!(objects)] {
            let (status, answer) =
                service.score(&json!({ "model": kind, "data": data, "timestamps": timestamps, "explain": true }));
            assert_eq!(status, 200, "{answer}");
            let scores: Vec<f64> =
                answer["scores"].as_array().expect("scores").iter().filter_map(Value::as_f64).collect();
            assert_eq!(scores, expected, "{kind}: bit by bit");
            let anomalies: Vec<bool> =
                answer["anomalies"].as_array().expect("anomalies").iter().filter_map(Value::as_bool).collect();
            assert_eq!(anomalies, expected.iter().map(|score| *score > 1.0).collect::<Vec<_>>());
            // The incident begins with the last but one, and is reported once.
            let reported = anomalies.iter().rposition(|anomaly| *anomaly).expect("an anomaly");
            assert!(reported + 2 >= rows.len(), "{kind}: {expected:?}");
            let why = &answer["contributions"][reported];
            assert_eq!(why.as_object().map(serde_json::Map::len), Some(3), "{kind}: {why}");
            assert_eq!(answer["timestamps"][0], "2023-11-15T03:30:00Z");
        }
    }
}

#[test]
fn errors_name_their_place() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "");
    let (status, _) = service.upload("name=host-vitals&detector=zscore", &csv(&history(2_000), 0));
    assert_eq!(status, 202);
    until("the model", || service.get("/api/v1/models/host-vitals").0 == 200);
    for (body, status, field, words) in [
        (json!({ "model": "host-vitls", "data": [[1, 2, 3]] }), 404, "model", "did you mean `host-vitals`?"),
        (json!({ "model": "host-vitals", "data": [[1, 2, 3], [1, 2]] }), 422, "data[1]", "cpu, mem, net"),
        (
            json!({ "model": "host-vitals", "data": [{ "cpu": 1, "mme": 2, "net": 3 }] }),
            422,
            "data[0].mme",
            "cpu, mem, net",
        ),
        (json!({ "model": "host-vitals", "data": [{ "cpu": "x", "mem": 2, "net": 3 }] }), 422, "data[0].cpu", "number"),
        (json!({ "model": "host-vitals", "data": 7 }), 422, "data", "list"),
        (json!({ "data": [[1, 2, 3]] }), 422, "model", "missing"),
    ] {
        let (actual, answer) = service.score(&body);
        assert_eq!((actual, &answer["field"]), (status, &json!(field)), "{body}: {answer}");
        assert!(answer.to_string().contains(words), "{answer}");
    }
    let odd = service.server.ask("POST", "/api/v1/score", &["content-type: application/json"], b"{\"model\":");
    assert_eq!(odd.status, 400, "{}", odd.text());
    assert_eq!(service.server.ask("GET", "/api/v1/score", &[], b"").status, 405);
    assert_eq!(service.server.get("/api/v1/nothing").status, 404);
}

#[test]
fn uploaded_data_become_a_model_that_scores() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "");
    let (status, begun) = service.upload("name=mine&detector=pca-mahalanobis", &csv(&history(3_000), 0));
    assert_eq!((status, &begun["state"]), (202, &json!("queued")), "{begun}");
    let id = begun["id"].as_str().expect("an id");
    assert_eq!(begun["url"], format!("/api/v1/bundles/{id}"));
    let done = service.ended(id);
    assert_eq!(
        (&done["state"], &done["percent"], &done["error"]),
        (&json!("done"), &json!(100), &Value::Null),
        "{done}"
    );
    assert_eq!((&done["validation"]["rows"], &done["model"]["version"]), (&json!(3_000), &json!(1)), "{done}");
    let (status, answer) = service.score(&json!({ "model": "mine", "data": [[55, 68, 950], [55, 10, 5000]] }));
    assert_eq!((status, &answer["anomalies"]), (200, &json!([false, true])), "{answer}");
    // The second upload is the next version, which takes over.
    let (_, again) = service.upload("name=mine&detector=zscore", &csv(&history(3_000), 0));
    let again = service.ended(again["id"].as_str().expect("an id"));
    assert_eq!(again["model"]["version"], 2, "{again}");
    let (_, answer) = service.score(&json!({ "model": "mine", "data": [[55, 68, 950]] }));
    assert_eq!((&answer["model"]["version"], &answer["model"]["kind"]), (&json!(2), &json!("zscore")), "{answer}");
    assert!(service.left().is_empty(), "{:?}", service.left());
    let mut models = names(&service.models);
    models.sort();
    assert_eq!(models, [".jobs", ".owners", "mine-1.qualm", "mine-2.qualm"]);
    // The published bundle can be used by a pipeline, too.
    let published = service.models.join("mine-2.qualm");
    assert!(run(&qualm, &["bundle", "verify", &published.to_string_lossy()], b"").status.success());
}

#[test]
fn a_failed_upload_leaves_no_file() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "max_body = \"1MiB\"\nmemory = \"1MiB\"");
    let good = csv(&history(2_000), 0);
    let words = good.replace(",9", ",nine");
    for (query, body, expected) in [
        ("name=mine&detector=zscore", "", 422),
        ("name=mine&detector=zscore", "no,time\n1,2\n", 422),
        ("name=..%2Fmine&detector=zscore", &*good, 422),
        ("name=mine&detector=streaming", &*good, 422),
        ("name=mine&detector=zscore&other=1", &*good, 422),
        ("name=mine&detector=zscore", "time,cpu\n1,2\n", 202),
        ("name=mine&detector=zscore", &*words, 202),
        ("name=mine&detector=zscore", "time,cpu\n\0\0\0\x1b[31m\n", 202),
    ] {
        let (status, answer) = service.upload(query, body);
        assert_eq!(status, expected, "{query} {}: {answer}", body.chars().take(30).collect::<String>());
        if status == 202 {
            let ended = service.ended(answer["id"].as_str().expect("an id"));
            assert_eq!(ended["state"], "failed", "{ended}");
            let error = ended["error"]["error"].as_str().unwrap_or_default();
            assert!(!error.is_empty() && !error.contains('\x1b') && !error.contains("/.jobs/"), "{ended}");
        }
    }
    let kind =
        service.server.ask("POST", "/api/v1/bundles?name=a&detector=zscore", &["content-type: text/html"], b"<p>");
    assert_eq!(kind.status, 415, "{}", kind.text());
    assert!(service.left().is_empty(), "{:?}", service.left());
    assert_eq!(names(&service.models), [".jobs"]);
}

#[test]
fn an_upload_can_be_cancelled() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "");
    let (status, begun) = service.upload("name=large&detector=isolation-forest", &large());
    assert_eq!(status, 202, "{begun}");
    let id = begun["id"].as_str().expect("an id");
    let pid = service.training();
    let (_, waiting) = service.upload("name=next&detector=zscore", &csv(&history(2_000), 0));
    let next = waiting["id"].as_str().expect("an id");
    for id in [next, id] {
        let cancelled = status_and_json(&service.server.ask("DELETE", &format!("/api/v1/bundles/{id}"), &[], b""));
        assert_eq!((cancelled.0, &cancelled.1["state"]), (200, &json!("cancelled")), "{}", cancelled.1);
        assert_eq!(service.ended(id)["state"], "cancelled");
    }
    until("its process to be gone", || !runs(pid));
    until("its files to be gone", || service.left().is_empty());
    let again = status_and_json(&service.server.ask("DELETE", &format!("/api/v1/bundles/{id}"), &[], b""));
    assert_eq!(again.0, 409, "{}", again.1);
    assert_eq!(names(&service.models), [".jobs"]);
}

#[test]
fn a_stop_ends_training_and_leaves_no_file() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "");
    let (status, begun) = service.upload("name=large&detector=isolation-forest", &large());
    assert_eq!(status, 202, "{begun}");
    let pid = service.training();
    let Service { server, models, site } = service;
    let (status, log) = server.stop();
    assert!(status.success(), "{status}: {log}");
    assert!(!runs(pid), "what it started runs on");
    assert_eq!((names(&models), names(&models.join(".jobs"))), (vec![".jobs".to_owned()], vec!["lock".to_owned()]));
    drop(site);
}

#[test]
fn a_restart_removes_the_files_of_a_crashed_upload() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "");
    let (status, begun) = service.upload("name=large&detector=isolation-forest", &large());
    assert_eq!(status, 202, "{begun}");
    let pid = service.training();
    let Service { server, site, .. } = service;
    server.kill();
    let service = Service::start_in(&qualm, site, "");
    assert!(service.left().is_empty(), "{:?}", service.left());
    assert_eq!(names(&service.models), [".jobs"]);
    let (status, _) = service.get(begun["url"].as_str().expect("where it was"));
    assert_eq!(status, 404, "a restart forgets it");
    // The next upload is trained as usual.
    let (_, next) = service.upload("name=next&detector=zscore", &csv(&history(2_000), 0));
    assert_eq!(service.ended(next["id"].as_str().expect("an id"))["state"], "done");
    // If it still runs, the test below fails; it must not outlive this test.
    let _gone = kill_process(pid, Signal::KILL);
}

/// It would compute for half an hour without use, and write into the directory of the next process.
#[test]
fn training_ends_with_a_crashed_server() {
    let Some(qualm) = tools::qualm() else { return };
    // This process adopts orphans: the kernel kills suspended ones that init adopts, which would prove nothing.
    set_child_subreaper(Some(rustix::process::getpid())).expect("we can take in orphans");
    let service = Service::start(&qualm, "");
    let (status, begun) = service.upload("name=large&detector=isolation-forest", &large());
    assert_eq!(status, 202, "{begun}");
    let pid = service.training();
    let Service { server, site, .. } = service;
    server.kill();
    let service = Service::start_in(&qualm, site, "");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while runs(pid) && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let lives = runs(pid);
    let _gone = kill_process(pid, Signal::KILL);
    drop(service);
    assert!(!lives, "process {pid:?} outlives the one that started it");
}

#[test]
fn requests_need_a_token() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm, "tokens = [\"first-token\", \"second-token\"]");
    let ask = |method: &str, path: &str, headers: &[&str]| service.server.ask(method, path, headers, b"");
    for path in [
        "/metrics",
        "/api/v1/models",
        "/api/v1/live",
        "/api/v1/live/series/x",
        "/api/v1/bundles",
        "/api/v1/",
        "/nothing",
    ] {
        let refused = ask("GET", path, &[]);
        assert_eq!(refused.status, 401, "{path}: {}", refused.text());
        assert!(refused.header("www-authenticate").is_some(), "{}", refused.head);
        for wrong in ["Bearer first", "Bearer first-tokenn", "Basic Zmlyc3QtdG9rZW4=", "first-token", "Bearer"] {
            assert_eq!(ask("GET", path, &[&format!("authorization: {wrong}")]).status, 401, "{path}: {wrong}");
        }
    }
    for path in ["/vector", "/write", "/api/v2/write", "/api/v3/write_lp", "/query", "/api/v1/score", "/api/v1/bundles"]
    {
        assert_eq!(ask("POST", path, &[]).status, 401, "{path}");
    }
    // user:second-token
    for right in
        ["Bearer first-token", "Token second-token", "Token user:first-token", "Basic dXNlcjpzZWNvbmQtdG9rZW4="]
    {
        assert_eq!(ask("GET", "/api/v1/models", &[&format!("authorization: {right}")]).status, 200, "{right}");
    }
    // A browser sends stored passwords for pages of other sites, too.
    let of_page = ["origin: https://evil.example", "authorization: Basic dXNlcjpzZWNvbmQtdG9rZW4="];
    for path in ["/vector", "/write", "/api/v1/score", "/api/v1/bundles?name=mine&detector=zscore"] {
        assert_eq!(ask("POST", path, &of_page).status, 403, "{path}");
    }
    assert_eq!(ask("DELETE", "/api/v1/bundles/x", &of_page).status, 403);
    // Health, and the page's own files, are public.
    for path in ["/healthz", "/readyz", "/ping", "/health", "/"] {
        assert!([200, 204, 503].contains(&ask("GET", path, &[]).status), "{path}");
    }
    assert!(!service.server.log().contains("-token"), "tokens do not belong into a log: {}", service.server.log());

    // Uploads are private to their token.
    let (first, second) = ("authorization: Bearer first-token", "authorization: Bearer second-token");
    let path = "/api/v1/bundles?name=mine&detector=zscore";
    let body = csv(&history(2_000), 0);
    let (status, begun) =
        status_and_json(&service.server.ask("POST", path, &["content-type: text/csv", first], body.as_bytes()));
    assert_eq!(status, 202, "{begun}");
    let url = begun["url"].as_str().expect("where it is");
    assert_eq!((ask("GET", url, &[first]).status, ask("GET", url, &[second]).status), (200, 404));
    assert_eq!(ask("DELETE", url, &[second]).status, 404);
}

/// Also after a restart with another order of tokens, and one more.
#[test]
fn an_upload_cannot_replace_another_owners_model() {
    let Some(qualm) = tools::qualm() else { return };
    let (first, second) = ("authorization: Bearer first-token", "authorization: Bearer second-token");
    let body = csv(&history(2_000), 0);
    let upload = |service: &Service, token: &str, name: &str| {
        let path = format!("/api/v1/bundles?name={name}&detector=zscore");
        let (status, begun) =
            status_and_json(&service.server.ask("POST", &path, &["content-type: text/csv", token], body.as_bytes()));
        if status != 202 {
            return (status, begun);
        }
        let url = begun["url"].as_str().expect("where it is").to_owned();
        let ended = until_some("the upload to end", || {
            let (_, upload) = status_and_json(&service.server.ask("GET", &url, &[token], b""));
            (!upload["ended"].is_null()).then_some(upload)
        });
        (status, ended)
    };
    let service = Service::start(&qualm, "tokens = [\"first-token\", \"second-token\"]");
    let (_, ended) = upload(&service, first, "mine");
    assert_eq!(ended["model"]["version"], 1, "{ended}");
    let (status, refused) = upload(&service, second, "mine");
    assert_eq!((status, &refused["field"]), (403, &json!("name")), "{refused}");
    let Service { server, site, models } = service;
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");

    // The operator's own.
    let (input, out) = (site.write("history.csv", &body), models.join("ours"));
    let (input, out) = (input.to_string_lossy(), out.to_string_lossy());
    let train = ["train", "--detector", "zscore", "--input", &input, "--name", "ours", "--out", &out];
    let trained = run(&qualm, &train, b"");
    assert!(trained.status.success(), "{}", trained.stderr);
    let tokens = "tokens = [\"third-token\", \"second-token\", \"first-token\"]";
    let service = Service::start_in(&qualm, site, tokens);
    assert_eq!(upload(&service, second, "mine").0, 403);
    for token in [first, second] {
        let (status, refused) = upload(&service, token, "ours");
        assert_eq!(status, 403, "{refused}");
        assert!(refused["error"].as_str().is_some_and(|error| error.contains("whoever runs this server")), "{refused}");
    }
    let (_, ended) = upload(&service, first, "mine");
    assert_eq!(ended["model"]["version"], 2, "{ended}");
    let mut all = names(&models);
    all.sort();
    assert_eq!(all, [".jobs", ".owners", "mine-1.qualm", "mine-2.qualm", "ours"]);
    let owners = fs::read_to_string(models.join(".owners")).expect("it is written down");
    assert!(owners.contains("\"mine\"") && !owners.contains("-token") && !owners.contains("ours"), "{owners}");
}

/// Thousands of generated requests, each answer checked against the document.
#[test]
fn the_api_conforms_to_its_openapi_document() {
    let (Some(qualm), Some(_)) = (tools::qualm(), tools::schemathesis()) else { return };
    let service = Service::start(&qualm, "");
    // The model of the document's examples.
    let two: String = csv(&history(2_000), 0)
        .lines()
        .map(|line| line.rsplit_once(',').map_or("", |(two, _)| two).to_owned() + "\n")
        .collect();
    let (_, begun) = service.upload("name=host-vitals&detector=zscore", &two);
    assert_eq!(service.ended(begun["id"].as_str().expect("an id"))["state"], "done");
    let script = tools::workspace().join("tests/schemathesis.sh");
    let checked = Command::new(script)
        .arg(service.server.url())
        .env("QUALM_EXAMPLES", "15")
        .current_dir(&service.site)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{}", service.server.log());
    assert_eq!(service.server.get("/healthz").status, 200);
    assert_eq!(service.server.metric("qualm_http_handler_panics_total", "") as u64, 0);
}
