//! Publishes a trained bundle in the directory of models.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use qualm_bundle::bundle::Draft;
use qualm_bundle::signature::SecretKey;
use qualm_bundle::{Bundle, Fault};
use qualm_core::BuiltIn;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::job::{Job, Published};
use super::owners::Owners;
use crate::api::models::Registry;
use crate::api::problem::Problem;

/// The trained bundle's directory in the job's.
pub(super) const BUNDLE: &str = "bundle";

/// The most versions that are tried, if others take them at the same time.
const ATTEMPTS: u64 = 100;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It must not be published under this name; the reason for the uploader.
    #[error("{0}")]
    Refused(Problem),
    /// The bundle that was trained cannot be read, finished or written.
    #[error(transparent)]
    Bundle(#[from] Fault),
    /// The processes made something else.
    #[error("it is another bundle than was to be trained")]
    OtherBundle,
    /// The directory of models cannot be written.
    #[error("it cannot be put among the models: {0}")]
    Place(#[source] io::Error),
    /// Each version that was tried had been taken.
    #[error("others publish faster than this could")]
    Outrun,
}

/// Publishes the bundle in `dir/bundle` as the next version of what the job is for: packed in `dir`, then put in its place
/// at once.
pub(super) fn publish(
    job: &Job,
    dir: &Path,
    key: Option<&SecretKey>,
    registry: &Registry,
    owners: &Owners,
) -> Result<Published, Error> {
    let name = &job.wanted.name;
    let trained = Bundle::read(&dir.join(BUNDLE)).map_err(|error| error.fault)?;
    if trained.manifest.name != *name || trained.component.is_some() {
        return Err(Error::OtherBundle);
    }
    let mut version = 0;
    for _ in 0..ATTEMPTS {
        registry.refresh();
        version = (version + 1).max(registry.newest_version(name) + 1);
        let Bundle { manifest, model, golden, reference, component, .. } = trained.clone();
        let manifest = qualm_bundle::manifest::Manifest { version, ..manifest };
        let draft = Draft { manifest, model, golden, reference, component };
        let mut bundle = draft.finish(&BuiltIn)?;
        if let Some(key) = key {
            bundle.sign(key)?;
        }
        let packed = dir.join("packed");
        bundle.write_packed(&packed).map_err(|error| error.fault)?;
        owners.claim(registry, name, &job.owner, bundle.digest()).map_err(Error::Refused)?;
        let place = registry.dir().join(bundle.archive_name());
        if put(&packed, &place).map_err(Error::Place)? {
            File::open(registry.dir()).and_then(|models| models.sync_all()).map_err(Error::Place)?;
            registry.refresh();
            return Ok(Published { name: name.clone(), version, url: format!("/api/v1/models/{name}") });
        }
    }
    Err(Error::Outrun)
}

/// Renames a file; false if the name is taken.
fn put(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // A file system without this flag, such as NFS; a hard link never replaces a file.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}
