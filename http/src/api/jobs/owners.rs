//! The owners of models, so that an upload replaces only the owner's models.
//!
//! A name belongs to the first owner that publishes a model with it. [`FILE`] in the directory of models has the owners, with the
//! digests of what they have published. All other models belong to the operator, and no upload replaces them. An owner is stored as
//! a digest of the token, with a salt that only the file has, which no other user may read: neither the file nor the order of
//! tokens in a configuration reveals owners.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use qualm_bundle::Bundle;
use qualm_bundle::secret::Secret;
use qualm_system::digest::hex;
use qualm_system::{atomic, own};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::api::models::Registry;
use crate::api::problem::Problem;

/// The file in the directory of models.
pub const FILE: &str = ".owners";

/// The most bundles of a name that are remembered, the newest: of older ones none serves any more.
const MAX_DIGESTS: usize = 1000;

/// The owner of uploads: a token or, without tokens, anybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

/// The owners of models. The file is read each time, so that the operator can change it.
#[derive(Debug)]
pub(super) struct Owners {
    path: PathBuf,
    salt: String,
}

/// The owners, by the name of the model.
type Models = BTreeMap<String, Owned>;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owned {
    owner: Owner,
    /// The digests of the bundles that were published for them, the newest last.
    bundles: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    salt: String,
    models: Models,
}

impl Owners {
    /// Reads the owners of the models in a directory.
    ///
    /// # Errors
    ///
    /// If the file cannot be used.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let salt = read(&path)?.map_or_else(new_salt, |record| record.salt);
        Ok(Self { path, salt })
    }

    /// The owner with this token, or without one.
    pub(super) fn owner(&self, token: Option<&Secret>) -> Owner {
        let Some(token) = token else { return Owner("anybody".to_owned()) };
        let digest = Sha256::new().chain_update(&self.salt).chain_update(token.reveal()).finalize();
        Owner(hex(&digest))
    }

    /// Whether an owner may publish a model of this name.
    ///
    /// # Errors
    ///
    /// 403 if it belongs to another owner or the operator; 500 if that is not known.
    pub(super) fn check(&self, registry: &Registry, name: &str, owner: &Owner) -> Result<(), Problem> {
        allowed(self.models()?.get(name), registry, name, owner)
    }

    /// Records that a bundle is about to be published for an owner, who becomes the name's owner if it has none. Not for
    /// concurrent calls.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); 500 if it cannot be recorded.
    pub(super) fn claim(&self, registry: &Registry, name: &str, owner: &Owner, digest: String) -> Result<(), Problem> {
        let mut models = self.models()?;
        allowed(models.get(name), registry, name, owner)?;
        let of_nobody = || Owned { owner: owner.clone(), bundles: Vec::new() };
        let Owned { bundles, .. } = models.entry(name.to_owned()).or_insert_with(of_nobody);
        bundles.push(digest);
        bundles.drain(..bundles.len().saturating_sub(MAX_DIGESTS));
        let written = serde_json::to_vec_pretty(&Record { salt: self.salt.clone(), models })
            .map_err(io::Error::other)
            .and_then(|text| atomic::write_with(&self.path, 0o600, |file| file.write_all(&text)));
        written.map_err(|error| unknown(&at(&self.path, &error)))
    }

    fn models(&self) -> Result<Models, Problem> {
        match read(&self.path).map_err(|error| unknown(&error))? {
            Some(Record { salt, .. }) if salt != self.salt => Err(unknown(&at(
                &self.path,
                &"its `salt` is another than at the start, so that its owners are other tokens",
            ))),
            Some(Record { models, .. }) => Ok(models),
            None => Ok(Models::new()),
        }
    }
}

