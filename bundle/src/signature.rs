//! Signatures as `minisign` makes them: <https://jedisct1.github.io/minisign/>.
//!
//! The manifest is signed, which lists the digests of all other files. Keys and signatures are those of the `minisign`
//! command, so that bundles can be signed and verified without qualm.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use ct_codecs::{Base64, Decoder};
use minisign::{PError, PublicKey as Key, SecretKeyBox, SignatureBox};
use qualm_system::untrusted::clean;
use serde::Serialize;

use crate::error::Fault;
use crate::files;

/// The length of a signature's last line: 64 bytes in base64. The library does not check it.
const LAST_LINE: usize = 88;

/// The bytes of a secret key: algorithm, encryption parameters, id, key and checksum.
const SECRET_KEY: usize = 158;

/// The keys that may sign bundles. Without keys, unsigned bundles are accepted.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Their keys.
    pub keys: Vec<PublicKey>,
}

/// The state of a bundle's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Signed {
    /// There is none, and none is required.
    No,
    /// There is one, but no key to verify it with.
    Unchecked {
        /// The key's id, according to the signature.
        key: String,
    },
    /// It was made with a trusted key.
    By {
        /// The key's id.
        key: String,
        /// The trusted comment, which is signed as well.
        comment: String,
    },
}

impl Trust {
    /// Verifies a signature of the manifest.
    ///
    /// # Errors
    ///
    /// [`Fault::Signature`]: it is malformed, missing or not by a trusted key.
    pub fn check(&self, manifest: &[u8], signature: Option<&str>) -> Result<Signed, Fault> {
        let Some(text) = signature else {
            return if self.keys.is_empty() {
                Ok(Signed::No)
            } else {
                let what = "it is not signed, but only bundles signed with a trusted key are taken; `qualm bundle sign` signs it";
                Err(Fault::Signature(what.to_owned()))
            };
        };
        let signature = read(text)?;
        let key = id(signature.keynum());
        if self.keys.is_empty() {
            return Ok(Signed::Unchecked { key });
        }
        let Some(PublicKey(trusted)) = self.keys.iter().find(|trusted| trusted.0.keynum() == signature.keynum()) else {
            return Err(Fault::Signature(format!("it is signed with the key {key}, which is not trusted")));
        };
        minisign::verify(trusted, &signature, Cursor::new(manifest), true, false, false).map_err(|error| {
            let what = format!("the signature with the key {key} is not of this {}: {error}", files::MANIFEST);
            Fault::Signature(what)
        })?;
        let comment = signature.trusted_comment().unwrap_or_default();
        Ok(Signed::By { key, comment: clean(&comment) })
    }
}

fn read(text: &str) -> Result<SignatureBox, Fault> {
    let bad = |what: &dyn fmt::Display| Fault::Signature(format!("{} is no signature: {what}", files::SIGNATURE));
    // With a shorter last line the library would panic.
    if text.lines().nth(3).is_none_or(|line| line.trim().len() != LAST_LINE) {
        return Err(bad(&"its fourth line must have 88 letters"));
    }
    SignatureBox::from_string(text).map_err(|error| bad(&error))
}

/// A key's id as minisign prints it.
fn id(keynum: &[u8]) -> String {
    keynum.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A text is no public key.
    #[error("it is no public key of minisign; one is 56 letters and begins with `RW`")]
    NotPublic,
    /// A text is neither a public key nor the path of one.
    #[error("{text} is no public key, and no file of one: {source}")]
    NoFile {
        /// The text.
        text: String,
        /// Why there is no such file.
        source: io::Error,
    },
    /// A file has no public key in it.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<KeyError>,
    },
    /// The file of a secret key cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has no secret key in it.
    #[error("{}: it is no secret key of minisign; `minisign -G` makes one", path.display())]
    NotSecret {
        /// The file.
        path: PathBuf,
    },
    /// A secret key cannot be opened, such as with this password.
    #[error("{}: {source}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PError,
    },
    /// The password cannot be read.
    #[error(transparent)]
    Password(Box<dyn Error + Send + Sync>),
    /// A secret key has no public key, or cannot sign.
    #[error(transparent)]
    Secret(#[from] PError),
}

/// A key that verifies signatures.
#[derive(Clone)]
pub struct PublicKey(Key);

impl PublicKey {
    /// Parses a key: the file that minisign writes, or its line with the key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotPublic`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines().map(str::trim);
        let line = lines.rfind(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
        let key = line.filter(|line| line.starts_with("RW")).and_then(|line| Key::from_base64(line).ok());
        key.map(Self).ok_or(KeyError::NotPublic)
    }

    /// Parses a key, or reads the file at that path.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn find(text: &str) -> Result<Self, KeyError> {
        Self::parse(text).or_else(|_| {
            let file = fs::read_to_string(text).map_err(|source| KeyError::NoFile { text: text.to_owned(), source })?;
            Self::parse(&file).map_err(|error| KeyError::File { path: text.to_owned(), source: Box::new(error) })
        })
    }

    /// Its id as minisign prints it.
    #[must_use]
    pub fn id(&self) -> String {
        id(self.0.keynum())
    }
}

/// The key in base64.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// A key that signs.
pub struct SecretKey(minisign::SecretKey);

impl SecretKey {
    /// Reads a key's file, and asks for the password if it needs one.
    ///
    /// # Errors
    ///
    /// Those of `password`; and if the file has no secret key, or the password is wrong.
    pub fn read(
        path: &Path,
        password: impl FnOnce() -> Result<String, Box<dyn Error + Send + Sync>>,
    ) -> Result<Self, KeyError> {
        let path = path.to_owned();
        let text = fs::read_to_string(&path).map_err(|source| KeyError::Read { path: path.clone(), source })?;
        let bytes = text.lines().nth(1).and_then(|line| Base64::decode_to_vec(line.trim(), None).ok());
        let Some(bytes) = bytes.filter(|bytes| bytes.len() == SECRET_KEY && bytes.starts_with(b"Ed")) else {
            return Err(KeyError::NotSecret { path });
        };
        // Made with `-W`: the header says that nothing is encrypted, and there is no checksum.
        if bytes[2..4] == [0, 0] {
            return minisign::SecretKey::from_bytes(&bytes)
                .map(Self)
                .map_err(|source| KeyError::Locked { path, source });
        }
        let password = password().map_err(KeyError::Password)?;
        let key = SecretKeyBox::from(text).into_secret_key(Some(password));
        key.map(Self).map_err(|source| KeyError::Locked { path, source })
    }

    /// The public key that verifies its signatures.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        Ok(PublicKey(Key::from_secret_key(&self.0)?))
    }

    /// Signs. The comment is signed as well.
    ///
    /// # Errors
    ///
    /// If the system provides no randomness.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String, KeyError> {
        let untrusted = Some("signature of bundle.toml, which has the digests of the other files");
        let signature = minisign::sign(None, &self.0, bytes, Some(comment), untrusted);
        Ok(signature?.into_string())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", id(self.0.keynum()))
    }
}

#[cfg(test)]
mod tests;
