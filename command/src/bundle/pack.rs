//! `qualm bundle pack`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Error, print_result, read};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    path: PathBuf,

    /// The file to write, or the directory to write NAME-VERSION.qualm to
    #[arg(long, value_name = "PATH", default_value = ".")]
    out: PathBuf,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Packed {
    path: PathBuf,
    bytes: u64,
    signed: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let bundle = read(&options.path)?;
    let name = bundle.archive_name();
    let path = if options.out.is_dir() { options.out.join(&name) } else { options.out.clone() };
    bundle.write_packed(&path).map_err(Error::Write)?;
    let written = |error| Error::Write(qualm_bundle::Fault::Io(error).at(path.display()));
    let bytes = path.metadata().map_err(written)?.len();
    let packed = Packed { path, bytes, signed: bundle.signature.is_some() };
    print_result(&packed, options.json, || {
        let shown = packed.path.strip_prefix(".").unwrap_or(&packed.path).display();
        let unsigned = if packed.signed {
            ""
        } else {
            "It is not signed; to sign it: qualm bundle sign, which takes packed bundles as well.\n"
        };
        format!(
            "{shown}: {}\n\
             {unsigned}\
             To use it, in qualm.toml:  model = \"{shown}\"\n\
             To serve it to many hosts, put it on any web server under a name that stays, such as {model}.qualm, and let\n\
             them ask there:            model = \"https://HOST/{model}.qualm\"\n\
             What is put there later with a higher version is taken up by itself.\n",
            text::bytes(packed.bytes),
            model = bundle.manifest.name,
        )
    })
}
