//! One living detector: a component in a store of its own, its calls, and the ways in which they fail.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use qualm_stream::{Rows, Verdicts};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{InstancePre, Linker, ResourceAny};
use wasmtime::{Store, Trap, UpdateDeadline};

use super::engine::{LoadError, Sandbox, TICK};
use super::limiter::Limiter;
use bindings::exports::qualm::detector::detection::{Error, Observations};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// How long a text of a guest's may be where people read it.
const MOST_TEXT: usize = 300;

/// What a guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// How long a call may take. On a machine that is too busy to run it, it gets more: half of this is time that it really
    /// ran.
    pub deadline: Duration,
}

impl Default for Limits {
    /// Room for a million series of `streaming` twice over, and a tenth of a second: twenty times what a full batch
    /// takes, and short enough that nobody sees the gap.
    fn default() -> Self {
        Self { memory: 256 << 20, deadline: Duration::from_millis(100) }
    }
}

/// Why a call failed. The guest is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It did not answer in time.
    #[error("it took longer than its deadline of {0:?}")]
    Deadline(Duration),
    /// It wanted more memory than it may have.
    #[error("it wanted more than its {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// It answered what cannot be.
    #[error("it answered nonsense: {0}")]
    Nonsense(String),
    /// It refused, with an error of its own.
    #[error("it refused: {0}")]
    Refused(String),
}

impl Failure {
    /// A short name, to count it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Memory(_) => "memory",
            Self::Nonsense(_) => "nonsense",
            Self::Refused(_) => "refused",
        }
    }
}

/// What a detector says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its kind, such as `streaming`.
    pub kind: String,
    /// Changes when the same rows may get other scores.
    pub version: String,
    /// Values in a row.
    pub features: u32,
    /// Rows of a series before its first score.
    pub warm_up: u32,
    /// What one unit of score means.
    pub scale: String,
}

/// What a trained model is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// What kind of detector it is for.
    pub kind: String,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, kind } = self;
        write!(f, "{name} version {version} ({kind})")
    }
}

/// All that it takes to start a detector, over and over.
#[derive(Clone)]
pub struct Recipe {
    sandbox: Sandbox,
    ready: bindings::PluginPre<Meter>,
    model: Vec<u8>,
    title: Option<Arc<Title>>,
    limits: Limits,
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Recipe {
    /// Compiles a component, and keeps it with its model.
    ///
    /// # Errors
    ///
    /// Where it is no component, imports anything, or does not export the contract.
    pub fn new(sandbox: &Sandbox, component: &[u8], model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let component = sandbox.load(component)?;
        let linker: Linker<Meter> = Linker::new(sandbox.engine()); // nothing to import
        let ready: InstancePre<Meter> = linker.instantiate_pre(&component).map_err(LoadError::Compile)?;
        let ready = bindings::PluginPre::new(ready).map_err(LoadError::Compile)?;
        Ok(Self { sandbox: sandbox.clone(), ready, model, title: None, limits })
    }

    /// The same component with another model.
    #[must_use]
    pub fn with_model(&self, model: Vec<u8>) -> Self {
        Self { model, title: None, ..self.clone() }
    }

    /// The same with what its model is called.
    #[must_use]
    pub fn titled(self, title: Arc<Title>) -> Self {
        Self { title: Some(title), ..self }
    }

    /// What its model is called, where that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.title.as_ref()
    }
}

/// What a guest has used.
struct Meter {
    limiter: Limiter,
    /// How long this thread had run when half the time of the call at hand was over.
    halfway: Option<Duration>,
}

