//! InfluxDB's clients write to qualm, and qualm to the real InfluxDB: with scores, and otherwise unchanged.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use qualm_tests::config::{quoted, to_influx};
use qualm_tests::{Influx, Server, Sink, Site, Telegraf, config, fixtures, free_port, http, reload, tools, until};
use serde_json::Value;

/// The first time, in seconds since 1970.
const START: u64 = 1_700_000_000;

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// `qualm serve` in front of this InfluxDB.
fn before(qualm: &Path, site: &Site, url: &str, more: &str) -> Server {
    let config = format!(
        "[[detector]]\nname = \"all\"\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n{more}\n\
         [influxdb]\nforward = {url:?}\ntimeout = \"5s\"\n"
    );
    Server::start(qualm, &site.write("qualm.toml", config), &[])
}

/// The same with a model that joins two metrics of a host, and with `more` detectors.
fn joining(qualm: &Path, site: &Site, url: &str, more: &str) -> Server {
    let model = site.path("hosts.qualm");
    reload::publish(&model, &reload::good(1).pack());
    let config = format!(
        "[[detector]]\nname = \"hosts\"\nmodel = {}\n{more}[http]\nlisten = \"127.0.0.1:0\"\n[influxdb]\nforward = {url:?}\n",
        quoted(&model)
    );
    Server::start(qualm, &site.write("qualm.toml", config), &[])
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("it is written to memory");
    encoder.finish().expect("it is written to memory")
}

/// Only the URL changes in telegraf.conf.
#[test]
fn telegraf_writes_to_qualm_as_to_influxdb() {
    let (Some(qualm), Some(telegraf), Some(influxd)) = (tools::qualm(), tools::telegraf(), tools::influxd()) else {
        return;
    };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    let mut history = String::new();
    let spike = fixtures::spike(&mut history, 1_000);
    history += "the_end value=1 1\n";
    let conf =
        config::from_file(&site.write("history.lp", history)) + "interval = \"1h\"\n" + &to_influx(&server.url());
    let running = Telegraf::start(&telegraf, &site, &conf);
    until("the whole history in InfluxDB", || influx.number("SELECT count(value) FROM the_end") == Some(1.0));
    let log = running.log();
    running.stop();

    assert_eq!(influx.number("SELECT count(value) FROM load"), Some(1_001.0));
    let scored = influx.number("SELECT count(anomaly_score) FROM load").unwrap_or_default();
    assert_eq!(scored as u64, 1_001 - 10, "all but those that it warmed up with");
    let found = influx.query("SELECT anomaly_cause, anomaly_score FROM load WHERE is_anomaly = 1");
    let spike = found.iter().find(|row| row[0].as_u64() == Some(spike)).unwrap_or_else(|| panic!("{found:?}"));
    assert!(spike[1] == "value" && spike[2].as_f64() > Some(1.0), "{spike:?}");
    // Telegraf compresses its bodies, and creates the database first.
    assert!(
        server.metric("qualm_received_bytes_total", "influxdb")
            > 3.0 * server.metric("qualm_http_received_bytes_total", "")
    );
    assert!(!log.contains("E! [outputs"), "{log}");
}

#[test]
fn times_are_converted_from_every_precision() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    let server = joining(&qualm, &site, &influx.url(), "[[detector]]\nname = \"all\"\nmin_samples = 10\n");
    for (precision, query, unit) in [
        ("s", "&precision=s", SECOND),
        ("ms", "&precision=ms", 1_000_000),
        ("u", "&precision=u", 1_000),
        ("ns", "&precision=ns", 1),
        ("n", "&precision=n", 1),
        ("none", "", 1),
        ("empty", "&precision=", 1),
    ] {
        let mut body = String::new();
        for n in 0..30 {
            let time = (START + n) * (SECOND / unit);
            let load = fixtures::noise(n);
            let _infallible = writeln!(body, "load,host={precision} value={load} {time}");
            let _infallible = writeln!(body, "cpu,cpu=cpu-total,host={precision} usage_user=50 {time}");
            let _infallible = writeln!(body, "mem,host={precision} used_percent=40 {time}");
        }
        let answer = server.ask("POST", &format!("/write?db=qualm{query}"), &[], body.as_bytes());
        assert_eq!(answer.status, 204, "{precision}: {}", answer.text());
        let times = |question: &str| -> Vec<u64> {
            influx
                .query(&format!("{question} WHERE host = '{precision}'"))
                .iter()
                .filter_map(|row| row[0].as_u64())
                .collect()
        };
        let all: Vec<_> = (0..30).map(|n| (START + n) * SECOND).collect();
        assert_eq!(times("SELECT value FROM load"), all, "{precision}");
        assert_eq!(times("SELECT anomaly_score FROM load"), all[10..], "{precision}");
        let vectors = times("SELECT score FROM anomaly");
        assert_eq!(vectors, all, "{precision}: times of vectors");
    }
    let unknown = server.ask("POST", "/write?db=qualm&precision=fortnight", &[], b"load value=1 1\n");
    assert_eq!(unknown.status, 400, "{}", unknown.text());
    assert!(unknown.text().contains("precision"), "{}", unknown.text());
    // Without a timestamp it is now, for InfluxDB and for qualm.
    assert_eq!(server.ask("POST", "/write?db=qualm&precision=s", &[], b"untimed value=1\n").status, 204);
    assert_eq!(influx.number("SELECT count(value) FROM untimed WHERE time > now() - 1h"), Some(1.0));
}

