//! Noticing that something has changed in the file system, without looking again and again.
//!
//! What is watched are directories, not files: the one that a path's last part is in, so that it is noticed when
//! something else is put there; the same for every symbolic link on the way; and the path itself, where it is a directory.
//! On network file systems others' changes are not told of: whoever waits has to look as well whenever a wait ends.

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

/// Changes seldom come alone: files are copied one by one. For so long there must be none,
const QUIET: Duration = Duration::from_millis(100);
/// but no longer than this is waited for it.
const RESTLESS: Duration = Duration::from_secs(1);

/// The most links on the way to a path, as for the kernel.
const MOST_LINKS: usize = 40;

/// Waits for changes of some paths.
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    /// None where the kernel has no more to give: then there is only the end of the wait.
    inotify: Option<OwnedFd>,
    /// The names that matter in each directory that is watched, by its number; all, where there are none.
    watched: BTreeMap<i32, BTreeSet<OsString>>,
    /// What a bell rings; none where nobody has one, or the kernel no more to give.
    ear: Option<Arc<OwnedFd>>,
}

/// Ends the waits of all that heed it: somebody wants them to look now.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Mutex<Vec<Weak<OwnedFd>>>>);

impl Bell {
    /// Ends them.
    pub fn ring(&self) {
        let mut ears = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ears.retain(|ear| {
            // That it was rung so often that its counter is full cannot be; and if it were, it would be rung already.
            ear.upgrade().is_some_and(|ear| rustix::io::write(&*ear, &1_u64.to_ne_bytes()).is_ok())
        });
    }
}

impl Watch {
    /// Begins to watch: changes from now on end the next wait.
    pub fn on(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .inspect_err(|error| debug!("changes of files are found by looking only: {error}"))
            .ok();
        let mut this = Self { paths: paths.into_iter().collect(), inotify, watched: BTreeMap::new(), ear: None };
        this.arm();
        this
    }

    /// The same, whose waits end when this bell is rung, too.
    #[must_use]
    pub fn heeding(mut self, bell: &Bell) -> Self {
        self.ear = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map(Arc::new).ok();
        bell.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.ear.as_ref().map(Arc::downgrade));
        self
    }

    /// Waits until something has changed, and is quiet again, or for `timeout`. Says whether anything has.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let changed = self.wait_for_any(timeout);
        if changed {
            let restless = Instant::now() + RESTLESS;
            while Instant::now() < restless && self.wait_for_any(QUIET) {}
        }
        // Other directories may be on the way now. Whoever looks next, looks after this.
        self.arm();
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
            let mut waits: Vec<_> = [Some(inotify), self.ear.as_deref()]
                .into_iter()
                .flatten()
                .map(|one| PollFd::new(one, PollFlags::IN))
                .collect();
            match poll(&mut waits, Some(&left)) {
                Ok(0) => return false,
                Ok(_) if self.was_rung() | self.anything_that_matters(inotify) => return true,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    debug!("changes of files cannot be waited for: {error}");
                    thread::sleep(end.saturating_duration_since(Instant::now()));
                    return false;
                }
            }
        }
    }

    /// Whether its bell was rung since it was last asked.
    fn was_rung(&self) -> bool {
        self.ear.as_deref().is_some_and(|ear| rustix::io::read(ear, &mut [0; 8]).is_ok())
    }

    /// Takes all that the kernel has to tell.
    fn anything_that_matters(&self, inotify: &OwnedFd) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify, &mut space);
        let mut matters = false;
        while let Ok(event) = events.next() {
            let lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            matters |= lost
                || self
                    .watched
                    .get(&event.wd())
                    .is_some_and(|names| names.is_empty() || name.is_none_or(|name| names.contains(name)));
        }
        matters
    }

    /// Watches what is on the way to the paths now, and nothing else.
    fn arm(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let mut watched: BTreeMap<i32, BTreeSet<OsString>> = BTreeMap::new();
        for (directory, names) in self.paths.iter().flat_map(|path| on_the_way(path)) {
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
            let _may_be_gone_by_itself = inotify::remove_watch(inotify, *gone);
        }
        self.watched = watched;
    }
}

/// The directories on the way to a path, each with the names in it that lead there; with none, all matter.
fn on_the_way(path: &Path) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
    let mut way: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    let mut at = PathBuf::from(if path.is_absolute() { "/" } else { "." });
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<_>>();
    let mut left = parts(path);
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.push(".."); // `at` has no links in it, so that this is where it leads
                continue;
            }
            Some(Component::Normal(_)) => {}
            _ => continue,
        }
        let next = at.join(&part);
        match fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
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
    fn a_bell_ends_every_wait_once() {
        let (root, bell) = (tempfile::tempdir().unwrap(), Bell::default());
        let mut watches = [1, 2].map(|_| Watch::on([root.path().join("m")]).heeding(&bell));
        drop(Watch::on([]).heeding(&bell));
        for _ in 0..2 {
            bell.ring();
            bell.ring();
            for watch in &mut watches {
                let began = Instant::now();
                assert!(watch.wait(LONG) && began.elapsed() < LONG / 2);
                assert!(!watch.wait(SHORT), "once only");
            }
        }
    }

    #[test]
    fn whatever_changes_on_the_way_is_noticed() {
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

        // Links: `current` leads to `v1`, then to `v2`, wherever on the way it is.
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
        assert!(!watch.wait(SHORT), "what is beside the way does not matter");
    }

    #[test]
    fn links_that_lead_nowhere_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        symlink("gone/away", root.path().join("c")).unwrap();
        assert!(on_the_way(&root.path().join("a")).contains_key(root.path()));
        assert_eq!(on_the_way(&root.path().join("c"))[root.path()].len(), 2, "the link, and what is not there");
        assert!(!on_the_way(Path::new("models/cpu")).is_empty());
    }
}
