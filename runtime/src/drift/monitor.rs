//! Compares the rows of one model, on a thread of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use qualm_contract::Batch;
use qualm_drift::{Live, State};
use qualm_sandbox::Title;
use tracing::{info, warn};

use super::{DriftSnapshot, DriftView, ModelReference};
use crate::config::Drift;

/// The most values that wait for the thread in a buffer, and how many buffers there are: 16 MiB together.
const MAX_VALUES: usize = 1 << 20;
const BUFFERS: usize = 2;

/// How many features are named in the log.
const MAX_NAMED: usize = 5;

/// Rows that wait for the thread.
#[derive(Debug, Default)]
struct Waiting {
    times: Vec<i64>,
    values: Vec<f64>,
    scores: Vec<f64>,
}

/// The rows of a detector with one model, compared with what that was trained on.
#[derive(Debug)]
pub(crate) struct Monitor {
    title: Arc<Title>,
    /// `None` where the model has no reference.
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    features: usize,
    full: SyncSender<Waiting>,
    empty: Receiver<Waiting>,
    /// What is filled; `None` while the thread has all buffers.
    filling: Option<Waiting>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    snapshot: Mutex<Arc<DriftSnapshot>>,
    /// Rows that were left out.
    skipped: AtomicU64,
}

impl Monitor {
    /// Begins to compare. `features` are those of the lane.
    #[must_use]
    pub(crate) fn start(detector: &str, model: &ModelReference, features: &[String], config: &Drift) -> Self {
        let title = Arc::clone(&model.title);
        let known = model.known.as_ref().filter(|known| known.reference.features.len() == features.len());
        let Some(known) = known else { return Self { title, worker: None } };
        let live = Live::new(Arc::clone(&known.reference), config.rules(known.window));
        let (features, report, window) = (features.into(), live.report().clone(), known.window);
        let snapshot = Arc::new(DriftSnapshot { features, report, window });
        let shared = Arc::new(Shared { snapshot: Mutex::new(Arc::clone(&snapshot)), skipped: AtomicU64::new(0) });
        let (full, waiting) = sync_channel(BUFFERS);
        let (back, empty) = sync_channel(BUFFERS);
        let comparer = Comparer { detector: detector.to_owned(), title: Arc::clone(&title), live, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name("qualm-drift".to_owned());
        let started = thread.spawn(move || comparer.run(&waiting, &back));
        // It ends by itself once nobody sends any more. Without it metrics are scored as well.
        if let Err(error) = started {
            warn!("detector `{detector}`: no thread can be started ({error}); drift is not looked for");
            return Self { title, worker: None };
        }
        let filling = Some(Waiting::default());
        let features = snapshot.features.len();
        let worker = Worker { features, full, empty, filling, shared };
        // One buffer is filled here, the others go round.
        for _ in 1..BUFFERS {
            let _full = worker.full.try_send(Waiting::default());
        }
        Self { title, worker: Some(worker) }
    }

    /// Whether it is of this model.
    #[must_use]
    pub(crate) fn is_of(&self, title: &Arc<Title>) -> bool {
        Arc::ptr_eq(&self.title, title)
    }

    /// Copies the rows of a batch, and passes them on if the thread is idle. It never waits.
    pub(crate) fn record(&mut self, rows: Batch<'_>, scores: &[f64]) {
        let Some(worker) = &mut self.worker else { return };
        let Worker { features, full, empty, filling, shared } = worker;
        if filling.is_none() {
            *filling = empty.try_recv().ok();
        }
        let fits = filling.as_ref().is_some_and(|waiting| waiting.values.len() + rows.values.len() <= MAX_VALUES);
        let Some(mut waiting) = filling.take().filter(|_| rows.values.len() == rows.len() * *features) else { return };
        if fits && scores.len() == rows.len() {
            waiting.times.extend_from_slice(rows.times);
            waiting.values.extend_from_slice(rows.values);
            waiting.scores.extend_from_slice(scores);
        } else {
            shared.skipped.fetch_add(rows.len() as u64, Ordering::Relaxed);
        }
        // While the thread is at work, more is filled into the same.
        if !waiting.times.is_empty()
            && let Ok(next) = empty.try_recv()
        {
            match full.try_send(waiting) {
                Ok(()) => waiting = next,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => waiting = back,
            }
        }
        *filling = Some(waiting);
    }

    /// What was found.
    #[must_use]
    pub(crate) fn view(&self) -> DriftView {
        let Some(Worker { shared, .. }) = &self.worker else { return DriftView::Unknown };
        DriftView::Known(Arc::clone(&shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Rows that were left out because the thread lagged behind.
    #[must_use]
    pub(crate) fn skipped(&self) -> u64 {
        self.worker.as_ref().map_or(0, |worker| worker.shared.skipped.load(Ordering::Relaxed))
    }
}

/// What the thread does.
struct Comparer {
    detector: String,
    title: Arc<Title>,
    live: Live,
    shared: Arc<Shared>,
}

impl Comparer {
    fn run(mut self, waiting: &Receiver<Waiting>, back: &SyncSender<Waiting>) {
        let features = self.live.reference().features.len();
        while let Ok(mut rows) = waiting.recv() {
            let before = self.live.report().state;
            let mut is_new = false;
            for ((time, values), score) in rows.times.iter().zip(rows.values.chunks_exact(features)).zip(&rows.scores) {
                is_new |= self.live.observe(*time, values, *score);
            }
            if is_new {
                self.show(before);
            }
            let Waiting { times, values, scores } = &mut rows;
            (times.clear(), values.clear(), scores.clear());
            if back.try_send(rows).is_err() {
                return;
            }
        }
    }

    /// Shows what was found, and logs whether drift has begun or ended.
    fn show(&self, before: State) {
        let report = self.live.report();
        let mut snapshot = self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let (features, window) = (Arc::clone(&snapshot.features), snapshot.window);
        let new = Arc::new(DriftSnapshot { features, report: report.clone(), window });
        *snapshot = Arc::clone(&new);
        drop(snapshot);
        let Self { detector, title, .. } = self;
        match (before, report.state) {
            (State::Drifting, State::None) => info!("detector `{detector}`: its metrics look again as when {title} was trained"),
            (State::Learning | State::None, State::Drifting) => {
                warn!("detector `{detector}`: {} since {title} was trained; retrain it", what_drifts(&new));
            }
            _ => {}
        }
    }
}

/// What drifts, for the log.
fn what_drifts(snapshot: &DriftSnapshot) -> String {
    let DriftSnapshot { features, report, .. } = snapshot;
    let drifted: Vec<&str> = (features.iter().zip(&report.features))
        .filter(|(_, report)| report.drifted)
        .map(|(name, _)| name.as_str())
        .collect();
    let mut what: Vec<String> =
        drifted.iter().take(MAX_NAMED).map(|name| format!("`{}`", qualm_system::untrusted::visible(name))).collect();
    if drifted.len() > MAX_NAMED {
        what.push(format!("{} more features", drifted.len() - MAX_NAMED));
    }
    if report.score.drifted || report.error_median.drifted || report.error_p95.drifted {
        what.push("its scores".to_owned());
    }
    if report.alarm_rate.drifted {
        what.push("its rate of alarms".to_owned());
    }
    let verb = if what.len() == 1 && drifted.len() == 1 { "has" } else { "have" };
    format!("{} {verb} changed", what.join(", "))
}

#[cfg(test)]
mod tests;