/// A detector that runs.
pub struct Guest {
    sandbox: Sandbox,
    store: Store<Meter>,
    exports: bindings::Plugin,
    detector: ResourceAny,
    limits: Limits,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Calls a method of the detector under its deadline, and tells how it failed if it did.
macro_rules! call {
    ($guest:expr, $method:ident $(, $argument:expr)*) => {{
        let Guest { sandbox, store, exports, detector, limits } = $guest;
        let running = sandbox.start_clock();
        begin(store, *limits);
        let detection = exports.qualm_detector_detection().detector();
        let result = detection.$method(&mut *store, *detector $(, $argument)*);
        drop(running);
        result.map_err(|error| failure(&error, store.data(), *limits))
    }};
}

impl Guest {
    /// Starts a detector.
    ///
    /// # Errors
    ///
    /// Where its start traps, takes too long or too much, or it refuses its model.
    pub fn start(recipe: &Recipe) -> Result<Self, Failure> {
        let Recipe { sandbox, ready, model, title: _, limits } = recipe;
        let (sandbox, limits) = (sandbox.clone(), *limits);
        let mut store = Store::new(sandbox.engine(), Meter { limiter: Limiter::new(limits.memory), halfway: None });
        store.limiter(|meter| &mut meter.limiter);
        store.epoch_deadline_callback(move |mut store| Ok(overdue(store.data_mut(), limits)));
        let running = sandbox.start_clock();
        begin(&mut store, limits);
        let exports = ready.instantiate(&mut store).map_err(|error| failure(&error, store.data(), limits))?;
        let detection = exports.qualm_detector_detection().detector();
        let opened = detection.call_open(&mut store, model);
        drop(running);
        let detector = opened.map_err(|error| failure(&error, store.data(), limits))?.map_err(refused)?;
        Ok(Self { sandbox, store, exports, detector, limits })
    }

    /// What it says it is.
    ///
    /// # Errors
    ///
    /// As with every call.
    pub fn describe(&mut self) -> Result<Description, Failure> {
        let told = call!(self, call_describe)?;
        Ok(Description {
            kind: for_people(&told.kind),
            version: for_people(&told.version),
            features: told.features,
            warm_up: told.warm_up,
            scale: for_people(&told.scale),
        })
    }

    /// Scores rows, and has the anomalies among them explained where asked to: `verdicts`, which is empty, gets one score
    /// a row, and contributions.
    ///
    /// # Errors
    ///
    /// As with every call, and where the numbers are too many or too few, or some cannot be; `verdicts` is then as it was.
    pub fn observe(&mut self, rows: &Rows, explain: bool, verdicts: &mut Verdicts) -> Result<(), Failure> {
        let batch = Observations { series: &rows.series, timestamps: &rows.times, values: &rows.values };
        let told = call!(self, call_observe, batch, explain)?.map_err(refused)?;
        if told.scores.len() != rows.len() {
            return Err(Failure::Nonsense(format!("{} scores for {} rows", told.scores.len(), rows.len())));
        }
        let asked = if explain { rows.values.len() } else { 0 };
        if told.contributions.len() != asked {
            let told = told.contributions.len();
            return Err(Failure::Nonsense(format!("{told} contributions where {asked} were asked for")));
        }
        if let Some(score) = told.scores.iter().find(|score| **score < 0.0 || score.is_infinite()) {
            return Err(Failure::Nonsense(format!("a score of {score}")));
        }
        if let Some(share) = told.contributions.iter().find(|share| !share.is_finite()) {
            return Err(Failure::Nonsense(format!("a contribution of {share}")));
        }
        verdicts.scores.extend_from_slice(&told.scores);
        verdicts.contributions.extend_from_slice(&told.contributions);
        Ok(())
    }

    /// Drops what it knows of these series.
    ///
    /// # Errors
    ///
    /// As with every call.
    pub fn forget(&mut self, series: &[u32]) -> Result<(), Failure> {
        call!(self, call_forget, series)
    }

    /// What it knows of these series.
    ///
    /// # Errors
    ///
    /// As with every call.
    pub fn save(&mut self, series: &[u32]) -> Result<Vec<u8>, Failure> {
        call!(self, call_save, series)
    }

    /// Gives back what [`save`](Self::save) gave; the series have these numbers now, or are gone.
    ///
    /// # Errors
    ///
    /// As with every call; [`Failure::Refused`] leaves the guest in use.
    pub fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Failure> {
        call!(self, call_restore, state, series)?.map_err(refused)
    }

    /// Bytes of memory that it has.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().limiter.used()
    }
}

/// Starts the time of a call.
fn begin(store: &mut Store<Meter>, limits: Limits) {
    let Meter { limiter, halfway } = store.data_mut();
    limiter.begin();
    *halfway = None;
    store.set_epoch_deadline(ticks(limits.deadline / 2));
}

