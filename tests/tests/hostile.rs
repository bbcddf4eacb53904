//! Hostile and broken clients get an answer, and delay no other: memory stays bounded, and the service alive.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use qualm_tests::config::quoted;
use qualm_tests::native::gauge;
use qualm_tests::{Server, Sink, Site, fixtures, http, tools, until};

fn start(qualm: &Path, site: &Site, url: &str, http: &str) -> Server {
    let models = site.path("models");
    let config = format!(
        "[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\nmodels = {}\n{http}\n\
         [vector]\nforward = \"{url}\"\ntimeout = \"2s\"\n",
        quoted(&models)
    );
    Server::start(qualm, &site.write("qualm.toml", config), &[])
}

/// The peak memory of a process, in MiB.
fn peak(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("it runs") / 1024
}

/// It is alive, accepts events, and no pipeline panicked.
fn is_well(server: &Server, source: &Sink) {
    assert_eq!(server.get("/healthz").status, 200);
    let before = source.sent().len();
    assert_eq!(server.ask("POST", "/vector", &[], gauge("well", "a", 1.0, 1).as_bytes()).status, 200);
    assert_eq!(source.sent().len(), before + 1);
    assert_eq!(server.metric("qualm_http_handler_panics_total", "") as u64, 0, "{}", server.log());
    assert_eq!(server.metric("qualm_detector_failures_total", "") as u64, 0, "{}", server.log());
}

#[test]
fn deeply_nested_json_is_refused_or_passed() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = start(&qualm, &site, &source.url(), "");
    for depth in [200, 100_000, 2_000_000] {
        let lists = "[".repeat(depth) + &"]".repeat(depth);
        let objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for deep in [&lists, &objects, &"[".repeat(depth), &"{\"metric\":".repeat(depth)] {
            let metric = format!(
                "{{\"metric\":{{\"name\":\"x\",\"tags\":{{\"a\":{deep}}},\"kind\":\"absolute\",\"gauge\":{{\"value\":1}}}}}}\n"
            );
            let log = format!("{{\"log\":{{\"message\":{deep}}}}}\n");
            for body in [deep, &metric, &log] {
                let status = server.ask("POST", "/vector", &[], body.as_bytes()).status;
                // Logs and events that are too long are forwarded unparsed: Vector validates them.
                let passes = body == &log || body.len() > 1 << 20;
                assert!(status == 400 || (status == 200 && passes), "{depth}: {status} for {}", &body[..60]);
            }
            for body in [
                deep.clone(),
                format!("{{\"model\":\"x\",\"data\":{deep}}}"),
                format!("{{\"model\":{deep},\"data\":[]}}"),
            ] {
                let answer = server.ask("POST", "/api/v1/score", &["content-type: application/json"], body.as_bytes());
                assert!([400, 404, 422].contains(&answer.status), "{depth}: {} for {}", answer.status, &body[..60]);
                assert!(answer.body.len() < 2_000);
            }
        }
    }
    is_well(&server, &source);
}

#[test]
fn decompression_bombs_are_refused() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = start(&qualm, &site, &source.url(), "max_body = \"16MiB\"\nmemory = \"32MiB\"");
    is_well(&server, &source);
    let before = peak(&server);
    let zeros = vec![b' '; 1 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..200 {
        gzip.write_all(&zeros).expect("it is written to memory");
        zlib.write_all(&zeros).expect("it is written to memory");
    }
    let bombs = [("gzip", gzip.finish().expect("memory")), ("deflate", zlib.finish().expect("memory"))];
    thread::scope(|scope| {
        for at in 0..16 {
            let (server, bombs) = (&server, &bombs);
            scope.spawn(move || {
                let (encoding, bomb) = &bombs[at % 2];
                let answer = server.ask("POST", "/vector", &[&format!("content-encoding: {encoding}")], bomb);
                assert_eq!(answer.status, 413, "{}", answer.text());
            });
        }
    });
    for (header, body, expected) in [
        ("content-encoding: gzip", &b"\x1f\x8b\x08\x00nonsense"[..], 400),
        ("content-encoding: zstd", b"nonsense", 400),
        ("content-encoding: br", b"nonsense", 415),
        ("content-length: 99999999999", b"", 0), // a second length, and a wrong one
    ] {
        let answer = server.ask("POST", "/vector", &[header], body);
        let fits = if expected == 0 { [400, 413].contains(&answer.status) } else { answer.status == expected };
        assert!(fits, "{header}: {} {}", answer.status, answer.text());
    }
    let grown = peak(&server) - before;
    // The allocator keeps some freed memory; unpacked, they are 3,200 MiB.
    assert!(grown < 32 + 128, "16 bombs took {grown} MiB where 32 were allowed");
    is_well(&server, &source);
}

/// More compressed bodies at once than memory is available for are processed one after another.
#[test]
fn compressed_bodies_do_not_deadlock_on_memory() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = start(&qualm, &site, &source.url(), "");
    let began = Instant::now();
    thread::scope(|scope| {
        for sender in 0..60_u64 {
            let server = &server;
            scope.spawn(move || {
                for batch in 0..3 {
                    let events =
                        (0..500).map(|n| gauge("cpu", &format!("h{sender}"), fixtures::noise(n), batch * 500 + n));
                    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                    packed.write_all(events.collect::<String>().as_bytes()).expect("it is written to memory");
                    let packed = packed.finish().expect("it is written to memory");
                    let answer = server.ask("POST", "/vector", &["content-encoding: gzip"], &packed);
                    assert_eq!(answer.status, 200, "after {:?}: {}", began.elapsed(), answer.text());
                }
            });
        }
    });
    is_well(&server, &source);
}

