//! Waits for changes in the file system with inotify, instead of polling.
//!
//! Directories are watched, not files: the parent of a path, so that a replacement is noticed; the parent of every symbolic
//! link on the path; and the path itself, if it is a directory. Network file systems do not report changes by other hosts, so
//! the caller polls whenever a wait times out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tracing::debug;

/// A wait ends after no change for this long, because files are copied one by one;
const DEBOUNCE: Duration = Duration::from_millis(100);
/// and at the latest this long after the first change.
const MAX_DEBOUNCE: Duration = Duration::from_secs(1);

/// The most symbolic links on a path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Waits for changes of some paths.
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    /// `None` if the kernel's limit is reached: then a wait only times out.
    inotify: Option<OwnedFd>,
    /// The relevant names in each watched directory, by watch descriptor; an empty set stands for all.
    watched: BTreeMap<i32, BTreeSet<OsString>>,
    /// Signalled by a notifier; `None` without one, or if the kernel's limit is reached.
    event_fd: Option<Arc<OwnedFd>>,
}

/// Ends the waits of all its watches, so that they poll now.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Arc<Mutex<Vec<Weak<OwnedFd>>>>);

impl Notifier {
    /// Ends the waits.
    pub fn notify_all(&self) {
        let mut event_fds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        event_fds.retain(|event_fd| {
            // A full counter would be an error, but is a notification already.
            event_fd.upgrade().is_some_and(|event_fd| rustix::io::write(&*event_fd, &1_u64.to_ne_bytes()).is_ok())
        });
    }
}

impl Watch {
    /// Starts to watch: changes from now on end the next wait.
    pub fn on(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .inspect_err(|error| debug!("changes of files are found by looking only: {error}"))
            .ok();
        let mut this = Self { paths: paths.into_iter().collect(), inotify, watched: BTreeMap::new(), event_fd: None };
        this.update_watches();
        this
    }

    /// Ends waits on notifications, too.
    #[must_use]
    pub fn notified_by(mut self, notifier: &Notifier) -> Self {
        self.event_fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map(Arc::new).ok();
        notifier.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.event_fd.as_ref().map(Arc::downgrade));
        self
    }

    /// Waits until something has changed and no further change follows, or for `timeout`. Returns whether anything changed.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let changed = self.wait_for_any(timeout);
        if changed {
            let deadline = Instant::now() + MAX_DEBOUNCE;
            while Instant::now() < deadline && self.wait_for_any(DEBOUNCE) {}
        }
        // The path may lead through other directories now. The caller polls after this, so no change is missed.
        self.update_watches();
        changed
    }

    fn wait_for_any(&self, timeout: Duration) -> bool {
        let Some(inotify) = &self.inotify else {
            thread::sleep(timeout);
            return false;
        };
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut waits: Vec<_> = [Some(inotify), self.event_fd.as_deref()]
                .into_iter()
                .flatten()
                .map(|one| PollFd::new(one, PollFlags::IN))
                .collect();
            match poll(&mut waits, Some(&left)) {
                Ok(0) => return false,
                Ok(_) if self.was_notified() | self.has_relevant_event(inotify) => return true,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    debug!("changes of files cannot be waited for: {error}");
                    thread::sleep(end.saturating_duration_since(Instant::now()));
                    return false;
                }
            }
        }
    }

    /// Whether there was a notification since the last call.
    fn was_notified(&self) -> bool {
        self.event_fd.as_deref().is_some_and(|event_fd| rustix::io::read(event_fd, &mut [0; 8]).is_ok())
    }

    /// Reads all pending events; returns whether any concerns a path.
    fn has_relevant_event(&self, inotify: &OwnedFd) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify, &mut space);
        let mut relevant = false;
        while let Ok(event) = events.next() {
            let lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            relevant |= lost
                || self
                    .watched
                    .get(&event.wd())
                    .is_some_and(|names| names.is_empty() || name.is_none_or(|name| names.contains(name)));
        }
        relevant
    }

    /// Watches the directories that the paths lead through now, and no others.
    fn update_watches(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let mut watched: BTreeMap<i32, BTreeSet<OsString>> = BTreeMap::new();
        for (directory, names) in self.paths.iter().flat_map(|path| watched_on_path(path)) {
            let what = WatchFlags::CREATE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ATTRIB
                | WatchFlags::ONLYDIR;
            match inotify::add_watch(inotify, &directory, what) {
                Ok(number) => {
                    let known = watched.get(&number);
                    let all = names.is_empty() || known.is_some_and(BTreeSet::is_empty);
                    let both = known.into_iter().flatten().cloned().chain(names).collect();
                    watched.insert(number, if all { BTreeSet::new() } else { both });
                }
                Err(error) => debug!("{} is not watched: {error}", directory.display()),
            }
        }
        for gone in self.watched.keys().filter(|number| !watched.contains_key(number)) {
            let _may_be_gone = inotify::remove_watch(inotify, *gone);
        }
        self.watched = watched;
    }
}

