//! A load that does not wait for answers: each request has its time, and its latency counts from then, so that a server
//! which stalls is charged for all that came meanwhile.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::wire::Client;

/// Connections, which are kept. A request whose time has come while all of them wait for answers waits too.
const CONNECTIONS: usize = 8;

/// A request each millisecond.
const TURN: Duration = Duration::from_millis(1);

/// Connections to one server.
#[derive(Debug)]
pub(crate) struct Load {
    clients: Vec<Client>,
}

impl Load {
    pub(crate) fn on(address: SocketAddr) -> Self {
        Self { clients: (0..CONNECTIONS).map(|_| Client::connect(address)).collect() }
    }

    /// Sends so many of these requests, over and over; how long each took, in milliseconds, in ascending order.
    pub(crate) fn run(&mut self, requests: &[Vec<u8>], count: usize) -> Vec<f64> {
        let start = Instant::now();
        let due = |number: usize| start + TURN * number as u32;
        let mut times = Vec::with_capacity(count);
        let mut free: VecDeque<usize> = (0..self.clients.len()).collect();
        // Connections that wait, and what for.
        let mut busy: Vec<(usize, Instant)> = Vec::new();
        let mut sent = 0;
        while times.len() < count {
            while sent < count && due(sent) <= Instant::now() {
                let Some(client) = free.pop_front() else { break };
                self.clients[client].send(&[&requests[sent % requests.len()]]);
                busy.push((client, due(sent)));
                sent += 1;
            }
            let wait = (sent < count && !free.is_empty()).then(|| due(sent).saturating_duration_since(Instant::now()));
            self.wait(&mut busy, wait, |client, due| {
                times.push(due.elapsed().as_secs_f64() * 1e3);
                free.push_back(client);
            });
        }
        times.sort_by(f64::total_cmp);
        times
    }

    /// Waits for answers, or so long.
    fn wait(
        &mut self,
        busy: &mut Vec<(usize, Instant)>,
        wait: Option<Duration>,
        mut answered: impl FnMut(usize, Instant),
    ) {
        let mut asked: Vec<_> =
            busy.iter().map(|&(client, _)| PollFd::new(&self.clients[client].stream, PollFlags::IN)).collect();
        let wait = wait.map(|wait| Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) });
        poll(&mut asked, wait.as_ref()).expect("sockets can be waited for");
        let ready: Vec<_> = asked.iter().map(|asked| !asked.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        busy.retain(|&(client, due)| {
            let answer = if ready.next() == Some(true) { self.clients[client].read() } else { None };
            let Some((status, body)) = answer else { return true };
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            answered(client, due);
            false
        });
    }
}

/// Lets this thread wake up when it should, not some 50 µs later. What is started afterwards would do so too, therefore
/// servers are started first.
pub(crate) fn be_punctual() {
    let _not_on_this_system = std::fs::write("/proc/self/timerslack_ns", "1");
}
