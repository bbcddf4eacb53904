//! A running detector: a component in its own store, its calls, and how they fail.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use qualm_contract::{Band, Batch, Description, Reason, Verdicts, Wanted};
use rustix::time::{ClockId, clock_gettime};
use tracing::debug;
use wasmtime::component::{Component, InstancePre, ResourceAny};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::bindings::exports::qualm::detector::detection::{self, Error, Observations};
use crate::bindings::exports::qualm::detector::{details, siblings};
use crate::engine::{Sandbox, TICK};
use crate::error::{LoadError, is_of_system};
use crate::guest_log::GuestLog;
use crate::imports::link;
use crate::inspect::ComponentInfo;
use crate::meter::Meter;
use crate::pace::{BatchTime, MAX_SERIES, Pace};
use crate::space;
use crate::text::{clip, sanitize};

/// The interface of reasons and bands. A component may have an older compatible version.
const DETAILS: &str = "qualm:detector/details@0.1.2";
/// The interface of siblings.
const SIBLINGS: &str = "qualm:detector/siblings@0.1.2";

/// The most bytes of texts that a guest may return in one call, besides its results. [Few](crate::text::MAX_CHARS) are kept.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// The most bytes of a model, or of state of series, that a guest may return in one call.
pub(crate) const MAX_STATE_BYTES: usize = 64 << 20;

/// The most memory of a component that is composed of others. To copy half of it from one to another takes the engine some ten
/// milliseconds, which no deadline interrupts.
const MAX_COMPOSED_MEMORY: usize = 32 << 20;

/// The most resource handles of a guest: one detector, and a few streams of a language's runtime.
const MAX_HANDLES: usize = 1000;

/// The limits of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// The deadline of a call. On a busy machine a call gets more: the second half is time on a processor.
    pub deadline: Duration,
}

impl Default for Limits {
    /// Room for a million series of `streaming` and all their seasons, and a tenth of a second: ten times what a full batch
    /// takes, and short enough not to be noticed.
    fn default() -> Self {
        Self { memory: 640 << 20, deadline: Duration::from_millis(100) }
    }
}

/// Why a call failed. Except after [`Slow`](Self::Slow), the guest can no longer be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It did not answer in time.
    #[error("it took longer than its deadline of {0:?}")]
    Deadline(Duration),
    /// It cannot score a batch within the time of one. That is no error of the guest, which can still be used.
    #[error("it scored {scored} rows of {rows} in the time of a batch, {limit:?}")]
    Slow {
        /// Rows of the batch.
        rows: usize,
        /// Those that have a score.
        scored: usize,
        /// How long a batch may take.
        limit: Duration,
    },
    /// It needs more memory than its limit.
    #[error("it wanted more than its {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// It returned an invalid answer.
    #[error("it answered nonsense: {0}")]
    Nonsense(String),
    /// It returned an error.
    #[error("it refused: {0}")]
    Refused(String),
    /// This machine lacks memory or another resource.
    #[error("this machine lacks what it needs: {0}")]
    System(String),
}

impl Failure {
    /// The name of the failure in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Slow { .. } => "slow",
            Self::Memory(_) => "memory",
            Self::Nonsense(_) => "nonsense",
            Self::Refused(_) => "refused",
            Self::System(_) => "system",
        }
    }
}

/// Name, version and kind of a trained model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The kind of detector.
    pub kind: String,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, kind } = self;
        write!(f, "{name} version {version} ({kind})")
    }
}

/// What is needed to start a detector, any number of times.
#[derive(Clone)]
pub struct DetectorSpec {
    pub(crate) sandbox: Sandbox,
    pub(crate) instance_pre: InstancePre<Meter>,
    detection: Arc<detection::GuestIndices>,
    /// If it exports reasons and bands.
    details: Option<Arc<details::GuestIndices>>,
    /// If it accepts groups of siblings.
    siblings: Option<Arc<siblings::GuestIndices>>,
    /// What is known of a plugin's component; `None` if it is built in.
    component_info: Option<Arc<ComponentInfo>>,
    pub(crate) log: GuestLog,
    model: Arc<[u8]>,
    title: Option<Arc<Title>>,
    pub(crate) limits: Limits,
}

