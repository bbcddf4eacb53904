//! Saving what a guest knows, and restoring it in another: a slice of its series at a time, between batches.

use std::sync::Arc;
use std::time::Duration;

use qualm_pipeline::SeriesSnapshot;
use qualm_pipeline::series::SeriesTable;
use tracing::warn;

use qualm_sandbox::{DetectorSpec, Failure, Guest};

/// Series of a slice at most: a third of a millisecond's work for what is built in.
const MAX_SLICE_SERIES: u32 = 4096;

/// Series of a plugin's first slice: it is not known yet how long it takes.
const FIRST_PLUGIN_SLICE: u32 = 64;

/// How long saving a slice may take; the next one is smaller then, as long as that helps.
pub(super) const SLICE_TIME: Duration = Duration::from_millis(4);

/// What is done between batches, a slice at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    None,
    /// The next slice to save, and the first series in it.
    Save {
        slice: usize,
        first: u32,
    },
    /// The next slice to restore.
    Restore(usize),
}

/// Keeps the last snapshot of a detector, and saves and restores a slice at a time.
#[derive(Debug)]
pub(super) struct Snapshotter {
    /// The detector's name, for the log.
    detector: String,
    /// The last whole snapshot.
    saved: Vec<Arc<SeriesSnapshot>>,
    /// What the save under way has so far: it takes the place of `saved` when it is whole.
    partial: Vec<Arc<SeriesSnapshot>>,
    /// Bytes of state in it.
    partial_bytes: usize,
    task: Task,
    size: SliceSize,
    /// Some of what was saved could not be restored.
    lost_state: bool,
}

impl Snapshotter {
    /// With nothing saved, for a guest of this recipe.
    pub(super) fn new(detector: &str, spec: Option<&DetectorSpec>) -> Self {
        Self {
            detector: detector.to_owned(),
            saved: Vec::new(),
            partial: Vec::new(),
            partial_bytes: 0,
            task: Task::None,
            size: SliceSize::new(spec),
            lost_state: false,
        }
    }

    /// Another model's guests are saved and restored from now on.
    pub(super) fn change_model(&mut self, spec: &DetectorSpec) {
        self.size = SliceSize::new(Some(spec));
    }

