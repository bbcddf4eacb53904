//! qualm's own metrics: accepted by the real Prometheus and its `promtool`, correct, and documented.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use qualm_tests::config::quoted;
use qualm_tests::native::{gauge, log};
use qualm_tests::{Prometheus, Server, Sink, Site, reload, run, tools, until};

/// Rows of a series before its first score.
const WARM_UP: u64 = 10;

/// Events of each kind that are sent, the last an incident.
const SENT: u64 = 200;

/// How the names begin of those that have values once a trained model has scored rows.
const OF_MODELS: [&str; 6] =
    ["qualm_anomaly_rate", "qualm_drift", "qualm_entity_", "qualm_feature_", "qualm_rollout_", "qualm_score_"];

/// Metrics that exist after failures only.
const AFTER_FAILURES: [&str; 1] = ["qualm_detector_failures_total"];

/// `qualm serve` with both endpoints, and a server behind each.
struct Service {
    server: Server,
    vector: Sink,
    influxdb: Sink,
    _site: Site,
}

impl Service {
    fn start(qualm: &Path) -> Self {
        let (site, vector, influxdb) = (Site::new(), Sink::start(), Sink::start());
        let model = site.path("hosts.qualm");
        reload::publish(&model, &reload::good(7).pack());
        let config = format!(
            "[[detector]]\nname = \"hosts\"\nmodel = {}\n[[detector]]\nname = \"all\"\nmin_samples = 10\n\
             [http]\nlisten = \"127.0.0.1:0\"\nmodels = {}\n[vector]\nforward = \"{}\"\n[influxdb]\nforward = \"{}\"\n",
            quoted(&model),
            quoted(&site.path("models")),
            vector.url(),
            influxdb.url()
        );
        let server = Server::start(qualm, &site.write("qualm.toml", config), &[]);
        Self { server, vector, influxdb, _site: site }
    }

    /// Waits until a counter has its expected value.
    fn expect(&self, name: &str, labels: &str, value: f64) {
        let mut last = f64::NAN;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while std::time::Instant::now() < deadline {
            last = self.server.metric(name, labels);
            if (last - value).abs() < 1e-9 {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{name}{{{labels}}} is {last}, not {value}:\n{}", self.server.get("/metrics").text());
    }
}

/// An ordinary history with a spike at its end.
fn value(n: u64) -> f64 {
    if n + 1 == SENT { 5000.0 } else { 20.0 + (n % 7) as f64 }
}

fn line(n: u64) -> String {
    format!("load,host=a value={} {}\n", value(n), 1_700_000_000_000_000_000 + n * 1_000_000_000)
}

/// `execd` with a listener, and what it prints.
fn execd(qualm: &Path, site: &Site, input: &str) -> (Server, std::process::ChildStdin, thread::JoinHandle<Vec<u8>>) {
    let config = site.write("execd.toml", "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let mut server = Server::start_as(Command::new(qualm).arg("execd").arg("--config").arg(config));
    let (mut stdin, mut stdout) = (server.stdin(), server.stdout());
    let read = thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).expect("stdout can be read");
        all
    });
    stdin.write_all(input.as_bytes()).expect("it reads");
    (server, stdin, read)
}