/// The content of the file, if there is one.
fn read(path: &Path) -> io::Result<Option<Record>> {
    match own::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                Err(at(path, &format!("{error}; without it no upload replaces what is there: mend or remove it")))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn unknown(error: &io::Error) -> Problem {
    tracing::error!("an upload is refused: {error}");
    Problem::new(500, "the owner of the model is not known").hint("tell whoever runs this server, whose log says more")
}

fn allowed(owned: Option<&Owned>, registry: &Registry, name: &str, owner: &Owner) -> Result<(), Problem> {
    let refused = |why: &str| {
        let problem = Problem::new(403, format!("`{name}` is the name of {why}"));
        Err(Problem { field: Some("name".to_owned()), ..problem.hint("choose another name") })
    };
    if owned.is_some_and(|owned| owned.owner != *owner) {
        return refused("a model that was uploaded with another token");
    }
    let published = owned.map_or(&[][..], |owned| &owned.bundles);
    if has_other(registry, name, published) {
        return refused("a model of whoever runs this server, which no upload replaces");
    }
    Ok(())
}

/// Whether an upload of this name would replace a bundle that is not among the `published`: one that serves, or would if it were
/// not broken.
fn has_other(registry: &Registry, name: &str, published: &[String]) -> bool {
    let Ok(serves) = registry.about(name) else { return false };
    let all = registry.list().into_iter().filter(|info| info.name == name);
    let mut would_be_replaced = all.filter(|info| info.version.is_none() || info.version >= serves.version);
    would_be_replaced.any(|info| {
        let bundle = Bundle::read(&registry.dir().join(&info.file));
        !bundle.is_ok_and(|bundle| published.contains(&bundle.digest()))
    })
}

/// A new salt: the standard library draws the keys of its hash maps at random.
fn new_salt() -> String {
    [(); 2].map(|()| format!("{:016x}", RandomState::new().hash_one(0))).concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::api::models::Options;
    use qualm_core::BuiltIn;

    #[test]
    fn an_owner_is_the_same_after_a_restart_and_no_token_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(Options::of(dir.path()), BuiltIn);
        let tokens = ["correct horse", "battery staple"].map(Secret::token);
        let owners = Owners::open(dir.path()).unwrap();
        let [mine, theirs] = [0, 1].map(|at| owners.owner(Some(&tokens[at])));
        let anybody = owners.owner(None);
        owners.claim(&registry, "host", &mine, "digest".to_owned()).unwrap();
        owners.claim(&registry, "free", &anybody, "digest".to_owned()).unwrap();
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!tokens.iter().any(|token| text.contains(token.reveal())), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let again = Owners::open(dir.path()).unwrap();
        assert_eq!([&tokens[0], &tokens[1]].map(|token| again.owner(Some(token))), [mine.clone(), theirs.clone()]);
        for (name, owner, status) in [
            ("host", &mine, None),
            ("host", &theirs, Some(403)),
            ("host", &anybody, Some(403)),
            ("free", &anybody, None),
            ("free", &mine, Some(403)),
            ("new", &theirs, None),
        ] {
            assert_eq!(again.check(&registry, name, owner).err().map(|problem| problem.status), status, "{name}");
        }
        assert!(again.claim(&registry, "host", &theirs, "digest".to_owned()).is_err());
        // The operator can free a name.
        fs::write(&path, text.replace("\"host\"", "\"another\"")).unwrap();
        again.check(&registry, "host", &theirs).unwrap();
        assert_eq!(again.check(&registry, "another", &theirs).unwrap_err().status, 403);
        let elsewhere = Owners::open(tempfile::tempdir().unwrap().path()).unwrap();
        assert_ne!(elsewhere.owner(Some(&tokens[0])), mine, "a digest means nothing elsewhere");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for text in ["", "{}", "{\"salt\":\"\",\"models\":{},\"more\":1}"] {
            fs::write(&path, text).unwrap();
            let error = Owners::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.contains("mend or remove it"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        let registry = Registry::open(Options::of(dir.path()), BuiltIn);
        let owners = Owners::open(dir.path()).unwrap();
        let owner = owners.owner(None);
        for text in ["nonsense", "{\"salt\":\"another\",\"models\":{}}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(owners.check(&registry, "host", &owner).unwrap_err().status, 500);
            assert_eq!(owners.claim(&registry, "host", &owner, String::new()).unwrap_err().status, 500);
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "it stays");
        }
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &path).unwrap();
        let error = Owners::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }
}
