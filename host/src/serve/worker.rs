//! A pipeline on a thread of its own, through which whole bodies go, one after another.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use qualm_stream::Format;
use tokio::sync::oneshot;
use tracing::info;

use crate::clock;
use crate::scoring::Scoring;
use crate::state::Unsaved;

/// Gives bodies to the pipeline. When the last one is dropped, the pipeline saves its state and ends.
#[derive(Debug)]
pub struct Worker {
    jobs: Sender<Job>,
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
    pub bytes: Vec<u8>,
    /// Events in it that are not what they should be.
    pub malformed: u64,
}

impl Worker {
    /// Starts the thread. `begin` is called before each body, with what [`score`](Self::score) was told of it.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    pub fn start<F: Format + Send + 'static>(
        name: &str,
        scoring: Scoring<F>,
        begin: impl Fn(&mut F, &[u8], Option<i64>) + Send + 'static,
    ) -> (Self, JoinHandle<Result<(), Unsaved>>) {
        let (jobs, waiting) = channel();
        let work = move || work(scoring, &waiting, &begin);
        let thread = thread::Builder::new().name(format!("qualm-{name}")).spawn(work);
        (Self { jobs }, thread.expect("a thread can be started"))
    }

    /// Scores a body; `hint` is for the format. None where the pipeline is no more.
    pub async fn score(&self, body: Bytes, hint: Option<i64>) -> Option<Scored> {
        let (done, scored) = oneshot::channel();
        self.jobs.send(Job { body, hint, done }).ok()?;
        scored.await.ok()
    }
}

fn work<F: Format>(
    mut scoring: Scoring<F>,
    jobs: &Receiver<Job>,
    begin: &impl Fn(&mut F, &[u8], Option<i64>),
) -> Result<(), Unsaved> {
    loop {
        match jobs.recv_timeout(scoring.leisure()) {
            Ok(Job { body, hint, done }) => {
                begin(scoring.format_mut(), &body, hint);
                // Whoever asked may have gone; the metrics have been seen all the same.
                let _gone = done.send(score(&mut scoring, &body));
            }
            Err(RecvTimeoutError::Timeout) => scoring.tend(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    info!("{}", scoring.summary());
    if let Some(why) = scoring.why_nothing() {
        info!("NOTICE: {why}");
    }
    scoring.close()
}

fn score<F: Format>(scoring: &mut Scoring<F>, body: &[u8]) -> Scored {
    let before = scoring.counts();
    let mut bytes = Vec::with_capacity(body.len() * 3); // verdicts on everything are twice as long as what they judge
    scoring.whole(body, clock::now(), &mut bytes);
    let malformed = scoring.counts().malformed - before.malformed;
    Scored { bytes, malformed }
}
