//! `qualm bundle verify`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use qualm_bundle::Fault;
use qualm_bundle::bundle::Bundle;
use qualm_bundle::read::read_files;
use qualm_bundle::signature::{PublicKey, Signed, Trust};
use qualm_contract::ModelFactory;
use serde::Serialize;

use super::{Error, print_result};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    path: PathBuf,

    /// A public key of minisign that it must be signed with, or its file; of several, any one will do
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,

    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// The results of all checks.
#[derive(Debug, Serialize)]
struct Report {
    good: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    result: Verdict,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

pub(super) fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let keys = options.key.iter().map(|key| PublicKey::find(key)).collect::<Result<_, _>>()?;
    if let Err(error) = options.path.metadata() {
        return Err(Error::Bundle(Fault::Io(error).at(options.path.display()))); // nothing to check
    }
    let mut report = Report { good: true, checks: Vec::new() };
    report.check(&options.path, &Trust { keys }, factory);
    print_result(&report, options.json, || report.to_text())?;
    if report.good {
        Ok(())
    } else {
        Err(Error::ChecksFailed(format!("{} is not as it must be", options.path.display())))
    }
}

impl Report {
    fn check(&mut self, path: &std::path::Path, trust: &Trust, factory: &dyn ModelFactory) {
        let read = read_files(path).map(|files| {
            let about = format!("{} files, {}", files.count(), text::bytes(files.size()));
            (files, about)
        });
        let Some((files, about)) = self.add_failure("files", read) else { return };
        self.passed("files", about);
        let Some(bundle) = self.add_failure("contents", Bundle::parse(files)) else { return };
        let manifest = &bundle.manifest;
        self.passed("contents", format!("{}, version {}", manifest.name, manifest.version));
        if self.add_failure("digests", bundle.check_integrity()).is_some() {
            self.passed("digests", "every file is the one that bundle.toml means".to_owned());
        }
        if self.add_failure("scores", bundle.open(factory)).is_some() {
            self.passed(
                "scores",
                format!("all golden rows ({}) get the scores that they must get", bundle.golden.rows()),
            );
        }
        match self.add_failure("signature", bundle.check_trust(trust)) {
            Some(Signed::No) => self.skipped("signature", "it is not signed".to_owned()),
            Some(Signed::Unchecked { key }) => {
                self.skipped(
                    "signature",
                    format!("it is signed with the key {key}; --key checks whether it really is"),
                );
            }
            Some(Signed::By { key, comment }) => {
                self.passed("signature", format!("it is signed with the key {key}: {comment}"));
            }
            None => {}
        }
        if self.add_failure("expiry", bundle.check_expiry(Timestamp::now())).is_some() {
            let never = || "it never expires".to_owned();
            self.passed("expiry", manifest.expires.map_or_else(never, |expires| format!("it expires on {expires}")));
        }
    }

    /// Adds the check where it failed.
    fn add_failure<T>(&mut self, name: &'static str, result: Result<T, Fault>) -> Option<T> {
        result
            .map_err(|fault| {
                self.good = false;
                self.checks.push(Check { name, result: Verdict::Failed, what: fault.to_string() });
            })
            .ok()
    }

    fn passed(&mut self, name: &'static str, what: String) {
        self.checks.push(Check { name, result: Verdict::Passed, what });
    }

    fn skipped(&mut self, name: &'static str, what: String) {
        self.checks.push(Check { name, result: Verdict::Skipped, what });
    }

    fn to_text(&self) -> String {
        let row = |Check { name, result, what }: &Check| {
            let mark = match result {
                Verdict::Passed => "✓",
                Verdict::Failed => "✗",
                Verdict::Skipped => "–",
            };
            vec![mark.to_owned(), (*name).to_owned(), what.clone()]
        };
        let table = text::table(&self.checks.iter().map(row).collect::<Vec<_>>());
        if self.good { format!("{table}It is good.\n") } else { table }
    }
}
