//! Against a small server whose responses each test defines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::super::{Fetched, Fetcher, Source};
use super::*;
use crate::testing;

/// A request: the path, and the headers by their names in lower case.
struct Request {
    path: String,
    headers: HashMap<String, String>,
}

/// Serves `respond`; returns the URL.
fn serve(respond: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let header =
                |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
            let headers = lines.take_while(|line| !line.is_empty()).filter_map(header).collect();
            respond(&Request { path, headers }, &mut stream);
        }
    });
    url
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let _gone = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n")
        .and_then(|()| stream.write_all(body));
}

fn fetcher(url: &str) -> Fetcher {
    Fetcher::new(Source::parse(url).unwrap(), Duration::from_secs(20)).unwrap()
}

fn fault(url: &str) -> String {
    fetcher(url).poll().unwrap_err().to_string()
}

#[test]
fn a_bundle_is_fetched_once_and_again_when_it_is_another() {
    let url = serve(|request, stream| {
        let (tag, version) = match request.path.as_str() {
            "/moved.qualm" => return respond(stream, "302 Found", "Location: /cpu.qualm\r\n", b""),
            "/cpu.qualm" => ("\"one\"", 1),
            _ => return respond(stream, "404 Not Found", "", b"no such thing"),
        };
        assert_eq!(request.headers["user-agent"], concat!("qualm/", env!("CARGO_PKG_VERSION")));
        match request.headers.get("if-none-match") {
            Some(known) if known == tag => respond(stream, "304 Not Modified", "ETag: \"one\"\r\n", b""),
            Some(other) => panic!("{other}"),
            None => respond(stream, "200 OK", &format!("ETag: {tag}\r\n"), &testing::bundle(version).pack()),
        }
    });
    for path in ["/cpu.qualm", "/moved.qualm"] {
        let mut fetcher = fetcher(&format!("{url}{path}"));
        assert_eq!(fetcher.poll().unwrap(), Fetched::New(Box::new(testing::bundle(1))));
        assert_eq!(fetcher.poll().unwrap(), Fetched::Unchanged);
        assert_eq!(fetcher.poll().unwrap(), Fetched::Unchanged);
    }
    assert_eq!(
        fault(&format!("{url}/gpu.qualm")),
        format!("{url}/gpu.qualm: the server answers 404 Not Found; is the URL right?")
    );
}

#[test]
fn a_server_without_etags_is_supported() {
    let turn = std::sync::atomic::AtomicU64::new(0);
    let url = serve(move |request, stream| {
        // The same twice, then another; the last with the time only.
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let modified = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
        match request.headers.get("if-modified-since") {
            Some(_) => respond(stream, "304 Not Modified", "", b""),
            None if turn < 2 => respond(stream, "200 OK", "", &testing::bundle(1).pack()),
            None => respond(stream, "200 OK", modified, &testing::bundle(2).pack()),
        }
    });
    let mut fetcher = fetcher(&url);
    assert_eq!(fetcher.poll().unwrap(), Fetched::New(Box::new(testing::bundle(1))));
    assert_eq!(fetcher.poll().unwrap(), Fetched::Unchanged);
    assert_eq!(fetcher.poll().unwrap(), Fetched::New(Box::new(testing::bundle(2))));
    assert_eq!(fetcher.poll().unwrap(), Fetched::Unchanged);
}

#[test]
fn invalid_responses_are_explained() {
    let url = serve(|request, stream| match request.path.as_str() {
        "/rubbish" => respond(stream, "200 OK", "ETag: \"x\"\r\n", b"<html>log in first</html>"),
        "/secret" => match request.headers.get("authorization") {
            Some(value) if value == "Basic bWU6c2VjcmV0" => respond(stream, "200 OK", "", &testing::bundle(1).pack()),
            _ => respond(stream, "401 Unauthorized", "", b""),
        },
        "/broken" => respond(stream, "503 Service Unavailable", "", b""),
        "/unasked" => respond(stream, "304 Not Modified", "", b""),
        "/circle" => respond(stream, "302 Found", "Location: /circle\r\n", b""),
        "/elsewhere" => respond(stream, "302 Found", "Location: ftp://host/cpu\r\n", b""),
        "/truncated" => {
            let packed = testing::bundle(1).pack();
            let _gone = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", packed.len());
            let _gone = stream.write_all(&packed[..packed.len() / 2]);
        }
        "/cut" => {
            let packed = testing::bundle(1).pack();
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"x\"\r\n\r\n");
            let _gone = stream.write_all(&packed[..packed.len() / 2]);
        }
        "/huge" => {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = [b"100000\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
            while stream.write_all(&chunk).is_ok() {}
        }
        other => panic!("{other}"),
    });
    let host = url.strip_prefix("http://").unwrap();
    for (path, what) in [
        ("/rubbish", "it is no packed bundle, or damaged"),
        ("/secret", "401 Unauthorized; a user and password can stand in the URL"),
        ("/broken", "the server answers 503 Service Unavailable"),
        ("/unasked", "the server answers 304"),
        ("/circle", "redirects more than 5 times"),
        ("/elsewhere", "this is no URL, or leads to none"),
        ("/truncated", "the server ended its answer early"),
        ("/cut", "it is no packed bundle, or damaged"),
        ("/huge", "it is larger than the 268435456 bytes"),
    ] {
        let fault = fault(&format!("{url}{path}"));
        assert!(fault.starts_with(&format!("{url}{path}: ")) && fault.contains(what), "{fault}");
    }
    assert!(matches!(fetcher(&format!("http://me:secret@{host}/secret")).poll(), Ok(Fetched::New(_))));
    let wrong = fault(&format!("http://me:wrong@{host}/secret"));
    assert!(wrong.starts_with(&format!("http://***@{host}/secret: the server answers 401")), "{wrong}");

    // An invalid response is fetched again, whatever its tag.
    let mut fetcher = fetcher(&format!("{url}/cut"));
    assert!(fetcher.poll().is_err() && fetcher.poll().is_err());
}

#[test]
fn slow_and_unreachable_servers_time_out() {
    let url = serve(|request, stream| {
        if request.path == "/trickle" {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        } else {
            thread::sleep(Duration::from_secs(5));
        }
    });
    for path in ["/trickle", "/silent"] {
        let source = Source::parse(&format!("{url}{path}")).unwrap();
        let mut fetcher = Fetcher::new(source, Duration::from_millis(300)).unwrap();
        let began = Instant::now();
        let fault = fetcher.poll().unwrap_err().to_string();
        assert!(fault.ends_with("the server did not answer within 300ms"), "{fault}");
        assert!(began.elapsed() < Duration::from_secs(3));
    }
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = fault(&format!("http://{unused}/cpu.qualm"));
    assert!(fault.contains("refused"), "{fault}");
}

#[test]
fn a_certificate_file_must_have_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    assert!(certificates(&path).unwrap_err().to_string().contains("No such file"));
    fs::write(&path, "not one").unwrap();
    assert!(certificates(&path).unwrap_err().to_string().contains("there is no certificate in it"));
}