impl fmt::Debug for DetectorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectorSpec").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl DetectorSpec {
    /// Compiles a trusted component.
    ///
    /// # Errors
    ///
    /// If it is no component, imports anything, or does not export the contract.
    pub fn new(sandbox: &Sandbox, component: &[u8], model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        Self::of(sandbox, &sandbox.load(component)?, model, limits)
    }

    /// Compiles an untrusted component, which may import what the contract allows.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn plugin(sandbox: &Sandbox, component: &[u8], model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let (component, component_info) = sandbox.load_plugin(component)?;
        let memory = if component_info.composed { limits.memory.min(MAX_COMPOSED_MEMORY) } else { limits.memory };
        if memory < limits.memory {
            debug!("a component that is composed of others has {} MiB of memory at most", memory >> 20);
        }
        let limits = Limits { memory, ..limits };
        Ok(Self { component_info: Some(Arc::new(component_info)), ..Self::of(sandbox, &component, model, limits)? })
    }

    fn of(sandbox: &Sandbox, component: &Component, model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let instance_pre = link(sandbox.engine(), component)?.instantiate_pre(component)?;
        let detection = Arc::new(detection::GuestIndices::new(&instance_pre)?);
        let has_details = component.get_export_index(None, DETAILS).is_some();
        let details = has_details.then(|| details::GuestIndices::new(&instance_pre)).transpose()?.map(Arc::new);
        let has_siblings = component.get_export_index(None, SIBLINGS).is_some();
        let siblings = has_siblings.then(|| siblings::GuestIndices::new(&instance_pre)).transpose()?.map(Arc::new);
        let log = GuestLog::new("plugin");
        Ok(Self {
            sandbox: sandbox.clone(),
            instance_pre,
            detection,
            details,
            siblings,
            component_info: None,
            log,
            model: model.into(),
            title: None,
            limits,
        })
    }

    /// The same component with another model.
    #[must_use]
    pub fn with_model(&self, model: Vec<u8>) -> Self {
        Self { model: model.into(), title: None, ..self.clone() }
    }

    /// The same component, used by the interface `detection` only.
    #[must_use]
    pub fn without_details(&self) -> Self {
        Self { details: None, ..self.clone() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// Whether it gives reasons and bands.
    #[must_use]
    pub fn has_details(&self) -> bool {
        self.details.is_some()
    }

    /// Whether it accepts groups of siblings.
    #[must_use]
    pub fn has_siblings(&self) -> bool {
        self.siblings.is_some()
    }

    /// The limits of its guests.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is known of the component, if it is a plugin.
    #[must_use]
    pub fn component_info(&self) -> Option<&ComponentInfo> {
        self.component_info.as_deref()
    }

    /// The log of its guests.
    #[must_use]
    pub fn log(&self) -> &GuestLog {
        &self.log
    }

    /// The same with the title of its model.
    #[must_use]
    pub fn titled(self, title: Arc<Title>) -> Self {
        Self { log: GuestLog::new(&title.name), title: Some(title), ..self }
    }

    /// The title of its model, if that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.title.as_ref()
    }
}

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
            kind: sanitize(&answer.kind),
            version: sanitize(&answer.version),
            features: answer.features,
            warm_up: answer.warm_up,
            scale: sanitize(&answer.scale),
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

/// Checks number and range of scores and contributions.
fn check_scores(answer: &detection::Verdicts, rows: usize, contributions: usize) -> Result<(), Failure> {
    if answer.scores.len() != rows {
        return Err(Failure::Nonsense(format!("{} scores for {rows} rows", answer.scores.len())));
    }
    if answer.contributions.len() != contributions {
        let answer = answer.contributions.len();
        return Err(Failure::Nonsense(format!("{answer} contributions where {contributions} were asked for")));
    }
    if let Some(score) = answer.scores.iter().find(|score| **score < 0.0 || score.is_infinite()) {
        return Err(Failure::Nonsense(format!("a score of {score}")));
    }
    if let Some(share) = answer.contributions.iter().find(|share| !share.is_finite()) {
        return Err(Failure::Nonsense(format!("a contribution of {share}")));
    }
    Ok(())
}

