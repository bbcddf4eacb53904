//! Compares the rows of one model, and keeps them, on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use qualm_contract::Batch;
use qualm_drift::{Entities, EntityReport, Live, Report, State};
use qualm_pipeline::Lane;
use qualm_sandbox::Title;
use tracing::{info, warn};

use super::{DriftSnapshot, DriftView, ModelReference};
use crate::config::Drift;
use crate::retrain::{Keeper, Plan, Trainer};

/// The most values that wait for the thread in a buffer, and how many buffers there are: some 16 MiB together.
const MAX_VALUES: usize = 1 << 20;
const BUFFERS: usize = 2;

/// Rows are passed on as soon as there are so many, or as the first has waited for so long: to wake a thread costs as much as to
/// score a row.
const ENOUGH_ROWS: usize = 256;
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How many features are named in the log.
const MAX_NAMED: usize = 5;

/// Rows that wait for the thread.
#[derive(Debug, Default)]
struct Waiting {
    series: Vec<u32>,
    times: Vec<i64>,
    values: Vec<f64>,
    scores: Vec<f64>,
    /// What series are called that are new, where that matters.
    names: Vec<(u32, String)>,
}

/// The rows of a detector with one model, compared with what that was trained on.
#[derive(Debug)]
pub(crate) struct Monitor {
    title: Arc<Title>,
    features: Arc<[String]>,
    /// What is shown where nothing is compared.
    otherwise: DriftView,
    /// `None` where there is nothing to compare with, and rows are not kept.
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    features: usize,
    full: SyncSender<Waiting>,
    empty: Receiver<Waiting>,
    filling: Waiting,
    /// When the first of them came.
    since: Instant,
    /// Which series have been named, where that matters: rows are kept, or entities looked at.
    named: Option<Vec<bool>>,
    shared: Arc<Shared>,
    thread: JoinHandle<Option<Entities>>,
}

#[derive(Debug)]
struct Shared {
    /// `None` where the model has no reference.
    snapshot: Mutex<Option<Arc<DriftSnapshot>>>,
    /// Rows that were left out.
    skipped: AtomicU64,
    /// Whether a new model is on its way, so that none is trained.
    is_busy: AtomicBool,
}

impl Monitor {
    /// Begins to compare, and to keep rows where there is a plan. `features` are those of the lane. It takes the place of the one
    /// `before`, which keeps rows at the same place: its thread waits for that one's.
    #[must_use]
    pub(crate) fn start(
        before: Option<Self>,
        model: &ModelReference,
        detector: &str,
        features: Vec<String>,
        config: &Drift,
        plan: Option<Plan>,
    ) -> Self {
        let title = Arc::clone(&model.title);
        let otherwise = if config.enabled { DriftView::Unknown } else { DriftView::Off };
        let known =
            model.known.as_ref().filter(|known| config.enabled && known.reference.features.len() == features.len());
        let live = known.map(|known| Live::new(Arc::clone(&known.reference), config.rules(known.window)));
        let features: Arc<[String]> = features.into();
        let count = features.len();
        if live.is_none() && plan.is_none() {
            return Self { title, features, otherwise, worker: None };
        }
        let single = known.filter(|_| config.entities > 0);
        let entities = single.map(|known| Entities::new(count, config.entities, config.rules(known.window)));
        let snapshot = known.zip(live.as_ref()).map(|(known, live)| {
            Arc::new(DriftSnapshot {
                features: Arc::clone(&features),
                report: live.report().clone(),
                entities: Vec::new(),
                window: known.window,
            })
        });
        let shared = Arc::new(Shared {
            snapshot: Mutex::new(snapshot),
            skipped: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
        });
        let named = (plan.is_some() || entities.is_some()).then(Vec::new);
        let mut comparer = Comparer {
            detector: detector.to_owned(),
            title: Arc::clone(&title),
            features: count,
            live,
            entities: None,
            retraining: None,
            shared: Arc::clone(&shared),
        };
        let (version, created) = (title.version, model.created);
        let names = Arc::clone(&features);
        // All that may wait for a disk is done there.
        let run = move |waiting: &Receiver<Waiting>, back: &SyncSender<Waiting>| {
            // Entities are compared with their own rows, whichever model there is.
            let same = before.as_ref().is_some_and(|before| before.features == names);
            let known = before.and_then(Self::finish).filter(|_| same);
            comparer.entities = entities.map(|new| known.unwrap_or(new));
            comparer.retraining = plan.and_then(|plan| Retraining::open(plan, version, created, names.to_vec()));
            comparer.run(waiting, back)
        };
        let (full, waiting) = sync_channel(BUFFERS);
        let (back, empty) = sync_channel(BUFFERS);
        let started = thread::Builder::new().name("qualm-drift".to_owned()).spawn(move || run(&waiting, &back));
        let thread = match started {
            Ok(thread) => thread,
            // Metrics are scored as well without it.
            Err(error) => {
                warn!("detector `{detector}`: no thread can be started ({error}); drift is not looked for");
                return Self { title, features, otherwise, worker: None };
            }
        };
        // One buffer is filled here, the others go round.
        for _ in 1..BUFFERS {
            let _full = full.try_send(Waiting::default());
        }
        let filling = Waiting::default();
        Self {
            title,
            features,
            otherwise,
            worker: Some(Worker {
                features: count,
                full,
                empty,
                filling,
                since: Instant::now(),
                named,
                shared,
                thread,
            }),
        }
    }

