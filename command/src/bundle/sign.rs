//! `qualm bundle sign`.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use qualm_bundle::signature::SecretKey;
use serde::Serialize;

use super::{Error, print_result, read};

/// The environment variable with the password, for use without a terminal.
const PASSWORD_VARIABLE: &str = "QUALM_KEY_PASSWORD";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    path: PathBuf,

    /// The secret key, as `minisign -G` makes it; its password is asked for, or taken from `QUALM_KEY_PASSWORD`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Print the key as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Signed {
    key: String,
    public_key: String,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Options { path, key, .. } = options;
    let mut bundle = read(path)?;
    let key = SecretKey::read(key, || Ok(password(key)?))?;
    bundle.sign(&key).map_err(|fault| Error::Write(fault.at(path.display())))?;
    // All files at once: a pipeline that watches the directory must not see a manifest with another's signature.
    if path.is_dir() { bundle.write(path) } else { bundle.write_packed(path) }.map_err(Error::Write)?;
    let public = key.public()?;
    let signed = Signed { key: public.id(), public_key: public.to_string() };
    print_result(&signed, options.json, || {
        format!(
            "{path}: signed with the key {}\n\
             To check it:  qualm bundle verify {path} --key {public}\n\
             To take only what is signed with it, in qualm.toml:  trusted_keys = [\"{public}\"]\n",
            signed.key,
            path = path.display(),
        )
    })
}

/// The key has a password, and there is no terminal to ask for it.
#[derive(Debug, thiserror::Error)]
#[error("{} has a password, and there is no terminal to ask for it ({source}); set {PASSWORD_VARIABLE}", key.display())]
struct NoPassword {
    /// The key's file.
    key: PathBuf,
    /// Why the terminal cannot be used.
    source: io::Error,
}

fn password(key: &Path) -> Result<String, NoPassword> {
    if let Ok(password) = env::var(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    rpassword::prompt_password(format!("Password of {}: ", key.display()))
        .map_err(|source| NoPassword { key: key.to_owned(), source })
}