/// InfluxDB 2.x has `us` where 1.x has `u`; and 1.x reads unknown units as nanoseconds.
#[test]
fn vectors_have_the_times_of_their_lines() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = joining(&qualm, &site, &influx.url(), "");
    for (precision, unit) in [("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)] {
        let time = START * (SECOND / unit);
        let body = format!(
            "cpu,cpu=cpu-total,host={precision} usage_user=50 {time}\nmem,host={precision} used_percent=40 {time}\n"
        );
        let path = format!("/api/v2/write?bucket=b&precision={precision}");
        assert_eq!(server.ask("POST", &path, &[], body.as_bytes()).status, 200);
        let taken = String::from_utf8(influx.sent().pop().expect("it was sent").body).expect("text");
        let added = taken.strip_prefix(&body).unwrap_or_else(|| panic!("{taken}"));
        assert!(added.starts_with("anomaly,") && added.ends_with(&format!(" {time}\n")), "{precision}: {added}");
    }
}

#[test]
fn compressed_bodies_are_scored() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    let body: String =
        (0..30).map(|n| format!("load value={} {}\n", fixtures::noise(n), (START + n) * SECOND)).collect();
    let packed = gzip(body.as_bytes());
    assert_eq!(server.ask("POST", "/write?db=d", &["content-encoding: gzip"], &packed).status, 200);
    let sent = influx.sent();
    assert_eq!(sent.len(), 1);
    // Forwarded bodies are not compressed, and must not be labelled so.
    assert!(!sent[0].headers.iter().any(|(name, _)| name == "content-encoding"), "{:?}", sent[0].headers);
    let taken = influx.accepted();
    assert_eq!((taken.lines().count(), taken.matches("anomaly_score=").count()), (30, 20));
    for (line, original) in taken.lines().zip(body.lines()) {
        assert!(line.starts_with(original.rsplit_once(' ').expect("a time").0), "{line}");
    }
    let broken = server.ask("POST", "/write?db=d", &["content-encoding: gzip"], &packed[..packed.len() / 2]);
    assert_eq!(broken.status, 400, "{}", broken.text());
    assert_eq!(influx.sent().len(), 1, "half a body is none");
}

#[test]
fn a_body_that_is_retried_is_scored_once() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (address, site) = (free_port(), Site::new());
    let server = before(&qualm, &site, &format!("http://{address}"), "");
    let body: String =
        (0..50).map(|n| format!("load value={} {}\n", fixtures::noise(n), (START + n) * SECOND)).collect();
    for _ in 0..3 {
        let answer = server.ask("POST", "/write?db=qualm", &[], body.as_bytes());
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("1"), "{}", answer.head);
        let error: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert!(
            error["error"].is_string() && error["message"].is_string() && error["code"] == "unavailable",
            "{error}"
        );
    }
    assert_eq!(server.get("/healthz").status, 200);
    let influx = Influx::start_at(&influxd, || address);
    assert_eq!(server.ask("POST", "/write?db=qualm", &[], body.as_bytes()).status, 204);
    assert_eq!(influx.number("SELECT count(value) FROM load"), Some(50.0));
    assert_eq!(influx.number("SELECT count(anomaly_score) FROM load"), Some(40.0));
    until("the counts", || server.metric("qualm_repeated_bodies_total", "influxdb") as u64 == 3);
    let rows = || server.metric("qualm_rows_total", "influxdb") as u64;
    until("the counts", || rows() > 0);
    assert_eq!(rows(), 50, "observed once");
    // As Telegraf does then: the next body.
    assert_eq!(server.ask("POST", "/write?db=qualm", &[], format!("load value=5 {START}\n").as_bytes()).status, 204);
    until("the counts", || rows() == 51);
}

