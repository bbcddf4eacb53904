//! `[retrain]`: models are trained again on the rows that they scored.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_bundle::rows::Window;
use serde::Deserialize;

use super::Invalid;
use super::text::{bytes, quoted, size};

/// The least size that holds rows worth training on.
const MIN_ROWS: usize = 1 << 20;

/// How models are trained again on the rows that they scored. Of detectors with `rollout = "shadow"`, since a successor must
/// prove itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retrain {
    /// Whether they are.
    pub enabled: bool,
    /// How many bytes of rows are kept of each detector, compressed, at most.
    #[serde(deserialize_with = "bytes")]
    pub rows: usize,
    /// How old a model may become, by the clock and from the last row that it was made of.
    #[serde(deserialize_with = "duration::deserialize")]
    pub after: Duration,
    /// Whether drift of a feature or of the score is a reason.
    pub on_drift: bool,
    /// Whether it is one that alarms have become more or fewer.
    pub on_alarms: bool,
    /// How long to wait after an attempt, whatever came of it.
    #[serde(deserialize_with = "duration::deserialize")]
    pub pause: Duration,
    /// Times whose rows are left out, each as `FROM/UNTIL`.
    pub maintenance: Vec<String>,
    /// A program with its arguments that trains instead.
    pub command: Vec<String>,
    /// The `qualm` that trains, by default the one that runs.
    pub program: Option<PathBuf>,
    /// A secret key that new models are signed with; needed where only signed ones are taken.
    pub key: Option<PathBuf>,
}

impl Default for Retrain {
    fn default() -> Self {
        Self {
            enabled: false,
            rows: 64 << 20,
            after: Duration::from_hours(30 * 24),
            on_drift: true,
            on_alarms: true,
            pause: Duration::from_hours(24),
            maintenance: Vec::new(),
            command: Vec::new(),
            program: None,
            key: None,
        }
    }
}

impl Retrain {
    /// Paths are meant from `directory`.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        for path in [&mut self.program, &mut self.key].into_iter().flatten() {
            *path = directory.join(&*path);
        }
    }

    pub(super) fn check(&self, has_state: bool, only_signed: bool, shadows: bool) -> Result<(), Invalid> {
        let second = Duration::from_secs(1);
        if let Some(no_window) = self.maintenance.iter().find_map(|text| text.parse::<Window>().err()) {
            return Err(Invalid::Maintenance(no_window));
        }
        Invalid::check_ranges(&[
            (self.enabled && !has_state, "[retrain] needs `dir` in [state]: rows and new models are kept there"),
            (
                self.enabled && !shadows,
                "[retrain] needs a detector with `rollout = \"shadow\"`, where a new model proves itself before it counts",
            ),
            (
                self.enabled && only_signed && self.key.is_none(),
                "[retrain] needs `key`, a secret key without a password: [bundles] `trusted_keys` takes signed models only",
            ),
            (self.rows < MIN_ROWS, "[retrain] `rows` must be 1MiB at least"),
            (self.after < second, "[retrain] `after` must be a second at least"),
            (self.pause < second, "[retrain] `pause` must be a second at least"),
            (
                self.command.first().is_some_and(|program| !program.starts_with('/')),
                "[retrain] `command` must begin with the whole path of a program",
            ),
        ])
    }

    pub(super) fn effective(&self) -> String {
        let Self { enabled, rows, after, on_drift, on_alarms, pause, maintenance, command, program, key } = self;
        let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        let mut out =
            format!("[retrain]\nenabled = {enabled}\nrows = \"{}\"\nafter = \"{}\"\n", size(*rows), friendly(*after));
        let _infallible = write!(
            out,
            "on_drift = {on_drift}\non_alarms = {on_alarms}\npause = \"{}\"\nmaintenance = [{}]\ncommand = [{}]\n",
            friendly(*pause),
            list(maintenance),
            list(command)
        );
        for (name, path) in [("program", program), ("key", key)] {
            if let Some(path) = path {
                let _infallible = writeln!(out, "{name} = {}", quoted(&path.to_string_lossy()));
            }
        }
        out + "\n"
    }
}
