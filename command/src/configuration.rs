//! Reads, checks and logs the configuration.

use std::path::Path;

use qualm::Pipeline;
use qualm::config::{self, Config};
use tracing::info;

use crate::failure::Failure;
use crate::stdout::print_text;

/// Reads a configuration; without a path, the default one.
///
/// # Errors
///
/// Names the key that cannot be used, and valid values.
pub fn read(path: Option<&Path>) -> Result<Config, config::Error> {
    path.map_or_else(|| Config::parse("", "the default configuration"), Config::read)
}

/// Checks a configuration with its models, and prints it with all defaults.
///
/// # Errors
///
/// What cannot be used, and why; or that stdout cannot be written.
pub fn check(path: Option<&Path>) -> Result<(), Failure> {
    let config = read(path)?;
    Pipeline::check(&config)?;
    print_text(&config.effective())?;
    info!("the configuration is right; this is what is in force");
    Ok(())
}

/// Logs the configuration with all defaults, without the tables in `except`.
pub fn log_effective(config: &Config, except: &[&str]) {
    for table in config.effective().trim_end().split("\n\n") {
        if !except.iter().any(|name| table.starts_with(name)) {
            info!("{}", table.replace('\n', ", "));
        }
    }
}