fn append_scores(answer: &detection::Verdicts, verdicts: &mut Verdicts) {
    verdicts.scores.extend_from_slice(&answer.scores);
    verdicts.contributions.extend_from_slice(&answer.contributions);
}

/// Checks number and range of reasons and bands.
fn check_details(
    reasons: &[details::Reason],
    bands: &[details::Band],
    rows: usize,
    bands_wanted: usize,
) -> Result<(), Failure> {
    if !reasons.is_empty() && reasons.len() != rows {
        return Err(Failure::Nonsense(format!("{} reasons for {rows} rows", reasons.len())));
    }
    if bands.len() != bands_wanted {
        return Err(Failure::Nonsense(format!("{} bands where {bands_wanted} were asked for", bands.len())));
    }
    let cannot_be = |band: &&details::Band| {
        let details::Band { expected, lower, upper } = **band;
        lower > upper || [expected, lower, upper].iter().any(|value| value.is_infinite())
    };
    if let Some(details::Band { expected, lower, upper }) = bands.iter().find(cannot_be) {
        return Err(Failure::Nonsense(format!("a band from {lower} to {upper}, with {expected} expected")));
    }
    Ok(())
}

/// The reason as a type of the contract.
fn reason(reason: details::Reason) -> Reason {
    match reason {
        details::Reason::None => Reason::None,
        details::Reason::OutsideBand => Reason::OutsideBand,
        details::Reason::LevelShift => Reason::LevelShift,
        details::Reason::Stuck => Reason::Stuck,
        details::Reason::Novel => Reason::Novel,
        details::Reason::Rate => Reason::Rate,
        details::Reason::Variance => Reason::Variance,
    }
}

/// The band as a type of the contract.
fn band(band: details::Band) -> Band {
    let details::Band { expected, lower, upper } = band;
    Band { expected, lower, upper }
}

/// The store of a guest that is no longer used. It has the guest's memory until it is dropped.
pub struct RetiredStore(Store<Meter>);

impl fmt::Debug for RetiredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetiredStore").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

impl RetiredStore {
    /// The memory of the guest, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.data().limiter.used()
    }
}

/// A store for one guest.
pub(crate) fn store(sandbox: &Sandbox, limits: Limits, log: &GuestLog) -> Store<Meter> {
    let mut store = Store::new(sandbox.engine(), Meter::new(limits.memory, limits.deadline, log.clone()));
    store.limiter(|meter| &mut meter.limiter);
    store.set_max_component_handles(MAX_HANDLES);
    store.epoch_deadline_callback(move |mut store| Ok(on_half_deadline(store.data_mut())));
    store
}

/// Starts the deadline of a call, whose answer may have `bytes` bytes.
pub(crate) fn begin_call(store: &mut Store<Meter>, bytes: usize) {
    store.set_hostcall_fuel(bytes);
    let Meter { limiter, halfway, deadline, .. } = store.data_mut();
    limiter.begin_call();
    *halfway = None;
    let half = *deadline / 2;
    store.set_epoch_deadline(ticks(half));
}

/// Decides about a call that has taken half of its deadline or more. The second half is time of this thread on a processor,
/// which costs a system call that faster calls do not need.
fn on_half_deadline(meter: &mut Meter) -> UpdateDeadline {
    let now = thread_time();
    let since = *meter.halfway.get_or_insert(now);
    let left = (meter.deadline / 2).saturating_sub(now.saturating_sub(since));
    if left.is_zero() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(ticks(left)) }
}