/// The directories that a path leads through, each with the names in it on the path; an empty set stands for all.
fn watched_on_path(path: &Path) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
    let mut way: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    let mut at = PathBuf::from(if path.is_absolute() { "/" } else { "." });
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<_>>();
    let mut left = parts(path);
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.push(".."); // `at` has no links in it, so this is its parent
                continue;
            }
            Some(Component::Normal(_)) => {}
            _ => continue,
        }
        let next = at.join(&part);
        match fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                way.entry(at.clone()).or_default().insert(part);
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let mut target = parts(&target);
                target.append(&mut left);
                left = target;
            }
            // The last part, or one that is not there (yet).
            _ if left.is_empty() || !next.exists() => {
                way.entry(at).or_default().insert(part);
                if next.is_dir() {
                    way.insert(next, BTreeSet::new());
                }
                break;
            }
            _ => at = next,
        }
    }
    way
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(150);

    #[test]
    fn a_notification_ends_every_wait_once() {
        let (root, notifier) = (tempfile::tempdir().unwrap(), Notifier::default());
        let mut watches = [1, 2].map(|_| Watch::on([root.path().join("m")]).notified_by(&notifier));
        drop(Watch::on([]).notified_by(&notifier));
        for _ in 0..2 {
            notifier.notify_all();
            notifier.notify_all();
            for watch in &mut watches {
                let began = Instant::now();
                assert!(watch.wait(LONG) && began.elapsed() < LONG / 2);
                assert!(!watch.wait(SHORT), "once only");
            }
        }
    }

    #[test]
    fn changes_anywhere_on_the_path_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let wait = |watch: &mut Watch, what: &dyn Fn()| {
            what();
            let began = Instant::now();
            assert!(watch.wait(LONG) && began.elapsed() < LONG / 2);
            assert!(!watch.wait(SHORT), "once only");
        };

        let mut watch = Watch::on([at("models/cpu")]);
        assert!(!watch.wait(SHORT));
        wait(&mut watch, &|| fs::create_dir(at("models")).unwrap());
        wait(&mut watch, &|| testing::bundle(1).write(&at("models/cpu")).unwrap());
        wait(&mut watch, &|| testing::bundle(2).write(&at("models/cpu")).unwrap());
        wait(&mut watch, &|| fs::write(at("models/cpu/model.safetensors"), "x").unwrap());
        wait(&mut watch, &|| fs::remove_dir_all(at("models/cpu")).unwrap());
        wait(&mut watch, &|| testing::bundle(3).write_packed(&at("models/cpu")).unwrap());

        // The link `current` leads to `v1`, then to `v2`.
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            testing::bundle(1).write(&at(version).join("cpu")).unwrap();
        }
        symlink("v1", at("current")).unwrap();
        let mut watch = Watch::on([at("current/cpu"), at("other")]);
        wait(&mut watch, &|| fs::write(at("v1/cpu/notes"), "").unwrap());
        wait(&mut watch, &|| {
            symlink(at("v2"), at("new")).unwrap();
            fs::rename(at("new"), at("current")).unwrap();
        });
        wait(&mut watch, &|| fs::write(at("v2/cpu/notes"), "").unwrap());
        wait(&mut watch, &|| fs::write(at("other"), "").unwrap());
        for unrelated in ["v1/cpu/more", "else", "v2/else"] {
            fs::write(at(unrelated), "").unwrap();
        }
        assert!(!watch.wait(SHORT), "other files are irrelevant");
    }

    #[test]
    fn links_that_lead_nowhere_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        symlink("gone/away", root.path().join("c")).unwrap();
        assert!(watched_on_path(&root.path().join("a")).contains_key(root.path()));
        assert_eq!(watched_on_path(&root.path().join("c"))[root.path()].len(), 2, "the link, and what is not there");
        assert!(!watched_on_path(Path::new("models/cpu")).is_empty());
    }
}