/// What becomes of a call that has taken half its time or more. The second half is time that this thread really runs: to
/// ask for that costs a system call, which the calls that end in time need not pay for.
fn overdue(meter: &mut Meter, limits: Limits) -> UpdateDeadline {
    let now = ran();
    let since = *meter.halfway.get_or_insert(now);
    let left = (limits.deadline / 2).saturating_sub(now.saturating_sub(since));
    if left.is_zero() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(ticks(left)) }
}

/// How long this thread has run on a processor, in all.
fn ran() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn ticks(deadline: Duration) -> u64 {
    // One more, since the first tick may come at once.
    (deadline.as_nanos().div_ceil(TICK.as_nanos()) as u64).saturating_add(1)
}

fn failure(error: &wasmtime::Error, meter: &Meter, limits: Limits) -> Failure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline(limits.deadline),
        // A guest that is refused memory gives up by a trap of its own.
        _ if meter.limiter.refused() => Failure::Memory(limits.memory),
        Some(trap) => Failure::Trap(for_people(&trap.to_string())),
        None => Failure::Trap(for_people(&error.root_cause().to_string())),
    }
}

fn refused(error: Error) -> Failure {
    Failure::Refused(match error {
        Error::BadModel(why) => for_people(&format!("bad model: {}", clip(&why))),
        Error::BadShape(why) => for_people(&format!("bad shape: {}", clip(&why))),
        Error::BadState(why) => for_people(&format!("bad state: {}", clip(&why))),
        Error::Internal(why) => for_people(&format!("internal: {}", clip(&why))),
    })
}

/// A guest's text, fit for a log: one line, no control characters, not too long.
fn for_people(text: &str) -> String {
    let clipped = clip(text);
    let mut fit: String = clipped.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if clipped.len() < text.len() {
        fit.push('…');
    }
    fit
}

fn clip(text: &str) -> &str {
    text.char_indices().nth(MOST_TEXT).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(component: &[u8], model: &[u8], limits: Limits) -> Result<Guest, Failure> {
        let sandbox = Sandbox::new(None);
        Guest::start(&Recipe::new(&sandbox, component, model.to_vec(), limits).unwrap())
    }

    fn attack(model: &str) -> Failure {
        let limits = Limits { memory: 32 << 20, deadline: Duration::from_millis(250) };
        let mut guest = match start(qualm_components::HOSTILE, model.as_bytes(), limits) {
            Ok(guest) => guest,
            Err(failure) => return failure,
        };
        let mut rows = Rows::default();
        rows.add(0, 0, 0.5);
        let observed = guest.observe(&rows, false, &mut Verdicts::default());
        let failed = observed.and_then(|()| guest.forget(&[0])).and_then(|()| guest.save(&[0]));
        let failure = failed.and_then(|state| guest.restore(&state, &[Some(0)])).expect_err(model);
        assert!(guest.memory() <= limits.memory);
        failure
    }

    #[test]
    fn every_attack_ends_in_a_failure_that_names_it() {
        for (model, name) in [
            ("loop", "deadline"),
            ("open-loop", "deadline"),
            ("forget-loop", "deadline"),
            ("save-loop", "deadline"),
            ("restore-loop", "deadline"),
            ("trap", "trap"),
            ("open-trap", "trap"),
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
            ("open-error", "memory"),
            ("error", "memory"),
            ("control", "refused"),
            ("restore-error", "refused"),
        ] {
            assert_eq!(attack(model).name(), name, "{model}");
        }
    }

    #[test]
    fn a_guests_texts_are_fit_for_a_log() {
        assert_eq!(attack("control").to_string(), "it refused: internal: line·E! forged·[2J·");
        let limits = Limits::default();
        let failure = start(qualm_components::HOSTILE, b"open-error", limits).unwrap_err();
        assert!(failure.to_string().len() < 400, "an error of 32 MiB is cut short");
    }

    #[test]
    fn a_component_that_imports_anything_is_refused() {
        let error = Recipe::new(&Sandbox::new(None), qualm_components::CLI, Vec::new(), Limits::default()).unwrap_err();
        assert!(error.to_string().contains("wasi:"), "{error}");
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
