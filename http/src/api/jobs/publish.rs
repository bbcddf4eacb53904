//! Puts a trained bundle among the models that are served.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::runtime::Native;
use qualm_bundle::signature::SecretKey;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::job::Published;
use crate::api::models::Registry;

/// How often another version is tried where somebody else has just taken it.
const ATTEMPTS: u64 = 100;

/// Publishes the bundle in `dir/bundle` as the next version of `name`: packed in `dir`, then put in its place at once.
pub(super) fn publish(
    dir: &Path,
    name: &str,
    key: Option<&SecretKey>,
    registry: &Registry,
) -> Result<Published, String> {
    let trained = Bundle::read(&dir.join(super::work::BUNDLE)).map_err(|error| error.fault.to_string())?;
    if trained.manifest.name != name || trained.component.is_some() {
        return Err("it is another bundle than was to be trained".to_owned());
    }
    registry.refresh();
    let next = registry.newest_version(name) + 1;
    for version in next..next + ATTEMPTS {
        let Bundle { manifest, model, golden, component, .. } = trained.clone();
        let manifest = qualm_bundle::manifest::Manifest { version, ..manifest };
        let draft = Draft { manifest, model, golden, component };
        let mut bundle = draft.finish(&Native).map_err(|fault| fault.to_string())?;
        if let Some(key) = key {
            bundle.sign(key).map_err(|fault| fault.to_string())?;
        }
        let packed = dir.join("packed");
        bundle.write_packed(&packed).map_err(|error| error.fault.to_string())?;
        let place = registry.dir().join(bundle.archive_name());
        let text = |error: io::Error| format!("it cannot be put among the models: {error}");
        if put(&packed, &place).map_err(text)? {
            File::open(registry.dir()).and_then(|models| models.sync_all()).map_err(text)?;
            registry.refresh();
            return Ok(Published { name: name.to_owned(), version, url: format!("/api/v1/models/{name}") });
        }
    }
    Err("others publish faster than this could".to_owned())
}

/// Renames a file; false where something of that name is there already.
fn put(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // A file system that cannot promise it, such as NFS; a second name for a file never replaces anything.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}
