//! A pipeline on a thread of its own, which scores one body after another.
//!
//! A pipeline that panics is restarted from its last saved state after a growing backoff. Until then bodies pass unscored, the
//! one that caused the panic included: sent again, it would crash the next pipeline too.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qualm::state::Unsaved;
use qualm::{Pipeline, StartError};
use qualm_pipeline::Format;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::pipeline_health::PipelineHealth;

/// The backoff before a restart: it doubles with each panic, and begins anew after a pipeline that worked for the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How often a starting pipeline is polled.
const START_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Sends bodies to the pipeline. When it is dropped, the pipeline saves its state and ends.
#[derive(Debug)]
pub struct Worker {
    jobs: Sender<Job>,
    health: Arc<PipelineHealth>,
}

/// Starts a pipeline.
type Start<F> = dyn Fn() -> Result<Pipeline<F>, StartError> + Send + Sync;

/// Prepares the format for a body.
type BeginBody<F> = dyn Fn(&mut F, &[u8], Option<i64>) + Send;

/// How a pipeline is started, at first and after a panic.
pub struct PipelineFactory<F: Format> {
    /// Starts it.
    pub start: Arc<Start<F>>,
    /// Called before each body with the arguments of [`Worker::score`].
    pub begin_body: Box<BeginBody<F>>,
    /// Whether the output has verdicts alone, so that an unscored body has none.
    pub verdicts_only: bool,
}

/// A queued body. The server's memory limit bounds the queue.
#[derive(Debug)]
struct Job {
    body: Bytes,
    /// The unit of times for the format, in nanoseconds.
    unit: Option<i64>,
    done: oneshot::Sender<Scored>,
}

/// A scored body.
#[derive(Debug)]
pub struct Scored {
    /// The body with its scores.
    pub bytes: Bytes,
    /// Malformed events in it.
    pub malformed: u64,
}

impl Worker {
    /// Starts the pipeline and its thread.
    ///
    /// # Errors
    ///
    /// Where the pipeline cannot be started.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    pub fn start<F: Format + Send + 'static>(
        name: &'static str,
        factory: PipelineFactory<F>,
    ) -> Result<(Self, JoinHandle<Result<(), Unsaved>>), StartError> {
        let (jobs, queue) = channel();
        let health = Arc::new(PipelineHealth::default());
        let state = State::Up(Box::new((factory.start)()?), Instant::now());
        let pipeline = SupervisedPipeline { name, factory, state, backoff: FIRST_BACKOFF, health: Arc::clone(&health) };
        let thread = thread::Builder::new().name(format!("qualm-{name}")).spawn(move || pipeline.run(&queue));
        Ok((Self { jobs, health }, thread.expect("a thread can be started")))
    }

    /// Scores a body; `unit` is that of its times in nanoseconds. `None` where the pipeline has ended.
    pub async fn score(&self, body: Bytes, unit: Option<i64>) -> Option<Scored> {
        let (done, scored) = oneshot::channel();
        self.jobs.send(Job { body, unit, done }).ok()?;
        scored.await.ok()
    }

    /// Whether the pipeline works.
    #[must_use]
    pub fn health(&self) -> &PipelineHealth {
        &self.health
    }
}

/// A pipeline that is restarted after a panic.
struct SupervisedPipeline<F: Format> {
    name: &'static str,
    factory: PipelineFactory<F>,
    state: State<F>,
    backoff: Duration,
    health: Arc<PipelineHealth>,
}

enum State<F: Format> {
    /// It scores since this instant.
    Up(Box<Pipeline<F>>, Instant),
    /// It is restarted at this instant.
    Down(Instant),
    /// It is being started on a thread of its own, so that bodies do not wait for that.
    Starting(JoinHandle<Result<Pipeline<F>, StartError>>),
}

