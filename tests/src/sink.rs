//! A server behind qualm that records all requests, and answers as the test sets it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A server that records requests.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    inside: Arc<Inside>,
}

/// A recorded request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Method and path.
    pub request: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Debug)]
struct Inside {
    sent: Mutex<Vec<Sent>>,
    /// The statuses of the next answers; 200 once it is empty. 0 closes the connection without an answer.
    next_statuses: Mutex<VecDeque<u16>>,
    /// The delay of each answer.
    delay: Mutex<Duration>,
    stopped: AtomicBool,
}

impl Sink {
    /// Starts it on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"))
    }

    /// Starts it at this address.
    ///
    /// # Panics
    ///
    /// If that is in use.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let inside = Arc::new(Inside {
            sent: Mutex::default(),
            next_statuses: Mutex::default(),
            delay: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&inside);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let inside = Arc::clone(&theirs);
                thread::spawn(move || serve(&stream, &inside));
            }
        });
        Self { address, inside }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the statuses of the next answers, after which each is 200. 0 closes the connection without an answer.
    pub fn set_next_statuses(&self, statuses: &[u16]) {
        self.inside.next_statuses.lock().unwrap_or_else(PoisonError::into_inner).extend(statuses);
    }

    /// Sets the delay of each answer from now on.
    pub fn set_delay(&self, time: Duration) {
        *self.inside.delay.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// All requests so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.inside.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes all requests so far, and returns them.
    #[must_use]
    pub fn drain_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.inside.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bodies of requests that were answered with 200, as one text.
    #[must_use]
    pub fn accepted(&self) -> String {
        let sent = self.sent();
        let taken = sent.iter().filter(|sent| sent.status == 200);
        taken.map(|sent| String::from_utf8_lossy(&sent.body).into_owned()).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.inside.stopped.store(true, Ordering::Relaxed);
        // Wakes `accept`.
        drop(TcpStream::connect(self.address));
    }
}

/// Serves one connection until its end.
fn serve(stream: &TcpStream, inside: &Inside) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).is_err() || request.is_empty() {
            return;
        }
        let mut headers = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            line.clear();
        }
        let of = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut body = vec![0; of("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let delay = *inside.delay.lock().unwrap_or_else(PoisonError::into_inner);
        thread::sleep(delay);
        let status = inside.next_statuses.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(200);
        let mut sent = inside.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let words = request.trim().rsplit_once(' ').map_or("", |(words, _)| words);
        sent.push(Sent { request: words.to_owned(), headers, body, status });
        drop(sent);
        let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\nso");
        if status == 0
            || inside.stopped.load(Ordering::Relaxed)
            || (&mut &*stream).write_all(answer.as_bytes()).is_err()
        {
            return;
        }
    }
}
