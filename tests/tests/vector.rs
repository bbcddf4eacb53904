//! The contract with Vector: its `http` sink in front of qualm, its `http_server` source behind. The test plays both from
//! recorded traffic; `vector_itself.rs` uses the real one.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use qualm_tests::{Server, Sink, Site, config::quoted, tools, until};

/// A gauge, as Vector's `native_json` codec writes it.
fn gauge(name: &str, host: &str, value: f64, second: usize) -> String {
    let (minute, second) = (second / 60 % 60, second % 60);
    format!(
        "{{\"metric\":{{\"name\":\"{name}\",\"namespace\":\"host\",\"tags\":{{\"host\":\"{host}\"}},\
         \"timestamp\":\"2026-03-01T12:{minute:02}:{second:02}.000000001Z\",\"kind\":\"absolute\",\
         \"gauge\":{{\"value\":{value}}}}}}}\n"
    )
}

/// A configuration with a short warm-up that sends scored events to `url`.
fn config(site: &Site, url: &str) -> std::path::PathBuf {
    let state = site.path("state");
    let text = format!(
        "[[detector]]\nmin_samples = 10\n[state]\ndir = {}\ninterval = \"1s\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[vector]\nforward = \"{url}\"\ntimeout = \"2s\"\n",
        quoted(&state)
    );
    site.write("qualm.toml", text)
}

/// The events without those that qualm added.
fn without_verdicts(events: &str) -> String {
    let ours = |line: &str| line.contains("\"name\":\"anomaly_score\"") || line.contains("\"name\":\"is_anomaly\"");
    events.split_inclusive('\n').filter(|line| !ours(line)).collect()
}

fn verdicts(events: &str) -> usize {
    events.lines().filter(|line| line.contains("\"name\":\"anomaly_score\"")).count()
}

#[test]
fn events_are_returned_byte_for_byte_in_order_with_scores() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let mut all = String::new();
    for batch in 0..20 {
        let mut body = String::new();
        for second in batch * 10..batch * 10 + 10 {
            let value = if second == 190 { 500.0 } else { 20.0 + (second % 7) as f64 };
            body += &gauge("cpu", "a", value, second);
            let _infallible = writeln!(
                body,
                "{{\"log\":{{\"message\":\"not \\\"metric\\\" null {second}\",\"timestamp\":null,\"n\":{{\"t\":null}}}}}}"
            );
        }
        // Without content-type, as the sink sends it.
        assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
        all += &body;
    }
    let taken = source.accepted();
    assert_eq!(without_verdicts(&taken), all);
    assert_eq!(verdicts(&taken), 190, "all but those that it warmed up with");
    let spike = taken.lines().position(|line| line.contains("\"value\":500")).expect("the spike came through");
    let next: Vec<_> = taken.lines().skip(spike + 1).take(2).collect();
    assert!(next[1].contains("\"name\":\"is_anomaly\"") && next[1].contains("\"value\":1"), "{next:#?}");
    for verdict in next {
        assert!(verdict.contains("\"metric_name\":\"host.cpu\"") && verdict.contains("\"host\":\"a\""), "{verdict}");
        assert!(verdict.contains("\"timestamp\":\"2026-03-01T12:03:10.000000001Z\""), "{verdict}");
    }
    let sent = source.sent();
    assert!(sent.iter().all(|sent| sent.request == "POST /"), "{:?}", sent[0].request);
    until("the counts to be shown", || {
        server.metric("qualm_received_events_total", "pipeline=\"vector\"") as u64 == 200
    });
}

#[test]
fn the_sink_is_answered_after_the_source() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.set_delay(Duration::from_millis(700));
    let began = Instant::now();
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 0).as_bytes()).status, 200);
    assert!(began.elapsed() >= Duration::from_millis(700), "it was answered early");
    assert_eq!(source.sent().len(), 1);
}

#[test]
fn temporary_failures_alone_are_answered_with_503() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let mut second = 0;
    for (status, expected) in [
        (200, 200),
        (204, 200),
        (500, 503),
        (503, 503),
        (408, 503),
        (429, 503),
        (0, 503),
        (400, 400),
        (302, 503),
        (413, 400),
        (404, 503),
        (501, 503),
    ] {
        source.set_next_statuses(&[status]);
        second += 1;
        let answer = server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, second).as_bytes());
        assert_eq!(answer.status, expected, "the source answered {status}: {}", answer.text());
    }
    until("the log to say: Vector is asked to try again", || server.log().contains("Vector is asked to try again"));
}

