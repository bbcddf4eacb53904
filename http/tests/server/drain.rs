//! The end of the service.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Running, get, post, until};

#[test]
fn what_is_under_way_is_finished_and_nothing_else_is_begun() {
    let mut server = Running::start(|options| options.limits.drain = PATIENCE);
    let (mut fresh, mut idle, mut half, mut busy, mut sending) =
        (server.connect(), server.connect(), server.connect(), server.connect(), server.connect());
    assert_eq!(idle.ask(get("/healthz")).status, 200);
    half.send("GET /healthz HT");
    busy.send(get("/slow?ms=5000"));
    let request = post("/echo", "", &[7; 1000]);
    sending.send(&request[..500]);
    until(|| server.counts.snapshot().received_bytes > 500 + 2 * get("/healthz").len() as u64);
    server.until_open(5);
    // The requests' headers were received; their handlers run a moment later.
    thread::sleep(Duration::from_millis(300));

    server.stop();
    assert!(fresh.closed() && idle.closed() && half.closed());
    // They did not wait for this one.
    busy.stream.get_ref().set_nonblocking(true).unwrap();
    let nothing_yet = busy.stream.get_ref().peek(&mut [0]).expect_err("it takes five seconds");
    assert_eq!(nothing_yet.kind(), ErrorKind::WouldBlock);
    busy.stream.get_ref().set_nonblocking(false).unwrap();
    assert!(TcpStream::connect(server.address).is_err(), "it still listens");
    sending.send(&request[500..]);
    let answer = sending.answer();
    assert_eq!((answer.status, answer.body.len()), (200, 1000));
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("slow", Some("close")));
    assert!(busy.closed() && sending.closed());
    server.stopped();
}

#[test]
fn what_takes_too_long_is_broken_off() {
    let mut server = Running::start(|options| options.limits.drain = Duration::from_millis(300));
    let mut client = server.connect();
    client.send(get("/slow?ms=600000"));
    server.until_open(1);
    thread::sleep(Duration::from_millis(300));
    let stopped = Instant::now();
    server.stop();
    assert!(client.closed());
    server.stopped();
    assert!(stopped.elapsed() < PATIENCE);
}