#[test]
fn counters_match_the_requests() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm);
    let (vector, influxdb) = ("pipeline=\"vector\"", "pipeline=\"influxdb\"");

    // Vector: gauges, a log beside each tenth, in bodies of 20; then a repaired and a discarded one.
    let (mut bytes, mut bodies) = (0, 0);
    for first in (0..SENT).step_by(20) {
        let mut body: String = (first..first + 20).map(|n| gauge("cpu", "a", value(n), n)).collect();
        body += &log("not for us");
        assert_eq!(service.server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
        bytes += body.len();
        bodies += 1;
    }
    for (name, expected) in [
        ("qualm_received_events_total", SENT),
        ("qualm_received_bytes_total", bytes as u64),
        ("qualm_selected_events_total", SENT),
        ("qualm_rows_total", SENT),
        ("qualm_scored_events_total", SENT - WARM_UP),
        ("qualm_incidents_total", 1),
        ("qualm_upstream_scored_events_total", 0),
        ("qualm_evicted_series_total", 0),
        ("qualm_batch_seconds_count", bodies),
    ] {
        service.expect(name, vector, expected as f64);
    }
    for (name, expected) in [
        ("qualm_detector_series", 1),
        ("qualm_detector_rows_total", SENT),
        ("qualm_detector_scored_rows_total", SENT - WARM_UP),
        ("qualm_detector_incidents_total", 1),
        ("qualm_detector_unscored_rows_total", 0),
        ("qualm_detector_starts_total", 1),
    ] {
        service.expect(name, "pipeline=\"vector\",detector=\"all\"", expected as f64);
    }
    service.expect("qualm_sent_bodies_total", "pipeline=\"vector\",outcome=\"delivered\"", bodies as f64);
    let delivered = service.vector.accepted().len();
    service.expect("qualm_sent_bytes_total", vector, delivered as f64);

    service.vector.set_next_statuses(&[503, 400]);
    let again = gauge("cpu", "a", 20.0, SENT);
    for status in [503, 400] {
        assert_eq!(service.server.ask("POST", "/vector", &[], again.as_bytes()).status, status);
    }
    for (outcome, count) in [("delivered", bodies), ("failed", 1), ("rejected", 1)] {
        service.expect("qualm_sent_bodies_total", &format!("{vector},outcome=\"{outcome}\""), count as f64);
    }
    service.expect("qualm_repeated_bodies_total", vector, 1.0);
    service.expect("qualm_rows_total", vector, (SENT + 1) as f64);
    let odd = "{\"metric\":{\"name\":\"nan\",\"kind\":\"absolute\",\"gauge\":{\"value\":null}}}\n\
               {\"metric\":{\"name\":\"bare\",\"tags\":{\"t\":null},\"kind\":\"absolute\",\"gauge\":{\"value\":1.0}}}\n";
    assert_eq!(service.server.ask("POST", "/vector", &[], odd.as_bytes()).status, 200);
    service.expect("qualm_repaired_events_total", vector, 1.0);
    service.expect("qualm_discarded_events_total", vector, 1.0);
    assert_eq!(service.server.ask("POST", "/vector", &[], b"cpu usage=1\n").status, 400);
    service.expect("qualm_errors_total", &format!("{vector},error_type=\"malformed\""), 1.0);

    // InfluxDB: lines, some scored already, one that is none; and vectors of a model.
    let mut body: String = (0..SENT).map(line).collect();
    body += "load,host=a value=20,anomaly_score=0.5,is_anomaly=0i 1\nload,host=a value=20,anomaly_score=9,is_anomaly=1i 1\n";
    body += "load,host=a value=\n";
    for n in 0..5_u64 {
        let time = 1_700_000_000 + n;
        let _infallible = write!(
            body,
            "cpu,cpu=cpu-total,host=b usage_user=50 {time}000000000\nmem,host=b used_percent=40 {time}000000000\n"
        );
    }
    assert_eq!(service.server.ask("POST", "/write?db=d", &[], body.as_bytes()).status, 200);
    for (name, expected) in [
        ("qualm_received_bytes_total", body.len() as u64),
        ("qualm_upstream_scored_events_total", 2),
        ("qualm_incidents_total", 1),
        // Five vectors, and their ten fields each by itself, which the other detector wants.
        ("qualm_rows_total", SENT + 5 + 10),
        ("qualm_vectors_total", 5),
    ] {
        service.expect(name, influxdb, expected as f64);
    }
    service.expect("qualm_errors_total", &format!("{influxdb},error_type=\"malformed\""), 1.0);
    service.expect("qualm_model_version", "pipeline=\"influxdb\",detector=\"hosts\",model=\"hosts\"", 7.0);
    assert!(service.influxdb.accepted().contains("is_anomaly=1i,anomaly_cause=\"value\""));

    // The listener: the requests above.
    service.expect("qualm_http_requests_total", "route=\"/write\",status=\"2xx\"", 1.0);
    service.expect("qualm_http_requests_total", "route=\"/vector\",status=\"2xx\"", (bodies + 1) as f64);
    service.expect("qualm_http_requests_total", "route=\"/vector\",status=\"4xx\"", 2.0);
    service.expect("qualm_http_requests_total", "route=\"/vector\",status=\"5xx\"", 1.0);
}

