//! A scorer that never fails, made of guests that may.
//!
//! A batch that a guest fails at passes unscored. The guest is started again for the next one, and goes on from its last
//! snapshot; where it fails time and again it is not started again for a while.
//!
//! - `ability`: what a detector can that not all can;
//! - `breaker`: when a guest is not started again for a while;
//! - `budget`: how long it may work between two batches, and for a batch;
//! - `snapshot`: what is saved of it and restored, a slice at a time;
//! - `retired`: dropping guests that failed, beside the pipeline;
//! - `fallback`: the model before, for where a new one fails;
//! - `exchange`: a model in shadow takes over, and the present one goes on in shadow;
//! - `related`: which series it knows to be siblings;
//! - `logging`: what the log has of it; `health`: what metrics have.

mod ability;
mod breaker;
mod budget;
mod exchange;
mod fallback;
mod health;
mod logging;
mod related;
mod retired;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::SeriesSnapshot;
use qualm_pipeline::series::SeriesTable;
use qualm_sandbox::{DetectorSpec, Failure, Guest, Limits, RetiredStore, Running, Title, thread_time};
use tracing::{info, warn};

pub(crate) use self::ability::Ability;
pub use self::breaker::Backoff;
use self::breaker::{Breaker, FAILURES_TO_OPEN};
use self::budget::Budget;
use self::fallback::{Fallback, Previous};
pub use self::health::{Health, Mode};
use self::logging::{FailureLog, LogCount};
use self::related::Related;
use self::retired::Reaper;
pub(crate) use self::retired::drop_in_background;
use self::snapshot::{SLICE_TIME, Snapshotter};

/// A detector whose guest is started again whenever it fails.
#[derive(Debug)]
pub struct Supervisor {
    name: String,
    /// How to start the guest; none where there is no model as yet, and nothing is scored.
    spec: Option<DetectorSpec>,
    guest: Option<Guest>,
    /// Whether anomalies are explained, even where no rule needs it.
    explain: bool,
    /// Which series the guest knows to be siblings, where it is to know.
    related: Option<Related>,
    breaker: Breaker,
    budget: Budget,
    snapshots: Snapshotter,
    reaper: Reaper,
    fallback: Fallback,
    failure_log: FailureLog,
    guest_log: LogCount,
    health: Health,
    /// Whether its scores go nowhere: then its failures cost no metric anything.
    shadows: bool,
    /// How long batches took since this was last asked, if that is measured.
    worked: Option<Duration>,
}

impl Supervisor {
    /// A detector that runs already; where there is none, one that scores nothing until it is [given one](Self::swap).
    #[must_use]
    pub fn new(name: &str, running: Option<Running>, explain: bool, backoff: Backoff) -> Self {
        let (spec, guest) = running.map(Running::into_parts).unzip();
        Self::of(name, spec, guest, explain, backoff)
    }

    /// One that did not start: that is tried again, as after a failure.
    #[must_use]
    pub fn not_started(name: &str, spec: DetectorSpec, explain: bool, backoff: Backoff) -> Self {
        let breaker = Breaker::open(backoff, Instant::now());
        Self { breaker, ..Self::of(name, Some(spec), None, explain, backoff) }
    }

    fn of(name: &str, spec: Option<DetectorSpec>, guest: Option<Guest>, explain: bool, backoff: Backoff) -> Self {
        Self {
            name: name.to_owned(),
            snapshots: Snapshotter::new(name, spec.as_ref()),
            spec,
            guest,
            explain,
            related: None,
            breaker: Breaker::new(backoff),
            budget: Budget::default(),
            reaper: Reaper::default(),
            fallback: Fallback::default(),
            failure_log: FailureLog::default(),
            guest_log: LogCount::new(),
            health: Health { starts: 1, ..Health::default() },
            shadows: false,
            worked: None,
        }
    }

    /// The same detector, whose guest is to know which series are siblings, or not.
    #[must_use]
    pub fn relating(mut self, relates: bool) -> Self {
        self.related = relates.then(Related::default);
        self
    }

    /// Puts another model's guest, which runs already, in the place of this one: between two batches, and without waiting
    /// for anything. Where rows are made of the same as before, it is given the lane's `series` and takes over what is known
    /// of them: all of it where they are few; where they are many, what was last saved, a slice at a time.
    pub fn swap(&mut self, running: Running, series: Option<&SeriesTable>) {
        let few = series.filter(|series| self.save_if_few(series));
        let (spec, guest) = running.into_parts();
        self.update_health();
        self.guest_log = LogCount::new();
        self.snapshots.change_model(&spec);
        let previous = self.spec.replace(spec).filter(|_| series.is_some());
        self.fallback.replace(previous.map(|spec| Previous { spec, saved: self.snapshots.saved().to_vec() }));
        if series.is_none() {
            self.snapshots.set_saved(Vec::new());
        }
        self.health.starts += 1;
        self.health.swaps += 1;
        self.breaker.reset();
        if let Some(old) = self.guest.replace(guest) {
            drop_in_background(old);
        }
        self.begin_guest();
        if let Some(series) = few {
            self.use_budget(series);
        }
    }

