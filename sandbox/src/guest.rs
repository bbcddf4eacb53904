//! A running detector: a component in its own store, and its calls.

use std::fmt;
use std::time::Duration;

use qualm_contract::{Batch, Description, Reason, Verdicts, Wanted};
use qualm_system::untrusted::one_line;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::answers::{append_scores, band, check_details, check_scores, reason};
use crate::bindings::exports::qualm::detector::detection::{self, Observations};
use crate::bindings::exports::qualm::detector::{details, siblings};
use crate::engine::Sandbox;
use crate::failure::{Failure, failure, refused};
use crate::meter::Meter;
use crate::pace::{BatchTime, MAX_SERIES, Pace};
use crate::spec::{DetectorSpec, Limits};
use crate::store::{RetiredStore, begin_call, store};
use crate::thread_time::thread_time;

/// The most bytes of texts that a guest may return in one call, besides its results. [Few](qualm_system::untrusted::MAX_GUEST_CHARS) are kept.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// The most bytes of a model, or of state of series, that a guest may return in one call.
pub(crate) const MAX_STATE_BYTES: usize = 64 << 20;

/// A running detector.
pub struct Guest {
    sandbox: Sandbox,
    store: Store<Meter>,
    detection: detection::Guest,
    details: Option<details::Guest>,
    siblings: Option<siblings::Guest>,
    detector: ResourceAny,
    limits: Limits,
    pace: Pace,
    /// Whether it may import a clock.
    has_clock: bool,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Makes a call under the detector's deadline, and converts its failure. The answer may have so many bytes.
macro_rules! timed {
    ($guest:expr, $bytes:expr, |$store:ident, $detector:ident| $call:expr) => {{
        let Guest { sandbox, store, detector, limits, .. } = $guest;
        let running = sandbox.start_clock();
        begin_call(store, $bytes);
        let ($store, $detector) = (&mut *store, *detector);
        let result = $call;
        drop(running);
        result.map_err(|error| failure(&error, store.data(), *limits))
    }};
}

/// Calls a method of the detector under its deadline, and converts its failure. The answer may have so many bytes.
macro_rules! call {
    ($guest:expr, $bytes:expr, $method:ident $(, $argument:expr)*) => {{
        timed!($guest, $bytes, |store, detector| $guest.detection.detector().$method(store, detector $(, $argument)*))
    }};
}

impl Guest {
    /// Starts a detector.
    ///
    /// # Errors
    ///
    /// If its start traps, takes too long or too much memory, or it refuses its model.
    pub fn start(spec: &DetectorSpec) -> Result<Self, Failure> {
        Self::try_start(spec).map_err(|(failure, _)| failure)
    }

    /// Starts a detector. If that fails, the store is returned: it may have much memory.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), with the store, which takes a while to drop.
    pub fn try_start(spec: &DetectorSpec) -> Result<Self, (Failure, RetiredStore)> {
        let DetectorSpec {
            sandbox,
            instance_pre,
            detection,
            details,
            siblings,
            component_info,
            log,
            model,
            title: _,
            limits,
        } = spec;
        let (sandbox, limits) = (sandbox.clone(), *limits);
        let has_clock = component_info.as_ref().is_some_and(|component_info| !component_info.imports.is_empty());
        let mut store = store(&sandbox, limits, log);
        let running = sandbox.start_clock();
        let began = thread_time();
        begin_call(&mut store, MAX_TEXT_BYTES);
        let exports = instance_pre.instantiate(&mut store).and_then(|instance| {
            let details = details.as_ref().map(|details| details.load(&mut store, &instance)).transpose()?;
            let siblings = siblings.as_ref().map(|siblings| siblings.load(&mut store, &instance)).transpose()?;
            Ok((detection.load(&mut store, &instance)?, details, siblings))
        });
        let opened = exports.and_then(|exports| Ok((exports.0.detector().call_open(&mut store, model)?, exports)));
        drop(running);
        let opened = opened.map_err(|error| failure(&error, store.data(), limits));
        // The engine's part of the start is not interrupted, and would take as long within a batch.
        let late = thread_time().saturating_sub(began) > limits.deadline;
        let opened = opened.and_then(|opened| if late { Err(Failure::Deadline(limits.deadline)) } else { Ok(opened) });
        match opened.and_then(|(opened, exports)| Ok((opened.map_err(refused)?, exports))) {
            Ok((detector, (detection, details, siblings))) => {
                let pace = Pace::default();
                Ok(Self { sandbox, store, detection, details, siblings, detector, limits, pace, has_clock })
            }
            Err(failure) => Err((failure, RetiredStore(store))),
        }
    }

