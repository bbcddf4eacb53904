//! Bundles from a path. A change of the files' metadata shows that there may be a new one.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::bundle::Bundle;
use crate::error::Fault;
use crate::files;
use crate::read::read_files;

/// The granularity of times on some file systems, in seconds: two changes within it may have the same time.
const TIME_GRANULARITY: i64 = 2;

/// Polls a path.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    /// The stamps when it was last read; `None` if it must be read again.
    last_stamps: Option<Vec<Option<Stamp>>>,
}

/// Metadata that changes whenever a file does: device, inode, size, and mtime and ctime in seconds and nanoseconds. (The
/// ctime, because copying may set the mtime to an old one.)
pub type Stamp = (u64, u64, u64, [i64; 2], [i64; 2]);

impl Local {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last_stamps: None }
    }

    /// Makes the next poll read it again.
    pub(super) fn invalidate(&mut self) {
        self.last_stamps = None;
    }

    /// The bundle, unless nothing has changed.
    pub(super) fn poll(&mut self) -> Result<Option<Bundle>, Fault> {
        let now = stamps(&self.path);
        if self.last_stamps.as_ref() == Some(&now) {
            return Ok(None);
        }
        // A file that changed just now may change again within the granularity of its times.
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let settled = now.iter().flatten().all(|(.., [changed, _])| changed + TIME_GRANULARITY < clock);
        self.last_stamps = settled.then_some(now);
        let read = read_files(&self.path).and_then(Bundle::from_files);
        if read.as_ref().is_err_and(Fault::is_transient) {
            self.invalidate(); // it may be readable next time without a change
        }
        read.map(Some)
    }
}

/// The stamps of the path and of all files that a bundle may have in it; `None` for those that are not there.
#[must_use]
pub fn stamps(path: &Path) -> Vec<Option<Stamp>> {
    let of = |path: &Path| fs::metadata(path).ok().as_ref().map(stamp);
    let own = fs::metadata(path).ok();
    let within = own.as_ref().is_some_and(Metadata::is_dir).then_some(files::NAMES);
    let within = within.into_iter().flatten().map(|name| of(&path.join(name)));
    [own.as_ref().map(stamp)].into_iter().chain(within).collect()
}

fn stamp(file: &Metadata) -> Stamp {
    let modified = [file.mtime(), file.mtime_nsec()];
    (file.dev(), file.ino(), file.len(), modified, [file.ctime(), file.ctime_nsec()])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread;
    use std::time::Duration;

    use super::super::{Fetched, Fetcher, Source, TIMEOUT};
    use crate::testing;

    use super::*;

    fn fetcher(path: PathBuf) -> Fetcher {
        Fetcher::new(Source::Path(path), TIMEOUT).unwrap()
    }

    fn version(fetched: &Fetched) -> Option<u64> {
        match fetched {
            Fetched::Unchanged => None,
            Fetched::New(bundle) => Some(bundle.manifest.version),
        }
    }

    #[test]
    fn a_new_bundle_is_reported_once() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("cpu");
        let packed = root.path().join("cpu.qualm");
        let mut fetchers = [fetcher(directory.clone()), fetcher(packed.clone())];
        for fetcher in &mut fetchers {
            let error = fetcher.poll().unwrap_err().to_string();
            assert!(error.starts_with(root.path().to_str().unwrap()) && error.contains("No such file"), "{error}");
            assert_eq!(fetcher.poll().unwrap(), Fetched::Unchanged);
        }
        for turn in [1, 2, 1] {
            testing::bundle(turn).write(&directory).unwrap();
            testing::bundle(turn).write_packed(&packed).unwrap();
            for fetcher in &mut fetchers {
                assert_eq!(version(&fetcher.poll().unwrap()), Some(turn));
                assert_eq!(version(&fetcher.poll().unwrap()), None);
            }
        }
    }

    #[test]
    fn another_signature_is_a_change() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu");
        let mut bundle = testing::bundle(1);
        bundle.write(&path).unwrap();
        let mut fetcher = fetcher(path.clone());
        assert_eq!(version(&fetcher.poll().unwrap()), Some(1));
        bundle.signature = Some("somebody".to_owned());
        bundle.write(&path).unwrap();
        assert_eq!(version(&fetcher.poll().unwrap()), Some(1));
    }

    #[test]
    fn another_link_target_is_a_change() {
        let root = tempfile::tempdir().unwrap();
        for version in [1, 2] {
            testing::bundle(version).write(&root.path().join(format!("v{version}"))).unwrap();
        }
        symlink("v1", root.path().join("current")).unwrap();
        let mut fetcher = fetcher(root.path().join("current"));
        assert_eq!(version(&fetcher.poll().unwrap()), Some(1));
        symlink("v2", root.path().join("new")).unwrap();
        fs::rename(root.path().join("new"), root.path().join("current")).unwrap();
        assert_eq!(version(&fetcher.poll().unwrap()), Some(2));
    }

    #[test]
    fn an_incomplete_copy_is_an_error_until_it_is_complete() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu");
        fs::create_dir(&path).unwrap();
        let mut fetcher = fetcher(path.clone());
        let bundle = testing::bundle(1);
        for (name, bytes) in bundle.files() {
            assert!(fetcher.poll().is_err());
            fs::write(path.join(name), &bytes[..bytes.len() / 2]).unwrap();
            assert!(fetcher.poll().is_err());
            fs::write(path.join(name), bytes).unwrap();
        }
        assert_eq!(version(&fetcher.poll().unwrap()), Some(1));
    }

    #[test]
    fn unchanged_files_are_not_read_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu.qualm");
        fs::write(&path, "no bundle").unwrap();
        let mut local = Local::new(path.clone());
        assert!(local.poll().is_err() && local.poll().is_err(), "it may have changed within the tick");
        thread::sleep(Duration::from_secs(TIME_GRANULARITY as u64 + 2));
        assert!(local.poll().is_err());
        assert!(local.poll().unwrap().is_none());
        testing::bundle(1).write_packed(&path).unwrap();
        assert!(local.poll().unwrap().is_some());
    }
}
