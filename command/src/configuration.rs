//! The configuration, as the commands that take one read it, check it and show it.

use std::path::Path;

use qualm::config::{self, Config};
use qualm::scoring::Scoring;
use tracing::info;

use crate::failure::Failure;
use crate::stdout::say;

/// Reads a configuration; without a path it is the default one.
///
/// # Errors
///
/// Names the option that cannot be used, and says what would be right.
pub fn read(path: Option<&Path>) -> Result<Config, config::Error> {
    path.map_or_else(|| Config::parse("", "the default configuration"), Config::read)
}

/// Says whether a configuration is right, and prints what it puts in force.
///
/// # Errors
///
/// What cannot be used, and why; or that nothing can be printed.
pub fn check(path: Option<&Path>) -> Result<(), Failure> {
    let config = read(path)?;
    Scoring::check(&config)?;
    say(&config.effective())?;
    info!("the configuration is right; this is what is in force");
    Ok(())
}

/// Logs what is in force, without the tables that `except` names.
pub fn log_effective(config: &Config, except: &[&str]) {
    for table in config.effective().trim_end().split("\n\n") {
        if !except.iter().any(|name| table.starts_with(name)) {
            info!("{}", table.replace('\n', ", "));
        }
    }
}