#[test]
fn promtool_and_prometheus_accept_the_metrics() {
    let Some(qualm) = tools::qualm() else { return };
    let (Some(promtool), Some(prometheus)) = (tools::promtool(), tools::prometheus()) else { return };
    let (service, site) = (Service::start(&qualm), Site::new());
    let lines: String = (0..SENT).map(line).collect();
    let (execd, stdin, read) = execd(&qualm, &site, &lines);
    assert_eq!(service.server.ask("POST", "/write?db=d", &[], lines.as_bytes()).status, 200);
    let events: String = (0..SENT).map(|n| gauge("cpu", "\\\"<a>\\n", value(n), n)).collect();
    assert_eq!(service.server.ask("POST", "/vector", &[], events.as_bytes()).status, 200);

    for server in [&service.server, &execd] {
        let received = || server.metric("qualm_received_events_total", "");
        until("the counts to be shown", || received() >= SENT as f64);
        let text = server.get("/metrics");
        assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let judged = run(&promtool, &["check", "metrics"], &text.body);
        assert!(judged.status.success() && judged.stderr.is_empty(), "{}\n{}", judged.stderr, text.text());

        let open = server.ask("GET", "/metrics", &["accept: application/openmetrics-text; version=1.0.0"], b"");
        let kind = open.header("content-type");
        assert_eq!(kind, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        let open = open.text();
        assert!(open.starts_with("# TYPE qualm_build info\n") && open.ends_with("\n# EOF\n"), "{open}");
        assert_eq!(open.matches("# EOF").count(), 1);
    }

    let targets = [("serve", service.server.address()), ("execd", execd.address())];
    let prometheus = Prometheus::start(&prometheus, &targets, "");
    for (job, pipeline, events) in [("serve", "vector", SENT), ("serve", "influxdb", SENT), ("execd", "execd", SENT)] {
        let received = format!("qualm_received_events_total{{job=\"{job}\",pipeline=\"{pipeline}\"}}");
        until(&received, || prometheus.query(&received) == [events as f64]);
        let incidents = format!("qualm_incidents_total{{job=\"{job}\",pipeline=\"{pipeline}\"}}");
        assert_eq!(prometheus.query(&incidents), [1.0], "{incidents}");
        assert_eq!(prometheus.query(&format!("up{{job=\"{job}\"}}")), [1.0], "{}", prometheus.log());
        let slowest = format!(
            "histogram_quantile(1, sum by (le) (qualm_batch_seconds_bucket{{job=\"{job}\",pipeline=\"{pipeline}\"}}))"
        );
        assert!(matches!(prometheus.query(&slowest)[..], [seconds] if seconds > 0.0 && seconds < 8.0));
    }

    drop(stdin);
    let out = read.join().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&out).lines().count() as u64, SENT);
}

#[test]
fn prometheus_can_send_a_token() {
    let Some(qualm) = tools::qualm() else { return };
    let Some(prometheus) = tools::prometheus() else { return };
    let site = Site::new();
    let config = "[http]\nlisten = \"127.0.0.1:0\"\ntokens = [\"scraper-token\"]\n";
    let server = Server::start(&qualm, &site.write("qualm.toml", config), &[]);
    assert_eq!(server.get("/metrics").status, 401);
    let token = site.write("token", "scraper-token");
    // As in docs/metrics.md.
    let authorization = format!("    authorization: {{ credentials_file: {} }}\n", quoted(&token));
    let targets = [("serve", server.address())];
    let prometheus = Prometheus::start(&prometheus, &targets, &authorization);
    until("it is scraped", || prometheus.query("up") == [1.0]);
}

fn documentation() -> String {
    fs::read_to_string(tools::workspace().join("docs/metrics.md")).expect("docs/metrics.md")
}

/// The names in a text that begin with ours.
fn names(text: &str) -> BTreeSet<String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !letter(c));
    words.filter(|word| word.starts_with("qualm_")).map(str::to_owned).collect()
}

#[test]
fn exactly_the_exposed_metrics_are_documented() {
    let Some(qualm) = tools::qualm() else { return };
    let service = Service::start(&qualm);
    assert_eq!(service.server.get("/metrics").status, 200); // so that a request is counted
    let metrics = service.server.get("/metrics").text();
    let shown: BTreeSet<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let documentation = documentation();
    let (tables, _) = documentation.split_once("## Alerts").expect("a part about alerts");
    let rows: String = tables.lines().filter(|line| line.starts_with('|')).collect();
    let documented = names(&rows);
    assert!(shown.len() > 30, "{shown:?}");
    let unknown: Vec<_> = shown.difference(&documented).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
    let gone: Vec<_> = documented.difference(&shown).collect();
    assert!(gone.is_empty(), "only in docs/metrics.md: {gone:?}");

    // Each has a value from the start, so that its rate can be computed.
    let later = |name: &str| OF_MODELS.iter().any(|family| name.starts_with(family));
    let families = shown.iter().filter(|name| !AFTER_FAILURES.contains(&name.as_str()) && !later(name));
    let valued = |name: &&String| metrics.lines().any(|line| line.starts_with(name.as_str()));
    let silent: Vec<_> = families.filter(|name| !valued(name)).collect();
    assert!(silent.is_empty(), "without a value: {silent:?}");
    // Alerts use existing metrics.
    let used = names(&fs::read_to_string(rules()).expect("rules"));
    assert!(used.len() > 5 && used.is_subset(&shown), "{used:?}");
}

