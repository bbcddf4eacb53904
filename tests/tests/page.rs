//! The live page of the real binary in a real browser, while metrics flow.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qualm_tests::native::gauge;
use qualm_tests::{Server, Sink, Site, fixtures, tools, until};
use serde_json::Value;

/// Hosts, each with three series.
const HOSTS: u64 = 6;

/// Steps of history before the page is opened.
const STEPS: u64 = 300;

/// One step's lines. The memory of one host has a spike at the end of the history, and no value after it.
fn step(n: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()) as u64;
    let time = now - STEPS.saturating_sub(n) * 1_000_000_000;
    let mut lines = String::new();
    for host in 0..HOSTS {
        let value = |what: u64| fixtures::noise(n * 3 + host * 31 + what);
        let (cpu, load) = (value(0), value(1) / 10.0);
        let _infallible =
            write!(lines, "cpu,host=web-{host} usage_user={cpu} {time}\nsystem,host=web-{host} load1={load} {time}\n");
        let memory = if n + 1 == STEPS && host == 3 { 99_000.0 } else { value(2) };
        if host != 3 || n < STEPS {
            let _infallible = writeln!(lines, "mem,host=web-{host} used_percent={memory} {time}");
        }
    }
    lines
}

/// Runs the page's checks against a service; its pictures are named after `name`.
fn check(node: &Path, server: &Server, name: &str) {
    let script = tools::workspace().join("tests/live/page.mjs");
    let checked = Command::new(node)
        .arg(script)
        .args(["--url", &server.url(), "--pictures", name])
        .output()
        .expect("Node starts");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{}", server.log());
}

fn live(server: &Server) -> Value {
    let answer = server.get("/api/v1/live");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// Waits until the data of the page is complete, with bands where these are `banded`.
fn wait_for(server: &Server, series: u64, banded: bool) {
    let listed = |live: &Value| live["series"].as_array().map_or(0, Vec::len) as u64;
    let mut last = Value::Null;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < deadline {
        last = live(server);
        if listed(&last) >= series && last["throughput"]["incidents"].as_u64() > Some(0) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(listed(&last), series, "{last:#}");
    let bad: Vec<_> = last["series"].as_array().into_iter().flatten().filter(|one| one["anomalous"] == true).collect();
    let names: Vec<_> = bad.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["mem,host=web-3 used_percent"], "{last:#}");
    let id = bad[0]["id"].as_str().expect("an id");
    let one = server.get(&format!("/api/v1/live/series/{id}"));
    let one: Value = serde_json::from_slice(&one.body).expect("JSON");
    let highest = one["scores"].as_array().into_iter().flatten().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert!(highest > 1.0, "{one:#}");
    assert_eq!(last["incidents"][0]["cause"], "used_percent", "{:#}", last["incidents"]);
    let reason = last["incidents"][0]["reason"].as_str();
    assert!(matches!(reason, Some("novel" | "outside_band")), "{:#}", last["incidents"]);
    let upper = one["band"]["upper"].as_array().into_iter().flatten().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert_eq!(upper > 0.0 && upper < 99_000.0, banded, "{one:#}");
    assert!(
        last["throughput"]["scored"].as_u64() > Some(0) && last["latency"]["p50_ms"].as_f64() > Some(0.0),
        "{last:#}"
    );
    let totals: Vec<_> =
        last["detectors"].as_array().into_iter().flatten().filter_map(|one| one["rows"].as_u64()).collect();
    assert_eq!(totals.iter().sum::<u64>(), last["throughput"]["rows"].as_u64().unwrap_or_default(), "{last:#}");
}

/// Sets the flag when it is dropped, also by a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `send` with steps until `then` returns.
fn while_metrics_flow(send: impl Fn(String) + Sync, then: impl FnOnce()) {
    let done = AtomicBool::new(false);
    send((0..STEPS).map(step).collect());
    thread::scope(|scope| {
        let _ends = Done(&done);
        scope.spawn(|| {
            for n in STEPS.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                send(step(n));
                thread::sleep(Duration::from_millis(250));
            }
        });
        then();
    });
}

