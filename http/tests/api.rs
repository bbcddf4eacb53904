//! The API over the wire.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qualm_bundle::secret::Secret;
use qualm_core::BuiltIn;
use qualm_http::api::jobs::{self, Jobs};
use qualm_http::api::models::{self, Registry};
use qualm_http::api::score::Limits;
use qualm_http::api::{self, Api};
use qualm_http::{Options, Router, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Service {
    address: SocketAddr,
    models: TempDir,
    _tools: TempDir,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Service {
    /// Serves one model; uploads are "trained" by a program that never comes to an end.
    fn start(tokens: &[&str]) -> Self {
        let (models, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        support::train(models.path(), "host", "host", 1, "zscore", None);
        let program = tools.path().join("qualm");
        fs::write(&program, "#!/bin/sh\nexec /bin/sleep 600\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let registry = Registry::open(models::Options::of(models.path()), BuiltIn);
        let uploads = jobs::Options { upload: 10_000, jobs_of_token: 2, ..jobs::Options::of(program) };
        let jobs = Jobs::start(uploads, Arc::clone(&registry)).unwrap();
        let limits = Limits { rows: 1000, ..Limits::default() };
        let api = Api::new(registry, Some(jobs), api::Options { body: 100_000, rows: limits });
        let tokens = tokens.iter().map(|&token| Secret::token(token)).collect();
        let server = Server::bind(Options { tokens, ..Options::on(([127, 0, 0, 1], 0).into()) }).unwrap();
        let address = server.local_addr();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(server.run(api.routes(Router::new()), std::future::pending()));
        });
        Self { address, models, _tools: tools }
    }

    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n", self.address);
        stream.write_all(format!("{head}{headers}\r\n").as_bytes()).unwrap();
        // A server that refuses need not read on.
        let _refused = stream.write_all(body);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        Answer { status, head: head.to_owned(), body }
    }

    fn score(&self, body: &str) -> Answer {
        self.ask("POST /api/v1/score", "content-type: application/json\r\n", body.as_bytes())
    }

    fn upload(&self, query: &str, headers: &str, body: &str) -> Answer {
        let headers = format!("content-type: text/csv\r\n{headers}");
        self.ask(&format!("POST /api/v1/bundles?{query}"), &headers, body.as_bytes())
    }

    /// What is left of uploads, once that has settled.
    fn left(&self) -> usize {
        let count = || fs::read_dir(self.models.path().join(".jobs")).unwrap().count() - 1; // less the lock
        let end = Instant::now() + Duration::from_secs(20);
        while count() > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        count()
    }
}

const CSV: &str = "time,cpu\n1700000000,1\n";

#[test]
fn what_there_is_can_be_found_out() {
    let service = Service::start(&[]);
    let get = |path: &str| service.ask(&format!("GET {path}"), "", b"");
    let index = get("/api/v1/").body;
    assert_eq!((&index["name"], index["endpoints"].as_array().unwrap().len()), (&json!("qualm"), 9), "{index}");
    assert_eq!(get("/api/v1/openapi.json").body["openapi"], "3.1.0");
    let models = get("/api/v1/models").body;
    let model = &models["models"][0];
    assert_eq!((&model["name"], &model["state"], &model["kind"]), (&json!("host"), &json!("ready"), &json!("zscore")));
    let feature = json!({"name": "cpu", "measurement": "host", "field": "cpu", "transform": "none"});
    assert_eq!(model["features"][0], feature);
    assert_eq!(get("/api/v1/models/host").body, *model);
    let missing = get("/api/v1/models/hots");
    assert_eq!((missing.status, &missing.body["hint"]), (404, &json!("did you mean `host`?")));
    assert_eq!(get("/api/v1/models/..%2f..%2fetc").status, 404);
}

#[test]
fn scores_and_what_is_wrong_with_a_request_for_them() {
    let service = Service::start(&[]);
    let answer = service.score(r#"{"model":"host","data":[[50,60,1000],{"cpu":500}],"explain":true}"#);
    assert_eq!((answer.status, &answer.body["anomalies"]), (200, &json!([false, true])));
    assert!(answer.body["contributions"][1]["cpu"].as_f64().unwrap() > 1.0);

    let rows = |count: usize| format!(r#"{{"model":"host","data":[{}]}}"#, vec!["[50,60,1000]"; count].join(","));
    let large = service.score(&rows(1000));
    assert_eq!((large.status, large.body["scores"].as_array().unwrap().len()), (200, 1000));
    let deep = format!(r#"{{"model":"host","data":{}{}}}"#, "[".repeat(40_000), "]".repeat(40_000));
    for (body, status, field) in [
        (r#"{"model":"host","data":[[1,2,x]]}"#, 400, Value::Null),
        (&deep, 400, Value::Null),
        (r#"{"model":"hots","data":[[1,2,3]]}"#, 404, json!("model")),
        (r#"{"model":"host","data":[[1,2,3],[1,2]]}"#, 422, json!("data[1]")),
        (r#"{"model":"host","data":[{"cpi":2}]}"#, 422, json!("data[0].cpi")),
        (r#"{"model":"host","data":[[1,2,3]],"timestamps":[1,2]}"#, 422, json!("timestamps")),
        (&rows(1001), 422, json!("data[1000]")),
        (&rows(10_000), 413, Value::Null),
    ] {
        let answer = service.score(body);
        assert_eq!((answer.status, &answer.body["field"]), (status, &field), "{}", answer.body);
        assert!(answer.body["error"].is_string());
    }
    assert_eq!(service.score(r#"{"model":"host","data":[[1,2,x]]}"#).body["column"], 30);
    let xml = service.ask("POST /api/v1/score", "content-type: text/xml\r\n", b"<a/>");
    assert_eq!(xml.status, 415);
}

#[test]
fn an_upload_is_taken_listed_and_cancelled() {
    let service = Service::start(&[]);
    let taken = service.upload("name=mine&detector=zscore", "", CSV);
    let url = taken.body["url"].as_str().unwrap();
    assert_eq!((taken.status, &taken.body["state"]), (202, &json!("queued")));
    assert!(taken.head.contains(&format!("location: {url}")), "{}", taken.head);
    let status = service.ask(&format!("GET {url}"), "", b"");
    assert_eq!((status.status, &status.body["bytes"]), (200, &json!(CSV.len())));
    let cancelled = service.ask(&format!("DELETE {url}"), "", b"");
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")));
    assert_eq!(service.left(), 0);
    assert_eq!(service.ask(&format!("DELETE {url}"), "", b"").status, 409);
    assert_eq!(service.ask("GET /api/v1/bundles/nope", "", b"").status, 404);
}

#[test]
fn nothing_of_an_upload_that_fails_stays() {
    let service = Service::start(&[]);
    let too_large = format!("time,cpu\n{}", "1700000000,1\n".repeat(1000));
    for (query, body, status) in [
        ("name=mine&detector=zscore", "", 422),
        ("name=mine&detector=zscore", "cpu,time\n1,2\n", 422),
        ("name=mine&detector=zscore", &too_large, 413),
        ("name=..%2f..%2fetc&detector=zscore", CSV, 422),
        ("name=mine&detector=--out", CSV, 422),
        ("name=mine", CSV, 422),
        ("detector=zscore", CSV, 422),
        ("name=mine&detector=zscore&out=x", CSV, 422),
    ] {
        let answer = service.upload(query, "", body);
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        assert_eq!(service.left(), 0, "{query}");
    }
    let json =
        service.ask("POST /api/v1/bundles?name=mine&detector=zscore", "content-type: application/json\r\n", b"{}");
    assert_eq!(json.status, 415);
    // Compressed, it is small; what it becomes is not.
    let bomb = zstd::encode_all(&vec![b'1'; 10_000_000][..], 1).unwrap();
    let headers = "content-type: text/csv\r\ncontent-encoding: zstd\r\n";
    assert_eq!(service.ask("POST /api/v1/bundles?name=mine&detector=zscore", headers, &bomb).status, 413);
    assert_eq!(service.left(), 0);
    // A client that goes away in the middle.
    let mut stream = TcpStream::connect(service.address).unwrap();
    let head = "POST /api/v1/bundles?name=mine&detector=zscore HTTP/1.1\r\ncontent-type: text/csv\r\n";
    let head = format!("{head}host: {}\r\ncontent-length: 5000\r\n\r\ntime,cpu\n", service.address);
    stream.write_all(head.as_bytes()).unwrap();
    let dir = service.models.path().join(".jobs");
    let end = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(&dir).unwrap().count() < 2 && Instant::now() < end {
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    assert_eq!(service.left(), 0);
    assert_eq!(service.ask("GET /api/v1/bundles", "", b"").body, json!({"bundles": []}));
    assert!(Path::new(&service.models.path().join("host")).exists());
}

#[test]
fn each_token_has_its_own_uploads() {
    let service = Service::start(&["secret-a", "secret-b"]);
    let (a, b) = ("authorization: Bearer secret-a\r\n", "authorization: Bearer secret-b\r\n");
    assert_eq!(service.ask("GET /api/v1/models", "", b"").status, 401);
    assert_eq!(service.upload("name=mine&detector=zscore", "", CSV).status, 401);
    let taken = service.upload("name=mine&detector=zscore", a, CSV);
    assert_eq!(taken.status, 202);
    let url = taken.body["url"].as_str().unwrap();
    assert_eq!(service.ask(&format!("GET {url}"), a, b"").status, 200);
    for method in ["GET", "DELETE"] {
        assert_eq!(service.ask(&format!("{method} {url}"), b, b"").status, 404);
    }
    assert_eq!(service.ask("GET /api/v1/bundles", b, b"").body, json!({"bundles": []}));
    assert_eq!(service.upload("name=mine&detector=zscore", a, CSV).status, 202);
    let full = service.upload("name=mine&detector=zscore", a, CSV);
    assert!(full.status == 429 && full.head.contains("retry-after: "), "{}", full.head);
    assert_eq!(service.upload("name=mine&detector=zscore", b, CSV).status, 202);
}
