//! The socket, and what is done with requests.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qualm::rollout::{self, Answer, Command, Commander, Orders};
use qualm_system::own;
use rustix::net::Shutdown;
use tracing::{debug, warn};

use super::line::{LineError, Lines};
use super::{LINE_TIMEOUT, Listed, MAX_CONNECTIONS, MAX_REQUEST, Name, Outcome, PIPELINE_TIMEOUT, Reply, Request};

/// The delay after a connection that could not be accepted: the process may have too many files open.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The pipelines that commands can be for, by name.
#[derive(Debug, Default)]
pub struct Hub(Mutex<BTreeMap<&'static str, Commander>>);

/// Why commands cannot come in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("{}: another qualm listens there; give each a `[control] socket` of its own", .0.display())]
    InUse(PathBuf),
    /// There is something else.
    #[error("{}: there is a file that is no socket", .0.display())]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens for commands until it is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    /// Device and number of the socket's file: another process may have put another in its place.
    file: (u64, u64),
    listener: UnixListener,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// A channel for a pipeline's commands. One that was started again takes the place of the one before.
    #[must_use]
    pub fn register(&self, pipeline: &'static str) -> Orders {
        let (commander, orders) = rollout::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline, commander);
        orders
    }

    fn pipelines(&self) -> BTreeMap<&'static str, Commander> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the pipelines carry out what a line asks for.
    fn reply(&self, line: &[u8]) -> Reply {
        let Request { command, detector, pipeline } = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => return Reply::Error(format!("this is no request: {error}")),
        };
        let mut pipelines = self.pipelines();
        if let Some(wanted) = pipeline {
            let known: Vec<_> = pipelines.keys().copied().collect();
            if !known.contains(&&*wanted) {
                return Reply::Error(format!("no pipeline is called `{wanted}`; there are: {}", known.join(", ")));
            }
            pipelines.retain(|name, _| *name == wanted);
        }
        let command = match command {
            Name::List => Command::List,
            Name::Promote => Command::Promote(detector),
            Name::Rollback => Command::RollBack(detector),
        };
        let (mut models, mut done, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (name, commander) in pipelines {
            let pipeline = name.to_owned();
            match commander.ask(command.clone(), PIPELINE_TIMEOUT) {
                Ok(Answer::Models(entries)) => {
                    models.extend(entries.into_iter().map(|entry| Listed { pipeline: pipeline.clone(), entry }));
                }
                Ok(Answer::Done { detector, what }) => {
                    done.push(Outcome { pipeline, detector: Some(detector), what });
                }
                Ok(Answer::Refused(why)) => refused.push(Outcome { pipeline, detector: None, what: why.to_string() }),
                Err(why) if command == Command::List => {
                    return Reply::Error(format!("pipeline `{pipeline}`: {why}"));
                }
                Err(why) => refused.push(Outcome { pipeline, detector: None, what: why.to_string() }),
            }
        }
        if command == Command::List { Reply::Models(models) } else { Reply::Outcome { done, refused } }
    }
}

impl Server {
    /// Listens at this path. A socket that a process left there which is gone is replaced.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn start(path: &Path, hub: Arc<Hub>) -> Result<Self, ListenError> {
        let io = |source| ListenError::Io { path: path.to_owned(), source };
        check_free(path)?;
        let listener = bind(path).map_err(io)?;
        let file = fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).map_err(io)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (accepting, stopped) = (listener.try_clone().map_err(io)?, Arc::clone(&stopping));
        let thread = thread::Builder::new().name("qualm-control".to_owned());
        let thread = thread.spawn(move || accept(&accepting, &stopped, &hub)).map_err(io)?;
        Ok(Self { path: path.to_owned(), file, listener, stopping, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let woken = rustix::net::shutdown(&self.listener, Shutdown::Both);
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            let _panicked = thread.join();
        }
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            debug!("{}: {error}", self.path.display());
        }
    }
}

/// Checks that nothing is in the way but the socket of a process that is gone.
fn check_free(path: &Path) -> Result<(), ListenError> {
    let io = |source| ListenError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(ListenError::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(ListenError::InUse(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(io(error)),
        },
    }
}

/// Binds a socket that nobody else could use at any time: in a directory of its own, from where it is moved.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let private = own::parent(path).join(format!(".c{}", process::id()));
    let _left_by_another_with_this_id = fs::remove_dir_all(&private);
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = private.join("s");
    let listener = UnixListener::bind(&bound)
        .and_then(|listener| fs::set_permissions(&bound, Permissions::from_mode(0o600)).map(|()| listener))
        .and_then(|listener| fs::rename(&bound, path).map(|()| listener));
    fs::remove_dir_all(&private)?;
    listener
}

/// The thread's work.
fn accept(listener: &UnixListener, stopping: &AtomicBool, hub: &Arc<Hub>) {
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!("a connection for commands: {error}");
                thread::sleep(ACCEPT_BACKOFF);
                continue;
            }
        };
        if connections.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            connections.fetch_sub(1, Ordering::Relaxed);
            let _unread = write(&stream, &Reply::Error("too many connections; try again".to_owned()));
            continue;
        }
        let (hub, counted) = (Arc::clone(hub), Arc::clone(&connections));
        let serve = move || {
            serve(&stream, &hub);
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if let Err(error) = thread::Builder::new().name("qualm-command".to_owned()).spawn(serve) {
            connections.fetch_sub(1, Ordering::Relaxed);
            warn!("a command cannot be served: {error}");
        }
    }
}

/// Answers a connection's lines.
fn serve(stream: &UnixStream, hub: &Hub) {
    let mut lines = Lines::new(stream, MAX_REQUEST);
    loop {
        let (reply, last) = match lines.next(LINE_TIMEOUT) {
            Ok(Some(line)) => (hub.reply(&line), false),
            Ok(None) | Err(LineError::Io(_)) => return,
            Err(error) => (Reply::Error(error.to_string()), true),
        };
        if write(stream, &reply).is_err() || last {
            return;
        }
    }
}

fn write(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    // What is read slowly waits in the socket's buffer; where that is full, for so long.
    stream.set_write_timeout(Some(LINE_TIMEOUT))?;
    stream.write_all(&line)
}