#[test]
fn a_batch_that_is_retried_is_scored_once() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let body: String = (0..15).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    source.set_next_statuses(&[503, 500, 0]);
    for status in [503, 503, 503, 200] {
        assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, status);
    }
    let sent = source.sent();
    assert!(sent.windows(2).all(|two| two[0].body == two[1].body), "each time the same");
    assert_eq!(verdicts(&source.accepted()), 5);
    let rows = || server.metric("qualm_rows_total", "pipeline=\"vector\"");
    until("the counts to be shown", || rows() > 0.0);
    assert_eq!(rows() as u64, 15, "fifteen rows were observed, once");
    // After delivery the same bytes are another batch.
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    until("the rows of the second time", || rows() as u64 == 30);
}

#[test]
fn a_batch_sent_again_while_in_flight_is_scored_and_delivered_once() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.set_delay(Duration::from_millis(1500));
    let body: String = (0..3000).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200));
        }
    });
    assert_eq!(source.sent().len(), 1);
    assert_eq!(without_verdicts(&source.accepted()), body);
    let count = |name| server.metric(name, "pipeline=\"vector\"") as u64;
    until("the counts to be shown", || count("qualm_rows_total") > 0);
    assert_eq!((count("qualm_rows_total"), count("qualm_repeated_bodies_total")), (3000, 3));
}

/// Events without timestamps are often equal, and each is an observation.
#[test]
fn equal_batches_without_timestamps_are_all_delivered() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.set_delay(Duration::from_millis(1200));
    let hit = "{\"metric\":{\"name\":\"hits\",\"kind\":\"incremental\",\"counter\":{\"value\":1.0}}}\n";
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(server.ask("POST", "/vector", &[], hit.as_bytes()).status, 200));
        }
    });
    assert_eq!(server.ask("POST", "/vector", &[], hit.as_bytes()).status, 200, "and again, one after another");
    assert_eq!(source.accepted(), hit.repeat(6));
}

#[test]
fn a_loop_is_detected() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
    let toml = config(&site, &format!("http://{port}/vector"));
    let server = Server::start(&qualm, &toml, &["--listen", &port.to_string()]);
    let answer = server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes());
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("508"), "{}", answer.text());
}

#[test]
fn an_unreachable_source_is_answered_with_503() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = nobody.local_addr().expect("an address");
    let server = Server::start(&qualm, &config(&site, &format!("http://{address}")), &[]);
    // It accepts connections and does not answer: after the configured two seconds Vector is asked to try again.
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 503);
    drop(nobody);
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 503);
    assert_eq!(server.get("/healthz").status, 200, "it is not our fault");
    let source = Sink::start_at(address);
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 200);
    assert_eq!(source.accepted(), gauge("cpu", "a", 1.0, 1));
    until("the log to say: scored events are delivered again", || {
        server.log().contains("scored events are delivered again")
    });
}

#[test]
fn events_that_vector_encodes_wrongly_are_repaired() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let good = gauge("cpu", "a", 1.0, 1);
    let nan = "{\"metric\":{\"name\":\"nan\",\"kind\":\"absolute\",\"gauge\":{\"value\":null}}}\n";
    let bare =
        "{\"metric\":{\"name\":\"bare\",\"tags\":{\"t\":null},\"kind\":\"absolute\",\"gauge\":{\"value\":1.0}}}\n";
    let log = "{\"log\":{\"t\":null,\"message\":\"x:null\"}}\n";
    let body = [&*good, nan, bare, log, &good].concat();
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    assert_eq!(source.accepted(), [&*good, &bare.replace("null", "[null]"), log, &good].concat());
    let discarded = || server.metric("qualm_discarded_events_total", "pipeline=\"vector\"");
    until("the counts to be shown", || discarded() as u64 == 1);
    // A batch of such events alone is answered with 200: a retry would not help.
    assert_eq!(server.ask("POST", "/vector", &[], nan.as_bytes()).status, 200);
    assert_eq!(source.sent().len(), 1);
}