impl<F: Format + Send + 'static> SupervisedPipeline<F> {
    fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Unsaved> {
        loop {
            self.restart_if_due();
            match jobs.recv_timeout(self.next_timeout()) {
                Ok(Job { body, unit, done }) => {
                    // The sender may have disconnected; its metrics are observed all the same.
                    let _disconnected = done.send(self.score(&body, unit));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.catch_panic(|pipeline, _| pipeline.run_between_batches());
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let State::Up(pipeline, _) = self.state else { return Ok(()) }; // its last saved state is on disk
        info!("{}", pipeline.summary());
        if let Some(why) = pipeline.why_unscored() {
            info!("NOTICE: {why}");
        }
        pipeline.close()
    }

    fn score(&mut self, body: &Bytes, unit: Option<i64>) -> Scored {
        let scored = self.catch_panic(|pipeline, begin_body| {
            begin_body(pipeline.format_mut(), body, unit);
            score(pipeline, body)
        });
        scored.unwrap_or_else(|| {
            self.health.record_unscored_body();
            Scored { bytes: if self.factory.verdicts_only { Bytes::new() } else { body.clone() }, malformed: 0 }
        })
    }

    /// Runs `work` on the pipeline. `None` where it is down, or panics.
    fn catch_panic<T>(
        &mut self,
        work: impl FnOnce(&mut Pipeline<F>, &dyn Fn(&mut F, &[u8], Option<i64>)) -> T,
    ) -> Option<T> {
        let State::Up(pipeline, since) = &mut self.state else { return None };
        let begin_body = &*self.factory.begin_body;
        // After a panic the pipeline is dropped: its inconsistent state is not used.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(|| work(pipeline, begin_body))) {
            return Some(result);
        }
        self.health.record_panic();
        if since.elapsed() >= MAX_BACKOFF {
            self.backoff = FIRST_BACKOFF;
        }
        error!(
            "the pipeline `{}` panicked: this is a fault of qualm, report it. Its metrics pass unscored until it is started \
             again, in {:?}",
            self.name, self.backoff
        );
        let broken = std::mem::replace(&mut self.state, State::Down(Instant::now() + self.backoff));
        let _panicked_again = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        None
    }

    /// Starts it after its backoff, on another thread, and resumes once it has started.
    fn restart_if_due(&mut self) {
        match &self.state {
            State::Down(then) if *then <= Instant::now() => {
                let start = Arc::clone(&self.factory.start);
                let starting = thread::Builder::new().name(format!("qualm-{}-start", self.name)).spawn(move || start());
                match starting {
                    Ok(starting) => self.state = State::Starting(starting),
                    Err(error) => self.restart_failed(&error.to_string()),
                }
            }
            State::Starting(starting) if starting.is_finished() => {
                let State::Starting(starting) = std::mem::replace(&mut self.state, State::Down(Instant::now())) else {
                    return;
                };
                match starting.join() {
                    Ok(Ok(pipeline)) => {
                        self.state = State::Up(Box::new(pipeline), Instant::now());
                        self.health.record_restart();
                        info!("the pipeline `{}` has been started again", self.name);
                    }
                    Ok(Err(error)) => self.restart_failed(&error.to_string()),
                    Err(_panic) => self.restart_failed("it panicked"),
                }
            }
            _ => {}
        }
    }

    fn restart_failed(&mut self, why: &str) {
        error!("the pipeline `{}` cannot be started again: {why}. It is tried again in {:?}", self.name, self.backoff);
        self.state = State::Down(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
    }

    /// The time until the pipeline has to do something without a body.
    fn next_timeout(&self) -> Duration {
        match &self.state {
            State::Up(pipeline, _) => pipeline.idle_timeout(),
            State::Down(then) => then.saturating_duration_since(Instant::now()),
            State::Starting(_) => START_POLL_INTERVAL,
        }
    }
}

fn score<F: Format>(pipeline: &mut Pipeline<F>, body: &[u8]) -> Scored {
    let before = pipeline.counts();
    let mut bytes = Vec::with_capacity(body.len() * 3); // verdicts on every metric are twice as long as the metrics
    pipeline.score_body(body, qualm::now(), &mut bytes);
    let malformed = pipeline.counts().malformed - before.malformed;
    Scored { bytes: bytes.into(), malformed }
}

impl<F: Format> fmt::Debug for PipelineFactory<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineFactory").field("verdicts_only", &self.verdicts_only).finish_non_exhaustive()
    }
}