    /// Ends it, and waits until kept rows are on disk. Dropped, it ends as well, without anybody waiting for it. The entities that
    /// it looked at.
    pub(crate) fn finish(self) -> Option<Entities> {
        let Worker { full, filling, thread, named, .. } = self.worker?;
        let _full = full.try_send(filling);
        drop(full);
        named.and_then(|_| thread.join().ok()?)
    }

    /// Whether it is of this model.
    #[must_use]
    pub(crate) fn is_of(&self, title: &Arc<Title>) -> bool {
        Arc::ptr_eq(&self.title, title)
    }

    /// Copies the rows of a lane's last batch, and passes them on if there are enough and the thread is idle. It never waits.
    pub(crate) fn record(&mut self, lane: &Lane, scores: &[f64], is_busy: bool) {
        if let Some(worker) = &mut self.worker {
            worker.shared.is_busy.store(is_busy, Ordering::Relaxed);
            worker.record(lane.last_rows().0.batch(), scores, &|series| lane.tags(series));
        }
    }

    /// These series are gone; their numbers may come to mean others.
    pub(crate) fn forget_series(&mut self, series: &[u32]) {
        let Some(named) = self.worker.as_mut().and_then(|worker| worker.named.as_mut()) else { return };
        for number in series {
            if let Some(named) = named.get_mut(*number as usize) {
                *named = false;
            }
        }
    }

    /// What was found.
    #[must_use]
    pub(crate) fn view(&self) -> DriftView {
        let known = |worker: &Worker| worker.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.worker.as_ref().and_then(known).map_or_else(|| self.otherwise.clone(), DriftView::Known)
    }

    /// Rows that were left out because the thread lagged behind.
    #[must_use]
    pub(crate) fn skipped(&self) -> u64 {
        self.worker.as_ref().map_or(0, |worker| worker.shared.skipped.load(Ordering::Relaxed))
    }
}

impl Worker {
    fn record<'a>(&mut self, rows: Batch<'_>, scores: &[f64], tags: &dyn Fn(u32) -> &'a [u8]) {
        let Self { features, filling, since, named, shared, .. } = self;
        if filling.times.is_empty() {
            *since = Instant::now();
        }
        let fits = filling.values.len() + rows.values.len() <= MAX_VALUES;
        if fits && rows.values.len() == rows.len() * *features && scores.len() == rows.len() {
            if let Some(named) = named {
                name_new(named, rows.series, tags, &mut filling.names);
                filling.series.extend_from_slice(rows.series);
            }
            filling.times.extend_from_slice(rows.times);
            filling.values.extend_from_slice(rows.values);
            filling.scores.extend_from_slice(scores);
        } else {
            shared.skipped.fetch_add(rows.len() as u64, Ordering::Relaxed);
        }
        if filling.times.len() >= ENOUGH_ROWS || since.elapsed() >= MAX_WAIT {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let Self { full, empty, filling, .. } = self;
        // While the thread is at work, more is filled into the same.
        if !filling.times.is_empty()
            && let Ok(next) = empty.try_recv()
            && let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) =
                full.try_send(std::mem::replace(filling, next))
        {
            *filling = back;
        }
    }
}

/// Notes what series are called that are new.
fn name_new<'a>(named: &mut Vec<bool>, series: &[u32], tags: &dyn Fn(u32) -> &'a [u8], names: &mut Vec<(u32, String)>) {
    for number in series {
        let at = *number as usize;
        if at >= named.len() {
            named.resize(at + 1, false);
        }
        if !std::mem::replace(&mut named[at], true) {
            let tags = String::from_utf8_lossy(tags(*number)).trim_start_matches(',').to_owned();
            names.push((*number, tags));
        }
    }
}

/// Rows on disk, and trainings with them.
struct Retraining {
    keeper: Keeper,
    trainer: Trainer,
}

impl Retraining {
    fn open(plan: Plan, version: u64, created: SystemTime, features: Vec<String>) -> Option<Self> {
        let keeper = Keeper::open(&plan, features)
            .inspect_err(|error| {
                let (detector, rows) = (&plan.detector, plan.rows());
                warn!("detector `{detector}`: {}: {error}; its model is not trained again", rows.display());
            })
            .ok()?;
        Some(Self { keeper, trainer: Trainer::new(plan, version, created) })
    }

    fn keep(&mut self, rows: &mut Waiting) {
        for (series, name) in rows.names.drain(..) {
            self.keeper.name(series, name);
        }
        self.keeper.keep(&rows.series, &rows.times, &rows.values, &rows.scores);
    }