/// The rules for qualm itself.
fn rules() -> PathBuf {
    tools::workspace().join("operations/alerts/qualm.rules.yml")
}

/// The alerts of these rules.
fn alerts() -> BTreeSet<String> {
    let text = fs::read_to_string(rules()).expect("rules");
    text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

#[test]
fn the_alerts_are_valid_rules_and_each_is_in_the_runbook() {
    let Some(promtool) = tools::promtool() else { return };
    let judged = run(&promtool, &["check", "rules", &rules().to_string_lossy()], b"");
    let printed = String::from_utf8_lossy(&judged.stdout).into_owned() + &judged.stderr;
    let found = format!("{} rules found", alerts().len());
    assert!(judged.status.success() && printed.contains(&found), "{printed}");
    let text = fs::read_to_string(rules()).expect("rules");
    let runbook = fs::read_to_string(tools::workspace().join("docs/runbook.md")).expect("docs/runbook.md");
    for (alert, rule) in text.split("- alert: ").skip(1).map(|rule| rule.split_once('\n').expect("more than a name")) {
        assert!(["severity: ", "summary: ", "description: "].iter().all(|key| rule.contains(key)), "{alert}: {rule}");
        let place = format!("runbook: docs/runbook.md#{}\n", alert.to_lowercase());
        assert!(rule.contains(&place) && runbook.contains(&format!("\n## {alert}\n")), "{alert} is not in the runbook");
        assert!(documentation().contains(&format!("| `{alert}` |")), "{alert} is not in docs/metrics.md");
    }
}

/// Prometheus' own tests of rules: each fires with bad values, in so many minutes, and never with good ones.
#[test]
fn each_alert_fires_when_it_should() {
    let Some(promtool) = tools::promtool() else { return };
    let site = Site::new();
    let cases = [
        ("QualmIsDown", "up{job=\"qualm\"}", "1x500", "0x500", 15),
        ("QualmDoesNotScore", "qualm_detector_state{state=\"scoring\"}", "1x500", "0x500", 15),
        ("QualmFails", "qualm_detector_failures_total{reason=\"trap\"}", "3x500", "0+1x500", 15),
        ("QualmPanicked", "qualm_pipeline_panics_total", "3x500", "0+1x500", 15),
        ("QualmWayBackIsDown", "qualm_sent_bodies_total{outcome=\"failed\"}", "3x500", "0+1x500", 15),
        ("QualmWayBackIsDown", "qualm_sent_bodies_total{outcome=\"delivered\"}", "0+9x500", "", 15),
        ("QualmModelIsStale", "qualm_drift_state{state=\"drifting\"}", "0x500", "1x500", 420),
        ("QualmModelIsStale", "qualm_drift_state{state=\"drifting\"}", "1x200 0x300", "", 420),
        ("QualmRolledBack", "qualm_rollout_rollbacks_total", "3x500", "0+1x500", 15),
        ("QualmModelRefused", "qualm_models_refused_total", "3x500", "0+1x500", 15),
    ];
    let tested: BTreeSet<String> = cases.iter().map(|(alert, ..)| (*alert).to_owned()).collect();
    assert_eq!(tested, alerts(), "each has a test");
    let mut tests = format!("rule_files: [{}]\nevaluation_interval: 1m\ntests:\n", quoted(&rules()));
    for (alert, series, good, bad, minutes) in cases {
        for (values, fires) in [(good, false), (bad, true)].iter().filter(|(values, _)| !values.is_empty()) {
            let expr = format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
            let samples = if *fires { "[{ labels: '{}', value: 1 }]" } else { "[]" };
            let _infallible = write!(
                tests,
                "  - interval: 1m\n    input_series: [{{ series: '{series}', values: '{values}' }}]\n    promql_expr_test:\n      \
                 - {{ expr: '{expr}', eval_time: {minutes}m, exp_samples: {samples} }}\n"
            );
        }
    }
    let tests = site.write("tests.yml", tests);
    let judged = run(&promtool, &["test", "rules", &tests.to_string_lossy()], b"");
    let printed = String::from_utf8_lossy(&judged.stdout).into_owned() + &judged.stderr;
    assert!(judged.status.success(), "{printed}");
}