/// Idle connections, and clients that send a byte now and then, do not block others.
#[test]
fn slow_and_idle_clients_block_no_batch() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source) = (Site::new(), Sink::start());
    let server = start(&qualm, &site, &source.url(), "");
    is_well(&server, &source);
    let before = peak(&server);
    let idle: Vec<_> = (0..300).map(|_| TcpStream::connect(server.address()).expect("it is let in")).collect();
    let mut slow: Vec<_> = (0..50).map(|_| TcpStream::connect(server.address()).expect("it is let in")).collect();
    let head = b"POST /vector HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n";
    for (n, one) in slow.iter_mut().enumerate() {
        // Half of them are slow in the header, half in the body.
        one.write_all(head).expect("it is read");
        if n % 2 == 0 {
            one.write_all(b"\r\n{").expect("it is read");
        }
    }
    let done = AtomicBool::new(false);
    let statuses = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for one in &mut slow {
                    // The server may have closed the connection.
                    let _gone = one.write_all(b"x");
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        let mut statuses = Vec::new();
        let began = Instant::now();
        for batch in 0.. {
            if began.elapsed() > Duration::from_secs(5) {
                break;
            }
            let body: String = (0..100).map(|n| gauge("cpu", "a", fixtures::noise(n), batch * 100 + n)).collect();
            statuses.push(server.ask("POST", "/vector", &[], body.as_bytes()).status);
        }
        done.store(true, Ordering::Relaxed);
        statuses
    });
    assert!(statuses.len() > 20 && statuses.iter().all(|&status| status == 200), "{statuses:?}");
    assert!(server.metric("qualm_http_connections", "") >= 300.0);
    let grown = peak(&server) - before;
    assert!(grown < 100, "350 idle connections took {grown} MiB");
    // Idle connections are still served.
    let mut one = idle.into_iter().next().expect("one of them");
    one.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("it is read");
    let mut answer = String::new();
    one.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    is_well(&server, &source);
}

/// The source behind accepts connections and does not answer, while fifty senders send at once.
#[test]
fn an_unresponsive_destination_holds_little_memory_and_every_sender_is_answered() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let dead = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = dead.local_addr().expect("an address");
    let server = start(&qualm, &site, &format!("http://{address}"), "max_body = \"16MiB\"\nmemory = \"64MiB\"");
    assert_eq!(server.get("/healthz").status, 200);
    let before = peak(&server);
    let began = Instant::now();
    thread::scope(|scope| {
        for sender in 0..50_u64 {
            let server = &server;
            scope.spawn(move || {
                // About a megabyte each, all different.
                let body: String =
                    (0..6_000).map(|n| gauge("cpu", &format!("h{sender}"), fixtures::noise(n), n)).collect();
                for _ in 0..2 {
                    let answer = server.ask("POST", "/vector", &[], body.as_bytes());
                    assert_eq!(answer.status, 503, "{}", answer.text());
                }
            });
        }
        // Health is answered at once.
        for _ in 0..10 {
            let asked = Instant::now();
            assert_eq!(server.get("/healthz").status, 200);
            assert!(asked.elapsed() < Duration::from_secs(2), "health took {:?}", asked.elapsed());
            thread::sleep(Duration::from_millis(200));
        }
    });
    let (grown, took) = (peak(&server) - before, began.elapsed());
    // The bodies within the memory limit, those kept for a retry, and their scores: not fifty of each.
    assert!(grown < 64 * 4 + 64, "it grew by {grown} MiB");
    println!("50 senders, twice, of 1 MB each: {took:?}, {grown} MiB");
    assert_eq!(server.metric("qualm_sent_bodies_total", "outcome=\"failed\"") as u64, 100);
    drop(dead);
    let source = Sink::start_at(address);
    until("it gets on", || {
        http::send(server.address(), "POST", "/vector", &[], gauge("well", "a", 1.0, 1).as_bytes())
            .is_ok_and(|answer| answer.status == 200)
    });
    is_well(&server, &source);
}

/// A sender that times out disconnects, and sends the same again while the first copy is in flight: its events are observed and
/// delivered once, and it gets their outcome.
#[test]
fn a_batch_sent_again_after_a_disconnect_is_scored_once() {
    let Some(qualm) = tools::qualm() else { return };
    let (site, source, influxdb) = (Site::new(), Sink::start(), Sink::start());
    let more = format!("[influxdb]\nforward = \"{}\"", influxdb.url());
    let server = start(&qualm, &site, &source.url(), &more);
    let events: String = (0..15).map(|n| gauge("cpu", "a", fixtures::noise(n), n)).collect();
    let lines: String = (1..16).map(|n| format!("cpu,host=a value={} {n}\n", fixtures::noise(n))).collect();
    for (path, sink, body, pipeline) in
        [("/vector", &source, &events, "vector"), ("/write?db=d", &influxdb, &lines, "influxdb")]
    {
        sink.set_delay(Duration::from_millis(1500));
        let mut impatient = TcpStream::connect(server.address()).expect("it is let in");
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", server.address(), body.len());
        impatient.write_all(format!("{head}{body}").as_bytes()).expect("it is read");
        until("it to be scored", || server.metric("qualm_rows_total", pipeline) > 0.0);
        drop(impatient);
        assert_eq!(server.ask("POST", path, &[], body.as_bytes()).status, 200);
        assert_eq!(server.metric("qualm_rows_total", pipeline) as u64, 15, "{path}: observed once");
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{status}: {log}");
    for sink in [&source, &influxdb] {
        assert_eq!(sink.sent().len(), 1, "nothing more comes of the first copies");
    }
}
