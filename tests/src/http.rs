//! Just enough HTTP to ask `InfluxDB` a question.

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
/// HTTP/1.0, because then the server closes the connection at the end of the body, and no chunks need to be read.
///
/// # Errors
///
/// If nobody answers at `address`, or not in HTTP.
pub fn request_with(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
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
