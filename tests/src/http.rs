//! A minimal HTTP client.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one request without a body and returns the status and the body.
///
/// # Errors
///
/// As [`request_with`].
pub fn request(address: SocketAddr, method: &str, path: &str) -> Result<(u16, String)> {
    request_with(address, method, path, "")
}

/// Sends one request and returns the status and the body.
///
/// HTTP/1.0, so that the server closes the connection at the end of the body, and sends no chunks.
///
/// # Errors
///
/// If no server answers at `address`, or not in HTTP.
pub fn request_with(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let Answer { status, body, .. } = send(address, method, path, &[], body.as_bytes())?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A server's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// The same with headers, such as `content-type: text/csv`, and a body of any bytes.
///
/// # Errors
///
/// As [`request_with`].
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let length = body.len();
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let sent = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        sent.and(read.map(drop))?; // a server that refuses early need not take all of the body
    }
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head, body: answer.get(end + 4..).unwrap_or_default().to_vec() })
}

/// Escapes text for use as a value in a query string.
#[must_use]
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
