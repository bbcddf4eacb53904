//! A pipeline on a thread of its own, through which whole bodies go, one after another.
//!
//! A pipeline that panics is started anew, with what it had last saved, after a pause that grows. Until then, the body
//! under way included, bodies pass unscored: a sender that had to try again would bring down the next pipeline with the
//! same body.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qualm::clock;
use qualm::scoring::{Scoring, StartError};
use qualm::state::Unsaved;
use qualm_pipeline::Format;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::vitals::Vitals;

/// The pause before a pipeline is started anew, at first and at most: each time twice as long, unless it worked for as long
/// as the longest.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_mins(1);

/// How often it is looked whether it has started.
const LOOK: Duration = Duration::from_millis(20);

/// Gives bodies to the pipeline. When the last one is dropped, the pipeline saves its state and ends.
#[derive(Debug)]
pub struct Worker {
    jobs: Sender<Job>,
    vitals: Arc<Vitals>,
}

/// Makes a pipeline.
type Start<F> = dyn Fn() -> Result<Scoring<F>, StartError> + Send + Sync;

/// Is told of a body before it is scored.
type Begin<F> = dyn Fn(&mut F, &[u8], Option<i64>) + Send;

/// What a pipeline is made of, each time it is started.
pub struct Plan<F: Format> {
    /// Makes it.
    pub start: Arc<Start<F>>,
    /// Called before each body, with what [`Worker::score`] was told of it.
    pub begin: Box<Begin<F>>,
    /// Whether nothing but verdicts comes out, so that of a body that is not scored nothing does.
    pub taps: bool,
}

/// A body that waits for its turn. There are as many as the server has memory for.
#[derive(Debug)]
struct Job {
    body: Bytes,
    /// What is to be told to the format before.
    hint: Option<i64>,
    done: oneshot::Sender<Scored>,
}

/// What became of a body.
#[derive(Debug)]
pub struct Scored {
    /// The body with its scores.
    pub bytes: Bytes,
    /// Events in it that are not what they should be.
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
        plan: Plan<F>,
    ) -> Result<(Self, JoinHandle<Result<(), Unsaved>>), StartError> {
        let (jobs, waiting) = channel();
        let vitals = Arc::new(Vitals::default());
        let state = State::Up(Box::new((plan.start)()?), Instant::now());
        let tended = Tended { name, plan, state, pause: SOON, vitals: Arc::clone(&vitals) };
        let thread = thread::Builder::new().name(format!("qualm-{name}")).spawn(move || tended.work(&waiting));
        Ok((Self { jobs, vitals }, thread.expect("a thread can be started")))
    }

    /// Scores a body; `hint` is for the format. None where the pipeline has ended.
    pub async fn score(&self, body: Bytes, hint: Option<i64>) -> Option<Scored> {
        let (done, scored) = oneshot::channel();
        self.jobs.send(Job { body, hint, done }).ok()?;
        scored.await.ok()
    }

    /// Whether the pipeline works.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }
}

/// A pipeline, and what looks after it.
struct Tended<F: Format> {
    name: &'static str,
    plan: Plan<F>,
    state: State<F>,
    pause: Duration,
    vitals: Arc<Vitals>,
}

/// What a pipeline does.
enum State<F: Format> {
    /// It scores, since then.
    Up(Box<Scoring<F>>, Instant),
    /// It is started anew then.
    Down(Instant),
    /// It is being started, on a thread of its own: that may take a while, and bodies must not wait.
    Starting(JoinHandle<Result<Scoring<F>, StartError>>),
}

