//! The `qualm` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use qualm::{config, offline_factory};
#[cfg(any(feature = "serve", feature = "history"))]
use qualm_command::configuration;
use qualm_command::failure::Failure;
#[cfg(feature = "serve")]
use qualm_command::serve;
use qualm_command::stdout::print_text;
use qualm_command::{bundle, execd, log, models};
#[cfg(feature = "history")]
use qualm_command::{collect, demo, drift, evaluate, explain, plugin, replay, retrain, train, validate, warm};
use qualm_sandbox::compiler;
use qualm_system::child;
use tracing::{Level, error};

/// Anomaly scores for metrics, inline in the pipeline they already flow through.
///
/// A score of 0 is ordinary, 1 is the threshold, above 1 is an anomaly.
#[derive(Debug, Parser)]
#[command(name = "qualm", version, arg_required_else_help = true, max_term_width = 120, after_help = examples())]
struct Cli {
    /// Print a configuration file in which every option is explained
    #[arg(long)]
    sample_config: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What `--help` ends with: an example of each command in this build.
fn examples() -> String {
    const SERVE: bool = cfg!(feature = "serve");
    const HISTORY: bool = cfg!(feature = "history");
    let lines = [
        (true, "Examples:"),
        (HISTORY, "  qualm demo                                      see it find real incidents"),
        (true, "  qualm execd < metrics.lp                        score every numeric field, with no configuration"),
        (SERVE, "  qualm serve --config qualm.toml                 the same over HTTP, for Vector and InfluxDB"),
        (true, "  qualm execd --check --config qualm.toml         is this configuration right, and what is in force?"),
        (HISTORY, "  qualm replay --input history.csv --scores out.csv   history, exactly as if it came in live"),
        (
            HISTORY,
            "  qualm warm --config qualm.toml --influx http://localhost:8086 --since 14d   score from the first live row on",
        ),
        (HISTORY, "  qualm train --input history.csv --detector pca-mahalanobis --out model   learn what is ordinary"),
        (true, "  qualm --sample-config > qualm.toml"),
    ];
    lines.into_iter().filter(|(is_built, _)| *is_built).map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score line protocol from stdin to stdout, as Telegraf's external processor
    #[command(after_help = execd::EXAMPLES)]
    Execd(execd::Options),
    /// Score what Vector or InfluxDB's clients send, answer applications, and serve a live page
    #[cfg(feature = "serve")]
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Options),
    /// Score history as fast as it can be read, exactly as if it came in live
    #[cfg(feature = "history")]
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Options),
    /// Learn from history, so that the first live metrics are scored
    #[cfg(feature = "history")]
    #[command(after_help = warm::EXAMPLES)]
    Warm(Box<warm::Options>),
    /// Find the incidents in two days of a real server's metrics, and show them
    #[cfg(feature = "history")]
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Options),
    /// Download history from InfluxDB, as line protocol
    #[cfg(feature = "history")]
    #[command(after_help = collect::EXAMPLES)]
    Collect(collect::Options),
    /// Check whether history is fit to train on
    #[cfg(feature = "history")]
    #[command(after_help = validate::EXAMPLES)]
    Validate(validate::Options),
    /// Learn from history what is ordinary, and make a model of it
    #[cfg(feature = "history")]
    #[command(after_help = train::EXAMPLES)]
    Train(train::Options),
    /// Say how good a model is: with labels or without, and when its input is disturbed
    #[cfg(feature = "history")]
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(evaluate::Options),
    /// Say why rows are anomalies: how much each feature contributes
    #[cfg(feature = "history")]
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Options),
    /// Say whether history still looks like what a model was trained on
    #[cfg(feature = "history")]
    #[command(after_help = drift::EXAMPLES)]
    Drift(drift::Options),
    /// Train a model again on the rows that it scored, if the new one does no worse
    #[cfg(feature = "history")]
    #[command(after_help = retrain::EXAMPLES)]
    Retrain(retrain::Options),
    /// Look at a model's bundle, check, pack, sign and compare it, or go back to the one before
    #[command(after_help = bundle::EXAMPLES)]
    Bundle(bundle::Options),
    /// Ask a running qualm for its models, let a candidate take over, or go back to the model before
    #[command(after_help = models::EXAMPLES)]
    Models(models::Options),
    /// Make a detector of your own, in any language that WebAssembly knows, and check it
    #[cfg(feature = "history")]
    #[command(after_help = plugin::EXAMPLES)]
    Plugin(plugin::Options),
}

fn main() -> ExitCode {
    child::end_with_server();
    if let Some(code) = compiler::serve() {
        return code;
    }
    let cli = Cli::parse();
    let log = log::start(log_level(cli.command.as_ref()));
    let result = match (cli.sample_config, &cli.command) {
        (true, _) | (_, None) => print_text(config::SAMPLE).map_err(Failure::from),
        (_, Some(command)) => run(command),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    };
    drop(log); // flushes it
    if matches!(cli.command, Some(Command::Execd(_))) {
        execd::drain_streams();
    }
    code
}

/// Commands that run for long log more than warnings.
fn log_level(command: Option<&Command>) -> Level {
    let debug = match command {
        Some(Command::Execd(options)) => options.debug,
        #[cfg(feature = "serve")]
        Some(Command::Serve(options)) => options.debug,
        _ => return Level::WARN,
    };
    if debug { Level::DEBUG } else { Level::INFO }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Execd(options) => execd::run(options),
        #[cfg(feature = "serve")]
        Command::Serve(options) => serve(options),
        #[cfg(feature = "history")]
        Command::Replay(options) => replay(options),
        #[cfg(feature = "history")]
        Command::Warm(options) => warm(options),
        #[cfg(feature = "history")]
        Command::Demo(options) => Ok(demo::run(options)?),
        #[cfg(feature = "history")]
        Command::Train(options) => Ok(train::run(options, &offline_factory())?),
        #[cfg(feature = "history")]
        Command::Validate(options) => Ok(validate::run(options)?),
        #[cfg(feature = "history")]
        Command::Collect(options) => Ok(collect::run(options)?),
        #[cfg(feature = "history")]
        Command::Evaluate(options) => Ok(evaluate::run(options, &offline_factory())?),
        #[cfg(feature = "history")]
        Command::Explain(options) => Ok(explain::run(options, &offline_factory())?),
        #[cfg(feature = "history")]
        Command::Drift(options) => Ok(drift::run(options, &offline_factory())?),
        #[cfg(feature = "history")]
        Command::Retrain(options) => Ok(retrain::run(options, &offline_factory())?),
        #[cfg(feature = "history")]
        Command::Plugin(options) => Ok(plugin::run(options, &offline_factory())?),
        Command::Bundle(options) => Ok(bundle::run(options, &offline_factory())?),
        Command::Models(options) => Ok(models::run(options)?),
    }
}

#[cfg(feature = "serve")]
fn serve(options: &serve::Options) -> Result<(), Failure> {
    if options.check {
        return configuration::check(options.config.as_deref());
    }
    let config = configuration::read(options.config.as_deref())?;
    configuration::log_effective(&config, &[]);
    Ok(serve::run(options, &config)?)
}

#[cfg(feature = "history")]
fn replay(options: &replay::Options) -> Result<(), Failure> {
    let config = match &options.model {
        Some(model) => config::Config::of_model(model)?,
        None => configuration::read(options.config.as_deref())?,
    };
    Ok(replay::run(options, &config)?)
}

#[cfg(feature = "history")]
fn warm(options: &warm::Options) -> Result<(), Failure> {
    let config = configuration::read(Some(&options.config))?;
    Ok(warm::run(options, &config)?)
}
