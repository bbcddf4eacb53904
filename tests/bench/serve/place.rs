//! Where everything is: the binary, its files, and a server of it.

use std::path::PathBuf;
use std::process::Command;

use qualm_tests::{Server, Site, run};

use crate::table::Row;

/// The binary, and a directory for what it writes.
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

    /// `qualm serve` with this configuration, at a free port. Compiled code is cached in this place, and nowhere else.
    pub(crate) fn serve(&self, toml: &str) -> Server {
        let config = self.site.write("qualm.toml", format!("{toml}\n[http]\nlisten = \"127.0.0.1:0\"\n"));
        Server::start_as(self.command("serve").arg("--config").arg(config))
    }

    /// The same with the models in this directory.
    pub(crate) fn serve_models(&self, models: &str, toml: &str) -> Server {
        let dir = qualm_tests::config::quoted(&self.site.path(models));
        let text = format!("{toml}\n[http]\nlisten = \"127.0.0.1:0\"\nmodels = {dir}\n");
        let config = self.site.write("qualm.toml", text);
        Server::start_as(self.command("serve").arg("--config").arg(config))
    }

    /// Trains a model of `history`, a CSV file's text, as `spec` says.
    pub(crate) fn train(&self, history: &str, spec: &str, models: &str, name: &str) {
        let history = self.site.write("history.csv", history);
        let spec = self.site.write("spec.toml", spec);
        let out = self.site.path(models).join(name);
        std::fs::create_dir_all(self.site.path(models)).expect("a directory can be made");
        let [history, spec, out] = [history, spec, out].map(|path| path.to_string_lossy().into_owned());
        let arguments = ["train", "--input", &history, "--spec", &spec, "--out", &out, "--name", name];
        let trained = run(&self.qualm, &arguments, b"");
        assert!(trained.status.success(), "nothing was learnt: {}", trained.stderr);
    }

    /// A file of this place, made.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        self.site.write(name, content)
    }

    /// A directory of this place, made.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.site.path(name);
        std::fs::create_dir_all(&path).expect("a directory can be made");
        path
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.qualm);
        command.arg(name).env("XDG_CACHE_HOME", self.site.path("cache"));
        command
    }
}

/// Says what a server complained of, and that its rows do not count then.
pub(crate) fn judge(server: &Server, rows: &mut [Row]) {
    for complaint in server.log().lines().filter(|line| line.contains("W! ") || line.contains("E! ")) {
        eprintln!("qualm said: {complaint}");
        rows.iter_mut().for_each(Row::is_unsound);
    }
}