/// A client that times out sends the same again, while the first is still in flight.
#[test]
fn a_body_sent_again_while_in_flight_is_scored_and_written_once() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    influx.set_delay(Duration::from_secs(2));
    let body: String =
        (0..100_000).map(|n| format!("load value={} {}\n", fixtures::noise(n), (START + n) * SECOND)).collect();
    let path = "/write?db=d";
    let all_at_once = Barrier::new(3);
    let impatient = || {
        let mut stream = TcpStream::connect(server.address()).expect("qualm listens");
        let length = body.len();
        all_at_once.wait();
        write!(stream, "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
            .expect("qualm reads");
    };
    thread::scope(|scope| {
        // One disconnects before there is an answer.
        scope.spawn(impatient);
        for _ in 0..2 {
            scope.spawn(|| {
                all_at_once.wait();
                assert_eq!(server.ask("POST", path, &[], body.as_bytes()).status, 200);
            });
        }
    });
    let count = |name| server.metric(name, "influxdb") as u64;
    until("the counts", || count("qualm_repeated_bodies_total") == 2 && count("qualm_rows_total") > 0);
    assert_eq!((count("qualm_rows_total"), influx.sent().len()), (100_000, 1));
    // The same bytes of another user are another body, with an answer of its own.
    influx.set_delay(Duration::from_millis(700));
    let before = influx.sent().len();
    influx.set_next_statuses(&[401]);
    let small = format!("load value=1 {}\n", (START + 200_000) * SECOND);
    let ask = |user: &'static str| server.ask("POST", path, &[user], small.as_bytes()).status;
    thread::scope(|scope| {
        let wrong = scope.spawn(|| ask("authorization: Token wrong"));
        until("the first to be there", || influx.sent().len() > before || count("qualm_rows_total") > 100_000);
        let right = scope.spawn(|| ask("authorization: Token right"));
        assert_eq!([wrong, right].map(|one| one.join().expect("an answer")), [401, 200]);
    });
}

/// Without timestamps equal lines may be different observations.
#[test]
fn equal_lines_without_a_timestamp_are_all_written() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    influx.set_delay(Duration::from_millis(700));
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(server.ask("POST", "/write?db=d", &[], b"deploys count=1\n").status, 200));
        }
    });
    assert_eq!(influx.accepted(), "deploys count=1\n".repeat(5));
}

/// The same body for another database is another body.
#[test]
fn a_kept_body_is_delivered_to_its_own_database_only() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    influx.set_next_statuses(&[503]);
    let body = b"load value=1 1\n";
    assert_eq!(server.ask("POST", "/write?db=one", &[], body).status, 503);
    assert_eq!(server.ask("POST", "/write?db=two", &[], body).status, 200);
    until("the counts", || server.metric("qualm_rows_total", "influxdb") as u64 == 2);
    assert_eq!(server.ask("POST", "/write?db=one", &[], body).status, 200);
    assert_eq!(server.metric("qualm_repeated_bodies_total", "influxdb") as u64, 1);
    let requests: Vec<_> = influx.sent().into_iter().map(|sent| sent.request).collect();
    assert_eq!(requests, ["POST /write?db=one", "POST /write?db=two", "POST /write?db=one"]);
}

#[test]
fn influxdbs_answers_are_returned_unchanged() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    for (path, body, status) in [
        ("/write?db=qualm", "load value=1 1700000000000000000\n", 204),
        ("/write?db=qualm", "load value= 1\n", 400),
        ("/write?db=qualm", "load value=1 1\nthis is no line\nload value=2 2\n", 400),
        ("/write?db=qualm", "load value=\"text\" 3\n", 400), // another type of field: a partial write
        ("/write?db=nowhere", "load value=1 1\n", 404),
        ("/write", "load value=1 1\n", 400),
        ("/write?db=qualm&rp=nothing", "load value=1 1\n", 500),
        ("/write?db=qualm&consistency=odd", "load value=1 1\n", 400),
    ] {
        let theirs = http::send(influx.address(), "POST", path, &[], body.as_bytes()).expect("InfluxDB answers");
        let ours = server.ask("POST", path, &[], body.as_bytes());
        assert_eq!(theirs.status, status, "{path}: {}", theirs.text());
        assert_eq!((ours.status, ours.text()), (theirs.status, theirs.text()), "{path}: {body}");
        for header in ["content-type", "x-influxdb-version", "x-influxdb-error"] {
            assert_eq!(ours.header(header), theirs.header(header), "{path}: {header}");
        }
    }
    // The valid lines of a body with an invalid one are written, as InfluxDB does it.
    assert_eq!(influx.number("SELECT count(value) FROM load WHERE time < 10"), Some(2.0));
}

