//! The memory of all bodies together.

use std::thread;
use std::time::Duration;

use crate::harness::{Running, post, post_chunked, until};

#[test]
fn bodies_wait_for_memory_and_get_it() {
    let server = Running::start(|options| {
        options.limits.body = 2 << 20;
        options.limits.memory = 4 << 20;
    });
    let body = vec![7; 2 << 20];
    thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|n| {
                let request =
                    if n % 2 == 0 { post("/length?ms=50", "", &body) } else { post_chunked("/length", "", &body) };
                scope.spawn(|| server.ask(request))
            })
            .collect();
        let mut most = 0;
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            most = most.max(server.counts.snapshot().memory);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(most > 1 << 20 && most <= 4 << 20, "{most}");
        for client in clients {
            let answer = client.join().unwrap();
            assert_eq!(answer.text(), body.len().to_string());
        }
    });
    until(|| server.counts.snapshot().memory == 0);
}

#[test]
fn a_body_that_waits_too_long_may_come_again() {
    let server = Running::start(|options| {
        options.limits.body = 2 << 20;
        options.limits.memory = 8 << 20; // a quarter of it for all, the rest for one at a time
        options.limits.body_timeout = Duration::from_secs(2);
    });
    let body = vec![7; 2 << 20];
    thread::scope(|scope| {
        let clients: Vec<_> = [2 << 20, 4 << 20]
            .into_iter()
            .map(|memory| {
                let client = scope.spawn(|| server.ask(post("/length?ms=8000", "", &body)));
                until(|| server.counts.snapshot().memory == memory);
                client
            })
            .collect();
        let answer = server.ask(post("/length", "", &body));
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        for client in clients {
            assert_eq!(client.join().unwrap().status, 200);
        }
    });
    assert_eq!(server.ask(post("/length", "", &body)).status, 200);
}
