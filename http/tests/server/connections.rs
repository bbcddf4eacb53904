//! Many connections, and slow ones.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{Client, PATIENCE, Running, get, until};

#[test]
fn slow_heads_end_while_others_are_served() {
    let server = Running::start(|options| {
        options.limits.connections = 50;
        options.limits.header_timeout = Duration::from_millis(500);
    });
    let mut slow: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let started = Instant::now();
    server.until_open(40);
    while server.counts.snapshot().connections > 0 {
        assert!(started.elapsed() < PATIENCE, "slow clients are never closed");
        for client in &mut slow {
            // One that was closed already cannot be sent anything.
            let _gone = std::io::Write::write_all(client.stream.get_mut(), b"G");
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert_eq!(server.ask(get("/healthz")).status, 200);
}

#[test]
fn one_more_connection_takes_the_place_of_what_waited_longest() {
    let server = Running::start(|options| options.limits.connections = 20);
    let mut first = server.connect();
    assert_eq!(first.ask(get("/healthz")).status, 200);
    let mut busy = server.connect();
    busy.send(get("/slow?ms=3000"));
    // Each waits a little shorter than the one before; some have sent a part of a request.
    let waiting: Vec<_> = (0..60)
        .map(|n| {
            let mut client = server.connect();
            if n % 2 == 0 {
                client.send("GET /healthz");
            }
            until(|| server.counts.snapshot().accepted == n + 3);
            assert!(server.counts.snapshot().connections <= 20);
            client
        })
        .collect();
    assert!(first.closed());
    let mut last = server.connect();
    assert_eq!(last.ask(get("/healthz")).status, 200);
    // A request under way is never evicted.
    assert_eq!(busy.answer().text(), "slow");
    assert_eq!(last.ask(get("/healthz")).status, 200);
    assert!(server.counts.snapshot().evicted >= 42);
    drop(waiting);
}

#[test]
fn with_all_busy_one_more_waits() {
    let server = Running::start(|options| options.limits.connections = 4);
    let mut busy: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut busy {
        client.send(get("/slow?ms=500"));
    }
    server.until_open(4);
    thread::sleep(Duration::from_millis(100));
    server.connect().send(get("/healthz"));
    assert_eq!(server.ask(get("/healthz")).status, 200);
    assert!(busy.iter_mut().all(|client| client.answer().status == 200));
}

#[test]
fn idle_connections_are_closed_in_time() {
    let server = Running::start(|options| options.limits.idle_timeout = Duration::from_secs(2));
    let (mut fresh, mut used) = (server.connect(), server.connect());
    let started = Instant::now();
    assert_eq!(used.ask(get("/slow?ms=2500")).status, 200);
    assert!(fresh.closed() && used.closed());
    assert!(started.elapsed() >= Duration::from_millis(4500));
}

#[test]
fn a_client_that_does_not_read_its_answer_is_given_up() {
    let server = Running::start(|options| options.limits.body_timeout = Duration::from_millis(500));
    let mut client = server.connect();
    client.send(get("/large"));
    server.until_open(1);
    server.until_open(0);
    let mut read = Vec::new();
    let _broken_off = client.stream.read_to_end(&mut read);
    assert!(read.len() < 50_000_000);
    // One that reads gets all.
    assert_eq!(Running::start(|_| {}).ask(get("/large")).body.len(), 50_000_000);
}

/// The variable that makes this test's own program the server of the test below.
const AS_SERVER: &str = "QUALM_HTTP_TEST_SERVER";

#[test]
#[ignore = "this is the server of another test, which starts it"]
fn as_server() {
    if env::var_os(AS_SERVER).is_some() {
        let server = Running::start(|_| {});
        println!("listening on {}", server.address);
        thread::sleep(10 * PATIENCE);
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Process {
    /// Bytes.
    fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }
}

#[test]
fn ten_thousand_idle_connections_are_bearable() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let files = maximum.map_or(10_500, |maximum| maximum.min(10_500));
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).unwrap();
    let count = files as usize - 500;
    let mut server = Process(
        Command::new(env::current_exe().unwrap())
            .args(["connections::as_server", "--exact", "--ignored", "--nocapture"])
            .env(AS_SERVER, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let line = said.find_map(|line| Some(line.unwrap().split_once("listening on ")?.1.to_owned())).unwrap();
    let address = line.trim().parse().unwrap();

    let mut other = Client::to(address);
    assert_eq!(other.ask(get("/healthz")).status, 200);
    let before = server.resident();
    let mut idle: Vec<_> = (0..count).map(|_| Client::to(address)).collect();
    // Half of them have sent a request before; some others have sent a part of one.
    for (n, client) in idle.iter_mut().enumerate() {
        match n % 4 {
            0 | 1 => assert_eq!(client.ask(get("/healthz")).status, 200),
            2 => drop(client.send("GET /")),
            _ => {}
        }
    }
    assert_eq!(other.ask(get("/healthz")).status, 200);
    let each = server.resident().saturating_sub(before) / count;
    println!("{count} connections, {each} bytes for each");
    assert!(each < 40_000, "{each} bytes for each connection");
    let metrics = other.ask(get("/metrics"));
    let open = metrics.text().lines().find_map(|line| line.strip_prefix("qualm_http_connections ")).unwrap();
    assert_eq!(open.parse::<usize>().unwrap(), count + 1);
}