#[test]
fn authorization_is_forwarded_where_qualm_needs_none() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    let header_of = |of: &Sink, header: &str| {
        let last = of.sent().pop().expect("something was sent");
        last.headers.into_iter().find(|(name, _)| name == header).map(|(_, value)| value)
    };
    let headers = ["authorization: Token user:secret", "user-agent: Telegraf/1.39", "cookie: a=b"];
    assert_eq!(server.ask("POST", "/write?db=d", &headers, b"load value=1 1\n").status, 200);
    assert_eq!(header_of(&influx, "authorization").as_deref(), Some("Token user:secret"));
    assert_eq!(header_of(&influx, "user-agent").as_deref(), Some("Telegraf/1.39"));
    assert_eq!(header_of(&influx, "cookie"), None);
    // A user and a password in the query likewise.
    assert_eq!(server.ask("POST", "/write?db=d&u=user&p=secret", &[], b"load value=1 1\n").status, 200);
    assert_eq!(influx.sent().pop().expect("sent").request, "POST /write?db=d&u=user&p=secret");

    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "tokens = [\"our-own-token\"]");
    assert_eq!(server.ask("POST", "/write?db=d", &headers, b"load value=1 1\n").status, 401);
    assert!(influx.sent().is_empty());
    let ours = ["authorization: Token our-own-token"];
    assert_eq!(server.ask("POST", "/write?db=d", &ours, b"load value=1 1\n").status, 200);
    assert_eq!(header_of(&influx, "authorization"), None, "our token is nobody else's business");
}

/// In any encoding: qualm's token must not be forwarded, and is accepted only where it is literal.
#[test]
fn a_token_in_the_query_is_not_forwarded() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "tokens = [\"our-own-token\"]");
    let body = b"load value=1 1\n";
    assert_eq!(server.ask("POST", "/write?db=d&u=x&p=our-own-token", &[], body).status, 200);
    assert_eq!(influx.sent().pop().expect("it was sent").request, "POST /write?db=d");
    for query in ["%75=x&%70=our-own-token", "%74oken=our-own-token", "token=our-own-token", "x=our%2down-token"] {
        for (path, body) in [("/write?db=d", &body[..]), ("/query?q=CREATE%20DATABASE%20d", b"")] {
            let path = format!("{path}&{query}");
            let before = influx.sent().len();
            assert_eq!(server.ask("POST", &path, &[], body).status, 401, "{path}");
            assert_eq!(influx.sent().len(), before, "{path}");
            assert_eq!(server.ask("POST", &path, &["authorization: Bearer our-own-token"], body).status, 200, "{path}");
            let request = influx.sent().pop().expect("it was sent").request;
            assert!(["POST /write?db=d", "POST /query?q=CREATE+DATABASE+d"].contains(&&*request), "{request}");
        }
    }
}