/// The time of this thread on a processor, in all.
#[must_use]
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn ticks(deadline: Duration) -> u64 {
    // One more, since the first tick may be immediate.
    (deadline.as_nanos().div_ceil(TICK.as_nanos()) as u64).saturating_add(1)
}

pub(crate) fn failure(error: &wasmtime::Error, meter: &Meter, limits: Limits) -> Failure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline(meter.deadline),
        // A guest without memory traps.
        _ if meter.limiter.refused() => Failure::Memory(limits.memory),
        // So does one that the system has no memory for.
        _ if is_of_system(error) || meter.limiter.system_out_of_memory() => {
            Failure::System(sanitize(&format!("{error:#}{}", space::limit_hint())))
        }
        Some(trap) => Failure::Trap(sanitize(&trap.to_string())),
        None => match error.root_cause().to_string() {
            // The engine has no error type for it.
            text if text.contains("fuel allocated for hostcalls") => {
                Failure::Nonsense("it handed over more than it was asked for".to_owned())
            }
            text => Failure::Trap(sanitize(&text)),
        },
    }
}

pub(crate) fn refused(error: Error) -> Failure {
    Failure::Refused(match error {
        Error::BadModel(why) => sanitize(&format!("bad model: {}", clip(&why))),
        Error::BadShape(why) => sanitize(&format!("bad shape: {}", clip(&why))),
        Error::BadState(why) => sanitize(&format!("bad state: {}", clip(&why))),
        Error::Internal(why) => sanitize(&format!("internal: {}", clip(&why))),
    })
}

#[cfg(test)]
mod tests {
    use qualm_pipeline::Rows;

    use super::*;

    fn start(component: &[u8], model: &[u8], limits: Limits) -> Result<Guest, Failure> {
        let sandbox = Sandbox::new(None);
        Guest::start(&DetectorSpec::new(&sandbox, component, model.to_vec(), limits).unwrap())
    }

    fn attack(model: &str) -> Failure {
        let limits = Limits { memory: 32 << 20, deadline: Duration::from_millis(250) };
        let mut guest = match start(qualm_test_plugins::HOSTILE, model.as_bytes(), limits) {
            Ok(guest) => guest,
            Err(failure) => return failure,
        };
        let mut rows = Rows::default();
        rows.bands = true;
        (0..3).for_each(|time| rows.add(0, time, 0.5));
        let related = guest.relate_series(&[0], &[1]);
        let observed = related.and_then(|()| guest.score_batch(rows.batch(), rows.wanted(), &mut Verdicts::default()));
        let failed = observed.and_then(|()| guest.forget_series(&[0])).and_then(|()| guest.save_series(&[0]));
        let failure = failed.and_then(|state| guest.restore_series(&state, &[Some(0)])).expect_err(model);
        assert!(guest.memory() <= limits.memory);
        failure
    }

    #[test]
    fn every_attack_ends_in_a_failure_that_names_it() {
        for (model, name) in [
            ("loop", "deadline"),
            ("open-loop", "deadline"),
            ("relate-loop", "deadline"),
            ("forget-loop", "deadline"),
            ("save-loop", "deadline"),
            ("restore-loop", "deadline"),
            ("trap", "trap"),
            ("open-trap", "trap"),
            ("relate-trap", "trap"),
            ("forget-trap", "trap"),
            ("save-trap", "trap"),
            ("restore-trap", "trap"),
            ("stack", "trap"),
            ("memory", "memory"),
            ("save-memory", "memory"),
            ("short", "nonsense"),
            ("long", "nonsense"),
            ("none", "nonsense"),
            ("many", "nonsense"),
            ("infinite", "nonsense"),
            ("negative", "nonsense"),
            ("few-reasons", "nonsense"),
            ("many-reasons", "nonsense"),
            ("few-bands", "nonsense"),
            ("many-bands", "nonsense"),
            ("crossed-bands", "nonsense"),
            ("infinite-bands", "nonsense"),
            ("open-error", "memory"),
            ("error", "memory"),
            ("control", "refused"),
            ("restore-error", "refused"),
        ] {
            assert_eq!(attack(model).name(), name, "{model}");
        }
    }

