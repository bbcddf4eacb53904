//! `qualm warm` from the real InfluxDB and the real Prometheus: live rows are scored from the first one on, as if history had
//! been live.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qualm_bundle::secret::Secret;
use qualm_offline::collect::{Query, Remote};
use qualm_offline::history::feed::Source as _;
use qualm_tests::config::quoted;
use qualm_tests::{Influx, Prometheus, Server, Site, run, tools, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The first time of history, in seconds, and the interval of its rows.
const START: u64 = 1_700_000_000;
const STEP: u64 = 10;

/// A row's values.
fn value(row: u64, by: u64) -> f64 {
    (row * by % 101) as f64 / 8.0 + (row % 7) as f64
}

/// Rows in Telegraf's format.
fn lines(rows: std::ops::Range<u64>) -> String {
    let line = |row: u64| {
        let time = START + row * STEP;
        format!("cpu,host=a idle={},n={}i {time}000000000\n", value(row, 37), row * 13 % 29)
            + &format!("mem,host=b\\ c used={} {time}000000000\n", value(row, 11))
    };
    rows.map(line).collect()
}

/// A configuration with a state, and `more`.
fn config(site: &Site, more: &str) -> String {
    let toml = format!("[state]\ndir = {}\n{more}", quoted(&site.path("state")));
    site.write("qualm.toml", toml).to_string_lossy().into_owned()
}

fn warm(qualm: &Path, arguments: &[&str]) -> Value {
    let out = run(qualm, &[&["warm", "--json"], arguments].concat(), b"");
    assert!(out.status.success(), "{}", out.stderr);
    serde_json::from_slice(&out.stdout).expect("a summary in JSON")
}

fn execd(qualm: &Path, arguments: &[&str], lines: &str) -> String {
    let out = run(qualm, &[&["execd"], arguments].concat(), lines.as_bytes());
    assert!(out.status.success(), "{}", out.stderr);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn history_of_influxdb_warms_execd() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    // Half of it has scores already.
    let (before, history, live) = (lines(0..600), lines(600..1200), lines(1200..1210));
    influx.write(&execd(&qualm, &[], &before));
    influx.write(&history);
    assert!(influx.number("SELECT count(anomaly_score) FROM cpu") > Some(400.0));

    let config = config(&site, "");
    let until = (START + 1200 * STEP).to_string();
    let from = ["--config", &config, "--influx", &influx.url(), "--database", "qualm", "--since", "1700000000"];
    let summary = warm(&qualm, &[&from[..], &["--until", &until]].concat());
    assert_eq!(
        (&summary["rows"], &summary["series"], &summary["ready"]),
        (&2400.into(), &3.into(), &3.into()),
        "{summary}"
    );
    assert!(summary["scored_before"].as_u64() > Some(800), "{summary}");

    let scored = execd(&qualm, &["--config", &config], &live);
    assert!(scored.lines().all(|line| line.contains(",anomaly_score=")), "{scored}");
    let all = execd(&qualm, &[], &format!("{before}{history}{live}"));
    assert!(all.ends_with(&scored), "as in one run");
}

/// A run that is interrupted at many positions resumes, and learns the same.
#[test]
fn an_interrupted_run_learns_the_same() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    let (history, live) = (lines(0..9000), lines(9000..9010)); // 25 hours: a window of one, then of two, of four, ...
    influx.write(&history);
    let config = config(&site, "");
    let until = (START + 9000 * STEP).to_string();
    let url = influx.url();
    let arguments = ["warm", "--json", "--config", &config, "--influx", &url, "--database", "qualm"];
    let arguments = [&arguments[..], &["--since", "1700000000", "--until", &until]].concat();
    let mut stops = 0;
    let summary: Value = loop {
        let mut command = Command::new(&qualm);
        let child = command.args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("qualm starts");
        if stops < 20 {
            thread::sleep(Duration::from_millis(20 * (1 + stops)));
            kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs, or has just ended");
        }
        let out = child.wait_with_output().expect("it ends");
        if out.status.success() {
            break serde_json::from_slice(&out.stdout).expect("a summary in JSON");
        }
        stops += 1;
    };
    assert!(stops > 0 && summary["rows"] == 18_000 && summary["ready"] == 3, "{stops} stops: {summary}");
    let scored = execd(&qualm, &["--config", &config], &live);
    let all = execd(&qualm, &[], &format!("{history}{live}"));
    assert!(all.ends_with(&scored) && scored.contains("anomaly_score"), "as in one run");
}

/// At the end of a window another reader resumes without a repeated or lost row.
#[test]
fn a_server_is_resumed_at_the_end_of_any_window() {
    let Some(influxd) = tools::influxd() else { return };
    let influx = Influx::start(&influxd);
    influx.write(&lines(0..3000));
    let open = || {
        let query = Query { database: "qualm".to_owned(), ..Query::default() };
        Remote::influx(&Secret::address(influx.url()), "1700000000", Some("1700030000"), &query).expect("it is there")
    };
    let mut all = Vec::new();
    let mut reader = open();
    // The start of each window, in time and in bytes.
    let mut ends = Vec::new();
    let mut before = 0;
    while reader.next(&mut all).expect("it answers").is_some() {
        if reader.is_between_windows() {
            ends.push((reader.done(), before));
        }
        before = all.len();
    }
    assert!(ends.len() >= 3 && all.len() == lines(0..3000).len(), "{ends:?}");
    for (time, at) in ends {
        let (mut rest, mut reader) = (Vec::new(), open());
        reader.resume_from(time);
        while reader.next(&mut rest).expect("it answers").is_some() {}
        assert!(rest == all[at..], "from {time} on");
    }
}

