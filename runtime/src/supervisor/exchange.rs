//! Two supervisors of the same series, one of which is in shadow, exchange their models.

use std::mem::swap;
use std::time::Duration;

use qualm_contract::{Batch, BatchScorer, Verdicts, Wanted};
use qualm_pipeline::series::SeriesTable;
use qualm_sandbox::thread_time;
use qualm_sandbox::{Guest, Running};

use super::fallback::Previous;
use super::{Supervisor, drop_in_background};

impl Supervisor {
    /// A supervisor in shadow of this one, of a candidate's guest. Where rows are made of the same, it begins with what is known
    /// of the lane's `series`: all of it where they are few; where they are many, what was last saved, a slice at a time.
    pub(crate) fn shadow(&mut self, running: Running, series: &SeriesTable) -> Self {
        let few = self.save_if_few(series);
        let name = format!("{} (in shadow)", self.name);
        let other = Self::new(&name, Some(running), self.explain, self.breaker.backoff());
        let mut other = other.relating(self.related.is_some());
        other.shadows = true;
        other.restore_from(self.snapshots.saved().to_vec());
        if few {
            other.use_budget(series);
        }
        other
    }

    /// Saves all now, as far as there is time for it, if that is little. Whether it is.
    pub(super) fn save_if_few(&mut self, series: &SeriesTable) -> bool {
        let few = self.snapshots.fits_slice(series);
        if few {
            self.use_budget(series);
            self.begin_saving();
            self.use_budget(series);
        }
        few
    }

    /// Scores a batch that has been written, between batches. Its time counts as that of this pause.
    pub(crate) fn score_in_shadow(&mut self, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) {
        let began = thread_time();
        // It never fails.
        let _scored = self.score_batch(rows, wanted, verdicts);
        self.budget.charge(thread_time().saturating_sub(began));
    }

    /// Measures from now on how long batches take, or no longer does.
    pub(crate) fn measure(&mut self, measure: bool) {
        self.worked = measure.then_some(Duration::ZERO);
    }

    /// How long batches took since this was last asked.
    pub(crate) fn take_worked(&mut self) -> Duration {
        self.worked.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Failures so far, of all kinds.
    pub(crate) fn failures(&self) -> u64 {
        self.health.failures.values().sum()
    }

    /// The memory that its guest has now.
    pub(crate) fn memory(&self) -> u64 {
        self.guest.as_ref().map_or(0, Guest::memory) as u64
    }

    /// A model in shadow takes over, with its guest and what that knows; the present one goes on in shadow.
    pub(crate) fn take_over(&mut self, other: &mut Self) {
        self.exchange(other);
        self.health.starts += 1;
        self.health.swaps += 1;
        self.begin_saving();
    }

    /// The model before, which is in shadow, takes its place again.
    pub(crate) fn give_back(&mut self, other: &mut Self) {
        self.exchange(other);
        self.health.fallbacks += 1;
        self.begin_saving();
    }

    fn exchange(&mut self, other: &mut Self) {
        self.update_health();
        other.update_health();
        swap(&mut self.spec, &mut other.spec);
        swap(&mut self.guest, &mut other.guest);
        swap(&mut self.related, &mut other.related);
        swap(&mut self.guest_log, &mut other.guest_log);
        swap(&mut self.fallback, &mut other.fallback);
        self.snapshots.exchange(&mut other.snapshots);
        self.breaker.reset();
        other.breaker.reset();
    }

    /// Keeps the model of one in shadow as the model before, and ends that.
    pub(crate) fn keep_as_previous(&mut self, other: Self) {
        let Self { spec, guest, snapshots, .. } = other;
        self.fallback.replace(spec.map(|spec| Previous { spec, saved: snapshots.saved().to_vec() }));
        guest.into_iter().for_each(drop_in_background);
    }

    /// Ends it.
    pub(crate) fn discard(self) {
        self.guest.into_iter().for_each(drop_in_background);
    }

    /// Whether there is a model before to [go back](Self::roll_back) to.
    pub(crate) fn has_previous(&self) -> bool {
        self.fallback.has_previous()
    }

    /// Goes back to the model before, if there is one: it is started with the next batch, and goes on from what was saved of
    /// it. Whether there is one.
    pub(crate) fn roll_back(&mut self) -> bool {
        let Some(previous) = self.fallback.take() else { return false };
        self.update_health();
        self.guest.take().into_iter().for_each(drop_in_background);
        self.snapshots.cancel();
        self.fall_back(previous);
        true
    }
}
