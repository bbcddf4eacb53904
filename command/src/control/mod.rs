//! Commands for a running `execd` or `serve`, over a socket in the file system.
//!
//! A client writes a [`Request`] as a line of JSON, and reads a [`Reply`] as one. Only the user that qualm runs as can: the
//! socket's mode is 0600. The [`Server`] has threads of its own; pipelines carry commands out between batches.

mod client;
mod line;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qualm::config::Config;
use qualm::rollout::Entry;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

pub use self::client::{ClientError, ask};
pub use self::server::{Hub, ListenError, Server};

/// The longest request, in bytes.
const MAX_REQUEST: usize = 4 << 10;

/// The longest reply: some kilobytes for each of 64 detectors, and their members, would fit.
const MAX_REPLY: usize = 4 << 20;

/// How long the other side may take for a line.
const LINE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a pipeline may take to carry a command out.
const PIPELINE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections at a time.
const MAX_CONNECTIONS: usize = 4;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is to be done.
    pub command: Name,
    /// Of which detector; of the only one that can be meant, without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// In which pipeline; in all that can, without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// Say which models there are.
    List,
    /// Let a candidate take over.
    Promote,
    /// Give a candidate up, or go back to the model before.
    Rollback,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The models of all pipelines.
    Models(Vec<Listed>),
    /// It was carried out in some pipelines, and in others not.
    Outcome {
        /// In which it was.
        done: Vec<Outcome>,
        /// In which it was not.
        refused: Vec<Outcome>,
    },
    /// The request was wrong, or nothing could be done at all.
    Error(String),
}

/// A detector with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The pipeline that it is of.
    pub pipeline: String,
    /// What is known of it.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What became of a command in a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The pipeline.
    pub pipeline: String,
    /// The detector, if it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// What was done, or why not.
    pub what: String,
}

/// Listens for commands, if that is configured. Where it cannot, metrics flow all the same.
#[must_use]
pub fn listen(config: &Config, hub: &Arc<Hub>) -> Option<Server> {
    let path: PathBuf = config.control_socket()?;
    match Server::start(&path, Arc::clone(hub)) {
        Ok(server) => {
            info!("`qualm models` reaches this process at {}", path.display());
            Some(server)
        }
        Err(error) => {
            error!("[control] `socket`: {error}. `qualm models` does not reach this process");
            None
        }
    }
}

#[cfg(test)]
mod tests;