#[test]
fn the_page_of_serve_shows_its_pipelines() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, influxdb, vector) = (Site::new(), Sink::start(), Sink::start());
    let config = format!(
        "[[detector]]\nname = \"hosts\"\nmin_samples = 50\nband = true\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [influxdb]\nforward = \"{}\"\n[vector]\nforward = \"{}\"\n",
        influxdb.url(),
        vector.url()
    );
    let server = Server::start(&qualm, &site.write("qualm.toml", config), &[]);
    let send = |lines: String| {
        assert_eq!(server.ask("POST", "/write?db=d", &[], lines.as_bytes()).status, 200);
    };
    while_metrics_flow(send, || {
        wait_for(&server, 3 * HOSTS, true);
        // Vector's are listed beside them.
        let events: String = (0..100).map(|n| gauge("queue", "web-0", fixtures::noise(n), n)).collect();
        assert_eq!(server.ask("POST", "/vector", &[], events.as_bytes()).status, 200);
        until("Vector's series", || live(&server)["series"].to_string().contains("host.queue"));
        let Some(node) = tools::node() else { return };
        check(&node, &server, "real-serve");
    });
}

#[test]
fn the_page_of_execd_shows_its_pipeline() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let config = "[[detector]]\nname = \"hosts\"\nmin_samples = 50\n[http]\nlisten = \"127.0.0.1:0\"\n";
    let config = site.write("qualm.toml", config);
    let mut server = Server::start_as(Command::new(&qualm).arg("execd").arg("--config").arg(config));
    let (stdin, mut stdout) = (server.stdin(), server.stdout());
    thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let send = |lines: String| (&stdin).write_all(lines.as_bytes()).expect("it reads");
    while_metrics_flow(send, || {
        wait_for(&server, 3 * HOSTS, false);
        let Some(node) = tools::node() else { return };
        check(&node, &server, "real-execd");
    });
}

/// The page shows names of metrics, which any sender chooses.
#[test]
fn hostile_names_are_shown_as_text() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, influxdb) = (Site::new(), Sink::start());
    let config = format!(
        "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n[influxdb]\nforward = \"{}\"\n",
        influxdb.url()
    );
    let server = Server::start(&qualm, &site.write("qualm.toml", config), &[]);
    let long = "n".repeat(10_000);
    let many = (0..200).map(|n| format!("tag{n}=v{n}")).collect::<Vec<_>>().join(",");
    let names: [(&[u8], &[u8]); 9] = [
        (b"<script>alert(1)</script>", b"<img\\ src\\=x\\ onerror\\=alert(2)>"),
        (b"\"><svg/onload=alert(3)>", b"'\"`${7*7}"),
        (b"control\x01\x02\x1b[31m\x07\x7f", b"\x08value\x9f"),
        (b"not\xff\xfe\xc0utf8", b"v\xf0\x28\x8c\x28"),
        ("\u{202e}drow\u{200b}\u{feff}\u{e0001}".as_bytes(), "\u{0301}\u{0301}zalgo".as_bytes()),
        (long.as_bytes(), b"value"),
        (b"long_field", long.as_bytes()),
        (b"__proto__", b"constructor"),
        (b"many", b"value"),
    ];
    let mut body = Vec::new();
    for n in 0..30 {
        for (measurement, field) in names {
            body.extend_from_slice(measurement);
            if measurement == b"many" {
                body.extend_from_slice(format!(",{many}").as_bytes());
            }
            body.push(b' ');
            body.extend_from_slice(field);
            let value = if n == 29 { 1e9 } else { fixtures::noise(n) };
            body.extend_from_slice(format!("={value} {}\n", 1_700_000_000_000_000_000 + n * 1_000_000_000).as_bytes());
        }
    }
    assert_eq!(server.ask("POST", "/write?db=d", &[], &body).status, 200);
    until("the counts", || server.metric("qualm_incidents_total", "") as usize >= names.len());
    let live = live(&server);
    let listed = live["series"].as_array().expect("series");
    assert_eq!(listed.len(), names.len(), "{live:#}");
    for one in listed {
        let name = one["name"].as_str().expect("a name");
        assert!(!name.is_empty() && name.len() <= 300, "{} bytes: {name}", name.len());
        let id = one["id"].as_str().expect("an id");
        assert_eq!(server.get(&format!("/api/v1/live/series/{id}")).status, 200);
    }
    let metrics = server.get("/metrics").text();
    assert!(!metrics.contains("script"), "no name of a series becomes one of a metric");
    for line in server.log().lines() {
        assert!(!line.contains('\x1b') && line.len() < 2_000, "{line:?}");
    }
    let Some(node) = tools::node() else { return };
    check(&node, &server, "real-hostile");
}
