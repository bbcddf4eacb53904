//! The least of HTTP/1.1 that a client and a server need, so that little of what is measured is ours.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// For how long a server may be silent before it counts as stuck.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A client's connection, which is kept.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    inbox: Inbox,
}

/// What has come, up to a whole message.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
}

/// A POST as it goes over the wire.
pub(crate) fn post(path: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut request = head(path, content_type, body.len());
    request.extend_from_slice(body);
    request
}

/// A POST's head.
pub(crate) fn head(path: &str, content_type: Option<&str>, length: usize) -> Vec<u8> {
    let content_type = content_type.map(|what| format!("content-type: {what}\r\n")).unwrap_or_default();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{content_type}content-length: {length}\r\n\r\n").into_bytes()
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("it is a TCP stream");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        Self { stream, inbox: Inbox::default() }
    }

    /// Sends a request, all of it.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.stream.write_all(part).expect("the server reads");
        }
    }

    /// Reads once. The whole answer's status and body, once it is there.
    pub(crate) fn read(&mut self) -> Option<(u16, Vec<u8>)> {
        let mut stream = &self.stream;
        assert!(self.inbox.read(&mut stream).expect("the server answers"), "the server closed the connection");
        let (head, body) = self.inbox.message()?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Some((status, body))
    }

    /// Sends a request and waits for its answer, which has to be 200.
    pub(crate) fn ask(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        self.send(parts);
        loop {
            if let Some((status, body)) = self.read() {
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                return body;
            }
        }
    }
}

impl Inbox {
    /// False at the end.
    fn read(&mut self, from: &mut impl Read) -> io::Result<bool> {
        let filled = self.bytes.len();
        self.bytes.resize(filled + (64 << 10), 0);
        let read = from.read(&mut self.bytes[filled..])?;
        self.bytes.truncate(filled + read);
        Ok(read > 0)
    }

    /// A whole message's head and body, if that is there.
    fn message(&mut self) -> Option<(String, Vec<u8>)> {
        let end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        let whole = end + content_length(&head);
        (self.bytes.len() >= whole).then(|| {
            let rest = self.bytes.split_off(whole);
            let body = std::mem::replace(&mut self.bytes, rest).split_off(end);
            (head, body)
        })
    }
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}

/// A server that takes whatever it is sent and says 200 at once, for as long as this program runs.
#[derive(Debug)]
pub(crate) struct Drain {
    address: SocketAddr,
}

impl Drain {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || drain(&stream));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn drain(mut stream: &TcpStream) {
    let mut inbox = Inbox::default();
    let mut buffer = vec![0; 256 << 10];
    while inbox.read(&mut stream).is_ok_and(|more| more) {
        let Some(end) = inbox.bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let end = end + 4;
        let length = content_length(&String::from_utf8_lossy(&inbox.bytes[..end]));
        let mut missing = (end + length).saturating_sub(inbox.bytes.len());
        inbox.bytes.clear();
        while missing > 0 {
            let room = missing.min(buffer.len());
            match stream.read(&mut buffer[..room]) {
                Ok(read @ 1..) => missing -= read,
                _ => return,
            }
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