impl<F: Format + Send + 'static> Tended<F> {
    fn work(mut self, jobs: &Receiver<Job>) -> Result<(), Unsaved> {
        loop {
            self.see_to();
            match jobs.recv_timeout(self.leisure()) {
                Ok(Job { body, hint, done }) => {
                    // Whoever asked may have gone; the metrics have been seen all the same.
                    let _gone = done.send(self.score(&body, hint));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.attempt(|scoring, _| scoring.run_between_batches());
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let State::Up(scoring, _) = self.state else { return Ok(()) }; // what was saved last is on disk
        info!("{}", scoring.summary());
        if let Some(why) = scoring.why_unscored() {
            info!("NOTICE: {why}");
        }
        scoring.close()
    }

    fn score(&mut self, body: &Bytes, hint: Option<i64>) -> Scored {
        let scored = self.attempt(|scoring, begin| {
            begin(scoring.format_mut(), body, hint);
            score(scoring, body)
        });
        scored.unwrap_or_else(|| {
            self.vitals.passed_unscored();
            Scored { bytes: if self.plan.taps { Bytes::new() } else { body.clone() }, malformed: 0 }
        })
    }

    /// Has the pipeline do something. None where it is down, or is so now.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Scoring<F>, &dyn Fn(&mut F, &[u8], Option<i64>)) -> T,
    ) -> Option<T> {
        let State::Up(scoring, since) = &mut self.state else { return None };
        let begin = &*self.plan.begin;
        // Of what it leaves half done nothing is used any more.
        if let Ok(done) = catch_unwind(AssertUnwindSafe(|| work(scoring, begin))) {
            return Some(done);
        }
        self.vitals.panicked();
        if since.elapsed() >= LATE {
            self.pause = SOON;
        }
        error!(
            "the pipeline `{}` panicked: this is a fault of qualm, report it. Its metrics pass unscored until it is started \
             again, in {:?}",
            self.name, self.pause
        );
        let broken = std::mem::replace(&mut self.state, State::Down(Instant::now() + self.pause));
        let _panicked_again = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        self.pause = (self.pause * 2).min(LATE);
        None
    }

    /// Starts it anew once it is time, and takes it over once it has started.
    fn see_to(&mut self) {
        match &self.state {
            State::Down(then) if *then <= Instant::now() => {
                let start = Arc::clone(&self.plan.start);
                let starting = thread::Builder::new().name(format!("qualm-{}-start", self.name)).spawn(move || start());
                match starting {
                    Ok(starting) => self.state = State::Starting(starting),
                    Err(error) => self.not_started(&error.to_string()),
                }
            }
            State::Starting(starting) if starting.is_finished() => {
                let State::Starting(starting) = std::mem::replace(&mut self.state, State::Down(Instant::now())) else {
                    return;
                };
                match starting.join() {
                    Ok(Ok(scoring)) => {
                        self.state = State::Up(Box::new(scoring), Instant::now());
                        self.vitals.restarted();
                        info!("the pipeline `{}` has been started again", self.name);
                    }
                    Ok(Err(error)) => self.not_started(&error.to_string()),
                    Err(_panic) => self.not_started("it panicked"),
                }
            }
            _ => {}
        }
    }

    fn not_started(&mut self, why: &str) {
        error!("the pipeline `{}` cannot be started again: {why}. It is tried again in {:?}", self.name, self.pause);
        self.state = State::Down(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LATE);
    }

    /// How long it can be waited for a body.
    fn leisure(&self) -> Duration {
        match &self.state {
            State::Up(scoring, _) => scoring.idle_timeout(),
            State::Down(then) => then.saturating_duration_since(Instant::now()),
            State::Starting(_) => LOOK,
        }
    }
}

fn score<F: Format>(scoring: &mut Scoring<F>, body: &[u8]) -> Scored {
    let before = scoring.counts();
    let mut bytes = Vec::with_capacity(body.len() * 3); // verdicts on everything are twice as long as what they judge
    scoring.score_body(body, clock::now(), &mut bytes);
    let malformed = scoring.counts().malformed - before.malformed;
    Scored { bytes: bytes.into(), malformed }
}

impl<F: Format> fmt::Debug for Plan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("taps", &self.taps).finish_non_exhaustive()
    }
}
