//! The service's metrics, checked by Prometheus's own tool.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Running, get, post};

/// Debian's promtool, where `tests/tools.sh` has put it, or where `PROMTOOL_BIN` says.
fn promtool() -> Option<PathBuf> {
    let path = env::var_os("PROMTOOL_BIN").map(PathBuf::from).or_else(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tools.sh");
        let answer = Command::new(script).args(["--where", "prometheus"]).output().ok()?;
        Some(Path::new(String::from_utf8_lossy(&answer.stdout).trim()).with_file_name("promtool"))
    });
    let found = path.filter(|path| path.is_file());
    // CI must not skip it unnoticed.
    assert!(found.is_some() || env::var_os("CI").is_none(), "promtool is not here; run `tests/tools.sh prometheus`");
    found
}

fn busy_server() -> Running {
    let server = Running::start(|options| options.limits.body = 1000);
    assert_eq!(server.ask(get("/healthz")).status, 200);
    let mut client = server.connect();
    client.send("HEAD /items/7 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(client.head_answer().status, 200);
    drop(client);
    assert_eq!(server.ask(get("/nowhere")).status, 404);
    assert_eq!(server.ask(get("/panic")).status, 500);
    assert_eq!(server.ask(post("/echo", "", &[7; 1001])).status, 413);
    server
}

#[test]
fn what_was_done_is_counted() {
    let server = busy_server();
    server.until_open(0);
    let counts = server.counts.snapshot();
    assert_eq!((counts.accepted, counts.evicted, counts.failed, counts.panics), (5, 0, 0, 1));
    assert_eq!(counts.refused.iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [&("too_large", 1)]);
    assert!(counts.received_bytes > 1000 && counts.sent_bytes > 500);
    let answers = |path: &str| counts.routes.iter().find(|route| route.path == path).unwrap().answers;
    assert_eq!(answers("/items/{id}"), [0, 1, 0, 0, 0]);
    assert_eq!(answers("/panic"), [0, 0, 0, 0, 1]);
    assert_eq!(answers("/echo"), [0, 0, 0, 1, 0]);
    assert_eq!(answers(""), [0, 0, 0, 1, 0]);
    for route in &counts.routes {
        assert_eq!(route.answers.iter().sum::<u64>(), route.latencies.iter().map(|(_, count)| count).sum::<u64>());
    }
}

#[test]
fn promtool_finds_no_fault() {
    let Some(promtool) = promtool() else {
        eprintln!("skipped: promtool is not here; run `tests/tools.sh prometheus`");
        return;
    };
    let answer = busy_server().ask(get("/metrics"));
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    check.stdin.take().unwrap().write_all(&answer.body).unwrap();
    let said = check.wait_with_output().unwrap();
    let said_text = String::from_utf8_lossy(&said.stderr) + String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{said_text}\n{}", answer.text());
}

#[test]
fn openmetrics_is_for_those_who_want_it() {
    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
    let answer = busy_server().ask(format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n"));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    assert!(answer.text().ends_with("# EOF\n"));
}