#[test]
fn create_database_is_forwarded() {
    let (Some(qualm), Some(influxd)) = (tools::qualm(), tools::influxd()) else { return };
    let (influx, site) = (Influx::start(&influxd), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    // As Telegraf and the Python client send it.
    let form = ["content-type: application/x-www-form-urlencoded"];
    for (path, headers, body, database) in [
        ("/query", &form[..], "q=CREATE+DATABASE+%22first%22", "first"),
        ("/query?q=CREATE%20DATABASE%20%22second%22&db=x", &[], "", "second"),
    ] {
        let theirs = http::send(influx.address(), "POST", "/query?q=CREATE%20DATABASE%20other", &[], b"");
        let ours = server.ask("POST", path, headers, body.as_bytes());
        assert_eq!((ours.status, ours.text()), (200, theirs.expect("InfluxDB answers").text()));
        let there = influx.query("SHOW DATABASES");
        assert!(there.iter().any(|row| row[0] == database), "{there:?}");
    }
    for (query, status) in [
        ("q=DROP%20DATABASE%20first", 400),
        ("q=CREATE%20DATABASE%20third%3B%20DROP%20DATABASE%20first", 400),
        ("q=SHOW%20DATABASES", 400),
        ("", 400),
    ] {
        let answer = server.ask("POST", &format!("/query?{query}"), &[], b"");
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains("\"error\""), "{query}: {}", answer.text());
    }
    let there = influx.query("SHOW DATABASES");
    assert!(there.iter().any(|row| row[0] == "first") && !there.iter().any(|row| row[0] == "third"), "{there:?}");
    assert_eq!(server.metric("qualm_sent_bodies_total", "influxdb") as u64, 0, "these are no metrics");

    // With a server that has no databases, and without a server.
    let (sink, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &sink.url(), "");
    let create = || server.ask("POST", "/query?q=CREATE%20DATABASE%20d", &[], b"");
    for status in [404, 405, 501] {
        sink.set_next_statuses(&[status]);
        let answer = create();
        assert_eq!((answer.status, answer.text()), (200, r#"{"results":[{"statement_id":0}]}"#.to_owned()), "{status}");
    }
    sink.set_next_statuses(&[401, 0]);
    assert_eq!([create().status, create().status], [401, 503]);
}

/// As InfluxDB 3 does for times without a precision.
#[test]
fn the_precision_of_influxdb_3_is_inferred_from_the_size_of_times() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = joining(&qualm, &site, &influx.url(), "");
    let cases = [
        ("", SECOND, START * SECOND),
        ("&precision=", 1_000_000, START * SECOND),
        ("&precision=auto", 1_000, START * SECOND),
        ("", 1, START * SECOND),
        ("&precision=second", SECOND, START),
        ("&precision=nanosecond", 1, START * SECOND),
    ];
    for (host, (precision, unit, expected)) in cases.into_iter().enumerate() {
        let time = START * (SECOND / unit);
        let body =
            format!("cpu,cpu=cpu-total,host=h{host} usage_user=50 {time}\nmem,host=h{host} used_percent=40 {time}\n");
        let path = format!("/api/v3/write_lp?db=d{precision}");
        assert_eq!(server.ask("POST", &path, &[], body.as_bytes()).status, 200);
        let sent = influx.sent().pop().expect("it was sent");
        assert_eq!(sent.request, format!("POST {path}"));
        let taken = String::from_utf8(sent.body).expect("text");
        let added = taken.strip_prefix(&body).unwrap_or_else(|| panic!("{taken}"));
        assert!(added.starts_with("anomaly,") && added.ends_with(&format!(" {expected}\n")), "{path}: {added}");
    }
}

#[test]
fn health_reports_whether_lines_can_be_written() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "tokens = [\"our-own-token\"]");
    let health = server.get("/health");
    let body: Value = serde_json::from_slice(&health.body).expect("JSON");
    assert_eq!((health.status, &body["status"]), (200, &"pass".into()), "{body}");
    let site = Site::new();
    let server = Server::start(&qualm, &site.write("qualm.toml", "[http]\nlisten = \"127.0.0.1:0\"\n"), &[]);
    let health = server.get("/health");
    let body: Value = serde_json::from_slice(&health.body).expect("JSON");
    assert_eq!((health.status, &body["status"]), (503, &"fail".into()), "{body}");
    for path in ["/write", "/api/v2/write", "/api/v3/write_lp", "/query"] {
        assert_eq!(server.ask("POST", path, &[], b"").status, 503, "{path}: clients try again");
    }
}

#[test]
fn both_write_apis_and_ping_are_answered() {
    let Some(qualm) = tools::qualm() else { return };
    let (influx, site) = (Sink::start(), Site::new());
    let server = before(&qualm, &site, &influx.url(), "");
    for method in ["GET", "HEAD"] {
        let ping = server.ask(method, "/ping", &[], b"");
        assert_eq!((ping.status, ping.body.len()), (204, 0), "{method}");
        assert!(ping.header("x-influxdb-version").is_some(), "{}", ping.head);
    }
    let path = "/api/v2/write?bucket=metrics%2Fautogen&org=o%20p&precision=ms";
    let time = START * 1000;
    let answer = server.ask(
        "POST",
        path,
        &["content-type: text/plain; charset=utf-8"],
        format!("load value=1 {time}\n").as_bytes(),
    );
    assert_eq!(answer.status, 200);
    let sent = influx.sent().pop().expect("it was sent");
    assert_eq!(sent.request, format!("POST {path}"));
    assert_eq!(sent.body, format!("load value=1 {time}\n").as_bytes());
    let kind = sent.headers.iter().find(|(name, _)| name == "content-type");
    assert_eq!(kind.map(|(_, kind)| kind.as_str()), Some("text/plain; charset=utf-8"));
    // 2.x has fewer units, but `precision=s` is seconds in both.
    influx.set_next_statuses(&[401, 404, 413, 429, 500, 503]);
    for status in [401, 404, 413, 429, 500, 503] {
        assert_eq!(server.ask("POST", path, &[], b"load value=1\n").status, status, "as it came");
    }
}