    /// Exchanges all but the names with another.
    pub(super) fn exchange(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.detector, &mut other.detector);
    }

    /// Whether all these series fit the next slice.
    pub(super) fn fits_slice(&self, series: &SeriesTable) -> bool {
        series.numbers() <= self.size.series
    }

    /// The last whole snapshot.
    pub(super) fn saved(&self) -> &[Arc<SeriesSnapshot>] {
        &self.saved
    }

    /// Puts another snapshot in its place.
    pub(super) fn set_saved(&mut self, saved: Vec<Arc<SeriesSnapshot>>) {
        self.saved = saved;
    }

    /// Whether some of what was saved could not be restored, and is not in [`saved`](Self::saved) any more.
    pub(super) fn lost_state(&self) -> bool {
        self.lost_state
    }

    /// Whether saving or restoring is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.task != Task::None
    }

    /// Begins to save all, unless something is under way.
    pub(super) fn begin_saving(&mut self) {
        if self.task == Task::None {
            self.task = Task::Save { slice: 0, first: 0 };
        }
    }

    /// Begins to restore all.
    pub(super) fn begin_restoring(&mut self) {
        self.task = Task::Restore(0);
    }

    /// Ends what is under way as it is.
    pub(super) fn cancel(&mut self) {
        self.task = Task::None;
    }

    /// Saves or restores one slice. All slices of a snapshot together have so many bytes at most: the host keeps no more than
    /// the guest may have. A slice that cannot be restored is given up: it would fail each time the guest is started.
    ///
    /// # Errors
    ///
    /// Where the guest is of no more use.
    pub(super) fn advance(&mut self, guest: &mut Guest, bytes: usize, series: &SeriesTable) -> Result<(), Failure> {
        match self.task {
            Task::None => Ok(()),
            Task::Save { slice, first } => self.save(guest, bytes, slice, first, series),
            Task::Restore(slice) => match self.restore(guest, slice, series) {
                Err(failure) => {
                    self.give_up(slice, &failure);
                    // One that refuses goes on, with the slice that is in this one's place now.
                    if matches!(failure, Failure::Refused(_)) { Ok(()) } else { Err(failure) }
                }
                Ok(()) => Ok(()),
            },
        }
    }

    /// Sizes the next slice by how long the last one took.
    pub(super) fn resize(&mut self, took: Duration) {
        if matches!(self.task, Task::Save { .. }) {
            self.size.adapt(took);
        }
    }

    fn save(
        &mut self,
        guest: &mut Guest,
        bytes: usize,
        slice: usize,
        first: u32,
        series: &SeriesTable,
    ) -> Result<(), Failure> {
        if slice == 0 {
            self.partial.clear();
            self.partial_bytes = 0;
        }
        let end = first.saturating_add(self.size.series).min(series.numbers());
        if first >= end {
            self.saved = std::mem::take(&mut self.partial);
            self.task = Task::None;
            return Ok(());
        }
        let (mut snapshot, mut numbers) = (SeriesSnapshot::default(), Vec::new());
        for number in first..end {
            if let Some((identity, age)) = series.identity_and_age(number) {
                numbers.push(number);
                snapshot.add_series(identity, age);
            }
        }
        snapshot.state = guest.save_series_within(&numbers, bytes.saturating_sub(self.partial_bytes))?;
        self.partial_bytes += snapshot.state.len();
        self.partial.push(Arc::new(snapshot));
        self.task = Task::Save { slice: slice + 1, first: end };
        Ok(())
    }

    fn restore(&mut self, guest: &mut Guest, slice: usize, series: &SeriesTable) -> Result<(), Failure> {
        let Some(saved) = self.saved.get(slice) else {
            self.task = Task::None;
            return Ok(());
        };
        let numbers: Vec<_> = saved.identities.iter().map(|identity| series.find(*identity)).collect();
        guest.restore_series(&saved.state, &numbers)?;
        self.task = Task::Restore(slice + 1);
        Ok(())
    }

    fn give_up(&mut self, slice: usize, failure: &Failure) {
        let lost = self.saved.remove(slice);
        if !self.lost_state {
            warn!("detector `{}` learns {} series or more anew: {failure}", self.detector, lost.identities.len());
        }
        self.lost_state = true;
    }
}

/// How many series the next slice has.
#[derive(Debug)]
struct SliceSize {
    series: u32,
    /// How long the last slice took.
    last: Duration,
}

impl SliceSize {
    fn new(spec: Option<&DetectorSpec>) -> Self {
        let is_plugin = spec.is_some_and(|spec| spec.component_info().is_some());
        Self { series: if is_plugin { FIRST_PLUGIN_SLICE } else { MAX_SLICE_SERIES }, last: Duration::ZERO }
    }

    /// Sizes the next slice by how long the last one took. What a call costs whatever its size is not to be had for less by
    /// more calls.
    fn adapt(&mut self, took: Duration) {
        let helped = took < self.last / 4 * 3 || self.last < SLICE_TIME;
        if took > SLICE_TIME && helped {
            self.series = (self.series / 2).max(1);
        } else if took < SLICE_TIME / 4 {
            self.series = self.series.saturating_mul(2).min(MAX_SLICE_SERIES);
        }
        self.last = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many series a slice has in the end, where a call takes so long, and each series besides.
    fn settled(call: Duration, each: Duration) -> u32 {
        let mut size = SliceSize::new(None);
        for _ in 0..100 {
            size.adapt(call + each * size.series);
        }
        size.series
    }

    #[test]
    fn slices_are_as_large_as_their_time_allows() {
        assert_eq!(settled(Duration::ZERO, Duration::from_nanos(80)), MAX_SLICE_SERIES);
        let each = Duration::from_micros(30);
        let slice = each * settled(Duration::ZERO, each);
        assert!(slice <= SLICE_TIME && slice * 4 >= SLICE_TIME, "{slice:?}");
        assert_eq!(settled(Duration::ZERO, Duration::from_secs(1)), 1, "less than a series cannot be");
    }

    #[test]
    fn a_call_that_always_takes_long_is_not_made_more_often() {
        assert!(settled(Duration::from_millis(50), Duration::from_nanos(80)) >= MAX_SLICE_SERIES / 2);
    }
}
