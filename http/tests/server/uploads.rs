//! Bodies that become files.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{Running, post, post_chunked, until};

#[test]
fn uploads_are_streamed_to_new_files() {
    let server = Running::start(|options| options.limits.memory = 64 << 20);
    let directory = tempfile::tempdir().unwrap();
    let text: Vec<u8> = (0..3_000_000u64).flat_map(|n| (n * n % 99_991).to_string().into_bytes()).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&text).unwrap();
    let gzip = gzip.finish().unwrap();
    let snappy = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    let twice = zstd::encode_all(gzip.as_slice(), 1).unwrap();
    let bodies = [("identity", &text), ("gzip", &gzip), ("snappy", &snappy), ("gzip, zstd", &twice)];
    for (number, (encoding, body)) in bodies.into_iter().enumerate() {
        let path = directory.path().join(number.to_string());
        let target = format!("/save?to={}", path.display());
        let field = format!("content-encoding: {encoding}\r\n");
        let answer = server.ask(post_chunked(&target, &field, body));
        assert_eq!(answer.text(), text.len().to_string(), "{encoding}");
        assert!(fs::read(&path).unwrap() == text, "{encoding}");
        // What is there stays as it is.
        let answer = server.ask(post(&target, "", b"other"));
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("save") && !answer.text().contains(&*path.to_string_lossy()));
        assert_eq!(fs::metadata(&path).unwrap().len(), text.len() as u64);
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), bodies.len());
}

#[test]
fn nothing_is_left_of_a_failed_upload() {
    let server = Running::start(|options| options.limits.body = 2_000_000);
    let directory = tempfile::tempdir().unwrap();
    let target = format!("/save?to={}/upload", directory.path().display());
    let left = || directory.path().read_dir().unwrap().count();
    assert_eq!(server.ask(post_chunked(&target, "", &vec![7; 3_000_000])).status, 413);
    until(|| left() == 0);
    assert_eq!(server.ask(post(&target, "content-encoding: gzip\r\n", &[7; 1000])).status, 400);
    until(|| left() == 0);
    // The client goes away in the middle.
    let mut client = server.connect();
    let request = post(&target, "", &vec![7; 1_000_000]);
    client.send(&request[..900_000]);
    until(|| left() == 1);
    drop(client);
    until(|| left() == 0);
    assert_eq!(server.ask(post(&target, "", b"whole")).text(), "5");
}
