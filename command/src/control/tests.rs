use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use qualm::Pipeline;

use super::*;

/// A socket, with a pipeline that looks at its commands until it is told to end.
fn with_pipeline(test: impl FnOnce(&Path)) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("control.sock");
    let hub = Arc::new(Hub::default());
    let mut pipeline = Pipeline::start_offline(&Config::parse("", "none").unwrap()).unwrap();
    pipeline.obey(hub.register("execd"));
    let server = Server::start(&path, hub).unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                pipeline.run_between_batches();
                thread::sleep(Duration::from_millis(1));
            }
        });
        test(&path);
        drop(end);
    });
    drop(server);
    assert!(!path.exists(), "a socket that nobody listens at");
}

/// Sends bytes, and returns all that comes back.
fn send(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    // It may be closed before all is written.
    let _closed = stream.write_all(bytes);
    let _closed = stream.shutdown(std::net::Shutdown::Write);
    let mut reply = String::new();
    let _reset = stream.read_to_string(&mut reply);
    reply
}

fn list() -> Request {
    Request { command: Name::List, detector: None, pipeline: None }
}

#[test]
fn commands_reach_the_pipeline_and_only_its_user() {
    with_pipeline(|path| {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(ask(path, &list()).unwrap(), Reply::Models(Vec::new()), "no detector has a model");
        let promote = Request { command: Name::Promote, detector: Some("a".to_owned()), pipeline: None };
        let Reply::Outcome { done, refused } = ask(path, &promote).unwrap() else { panic!("an outcome") };
        assert!(done.is_empty() && refused[0].what.contains("no detector with a model is called `a`"), "{refused:?}");
        let nowhere = Request { pipeline: Some("vector".to_owned()), ..promote };
        let expected = Reply::Error("no pipeline is called `vector`; there are: execd".to_owned());
        assert_eq!(ask(path, &nowhere).unwrap(), expected);
    });
}

#[test]
fn what_is_no_request_gets_an_error_and_harms_nobody() {
    with_pipeline(|path| {
        for wrong in
            ["\n", "{}\n", "[]\n", "{\"command\":\"stop\"}\n", "{\"command\":\"list\",\"x\":1}\n", "\u{0}\u{1}\n"]
        {
            let reply = send(path, wrong.as_bytes());
            assert!(
                reply.starts_with("{\"error\":\"this is no request: ") && reply.ends_with("}\n"),
                "{wrong:?}: {reply}"
            );
        }
        assert_eq!(send(path, b"{\"command\":\"list\"}"), "", "a line has an end");
        assert_eq!(send(path, b""), "");
        let two = send(path, b"{\"command\":\"list\"}\n{\"command\":\"list\"}\n");
        assert_eq!(two, "{\"models\":[]}\n{\"models\":[]}\n");
        let huge = send(path, &vec![b' '; 1 << 20]);
        assert!(huge.is_empty() || huge.contains("a line is longer than 4096 bytes"), "{huge}");
        assert_eq!(ask(path, &list()).unwrap(), Reply::Models(Vec::new()), "it goes on");
    });
}

#[test]
fn who_is_slow_holds_nobody_up() {
    with_pipeline(|path| {
        let mut slow: Vec<_> = (0..MAX_CONNECTIONS - 1).map(|_| UnixStream::connect(path).unwrap()).collect();
        for stream in &mut slow {
            stream.write_all(b"{").unwrap();
        }
        let began = Instant::now();
        assert_eq!(ask(path, &list()).unwrap(), Reply::Models(Vec::new()));
        assert!(began.elapsed() < LINE_TIMEOUT, "{:?}", began.elapsed());
        let silent = UnixStream::connect(path).unwrap();
        thread::sleep(LINE_TIMEOUT / 10);
        let refused = ask(path, &list());
        assert!(
            refused.as_ref().is_ok_and(|reply| *reply == Reply::Error("too many connections; try again".to_owned()))
                || refused.is_err(),
            "{refused:?}"
        );
        let mut reply = String::new();
        slow[0].read_to_string(&mut reply).unwrap();
        assert!(reply.contains("there was no whole line within 2s"), "{reply}");
        drop(silent);
        thread::sleep(LINE_TIMEOUT / 4);
        assert_eq!(ask(path, &list()).unwrap(), Reply::Models(Vec::new()), "their places are free again");
    });
}

#[test]
fn only_the_socket_of_a_process_that_is_gone_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("control.sock");
    let start = || Server::start(&path, Arc::new(Hub::default()));
    assert!(matches!(ask(&path, &list()), Err(ClientError::Nobody(_))));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists() && matches!(ask(&path, &list()), Err(ClientError::Nobody(_))));
    let first = start().expect("nobody listens there");
    assert!(matches!(start(), Err(ListenError::InUse(_))));
    assert_eq!(ask(&path, &list()).unwrap(), Reply::Models(Vec::new()), "the first one still listens");
    // Another process may have put its own in the place, whatever was there.
    fs::remove_file(&path).unwrap();
    let second = start().unwrap();
    drop(first);
    assert!(ask(&path, &list()).is_ok(), "the file of another is left alone");
    drop(second);
    fs::write(&path, "precious").unwrap();
    assert!(matches!(start(), Err(ListenError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_pipeline_that_does_not_look_is_not_waited_for_for_ever() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("control.sock");
    let hub = Arc::new(Hub::default());
    let orders = hub.register("execd");
    let _server = Server::start(&path, hub).unwrap();
    drop(orders);
    let reply = ask(&path, &list()).unwrap();
    assert_eq!(reply, Reply::Error("pipeline `execd`: the pipeline has ended".to_owned()));
}