    fn train_if_due(&mut self, report: Option<&Report>) {
        let drifts = report.is_some_and(|report| report.features_drift() || report.scores_drift());
        let alarms = report.is_some_and(|report| report.alarm_rate.drifted);
        if let Some(reason) = self.trainer.due(drifts, alarms, SystemTime::now()) {
            self.keeper.flush();
            self.trainer.start(reason);
        }
    }
}

/// What the thread does.
struct Comparer {
    detector: String,
    title: Arc<Title>,
    features: usize,
    live: Option<Live>,
    entities: Option<Entities>,
    retraining: Option<Retraining>,
    shared: Arc<Shared>,
}

impl Comparer {
    /// Until nothing comes any more. The entities that were looked at.
    fn run(mut self, waiting: &Receiver<Waiting>, back: &SyncSender<Waiting>) -> Option<Entities> {
        while let Ok(mut rows) = waiting.recv() {
            self.compare(&rows);
            if let Some(retraining) = &mut self.retraining {
                retraining.keep(&mut rows);
                if !self.shared.is_busy.load(Ordering::Relaxed) {
                    retraining.train_if_due(self.live.as_ref().map(Live::report));
                }
            }
            let Waiting { series, times, values, scores, names } = &mut rows;
            series.clear();
            times.clear();
            values.clear();
            scores.clear();
            names.clear();
            // Nobody takes it back any more, though more may come.
            let _ended = back.try_send(rows);
        }
        self.entities
    }

    fn compare(&mut self, rows: &Waiting) {
        let Some(live) = &mut self.live else { return };
        let before = live.report().state;
        let mut is_new = false;
        if let Some(entities) = &mut self.entities {
            rows.names.iter().for_each(|(series, name)| entities.name(*series, name));
            for ((series, time), values) in
                rows.series.iter().zip(&rows.times).zip(rows.values.chunks_exact(self.features))
            {
                is_new |= entities.observe(*series, *time, values);
            }
        }
        for ((time, values), score) in rows.times.iter().zip(rows.values.chunks_exact(self.features)).zip(&rows.scores)
        {
            is_new |= live.observe(*time, values, *score);
        }
        if is_new {
            let report = live.report().clone();
            let entities = self.entities.as_ref().map(Entities::reports).unwrap_or_default();
            self.show(before, report, entities);
        }
    }

    /// Shows what was found, and logs whether drift has begun or ended.
    fn show(&self, before: State, report: Report, entities: Vec<EntityReport>) {
        let mut shown = self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = shown.clone() else { return };
        let new = Arc::new(DriftSnapshot { features: Arc::clone(&old.features), report, entities, window: old.window });
        *shown = Some(Arc::clone(&new));
        drop(shown);
        self.log_entities(&old, &new);
        let Self { detector, title, .. } = self;
        match (before, new.report.state) {
            (State::Drifting, State::None) => {
                info!("detector `{detector}`: its metrics look again as when {title} was trained");
            }
            (State::Learning | State::None, State::Drifting) => {
                warn!("detector `{detector}`: {} since {title} was trained; retrain it", what_drifts(&new));
            }
            _ => {}
        }
    }
}

impl Comparer {
    /// Logs which entities have begun to drift, and which no longer do.
    fn log_entities(&self, old: &DriftSnapshot, new: &DriftSnapshot) {
        let drifted = |snapshot: &DriftSnapshot, name: &str| {
            snapshot.entities.iter().any(|one| one.name == name && one.state == State::Drifting)
        };
        let Self { detector, .. } = self;
        for EntityReport { name, state, drifted: features } in &new.entities {
            let shown = qualm_system::untrusted::visible(name);
            match (drifted(old, name), *state) {
                (false, State::Drifting) => {
                    let names = features.iter().filter_map(|at| new.features.get(*at)).map(String::as_str);
                    let what = listed(&names.collect::<Vec<_>>()).join(", ");
                    warn!("detector `{detector}`: {shown} is no longer as it was in its first days: {what}");
                }
                (true, State::None) => info!("detector `{detector}`: {shown} is again as it was in its first days"),
                _ => {}
            }
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
    let mut what = listed(&drifted);
    if report.scores_drift() {
        what.push("its scores".to_owned());
    }
    if report.alarm_rate.drifted {
        what.push("its rate of alarms".to_owned());
    }
    let verb = if what.len() == 1 && drifted.len() == 1 { "has" } else { "have" };
    format!("{} {verb} changed", what.join(", "))
}

/// The names of some features, the first of them.
fn listed(features: &[&str]) -> Vec<String> {
    let named = features.iter().take(MAX_NAMED).map(|name| format!("`{}`", qualm_system::untrusted::visible(name)));
    let more = features.len().saturating_sub(MAX_NAMED);
    named.chain((more > 0).then(|| format!("{more} more features"))).collect()
}

#[cfg(test)]
mod tests;