    /// Its store, once it can no longer be used.
    #[must_use]
    pub fn retire(self) -> RetiredStore {
        RetiredStore(self.store)
    }

    /// Sets the deadline of the next calls.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.store.data_mut().deadline = deadline;
    }

    /// Its description.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn describe(&mut self) -> Result<Description, Failure> {
        let answer = call!(self, MAX_TEXT_BYTES, call_describe)?;
        Ok(Description {
            kind: one_line(&answer.kind),
            version: one_line(&answer.version),
            features: answer.features,
            warm_up: answer.warm_up,
            scale: one_line(&answer.scale),
        })
    }

    /// Scores rows, in as many calls as the deadline requires. Appends to `verdicts` one score a row, and contributions,
    /// reasons and bands as `wanted`.
    ///
    /// # Errors
    ///
    /// Those of every call, and too many, too few or invalid results. After [`Failure::Slow`] the guest can still be used, and
    /// `verdicts` has the results of the first rows.
    pub fn score_batch(&mut self, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Failure> {
        self.score_within(&self.begin_batch(rows), rows, wanted, verdicts)
    }

    /// Starts the time that all calls for these rows together may take.
    #[must_use]
    pub fn begin_batch(&self, rows: Batch<'_>) -> BatchTime {
        BatchTime::start(self.limits.deadline, rows.len() > self.pace.rows(rows.len(), rows.features()))
    }

    /// As [`score_batch`](Self::score_batch), within time that was started before.
    ///
    /// # Errors
    ///
    /// Those of [`score_batch`](Self::score_batch).
    pub fn score_within(
        &mut self,
        batch_time: &BatchTime,
        rows: Batch<'_>,
        wanted: Wanted,
        verdicts: &mut Verdicts,
    ) -> Result<(), Failure> {
        let features = rows.features();
        let mut at = 0;
        loop {
            let part = at..at + self.pace.rows(rows.len() - at, features);
            let batch = Batch {
                series: &rows.series[part.clone()],
                times: &rows.times[part.clone()],
                values: &rows.values[part.start * features..part.end * features],
            };
            let began = self.pace.is_worth_timing(part.len()).then(thread_time);
            self.score_in_one_call(batch, wanted, verdicts)?;
            if let Some(began) = began {
                self.pace.record_call(part.len(), thread_time().saturating_sub(began), self.limits.deadline);
            }
            at = part.end;
            if at == rows.len() {
                if !verdicts.reasons.is_empty() {
                    verdicts.reasons.resize(verdicts.scores.len(), Reason::None); // the last calls may have had no reasons
                }
                return Ok(());
            }
            if batch_time.is_spent() {
                return Err(Failure::Slow { rows: rows.len(), scored: at, limit: batch_time.limit() });
            }
        }
    }

    /// Scores any number of rows in one call, for history, where nothing waits. Appends to `verdicts`.
    ///
    /// # Errors
    ///
    /// Those of every call, and too many, too few or invalid results; `verdicts` is then unchanged.
    pub fn score_in_one_call(
        &mut self,
        rows: Batch<'_>,
        wanted: Wanted,
        verdicts: &mut Verdicts,
    ) -> Result<(), Failure> {
        let Batch { series, times, values } = rows;
        let batch = Observations { series, timestamps: times, values };
        if self.has_clock {
            self.store.data_mut().advance_time(times);
        }
        let contributions_wanted = if wanted.contributions { values.len() } else { 0 };
        let numbers = (series.len() + contributions_wanted) * size_of::<f64>() + MAX_TEXT_BYTES;
        let Some(details) = &self.details else {
            let answer = call!(self, numbers, call_observe, batch, wanted.contributions)?.map_err(refused)?;
            check_scores(&answer, series.len(), contributions_wanted)?;
            append_scores(&answer, verdicts);
            return Ok(());
        };
        let bands_wanted = if wanted.bands { series.len() } else { 0 };
        let numbers = numbers + series.len() * size_of::<details::Reason>() + bands_wanted * size_of::<details::Band>();
        let Wanted { contributions, bands } = wanted;
        let wanted = details::Wanted { contributions, bands };
        let answer = timed!(self, numbers, |store, detector| details.call_observe(store, detector, batch, wanted))?;
        let details::Judgement { verdicts: answer, reasons, bands } = answer.map_err(refused)?;
        check_scores(&answer, series.len(), contributions_wanted)?;
        check_details(&reasons, &bands, series.len(), bands_wanted)?;
        if !reasons.is_empty() {
            verdicts.reasons.resize(verdicts.scores.len(), Reason::None); // an earlier call may have had no reasons
            verdicts.reasons.extend(reasons.into_iter().map(reason));
        }
        append_scores(&answer, verdicts);
        verdicts.bands.extend(bands.into_iter().map(band));
        Ok(())
    }

    /// Passes the groups of these series on to it in one call, if it accepts them.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn relate_series(&mut self, series: &[u32], groups: &[u64]) -> Result<(), Failure> {
        let Some(siblings) = &self.siblings else { return Ok(()) };
        timed!(self, MAX_TEXT_BYTES, |store, detector| siblings.call_relate(store, detector, series, groups))
    }

    /// Passes groups on in calls of some thousand series, as many as there is time for, and returns how many were passed on.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn relate_series_within(
        &mut self,
        batch_time: &BatchTime,
        series: &[u32],
        groups: &[u64],
    ) -> Result<usize, Failure> {
        let mut answer = 0;
        for (series, groups) in series.chunks(MAX_SERIES).zip(groups.chunks(MAX_SERIES)) {
            self.relate_series(series, groups)?;
            answer += series.len();
            if batch_time.is_spent() {
                break;
            }
        }
        Ok(answer)
    }

    /// Drops the state of these series, in calls of some thousand, within the time of a batch.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn forget_series(&mut self, series: &[u32]) -> Result<(), Failure> {
        let batch_time = BatchTime::start(self.limits.deadline, series.len() > MAX_SERIES);
        for series in series.chunks(MAX_SERIES) {
            if batch_time.is_spent() {
                return Err(Failure::Deadline(batch_time.limit()));
            }
            call!(self, MAX_TEXT_BYTES, call_forget, series)?;
        }
        Ok(())
    }

    /// Saves the state of these series.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Failure> {
        self.save_series_within(series, MAX_STATE_BYTES)
    }

    /// Saves the state of these series, in at most `most` bytes.
    ///
    /// # Errors
    ///
    /// Those of every call: see [`Failure`].
    pub fn save_series_within(&mut self, series: &[u32], most: usize) -> Result<Vec<u8>, Failure> {
        call!(self, most.min(MAX_STATE_BYTES), call_save, series)
    }

    /// Gives back what [`save_series`](Self::save_series) gave; the series have these numbers now, or are gone.
    ///
    /// # Errors
    ///
    /// Those of every call; after [`Failure::Refused`] the guest can still be used.
    pub fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Failure> {
        call!(self, MAX_TEXT_BYTES, call_restore, state, series)?.map_err(refused)
    }

    /// The memory of the guest, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().limiter.used()
    }
}

#[cfg(test)]
mod tests;
