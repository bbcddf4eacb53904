//! Where everything is: the programs that are measured, and their files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qualm_tests::{Site, tools};

/// Where qualm's stderr goes.
const LOG: &str = "qualm.log";

/// The programs, and a directory for what they write.
#[derive(Debug)]
pub(crate) struct Place {
    qualm: PathBuf,
    site: Site,
}

impl Place {
    /// An empty place for this binary.
    pub(crate) fn new(qualm: PathBuf) -> Self {
        Self { qualm, site: Site::new() }
    }

    /// `qualm execd` with this configuration. Compiled code is cached in this place, and nowhere else.
    pub(crate) fn qualm(&self, toml: &str) -> Command {
        self.qualm_with_cache(toml, "cache")
    }

    /// The same, with a cache of another name: empty, if the name is new.
    pub(crate) fn qualm_with_cache(&self, toml: &str, cache: &str) -> Command {
        let mut command = Command::new(&self.qualm);
        command.args(["execd", "--config"]).arg(self.site.write("qualm.toml", toml));
        let log = File::options().create(true).append(true).open(self.site.path(LOG)).expect("a log can be kept");
        command.env("XDG_CACHE_HOME", self.site.path(cache)).stderr(log);
        command
    }

    /// What qualm complained of since the last time.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.site.read_text(LOG);
        self.site.write(LOG, "");
        log.lines().filter(|line| line.contains("W! ") || line.contains("E! ")).map(str::to_owned).collect()
    }

    /// A directory for state, as `[state]` of a configuration names it.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// `cat`, which does the least that a processor can do.
    #[expect(clippy::unused_self, reason = "it is taken like the other programs")]
    pub(crate) fn cat(&self) -> Command {
        Command::new("cat")
    }

    /// The processor in Python, or why it cannot run.
    #[expect(clippy::unused_self, reason = "it is taken like the other programs")]
    pub(crate) fn python(&self) -> Result<Command, &'static str> {
        let mut command = Command::new("python3");
        let there = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            return Err("no python3 here");
        }
        command.arg(folder().join("bench/ewma_execd.py"));
        Ok(command)
    }

    /// Telegraf's parser and serializer back to back, or why they cannot run.
    pub(crate) fn telegraf(&self) -> Result<Command, &'static str> {
        let program = self.site.path("roundtrip");
        let mut go = Command::new("go");
        go.arg("build").args(["-buildvcs=false", "-trimpath", "-o"]).arg(&program).arg("./roundtrip");
        go.current_dir(folder().join("telegraf")).env("CGO_ENABLED", "0").stdout(Stdio::null());
        match go.status() {
            Err(_) => Err("no go here"),
            Ok(status) if status.success() => Ok(Command::new(program)),
            Ok(_) => Err("Telegraf's packages could not be built here"),
        }
    }
}

fn folder() -> PathBuf {
    tools::workspace().join(Path::new("tests"))
}
