//! qualm as a library: anomaly scores for metrics, inline in the pipeline they already flow through.
//!
//! A [`Pipeline`] takes the bytes of metrics and returns the same bytes with scores:
//!
//! ```
//! use qualm::Pipeline;
//! use qualm::config::Config;
//!
//! // As in `qualm.toml`; `Config::read` takes a file.
//! let config = Config::parse("[[detector]]\nmin_samples = 20\n", "this example")?;
//! let mut pipeline = Pipeline::start(&config)?;
//! let mut scored = Vec::new();
//! for second in 1..=100 {
//!     let usage = if second == 100 { 97.5 } else { 20.0 + f64::from(second % 7) };
//!     let line = format!("cpu,host=a usage={usage} {second}000000000\n");
//!     pipeline.score_body(line.as_bytes(), qualm::now(), &mut scored);
//! }
//! let scored = String::from_utf8(scored)?;
//! assert!(scored.starts_with("cpu,host=a usage=21 1000000000\n"), "without a score during warm-up");
//! assert!(scored.lines().last().unwrap().contains("is_anomaly=1i"));
//! pipeline.close()?; // saves what was learnt, where the configuration names a directory for it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each detector runs in a sandbox, as a WebAssembly component that is not trusted. One that fails is started again by its
//! supervisor; metrics pass meanwhile without scores. [`Pipeline::run_between_batches`] does all else: it swaps in new
//! models, saves state, and updates a [`View`](view::View).
//!
//! - [`config`]: what can be configured;
//! - [`drift`]: whether live rows still look like those in training;
//! - [`rollout`]: how a new model takes over after a time in shadow;
//! - [`state`]: what is saved;
//! - [`view`]: counts, series and incidents of a running pipeline, for others to see.
//!
//! Events of other formats than line protocol take [`Pipeline::start_apart`], as in `examples/transform.rs`.

mod clock;
pub mod config;
pub mod drift;
mod models;
mod pipeline;
mod retrain;
pub mod rollout;
pub mod state;
mod supervisor;
pub mod view;

pub use self::clock::now;
pub use self::models::{LoaderError, ModelBuilder, NoModel};
pub use self::pipeline::{DetectorsFailed, Pipeline, StartError, model_builder, offline_factory, random_seed};
pub use self::supervisor::{Backoff, Health, Mode, Supervisor};
