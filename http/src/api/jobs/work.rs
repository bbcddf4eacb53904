//! The work on an upload: validation, training, evaluation, publication.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parking_lot::Mutex;
use qualm_system::child::{self, Done, Failure};
use tracing::{error, info};

use super::job::{Job, State};
use super::options::Options;
use super::owners::Owners;
use super::publish::{self, BUNDLE, publish};
use super::report::{Evaluation, Fault, Training, Validation, last_error_line};
use crate::api::models::Registry;
use crate::api::problem::Problem;

/// Why a job ends early.
enum EarlyEnd {
    /// It was cancelled, or the server stops.
    Stopped,
    /// It failed.
    Failed(Fault),
}

/// Runs jobs, one step after another.
pub(super) struct JobRunner<'a> {
    pub(super) options: &'a Options,
    pub(super) registry: &'a Registry,
    pub(super) owners: &'a Owners,
    /// Held while a model is published: versions are given one after the other.
    pub(super) publishing: &'a Mutex<()>,
    /// Whether the server stops.
    pub(super) stopping: &'a dyn Fn() -> bool,
}

impl JobRunner<'_> {
    /// Runs a job to its end.
    pub(super) fn run(&self, job: &Job) {
        let steps = || match job.dir() {
            Some(dir) => self.steps(job, &dir),
            None => Err(EarlyEnd::Stopped),
        };
        // A bug ends one job only.
        let ended = catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|_panic| {
            error!("upload {}: the work on it panicked: this is a fault, report it", job.id);
            Err(EarlyEnd::Failed(server_fault("the work on it broke off")))
        });
        match ended {
            Ok(()) => {}
            Err(EarlyEnd::Stopped) => job.end(State::Cancelled, |_| {}),
            Err(EarlyEnd::Failed(fault)) => {
                info!("upload {} for the model {} came to nothing: {}", job.id, job.wanted.name, fault.error);
                job.end(State::Failed, |status| status.error = Some(fault));
            }
        }
    }

    fn steps(&self, job: &Job, dir: &Path) -> Result<(), EarlyEnd> {
        let (name, detector) = (&*job.wanted.name, &*job.wanted.detector);
        let input = job.wanted.format.file();
        let go_on = |state, change: &dyn Fn(&mut super::Status)| {
            if job.go_on(state, change) { Ok(()) } else { Err(EarlyEnd::Stopped) }
        };

        go_on(State::Validating, &|_| {})?;
        let arguments = ["validate", "--json", "--input", input, "--measurement", name];
        // 1 means that the data are unfit; the report is printed all the same.
        let done = self.child(job, dir, "validating", &arguments, 1)?;
        let validation = Validation::read(&done.out).map_err(|error| unreadable("validating", error))?;
        let fault = validation.fault();
        if fault.is_none() && done.code != 0 {
            return Err(unreadable("validating", "it failed, and found nothing"));
        }
        go_on(State::Validating, &move |status| status.validation = Some(validation.clone()))?;
        if let Some(fault) = fault {
            return Err(EarlyEnd::Failed(fault));
        }
        go_on(State::Training, &|_| {})?;

        let known = ["--input", input, "--measurement", name, "--name", name, "--out", BUNDLE];
        let arguments = [&["train", "--json", "--detector", detector], &known[..]].concat();
        let done = self.child(job, dir, "training", &arguments, 0)?;
        let training = Training::read(&done.out).map_err(|error| unreadable("training", error))?;
        go_on(State::Evaluating, &move |status| status.training = Some(training.clone()))?;

        let arguments =
            ["evaluate", "--json", "--bundle", BUNDLE, "--input", input, "--measurement", name, "--no-robustness"];
        let done = self.child(job, dir, "evaluating", &arguments, 0)?;
        let evaluation = Evaluation::read(&done.out).map_err(|error| unreadable("evaluating", error))?;
        // From here on it cannot be cancelled.
        go_on(State::Publishing, &move |status| status.evaluation = Some(evaluation.clone()))?;

        let one_at_a_time = self.publishing.lock();
        let published = publish(job, dir, self.options.key.as_ref(), self.registry, self.owners);
        drop(one_at_a_time);
        let model = published.map_err(|error| match error {
            publish::Error::Refused(Problem { error, hint, .. }) => EarlyEnd::Failed(Fault { error, hint }),
            why => {
                error!("upload {}: the model {name} cannot be published: {why}", job.id);
                EarlyEnd::Failed(server_fault("the model cannot be published"))
            }
        })?;
        info!("upload {} became the model {name} version {}", job.id, model.version);
        job.end(State::Done, |status| status.model = Some(model));
        Ok(())
    }

    /// Runs a command whose exit code may be up to `max_code`.
    fn child(&self, job: &Job, dir: &Path, step: &str, arguments: &[&str], max_code: i32) -> Result<Done, EarlyEnd> {
        let Options { program, child: limits, .. } = self.options;
        let stopped = || job.is_cancelled() || (self.stopping)();
        let failed = |error: String, hint: &str| EarlyEnd::Failed(Fault { error, hint: Some(hint.to_owned()) });
        let done = child::run(program, arguments, dir, limits, &stopped).map_err(|failure| match failure {
            Failure::Stopped => EarlyEnd::Stopped,
            Failure::Time => failed(
                format!("{step} took longer than {} s", limits.time.as_secs_f64()),
                "upload fewer rows, or choose a detector that is fitted sooner, such as zscore",
            ),
            Failure::Memory => {
                let most = limits.memory >> 20;
                failed(format!("{step} took more memory than {most} MiB"), "upload fewer rows or columns")
            }
            Failure::Output => failed(format!("{step} wrote more than it may"), "upload fewer rows or columns"),
            Failure::Broken(why) => {
                error!("upload {}: {step} failed: {why}", job.id);
                EarlyEnd::Failed(server_fault(&format!("{step} failed")))
            }
        })?;
        match done.code {
            code if code <= max_code => Ok(done),
            1 | 2 => match last_error_line(&done.said, dir) {
                Some(error) => Err(EarlyEnd::Failed(Fault { error: format!("{step}: {error}"), hint: None })),
                None => Err(unreadable(step, "it failed without a word")),
            },
            code => Err(unreadable(step, format_args!("it ended with {code}: {}", done.said.trim()))),
        }
    }
}

/// A process printed something unexpected.
fn unreadable(step: &str, why: impl fmt::Display) -> EarlyEnd {
    error!("{step} failed: {why}");
    EarlyEnd::Failed(server_fault(&format!("{step} failed")))
}

/// A failure that is not the uploader's fault.
fn server_fault(error: &str) -> Fault {
    let hint = "this is not the data's fault: try again and, if it stays so, tell whoever runs this server";
    Fault { error: error.to_owned(), hint: Some(hint.to_owned()) }
}