    fn rows(count: i64, features: usize) -> Rows {
        let mut rows = Rows::new(features);
        (0..count).for_each(|time| rows.add_vector(0, time, &vec![0.5; features]));
        rows
    }

    #[test]
    fn a_deadline_is_for_a_call_and_a_batch_has_as_many_as_it_needs_up_to_a_limit() {
        let sandbox = Sandbox::new(None);
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_secs(10) };
        let slow = DetectorSpec::new(&sandbox, qualm_test_plugins::HOSTILE, b"slow".to_vec(), limits).unwrap();
        let mut guest = Guest::start(&slow).unwrap();
        let began = thread_time();
        guest.score_batch(rows(50, 1).batch(), Wanted::SCORES, &mut Verdicts::default()).unwrap();
        let deadline = thread_time().saturating_sub(began) * 12; // of six hundred rows, on a machine as fast as just now
        let mut guest = Guest::start(&slow.with_limits(Limits { deadline, ..limits })).unwrap();
        let mut verdicts = Verdicts::default();
        guest.score_batch(rows(900, 1).batch(), Wanted::CONTRIBUTIONS, &mut verdicts).unwrap();
        assert_eq!((verdicts.scores.len(), verdicts.contributions.len()), (900, 900));

        verdicts.clear();
        let failure = guest.score_batch(rows(9000, 1).batch(), Wanted::SCORES, &mut verdicts).unwrap_err();
        let Failure::Slow { rows: 9000, scored, limit } = failure else { panic!("{failure}") };
        assert!(limit == deadline * 4 && scored == verdicts.scores.len() && scored > 300, "{failure}");
        guest.score_batch(rows(1, 1).batch(), Wanted::SCORES, &mut Verdicts::default()).expect("it goes on");
    }

    #[test]
    fn wide_rows_in_masses_take_no_more_memory_than_some() {
        let table = rows(2000, 1000);
        let batch = table.batch();
        let fitted = qualm_core::zscore::fit(
            qualm_core::trained::Rows::new(&table.values, 1000),
            batch,
            &qualm_core::trained::Settings::default(),
        );
        let limits = Limits { memory: 48 << 20, deadline: Duration::from_secs(10) };
        let mut guest = start(qualm_components::DETECTOR, &fitted.unwrap().to_model(), limits).unwrap();
        let mut verdicts = Verdicts::default();
        for _ in 0..8 {
            verdicts.clear();
            guest.score_batch(rows(10_000, 1000).batch(), Wanted::SCORES, &mut verdicts).unwrap(); // 80 MB of values
        }
        assert_eq!(verdicts.scores.len(), 10_000);
    }

    #[test]
    fn a_guests_texts_are_fit_for_a_log() {
        assert_eq!(attack("control").to_string(), "it refused: internal: line·E! forged·[2J·");
        let limits = Limits::default();
        let failure = start(qualm_test_plugins::HOSTILE, b"open-error", limits).unwrap_err();
        assert!(failure.to_string().len() < 400, "an error of 32 MiB is cut short");
    }

    #[test]
    fn what_is_no_detector_is_refused() {
        let sandbox = Sandbox::new(None);
        let error = DetectorSpec::plugin(&sandbox, qualm_components::CLI, Vec::new(), Limits::default()).unwrap_err();
        assert!(error.to_string().contains("does not export `qualm:detector/detection`"), "{error}");
    }

    #[test]
    fn the_detector_describes_itself() {
        let model = qualm_core::streaming::Parameters::default().to_model();
        let mut guest = start(qualm_components::DETECTOR, &model, Limits::default()).unwrap();
        let description = guest.describe().unwrap();
        assert_eq!((description.kind.as_str(), description.features), ("streaming", 1));
        let failure = start(qualm_components::DETECTOR, b"no model", Limits::default()).unwrap_err();
        assert!(failure.to_string().contains("not a safetensors file"), "{failure}");
    }
}
