//! Small bodies that would become huge.

use std::io::Write;
use std::thread;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};

use crate::harness::{Running, get, post, until};

const PIECE: usize = 10_000_000;
const PIECES: usize = 1000;

/// Each would become 10 GB.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; PIECE];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&zeros).unwrap();
    // A full flush lets the same bytes follow one another in one stream.
    let mut flushed = Vec::with_capacity(PIECE);
    Compress::new(Compression::best(), false).compress_vec(&zeros, &mut flushed, FlushCompress::Full).unwrap();
    let zlib = [&[0x78, 0x9c], flushed.repeat(PIECES).as_slice()].concat();
    vec![
        ("gzip", gzip.finish().unwrap().repeat(PIECES)),
        ("deflate", flushed.repeat(PIECES)),
        ("deflate", zlib),
        ("zstd", zstd::encode_all(zeros.as_slice(), 19).unwrap().repeat(PIECES)),
    ]
}

/// A block of copies, which become 21 times as much.
fn snappy_bomb() -> Vec<u8> {
    let block = snap::raw::Encoder::new().compress_vec(&vec![0; 200_000_000]).unwrap();
    assert!(block.len() < 10_000_000);
    block
}

#[test]
fn bombs_end_at_the_limit() {
    let server = Running::start(|options| {
        options.limits.body = 12 << 20;
        options.limits.memory = 64 << 20;
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upload");
    let save = format!("/save?to={}", path.display());
    for (encoding, bomb) in bombs().into_iter().chain([("snappy", snappy_bomb())]) {
        assert!(bomb.len() < 12 << 20, "{encoding}: {}", bomb.len());
        let field = format!("content-encoding: {encoding}\r\n");
        for path in ["/length", &save] {
            let answer = server.ask(post(path, &field, &bomb));
            assert_eq!(answer.status, 413, "{encoding}: {}", answer.text());
        }
        assert_eq!(server.ask(get("/healthz")).status, 200);
    }
    // A few bytes that say they are 4 GB.
    let lie = post("/length", "content-encoding: snappy\r\n", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    assert_eq!(server.ask(lie).status, 400);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    until(|| server.counts.snapshot().memory == 0);
}

/// More of them at once than there is memory for: one after the other, each gets done.
#[test]
fn packed_bodies_do_not_wait_for_one_another_for_ever() {
    let server = Running::start(|options| {
        options.limits.body = 8 << 20;
        options.limits.memory = 32 << 20;
    });
    let text = vec![b'a'; 1 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&text).unwrap();
    let packed = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(text.as_slice(), 3).unwrap())];
    thread::scope(|scope| {
        for at in 0..60 {
            let (server, (encoding, body)) = (&server, &packed[at % 2]);
            scope.spawn(move || {
                let answer = server.ask(post("/length", &format!("content-encoding: {encoding}\r\n"), body));
                assert_eq!((answer.status, answer.text()), (200, "1048576"), "{encoding}");
            });
        }
    });
    until(|| server.counts.snapshot().memory == 0);
}