    /// Goes back to having no model.
    pub fn remove_model(&mut self) {
        self.spec = None;
        self.guest = None;
        self.snapshots.cancel();
    }

    /// Ends what is under way, as far as there is time for it now.
    fn use_budget(&mut self, series: &SeriesTable) {
        while self.is_busy() && self.guest.is_some() && self.remaining_budget() >= SLICE_TIME {
            self.save_or_restore_slice(series);
        }
    }

    /// Counts what the guests have written and taken.
    fn update_health(&mut self) {
        let memory = self.guest.as_ref().map_or(0, Guest::memory);
        self.health.memory = self.health.memory.max(memory as u64);
        if let Some(spec) = &self.spec {
            let new = self.guest_log.take_new(spec.log());
            self.health.lines_written += new.written;
            self.health.lines_dropped += new.dropped;
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its model is called, where that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.spec.as_ref()?.title()
    }

    /// Whether it scores.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.spec.is_none() {
            Mode::Waiting
        } else if self.breaker.is_open() {
            Mode::Resting
        } else {
            Mode::Scoring
        }
    }

    /// The model that failed and gave way to the one before, where that happened since somebody last asked.
    pub fn take_fallback(&mut self) -> Option<Arc<Title>> {
        self.fallback.take_failed()
    }

    /// What became of its batches.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Begins to save all that the guest knows, unless something is under way.
    pub fn begin_saving(&mut self) {
        if self.guest.is_some() {
            self.snapshots.begin_saving();
        }
    }

    /// Whether saving or restoring is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.snapshots.is_busy()
    }

    /// What was saved last.
    #[must_use]
    pub fn saved(&self) -> &[Arc<SeriesSnapshot>] {
        self.snapshots.saved()
    }

    /// Whether some of what was saved could not be used, and is not in [`saved`](Self::saved) any more.
    #[must_use]
    pub fn lost_state(&self) -> bool {
        self.snapshots.lost_state()
    }

    /// Takes over what an earlier run saved, and begins to restore it.
    pub fn restore_from(&mut self, saved: Vec<Arc<SeriesSnapshot>>) {
        self.snapshots.set_saved(saved);
        self.snapshots.cancel();
        // Without a guest there is none to restore it in: that is done once there is one.
        if self.guest.is_some() {
            self.snapshots.begin_restoring();
        }
    }

    /// Saves or restores one slice, where either is under way and there is time for it before the next batch. `series` are
    /// the lane's.
    pub fn save_or_restore_slice(&mut self, series: &SeriesTable) {
        let remaining = self.remaining_budget();
        let too_little = remaining < SLICE_TIME.min(self.deadline() / 4);
        let Self { spec: Some(spec), guest: Some(guest), snapshots, budget, .. } = self else { return };
        if !snapshots.is_busy() || too_little {
            return;
        }
        guest.set_deadline(remaining);
        let (result, took) = budget.spend(|| snapshots.advance(guest, spec.limits().memory, series));
        snapshots.resize(took);
        if let Err(failure) = result {
            self.record_failure(&failure, Instant::now());
        }
        self.update_health();
    }

    /// Begins a pause between batches: no batch waited when it began.
    pub fn start_pause(&mut self) {
        self.budget.refill();
    }

    /// How long the guest may still work before the next batch. That and the batch together take no longer than a batch may.
    fn remaining_budget(&self) -> Duration {
        self.budget.between_batches(self.deadline())
    }

    fn deadline(&self) -> Duration {
        self.spec.as_ref().map_or(Duration::ZERO, |spec| spec.limits().deadline)
    }

    /// Starts the guest again if it failed before and may be started, and gives it as much time as is left for a batch.
    fn ensure_started(&mut self, now: Instant) {
        let deadline = self.deadline();
        if self.guest.is_none() && self.breaker.allows(now) && self.reaper.is_idle() {
            let Some(spec) = &self.spec else { return };
            let deadline = self.budget.for_batch(deadline);
            let spec = spec.with_limits(Limits { deadline, ..spec.limits() });
            self.health.starts += 1;
            let (started, _) = self.budget.spend(|| Guest::try_start(&spec));
            match started {
                Ok(guest) => {
                    self.guest = Some(guest);
                    self.begin_guest();
                }
                Err((failure, store)) => {
                    self.retire(store);
                    self.record_failure(&failure, now);
                }
            }
        }
        if let Some(guest) = &mut self.guest {
            guest.set_deadline(self.budget.for_batch(deadline));
        }
    }

    /// The guest is a new one: it knows nothing yet.
    fn begin_guest(&mut self) {
        if let Some(related) = &mut self.related {
            related.clear();
        }
        self.snapshots.begin_restoring();
    }

    /// Has the guest score these rows, where there is one or it may be started.
    fn try_score(
        &mut self,
        rows: Batch<'_>,
        wanted: Wanted,
        now: Instant,
        verdicts: &mut Verdicts,
    ) -> Option<Result<(), Failure>> {
        self.ensure_started(now);
        let Self { related, guest: Some(guest), explain, .. } = self else { return None };
        let total = guest.begin_batch(rows);
        if let Some(related) = related {
            let (series, groups) = related.take_unknown();
            match guest.relate_series_within(&total, series, groups) {
                Ok(sent) if sent < series.len() => {
                    related.keep_passed_on(sent);
                    return Some(Err(Failure::Slow { rows: rows.len(), scored: 0, limit: total.limit() }));
                }
                Ok(_) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        let wanted = Wanted { contributions: *explain || wanted.contributions, ..wanted };
        Some(guest.score_within(&total, rows, wanted, verdicts))
    }

    /// As [`BatchScorer::score_batch`], at this time. It never fails: rows that are not scored have no score.
    fn score_at(&mut self, now: Instant, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) {
        let began = self.worked.is_some().then(thread_time);
        let scored = self.try_score(rows, wanted, now, verdicts);
        if let (Some(began), Some(worked)) = (began, &mut self.worked) {
            *worked += thread_time().saturating_sub(began);
        }
        self.start_pause();
        self.update_health();
        self.health.unscored += (rows.len() - verdicts.scores.len()) as u64;
        verdicts.pad_unscored(rows.len(), rows.features());
        match scored {
            Some(Ok(())) => self.record_success(now),
            Some(Err(failure)) if !self.is_plugin() && matches!(failure, Failure::Slow { .. }) => {
                self.record_slow(&failure, now);
            }
            Some(Err(failure)) => self.record_failure(&failure, now),
            None => {}
        }
    }

    /// Gives back the memory of a guest that is of no more use.
    fn retire(&mut self, store: RetiredStore) {
        self.health.memory = self.health.memory.max(store.memory() as u64);
        self.reaper.reap(store);
    }

    fn record_failure(&mut self, failure: &Failure, now: Instant) {
        let kind = failure.name();
        if let Some(guest) = self.guest.take() {
            self.retire(guest.retire());
        }
        self.snapshots.cancel();
        *self.health.failures.entry(kind).or_default() += 1;
        let opened = self.breaker.record_failure(now);
        if self.shadows {
            return; // what that means is for the rules of the rollout to say
        }
        if self.failure_log.is_due(kind, now) {
            warn!("detector `{}` failed: {failure}; its metrics pass unscored until it works again", self.name);
        }
        let Some(backoff) = opened else { return };
        if let Some(previous) = self.fallback.take() {
            warn!(
                "detector `{}` failed {FAILURES_TO_OPEN} times in short order; it goes back to the model before",
                self.name
            );
            self.fall_back(previous);
            return;
        }
        self.health.rests += 1;
        if self.failure_log.is_due("rest", now) {
            warn!(
                "detector `{}` failed {FAILURES_TO_OPEN} times in short order and is left alone for {backoff:?}",
                self.name
            );
        }
    }

    /// Puts the model before in the place of the one that failed. Its guest is started with the next batch.
    fn fall_back(&mut self, Previous { spec, saved }: Previous) {
        self.update_health();
        self.guest_log = LogCount::resumed(spec.log());
        self.snapshots.change_model(&spec);
        self.snapshots.set_saved(saved);
        let failed = self.spec.replace(spec);
        self.fallback.note_failed(failed.and_then(|failed| failed.title().cloned()));
        self.breaker.reset();
        self.health.fallbacks += 1;
    }

    /// It scores, but not all that comes. For the breaker that is no failure: what is built in takes no longer than it may.
    fn record_slow(&mut self, failure: &Failure, now: Instant) {
        *self.health.failures.entry(failure.name()).or_default() += 1;
        if !self.shadows && self.failure_log.is_due(failure.name(), now) {
            warn!("detector `{}` lags behind: {failure}; the others pass unscored", self.name);
        }
        self.record_success(now);
    }

    fn record_success(&mut self, now: Instant) {
        self.health.batches += 1;
        if self.breaker.record_success(now) && !self.shadows {
            info!("detector `{}` works again", self.name);
        }
    }

    fn is_plugin(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.component_info().is_some())
    }
}

impl BatchScorer for Supervisor {
    fn score_batch(&mut self, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        self.score_at(Instant::now(), rows, wanted, verdicts);
        Ok(())
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        if let Some(related) = &mut self.related {
            related.set_batch(series, groups);
        }
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        if let Some(related) = &mut self.related {
            related.forget_series(series);
        }
        // A guest that has used up its time may still forget: series' numbers come to mean others.
        let time = self.remaining_budget().max(SLICE_TIME);
        if let Self { guest: Some(guest), budget, .. } = self {
            guest.set_deadline(time);
            let (result, _) = budget.spend(|| guest.forget_series(series));
            if let Err(failure) = result {
                self.record_failure(&failure, Instant::now());
            }
        }
        self.update_health();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