#[test]
fn malformed_events_are_answered_with_400() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    // As of the sink's `character_delimited` framing.
    let event = r#"{"metric":{"name":"m","kind":"absolute","gauge":{"value":1}}}"#;
    let [array, in_pieces] = [format!("[{event},{event}]"), format!("[{event}\n,{event}\n]")];
    let (array, in_pieces) = (array.as_bytes(), in_pieces.as_bytes());
    for body in
        [&b"cpu,host=a usage=1 1\n"[..], b"\xff\xfe{}\n", b"{\"metric\":", b"\0\0\xff\xff\x0a\x01", array, in_pieces]
    {
        let answer = server.ask("POST", "/vector", &[], body);
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
        assert!(answer.text().contains("native_json"), "{}", answer.text());
    }
    assert_eq!(server.ask("POST", "/vector", &[], b"").status, 200, "an empty body is nothing wrong");
    assert!(source.sent().is_empty());
}

#[test]
fn health_answers_head() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    for path in ["/healthz", "/readyz", "/vector"] {
        let answer = server.ask("HEAD", path, &[], b"");
        assert_eq!((answer.status, &*answer.body), (200, &b""[..]), "{path}");
    }
    assert_eq!(server.get("/readyz").status, 200);
}

/// A sink with a disk buffer keeps a batch until it is delivered. Each event arrives, or twice where qualm is killed between the
/// source's answer and its own.
#[test]
fn no_event_is_lost_by_a_kill() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let toml = config(&site, &source.url());
    let mut server = Server::start(&qualm, &toml, &[]);
    let mut again = 0;
    for batch in 0..200_usize {
        let events = batch * 50..(batch + 1) * 50;
        let body: String =
            events.map(|event| gauge("cpu", &format!("h{}", event % 10), event as f64, event / 10)).collect();
        if batch % 40 == 20 {
            // While a batch is in flight.
            let (address, body) = (server.address(), body.clone());
            let asked =
                thread::spawn(move || qualm_tests::http::send(address, "POST", "/vector", &[], body.as_bytes()));
            thread::sleep(Duration::from_millis((batch as u64 / 40) * 2));
            server.kill();
            server = Server::start(&qualm, &toml, &[]);
            if asked.join().expect("it ends").is_ok_and(|answer| answer.status == 200) {
                continue;
            }
            again += 1;
        }
        assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    }
    let taken = without_verdicts(&source.accepted());
    let mut seen = vec![0; 10_000];
    for line in taken.lines() {
        let value = line.split("\"value\":").nth(1).and_then(|rest| rest.split('}').next()?.parse::<f64>().ok());
        seen[value.expect("each is one of ours") as usize] += 1;
    }
    assert!(seen.iter().all(|&times| times >= 1), "{} are lost", seen.iter().filter(|&&times| times == 0).count());
    let twice = seen.iter().filter(|&&times| times > 1).count();
    assert!(twice <= again * 50, "{twice} came twice, where {again} batches were sent again");
}

/// Vector's `exec` source starts qualm and reads its stdout.
#[test]
fn events_are_written_to_stdout() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let toml = site.write("qualm.toml", "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let mut server = Server::start(&qualm, &toml, &["--stdout"]);
    let mut stdout = server.stdout();
    let read = thread::spawn(move || {
        let mut out = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut out).map(|_| out)
    });
    let body: String = (0..15).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    // A signal does not end it while events arrive.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server.pid() as i32).expect("a process"),
        rustix::process::Signal::TERM,
    )
    .expect("it can be asked");
    until("the signal has come", || server.log().contains("asked to stop"));
    let late = gauge("cpu", "a", 20.0, 16);
    assert_eq!(server.ask("POST", "/vector", &[], late.as_bytes()).status, 200);
    let (status, log) = server.stop();
    assert!(status.success(), "{status}: {log}");
    let out = read.join().expect("it ends").expect("text");
    assert_eq!(without_verdicts(&out), body + &late);
    assert_eq!(verdicts(&out), 6);
}

/// Vector routes the raw metrics itself; qualm sends verdicts.
#[test]
fn a_tap_sends_verdicts_alone() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let text = format!(
        "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n[vector]\ntap = true\nforward = \"{}\"\n",
        source.url()
    );
    let server = Server::start(&qualm, &site.write("qualm.toml", text), &[]);
    let body: String = (0..15).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    let taken = source.accepted();
    assert_eq!((verdicts(&taken), without_verdicts(&taken).len()), (5, 0), "{taken}");
}