#[test]
fn history_of_influxdb_warms_serve() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    influx.write(&lines(0..300));
    let more = format!("[http]\nlisten = \"127.0.0.1:0\"\n[influxdb]\nforward = {:?}\n", influx.url());
    let config = config(&site, &more);
    let summary = warm(
        &qualm,
        &["--config", &config, "--influx", &influx.url(), "--database", "qualm", "--since", "2023-11-14T00:00:00Z"],
    );
    assert_eq!((&summary["for"], &summary["ready"]), (&"influxdb".into(), &3.into()), "{summary}");

    let server = Server::start(&qualm, Path::new(&config), &[]);
    let busy = run(&qualm, &["warm", "--config", &config, "--influx", &influx.url(), "--since", "1d"], b"");
    assert!(busy.status.code() == Some(2) && busy.stderr.contains("is in use"), "{}", busy.stderr);
    let answer = server.ask("POST", "/write?db=qualm", &[], lines(300..301).as_bytes());
    assert_eq!(answer.status, 204, "{}", answer.text());
    let scored = "SELECT count(anomaly_score) FROM cpu";
    until("the first row to be scored", || influx.number(scored) == Some(1.0));
}

/// History for Prometheus that ends now, and the live rows after it.
struct History {
    openmetrics: String,
    /// Seconds; whole multiples of the step.
    from: u64,
    until: u64,
}

impl History {
    fn new(rows: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
        let until = now / STEP * STEP - 3600;
        let from = until - rows * STEP;
        let gauge = |name: &str, labels: &str, by: u64| {
            let sample = |row| format!("{name}{{{labels}}} {} {}\n", value(row, by), from + row * STEP);
            format!("# TYPE {name} gauge\n{}", (0..rows).map(sample).collect::<String>())
        };
        let temp = gauge("temp", r#"instance="a:9100",job="node",room="r 1""#, 37);
        let load = gauge("load", r#"instance="a:9100",job="node""#, 11);
        Self { openmetrics: temp + &load + "# EOF\n", from, until }
    }

    fn times(&self) -> [String; 2] {
        [self.from, self.until].map(|time| time.to_string())
    }
}

#[test]
fn history_of_prometheus_has_telegrafs_names() {
    let (Some(qualm), Some(prometheus), Some(promtool)) = (tools::qualm(), tools::prometheus(), tools::promtool())
    else {
        return;
    };
    let rows = 1500; // more than four hours, so that there are several windows
    let past = History::new(rows);
    let server = Prometheus::start_with(&prometheus, &promtool, &past.openmetrics);
    let (url, [since, until]) = (server.url(), past.times());
    let from = ["--prometheus", &url, "--start", &since, "--end", &until, "--step", "10s"];
    // As Telegraf tags the same target: its URL in place of Prometheus' own labels, and its own host.
    let tags = ["--drop-tag", "job", "instance", "--add-tag", "url=http://{instance}/metrics", "host=web1"];
    let second = |row: u64| {
        let time = past.from + row * STEP;
        let tags = "host=web1,url=http://a:9100/metrics";
        format!("prometheus,host=web1,room=r\\ 1,url=http://a:9100/metrics temp={} {time}000000000\n", value(row, 37))
            + &format!("prometheus,{tags} load={} {time}000000000\n", value(row, 11))
    };
    let first = |row: u64| {
        second(row)
            .replace("prometheus,host=web1,room", "temp,host=web1,room")
            .replace("prometheus,", "load,")
            .replace(" temp=", " gauge=")
            .replace(" load=", " gauge=")
    };
    for (version, live) in [("2", &second as &dyn Fn(u64) -> String), ("1", &first)] {
        let site = Site::new();
        let config = config(&site, "");
        let more = ["--config", &config, "--metric-version", version, "--match", r#"{job="node"}"#];
        let summary = warm(&qualm, &[&from[..], &tags, &more].concat());
        // A stale series lasts for five minutes, but these end with the history.
        let expected = (&Value::from(2 * rows), &Value::from(2), &Value::from(2));
        assert_eq!((&summary["rows"], &summary["series"], &summary["ready"]), expected, "{summary}");
        let scored = execd(&qualm, &["--config", &config], &(rows..rows + 10).map(live).collect::<String>());
        assert!(scored.lines().all(|line| line.contains(",anomaly_score=")), "{scored}");
        let all = execd(&qualm, &[], &(0..rows + 10).map(live).collect::<String>());
        assert!(all.ends_with(&scored), "as in one run");
    }
    let site = Site::new();
    let config = config(&site, "");
    let wrong = run(&qualm, &[&["warm", "--config", &config, "--match", "{"], &from[..]].concat(), b"");
    assert!(wrong.status.code() == Some(2) && wrong.stderr.contains("parse error"), "{}", wrong.stderr);
    let nothing = run(&qualm, &[&["warm", "--config", &config, "--match", "none"], &from[..]].concat(), b"");
    assert!(nothing.status.code() == Some(1) && nothing.stderr.contains("nothing to learn"), "{}", nothing.stderr);
}
