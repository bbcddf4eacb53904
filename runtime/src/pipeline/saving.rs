//! State is saved and restored in slices between batches, and as a whole at the start and the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_pipeline::{Format, SeriesSnapshot};
use tracing::info;

use super::Pipeline;
use super::ensemble::{Ensemble, Member};
use crate::clock;
use crate::config;
use crate::state::Saved;
use crate::supervisor::Supervisor;

/// The time limit for saving or restoring all state at the start or end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

impl<F: Format> Pipeline<F> {
    /// Whether some of the saved state could not be used.
    #[must_use]
    pub fn lost_state(&self) -> bool {
        self.supervisors().any(Supervisor::lost_state)
    }

    /// Saves all state without a time limit, where nothing waits.
    pub fn snapshot(&mut self) -> Saved {
        self.finish_pending();
        self.supervisors_mut().for_each(Supervisor::begin_saving);
        self.finish_pending();
        self.saved()
    }

    /// Finishes saving and restoring.
    pub(super) fn finish_pending(&mut self) {
        while self.is_busy() {
            self.supervisors_mut().for_each(Supervisor::start_pause);
            self.save_or_restore_slices();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut members = self.ensembles.iter().flat_map(Ensemble::members);
        members.any(|member| member.supervisor.is_busy() || member.rollout.is_busy())
    }

    pub(super) fn save_or_restore_slices(&mut self) {
        for (ensemble, lane) in self.ensembles.iter_mut().zip(self.inner.lanes()) {
            for Member { supervisor, rollout, .. } in ensemble.members_mut() {
                supervisor.save_or_restore_slice(lane.series());
                if let Some(other) = rollout.other_mut() {
                    other.save_or_restore_slice(lane.series());
                }
            }
        }
    }

    /// Saves or restores all within a time limit. After it, the rest is restored between batches, or not saved again.
    pub(super) fn finish_slices(&mut self) {
        let end = Instant::now() + FINISH_TIMEOUT;
        while self.is_busy() && Instant::now() < end {
            self.supervisors_mut().for_each(Supervisor::start_pause);
            self.save_or_restore_slices();
        }
    }

    pub(super) fn saved(&self) -> Saved {
        let detectors = self.supervisors().map(|one| (one.name().to_owned(), one.saved().to_vec()));
        let lanes =
            self.own.iter().zip(self.inner.lanes()).map(|(own, lane)| (incidents_of(own), lane.save_incidents()));
        let format = (COUNTERS.to_owned(), self.inner.format().save_snapshot(clock::now()));
        let own = lanes.chain([format]).filter(|(_, snapshot)| !snapshot.identities.is_empty());
        detectors.chain(own.map(|(name, snapshot)| (name, vec![Arc::new(snapshot)]))).collect()
    }

    pub(super) fn restore(&mut self, saved: &Saved) {
        for (ensemble, lane) in self.ensembles.iter_mut().zip(self.inner.lanes_mut()) {
            let series = lane.series_mut();
            for Member { supervisor, .. } in ensemble.members_mut() {
                let own = saved.iter().filter(|(name, _)| name == supervisor.name());
                let slices: Vec<_> = own.flat_map(|(_, slices)| slices).map(Arc::clone).collect();
                let known = slices.iter().flat_map(|slice| slice.identities.iter().zip(&slice.ages));
                for (&identity, &age) in known.filter(|(identity, _)| **identity != SeriesSnapshot::SUPERSEDED) {
                    series.restore_series(identity, i64::from(age) * 1_000_000_000);
                }
                supervisor.restore_from(slices);
            }
        }
        for (own, lane) in self.own.iter().zip(self.inner.lanes_mut()) {
            snapshots(saved, &incidents_of(own)).for_each(|snapshot| lane.restore_incidents(snapshot));
        }
        snapshots(saved, COUNTERS).for_each(|snapshot| self.inner.format_mut().restore_snapshot(snapshot));
        self.finish_slices();
        info!("goes on with the state of {} series", self.series());
    }
}

/// The name of the state of counters in a state file. No detector can have it.
const COUNTERS: &str = "\0counters";

/// The name of the incidents of a detector's series.
fn incidents_of(detector: &config::Detector) -> String {
    format!("\0incidents of {}", detector.name)
}

/// What was saved under this name. A series that another process saw later is marked as superseded.
fn snapshots<'a>(saved: &'a Saved, name: &'a str) -> impl Iterator<Item = &'a SeriesSnapshot> {
    saved.iter().filter(move |(of, _)| of == name).flat_map(|(_, slices)| slices).map(|slice| &**slice)
}
