//! Bodies: how they come, and when they are refused.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::harness::{Running, get, post, post_chunked};

/// Large enough to come in many pieces, and not too easy to compress.
fn text() -> Vec<u8> {
    (0..300_000u64).flat_map(|n| (n * n % 99_991).to_string().into_bytes()).collect()
}

/// The same in every encoding, with its header field.
fn encodings(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text).unwrap();
    zlib.write_all(text).unwrap();
    raw.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    let twice = zstd::encode_all(gzip.as_slice(), 1).unwrap();
    vec![
        ("", text.to_vec()),
        ("content-encoding: identity\r\n", text.to_vec()),
        ("content-encoding: gzip\r\n", gzip),
        ("content-encoding: deflate\r\n", zlib.finish().unwrap()),
        ("content-encoding: deflate\r\n", raw.finish().unwrap()),
        ("content-encoding: zstd\r\n", zstd::encode_all(text, 1).unwrap()),
        ("content-encoding: snappy\r\n", snap::raw::Encoder::new().compress_vec(text).unwrap()),
        ("content-encoding: gzip, zstd\r\n", twice),
    ]
}

#[test]
fn every_encoding_comes_back_as_it_was() {
    let server = Running::start(|_| {});
    let text = text();
    let mut client = server.connect();
    for (field, body) in encodings(&text) {
        // No content-type, as from Vector.
        for request in [post("/echo", field, &body), post_chunked("/echo", field, &body)] {
            let answer = client.ask(request);
            assert_eq!(answer.status, 200, "{field}{}", answer.head);
            assert!(answer.body == text, "{field}");
        }
        let answer = client.ask(post("/echo", field, b""));
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{field}");
    }
    drop(client);
    server.until_open(0);
    assert_eq!(server.counts.snapshot().memory, 0);
}

#[test]
fn bodies_that_are_not_what_they_say_are_refused() {
    let server = Running::start(|_| {});
    let text = text();
    for (field, body) in encodings(&text).into_iter().skip(2) {
        assert_eq!(server.ask(post("/echo", field, &body[..body.len() / 2])).status, 400, "{field}");
        assert_eq!(server.ask(post("/echo", field, b"plain text, not compressed")).status, 400, "{field}");
    }
    let answer = server.ask(post("/echo", "content-encoding: br\r\n", b"x"));
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("gzip"));
    assert_eq!(server.ask(post("/echo", "content-encoding: gzip,gzip,gzip,gzip\r\n", b"x")).status, 415);
}

#[test]
fn bodies_over_the_limit_are_refused_even_while_they_come() {
    let server = Running::start(|options| options.limits.body = 1_000_000);
    let fits = vec![7; 1_000_000];
    assert_eq!(server.ask(post("/length", "", &fits)).text(), "1000000");
    assert_eq!(server.ask(post_chunked("/length", "", &fits)).text(), "1000000");
    // The client looks for an answer only after it has sent all of this.
    let large = vec![7; 30_000_000];
    for request in [post("/length", "", &large), post_chunked("/length", "", &large)] {
        let answer = server.ask(request);
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    for (field, body) in encodings(&vec![7; 1_000_001]) {
        assert_eq!(server.ask(post("/length", field, &body)).status, 413, "{field}");
    }
    for (field, body) in encodings(&fits) {
        assert_eq!(server.ask(post("/length", field, &body)).status, 200, "{field}");
    }
}

#[test]
fn a_body_that_nobody_wants_does_not_hide_the_answer() {
    let server = Running::start(|_| {});
    assert_eq!(server.ask(post("/ignore", "", &vec![7; 20_000_000])).status, 204);
    assert_eq!(server.ask(post("/nowhere", "", &vec![7; 20_000_000])).status, 404);
}

#[test]
fn a_client_may_ask_before_it_sends() {
    let server = Running::start(|options| options.limits.body = 1000);
    let head = |length| {
        format!("POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut client = server.connect();
    assert_eq!(client.ask(head(5)).status, 100);
    assert_eq!(client.ask("hello").text(), "hello");
    assert_eq!(client.ask(head(1001)).status, 413);
}

#[test]
fn truncated_bodies_are_refused() {
    let server = Running::start(|_| {});
    let whole = post("/echo", "", &[7; 1000]);
    let chunked = post_chunked("/echo", "", &[7; 1000]);
    for request in [&whole[..whole.len() - 1], &chunked[..chunked.len() - 4], &chunked[..chunked.len() - 700]] {
        let mut client = server.connect();
        client.send(request).stream.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.answer().status, 400);
        assert!(client.closed());
    }
    let bad = "POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(server.ask(bad).status, 400);
}

#[test]
fn slow_bodies_end_while_others_are_served() {
    let server = Running::start(|options| options.limits.body_timeout = Duration::from_millis(400));
    let mut stopped = server.connect();
    stopped.send(&post("/echo", "", &[7; 1000])[..200]);
    let mut trickling = server.connect();
    let request = post("/echo", "", &[7; 1000]);
    trickling.send(&request[..200]);
    thread::scope(|scope| {
        let trickle = scope.spawn(|| {
            for byte in &request[200..] {
                // Until the server has had enough.
                if trickling.stream.get_ref().write_all(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
                if server.counts.snapshot().refused[1].1 == 2 {
                    break;
                }
            }
        });
        assert_eq!(server.ask(get("/healthz")).status, 200);
        assert_eq!(stopped.answer().status, 408);
        trickle.join().unwrap();
    });
    assert_eq!(trickling.answer().status, 408);
    assert_eq!(server.counts.snapshot().refused[1], ("too_slow", 2));
}
