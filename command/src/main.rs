//! The `qualm` command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use qualm::config::{self, Config};
use qualm::scoring::{Scoring, offline_factory};
use qualm::view::View;
use qualm_command::failure::Failure;
use qualm_command::stdout::say;
use qualm_command::{
    bundle, collect, demo, evaluate, execd, explain, log, plugin, replay, serve, train, validate, warm,
};
use qualm_sandbox::compiler;
use qualm_system::child;
use tracing::{Level, error, info};

/// Anomaly scores for metrics, inline in the pipeline they already flow through.
///
/// A score of 0 is ordinary, 1 is the threshold, above 1 is an anomaly.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 120, after_help = EXAMPLES)]
struct Cli {
    /// Print a configuration file in which every option is explained
    #[arg(long)]
    sample_config: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  qualm demo                                      see it find real incidents
  qualm execd < metrics.lp                        score every numeric field, with no configuration
  qualm serve --config qualm.toml                 the same for Vector and for InfluxDB's clients, and what goes on
  qualm execd --check --config qualm.toml         is this configuration right, and what is in force?
  qualm replay --input history.csv --scores out.csv   history, exactly as if it came in live
  qualm warm --config qualm.toml --influx http://localhost:8086 --since 14d   score from the first live row on
  qualm train --input history.csv --detector pca-mahalanobis --out model   learn what is ordinary
  qualm --sample-config > qualm.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Score line protocol from stdin to stdout, as Telegraf's external processor
    #[command(after_help = EXECD)]
    Execd(Execd),
    /// Score what Vector or InfluxDB's clients send, answer applications, and show what goes on
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Options),
    /// Score history as fast as it can be read, exactly as if it came in live
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Options),
    /// Learn from history, so that the first live metrics are scored
    #[command(after_help = warm::EXAMPLES)]
    Warm(Box<warm::Options>),
    /// Find the incidents in two days of a real server's metrics, and show them
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Options),
    /// Download history from InfluxDB, as line protocol
    #[command(after_help = collect::EXAMPLES)]
    Collect(collect::Options),
    /// Check whether history is fit to train on
    #[command(after_help = validate::EXAMPLES)]
    Validate(validate::Options),
    /// Learn from history what is ordinary, and make a model of it
    #[command(after_help = train::EXAMPLES)]
    Train(train::Options),
    /// Say how good a model is: with labels or without, and when its input is disturbed
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(evaluate::Options),
    /// Say why rows are anomalies: how much each feature contributes
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Options),
    /// Look at a model's bundle, check, pack, sign and compare it, or go back to the one before
    #[command(after_help = bundle::EXAMPLES)]
    Bundle(bundle::Options),
    /// Make a detector of your own, in any language that WebAssembly knows, and check it
    #[command(after_help = plugin::EXAMPLES)]
    Plugin(plugin::Options),
}

const EXECD: &str = "\
In telegraf.conf:
  [[processors.execd]]
    command = [\"qualm\", \"execd\", \"--config\", \"/etc/qualm/qualm.toml\"]

Each line comes out as it came in, with `anomaly_score` and `is_anomaly` behind its fields. It ends when stdin does.";

#[derive(Debug, Args)]
struct Execd {
    /// The configuration; without it every numeric field is scored
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read the configuration, start the detectors, print what is in force, and exit
    #[arg(long)]
    check: bool,

    /// Log more
    #[arg(long)]
    debug: bool,
}

fn main() -> ExitCode {
    child::end_with_server();
    if let Some(code) = compiler::serve() {
        return code;
    }
    let cli = Cli::parse();
    let level = match &cli.command {
        Some(Command::Execd(Execd { debug: true, .. }) | Command::Serve(serve::Options { debug: true, .. })) => {
            Level::DEBUG
        }
        Some(Command::Execd(_) | Command::Serve(_)) => Level::INFO,
        _ => Level::WARN,
    };
    let log = log::start(level);
    let result = match (cli.sample_config, &cli.command) {
        (true, _) | (_, None) => say(config::SAMPLE).map_err(Failure::from),
        (_, Some(command)) => run(command),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    };
    drop(log); // written out
    if matches!(cli.command, Some(Command::Execd(_))) {
        execd::leave();
    }
    code
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Execd(options) => execd(options),
        Command::Serve(options) => serve(options),
        Command::Replay(options) => replay(options),
        Command::Warm(options) => warm(options),
        Command::Demo(options) => Ok(demo::run(options)?),
        Command::Train(options) => Ok(train::run(options, &offline_factory())?),
        Command::Validate(options) => Ok(validate::run(options)?),
        Command::Collect(options) => Ok(collect::run(options)?),
        Command::Evaluate(options) => Ok(evaluate::run(options, &offline_factory())?),
        Command::Explain(options) => Ok(explain::run(options, &offline_factory())?),
        Command::Plugin(options) => Ok(plugin::run(options, &offline_factory())?),
        Command::Bundle(options) => Ok(bundle::run(options, &offline_factory())?),
    }
}

fn execd(options: &Execd) -> Result<(), Failure> {
    if options.check {
        return check(options.config.as_deref());
    }
    let signals = execd::Signals::ignore()?;
    let config = config(options.config.as_deref())?;
    tell(&config, &["[vector]", "[influxdb]"]);
    let mut scoring = Scoring::start(&config)?;
    if let Some(listen) = config.http.listen {
        let view = Arc::new(View::new("execd"));
        scoring.watch(Arc::clone(&view));
        // Metrics must flow, even if nobody can see how.
        if let Err(error) = serve::observe::beside(&config.http, listen, view) {
            error!("[http] `listen`: {error}. Nothing is served");
        }
    }
    Ok(execd::run(scoring, &signals)?)
}

fn serve(options: &serve::Options) -> Result<(), Failure> {
    if options.check {
        return check(options.config.as_deref());
    }
    let config = config(options.config.as_deref())?;
    tell(&config, &[]);
    Ok(serve::run(options, &config)?)
}

/// Says whether a configuration is right, and what it puts in force.
fn check(path: Option<&Path>) -> Result<(), Failure> {
    let config = config(path)?;
    Scoring::check(&config)?;
    say(&config.effective())?;
    info!("the configuration is right; this is what is in force");
    Ok(())
}

/// Logs what is in force, but for these tables.
fn tell(config: &Config, except: &[&str]) {
    for table in config.effective().trim_end().split("\n\n") {
        if !except.iter().any(|name| table.starts_with(name)) {
            info!("{}", table.replace('\n', ", "));
        }
    }
}

fn replay(options: &replay::Options) -> Result<(), Failure> {
    let config = match &options.model {
        Some(model) => Config::of_model(model)?,
        None => config(options.config.as_deref())?,
    };
    Ok(replay::run(options, &config)?)
}

fn warm(options: &warm::Options) -> Result<(), Failure> {
    let config = config(Some(&options.config))?;
    Ok(warm::run(options, &config)?)
}

fn config(path: Option<&Path>) -> Result<Config, config::Error> {
    path.map_or_else(|| Config::parse("", "the default configuration"), Config::read)
}
