//! The contract with Vector, row by row: its `http` sink in front of qualm, its `http_server` source behind. Both are
//! played by the test, from what was recorded of the real ones; `vector_itself.rs` has the real one.

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

/// A configuration that scores soon and sends what it scored to `url`.
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
fn events_go_back_byte_for_byte_in_order_with_their_scores() {
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
        // No content-type, as the sink sends it.
        assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
        all += &body;
    }
    let taken = source.taken();
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
fn the_answer_comes_after_the_way_back_has_answered() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.take_time(Duration::from_millis(700));
    let began = Instant::now();
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 0).as_bytes()).status, 200);
    assert!(began.elapsed() >= Duration::from_millis(700), "it was answered early");
    assert_eq!(source.sent().len(), 1);
}

#[test]
fn what_may_pass_later_is_asked_for_again_and_nothing_else() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let mut second = 0;
    for (said, told) in [
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
        source.say(&[said]);
        second += 1;
        let answer = server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, second).as_bytes());
        assert_eq!(answer.status, told, "the way back said {said}: {}", answer.text());
    }
    until("the log to say: Vector is asked to try again", || server.log().contains("Vector is asked to try again"));
}

#[test]
fn a_batch_that_comes_again_is_not_scored_again() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    let body: String = (0..15).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    source.say(&[503, 500, 0]);
    for status in [503, 503, 503, 200] {
        assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, status);
    }
    let sent = source.sent();
    assert!(sent.windows(2).all(|two| two[0].body == two[1].body), "each time the same");
    assert_eq!(verdicts(&source.taken()), 5);
    let rows = || server.metric("qualm_rows_total", "pipeline=\"vector\"");
    until("the counts to be shown", || rows() > 0.0);
    assert_eq!(rows() as u64, 15, "fifteen rows were observed, once");
    // The same bytes once they have been delivered are another batch.
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    until("the rows of the second time", || rows() as u64 == 30);
}

#[test]
fn a_batch_that_comes_again_while_it_is_under_way_is_scored_and_delivered_once() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.take_time(Duration::from_millis(1500));
    let body: String = (0..3000).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200));
        }
    });
    assert_eq!(source.sent().len(), 1);
    assert_eq!(without_verdicts(&source.taken()), body);
    let count = |name| server.metric(name, "pipeline=\"vector\"") as u64;
    until("the counts to be shown", || count("qualm_rows_total") > 0);
    assert_eq!((count("qualm_rows_total"), count("qualm_repeated_bodies_total")), (3000, 3));
}

/// Events without a time of their own are often equal, and each of them counts.
#[test]
fn equal_batches_of_several_senders_all_arrive() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    source.take_time(Duration::from_millis(1200));
    let hit = "{\"metric\":{\"name\":\"hits\",\"kind\":\"incremental\",\"counter\":{\"value\":1.0}}}\n";
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(server.ask("POST", "/vector", &[], hit.as_bytes()).status, 200));
        }
    });
    assert_eq!(server.ask("POST", "/vector", &[], hit.as_bytes()).status, 200, "and again, one after another");
    assert_eq!(source.taken(), hit.repeat(6));
}

#[test]
fn a_way_back_that_leads_back_to_qualm_is_noticed() {
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
fn a_way_back_that_is_not_there_or_does_not_answer_is_waited_for() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = nobody.local_addr().expect("an address");
    let server = Server::start(&qualm, &config(&site, &format!("http://{address}")), &[]);
    // It takes connections, and says nothing: the configured two seconds, then Vector is to try again.
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 503);
    drop(nobody);
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 503);
    assert_eq!(server.get("/healthz").status, 200, "it is not our fault");
    let source = Sink::start_at(address);
    assert_eq!(server.ask("POST", "/vector", &[], gauge("cpu", "a", 1.0, 1).as_bytes()).status, 200);
    assert_eq!(source.taken(), gauge("cpu", "a", 1.0, 1));
    until("the log to say: scored events are delivered again", || server.log().contains("scored events are delivered again"));
}

#[test]
fn what_vector_encodes_wrongly_is_set_right() {
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
    assert_eq!(source.taken(), [&*good, &bare.replace("null", "[null]"), log, &good].concat());
    let discarded = || server.metric("qualm_discarded_events_total", "pipeline=\"vector\"");
    until("the counts to be shown", || discarded() as u64 == 1);
    // A batch of nothing else is over with: to have it come again would not help.
    assert_eq!(server.ask("POST", "/vector", &[], nan.as_bytes()).status, 200);
    assert_eq!(source.sent().len(), 1);
}

#[test]
fn what_is_no_event_is_refused_for_good() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    // As the sink's `character_delimited` framing has them.
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
fn health_is_asked_for_by_head() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = Server::start(&qualm, &config(&site, &source.url()), &[]);
    for path in ["/healthz", "/readyz", "/vector"] {
        let answer = server.ask("HEAD", path, &[], b"");
        assert_eq!((answer.status, &*answer.body), (200, &b""[..]), "{path}");
    }
    assert_eq!(server.get("/readyz").status, 200);
}

/// A sink with a disk buffer keeps a batch until it is delivered. Whatever happens to qualm in between, each event arrives;
/// one may arrive twice where qualm died between the way back's answer and its own.
#[test]
fn nothing_is_lost_when_it_is_killed() {
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
            // While a batch is under way.
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
    let taken = without_verdicts(&source.taken());
    let mut seen = vec![0; 10_000];
    for line in taken.lines() {
        let value = line.split("\"value\":").nth(1).and_then(|rest| rest.split('}').next()?.parse::<f64>().ok());
        seen[value.expect("each is one of ours") as usize] += 1;
    }
    assert!(seen.iter().all(|&times| times >= 1), "{} are lost", seen.iter().filter(|&&times| times == 0).count());
    let twice = seen.iter().filter(|&&times| times > 1).count();
    assert!(twice <= again * 50, "{twice} came twice, where {again} batches were sent again");
}

/// Vector starts us and reads our stdout.
#[test]
fn events_can_leave_by_stdout() {
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
    // A signal does not end it while events still come.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server.pid() as i32).expect("a process"),
        rustix::process::Signal::TERM,
    )
    .expect("it can be asked");
    thread::sleep(Duration::from_millis(200));
    let late = gauge("cpu", "a", 20.0, 16);
    assert_eq!(server.ask("POST", "/vector", &[], late.as_bytes()).status, 200);
    let (status, log) = server.stop();
    assert!(status.success(), "{status}: {log}");
    let out = read.join().expect("it ends").expect("text");
    assert_eq!(without_verdicts(&out), body + &late);
    assert_eq!(verdicts(&out), 6);
}

/// Raw metrics go their own way; only verdicts come from us.
#[test]
fn as_a_tap_it_sends_verdicts_alone() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let text = format!(
        "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n[vector]\ntap = true\nforward = \"{}\"\n",
        source.url()
    );
    let server = Server::start(&qualm, &site.write("qualm.toml", text), &[]);
    let body: String = (0..15).map(|second| gauge("cpu", "a", 20.0, second)).collect();
    assert_eq!(server.ask("POST", "/vector", &[], body.as_bytes()).status, 200);
    let taken = source.taken();
    assert_eq!((verdicts(&taken), without_verdicts(&taken).len()), (5, 0), "{taken}");
}
