//! A scorer that never fails, made of guests that may: fail open, start anew, rest, and remember.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::series::SeriesTable;
use tracing::{info, warn};

use crate::related::Related;
use qualm_sandbox::Running;
use qualm_sandbox::guest::{Failure, Guest, Limits, Recipe, Remains, Title, ran};

/// Series saved at a time, between two batches, at most: a third of a millisecond's work for what is built in. A plugin
/// begins with few, until it is known how long it takes.
const SLICE: u32 = 4096;
/// See [`SLICE`].
const FIRST_SLICE: u32 = 64;

/// How long saving a slice may take; the next one is smaller then, as long as that helps.
const SLICE_TIME: Duration = Duration::from_millis(4);

/// Memory that is given back at once. To give back more takes longer than a batch should wait, so a thread does it.
const SMALL: usize = 4 << 20;

/// Failures after which a guest is left alone for a while.
const STRIKES: u32 = 3;

/// Batches that must be scored between two failures for the first not to count any more: a guest that fails every other
/// batch costs as much time as one that always fails.
const SPELL: u32 = 64;

/// For how long it is left alone: first, and doubling each time, at most.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// The first time.
    pub first: Duration,
    /// At most.
    pub most: Duration,
    /// How long it must have worked for the next rest to be a first one again.
    pub reset: Duration,
}

impl Default for Rest {
    /// A second, and five minutes: a passing fault costs little, and one that lasts costs little either.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_mins(5), reset: Duration::from_mins(5) }
    }
}

/// How long the log keeps silent about a kind of failure that it has just told.
const SILENCE: Duration = Duration::from_mins(1);

/// An identity that stands for a series whose state is not to be used. That a real one has it is one chance in 2⁶⁴.
pub const NOBODY: u64 = 0;

/// The saved state of some series.
#[derive(Debug, PartialEq, Eq)]
pub struct Slice {
    /// Who they are (their numbers may have come to mean others), or [`NOBODY`].
    pub identities: Vec<u64>,
    /// For how many seconds each had not been seen.
    pub ages: Vec<u32>,
    /// Their state, as the guest wrote it.
    pub state: Vec<u8>,
}

/// What became of a detector's batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Batches that were scored.
    pub batches: u64,
    /// Rows that were not, because the guest failed or rested.
    pub unscored: u64,
    /// Failures, by [`Failure::name`].
    pub failures: BTreeMap<&'static str, u64>,
    /// How often a guest was started, the first time included.
    pub starts: u64,
    /// How often it was left alone after failing time and again.
    pub rests: u64,
    /// How often another model took its place, and how often the one before came back because that failed.
    pub swaps: u64,
    /// See `swaps`.
    pub fallbacks: u64,
    /// Lines that its guests wrote to the log, and those that were dropped because they came too fast.
    pub lines_written: u64,
    /// See `lines_written`.
    pub lines_dropped: u64,
    /// The most memory that a guest had, in bytes.
    pub memory: u64,
}

/// Whether a detector scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Scoring,
    /// It has no model as yet.
    Waiting,
    /// It failed, and is not started again just yet: all passes unscored.
    Resting,
}

impl Mode {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Scoring, Self::Waiting, Self::Resting];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scoring => "scoring",
            Self::Waiting => "waiting",
            Self::Resting => "resting",
        }
    }
}

/// Whether a detector can do something that not all can: say what would have been ordinary, or start a new series from what its
/// siblings know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Has,
    /// A plugin that cannot.
    NotOfPlugin,
    /// A trained model: none can.
    NotOfModel,
}

/// Whether a detector gives bands.
#[must_use]
pub fn bands(running: &Running) -> Ability {
    ability(running, running.recipe().has_details() && running.description().features == 1)
}

/// Whether a detector starts a new series from what its siblings know.
#[must_use]
pub fn siblings(running: &Running) -> Ability {
    ability(running, running.recipe().has_siblings())
}

/// What the untrained detector can, and a plugin where it `exports` what that takes.
fn ability(running: &Running, exports: bool) -> Ability {
    match running.recipe().anatomy() {
        Some(_) if exports => Ability::Has,
        Some(_) => Ability::NotOfPlugin,
        None if running.description().kind == qualm_core::streaming::KIND => Ability::Has,
        None => Ability::NotOfModel,
    }
}

/// A detector that is watched.
#[derive(Debug)]
pub struct Supervisor {
    name: String,
    /// How to start the guest; none where there is no model as yet, and nothing is scored.
    recipe: Option<Recipe>,
    /// What it was before the last swap, to fall back on, and what was saved then.
    previous: Option<(Recipe, Vec<Arc<Slice>>)>,
    /// The model that failed and gave way to the one before, until somebody asks.
    fell_from: Option<Arc<Title>>,
    /// Whether anomalies are explained, even where no rule needs it.
    explain: bool,
    /// Whether it is told which series are siblings, and which it was told of.
    relates: bool,
    related: Related,
    rest: Rest,
    guest: Option<Guest>,
    /// Failures with less than a spell of good batches between them, and the good batches since the last.
    strikes: u32,
    good: u32,
    /// Rests without a reset between them.
    rests: u32,
    /// Until when it rests.
    until: Option<Instant>,
    /// Since when it has worked without a failure.
    works_since: Option<Instant>,
    told: HashMap<&'static str, Instant>,
    saved: Vec<Arc<Slice>>,
    /// Bytes of state that were saved since saving began.
    saved_bytes: usize,
    /// What the save under way has so far: it takes the place of `saved` when it is whole.
    saving: Vec<Arc<Slice>>,
    /// How long the last slice took.
    slice_took: Duration,
    /// Some of what was saved could not be used.
    lost_state: bool,
    task: Task,
    /// Series to save at a time.
    slice: u32,
    /// How long the guest was at work since the last pause began: it has that much less time for the next batch.
    spent: Duration,
    /// A guest that failed and still has its memory.
    dying: Option<JoinHandle<()>>,
    /// What the recipe's log had counted when it was last asked: lines written, and lines dropped.
    heard: (u64, u64),
    health: Health,
}

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

impl Supervisor {
    /// A detector that runs already; where there is none, one that scores nothing until it is [given one](Self::swap).
    #[must_use]
    pub fn new(name: &str, running: Option<Running>, explain: bool, rest: Rest) -> Self {
        let (recipe, guest) = running.map(Running::into_parts).unzip();
        let slice = first_slice(recipe.as_ref());
        Self {
            name: name.to_owned(),
            recipe,
            previous: None,
            fell_from: None,
            explain,
            relates: false,
            related: Related::default(),
            rest,
            guest,
            strikes: 0,
            good: 0,
            rests: 0,
            until: None,
            works_since: None,
            told: HashMap::new(),
            saved: Vec::new(),
            saved_bytes: 0,
            saving: Vec::new(),
            slice_took: Duration::ZERO,
            lost_state: false,
            task: Task::None,
            slice,
            spent: Duration::ZERO,
            dying: None,
            heard: (0, 0),
            health: Health { starts: 1, ..Health::default() },
        }
    }

    /// One that did not start: it is tried again, like one that failed.
    #[must_use]
    pub fn resting(name: &str, recipe: Recipe, explain: bool, rest: Rest) -> Self {
        let slice = first_slice(Some(&recipe));
        let until = Some(Instant::now() + rest.first);
        Self { recipe: Some(recipe), slice, until, ..Self::new(name, None, explain, rest) }
    }

    /// The same detector, which is told which series are siblings, or not.
    #[must_use]
    pub fn relating(mut self, relates: bool) -> Self {
        self.relates = relates;
        self
    }

    /// Puts another model's guest, which runs already, in the place of this one: between two batches, and without waiting
    /// for anything. Where rows are made of the same as before, it is given the lane's `series` and takes over what is known
    /// of them: all of it where they are few; where they are many, what was last saved, a slice at a time.
    pub fn swap(&mut self, running: Running, series: Option<&SeriesTable>) {
        let few = series.filter(|series| series.numbers() <= self.slice);
        if let Some(series) = few {
            self.finish(series);
            self.begin_saving();
            self.finish(series);
        }
        let (recipe, guest) = running.into_parts();
        self.slice = first_slice(Some(&recipe));
        self.hear();
        self.heard = (0, 0);
        let previous = self.recipe.replace(recipe);
        self.previous = previous.filter(|_| series.is_some()).map(|recipe| (recipe, self.saved.clone()));
        if series.is_none() {
            self.saved.clear();
        }
        self.health.starts += 1;
        self.health.swaps += 1;
        self.until = None;
        self.strikes = 0;
        // To take the old one down takes longer than a pipeline should wait.
        let old = self.guest.replace(guest);
        self.related.clear();
        if let Some(old) = old {
            discard(old);
        }
        self.task = Task::Restore(0);
        if let Some(series) = few {
            self.finish(series);
        }
    }

    /// Goes back to having no model.
    pub fn dismiss(&mut self) {
        self.recipe = None;
        self.guest = None;
        self.task = Task::None;
    }

    /// Ends what is under way, if there is time for it.
    fn finish(&mut self, series: &SeriesTable) {
        while self.is_busy() && self.guest.is_some() && self.leisure() >= SLICE_TIME {
            self.tend(series);
        }
    }

    /// Counts what the guests have written and taken.
    fn hear(&mut self) {
        let memory = self.guest.as_ref().map_or(0, Guest::memory);
        self.health.memory = self.health.memory.max(memory as u64);
        let Some(recipe) = &self.recipe else { return };
        let (written, dropped) = recipe.log().counts();
        self.health.lines_written += written - self.heard.0;
        self.health.lines_dropped += dropped - self.heard.1;
        self.heard = (written, dropped);
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its model is called, where that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.recipe.as_ref()?.title()
    }

    /// Whether it scores.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match (&self.recipe, &self.guest) {
            (None, _) => Mode::Waiting,
            (_, None) => Mode::Resting,
            (_, Some(_)) => Mode::Scoring,
        }
    }

    /// The model that failed and gave way to the one before, where that happened since somebody last asked.
    pub fn take_fallback(&mut self) -> Option<Arc<Title>> {
        self.fell_from.take()
    }

    /// What became of its batches.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Begins to save all that the guest knows, unless something is under way.
    pub fn begin_saving(&mut self) {
        if self.task == Task::None && self.guest.is_some() {
            self.task = Task::Save { slice: 0, first: 0 };
        }
    }

    /// Whether saving or restoring is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.task != Task::None
    }

    /// What was saved last.
    #[must_use]
    pub fn saved(&self) -> &[Arc<Slice>] {
        &self.saved
    }

    /// Whether some of what was saved could not be used, and is not in [`saved`](Self::saved) any more.
    #[must_use]
    pub fn lost_state(&self) -> bool {
        self.lost_state
    }

    /// Takes over what an earlier run saved, and begins to restore it.
    pub fn adopt(&mut self, saved: Vec<Arc<Slice>>) {
        self.saved = saved;
        // Without a guest there is nobody to give it to: it is restored once there is one.
        self.task = if self.guest.is_some() { Task::Restore(0) } else { Task::None };
    }

    /// Does a little of what is under way: saves or restores one slice. `series` are the lane's.
    pub fn tend(&mut self, series: &SeriesTable) {
        if self.guest.is_none() || self.task == Task::None || self.leisure() < SLICE_TIME.min(self.deadline() / 4) {
            return;
        }
        let began = self.begin(self.leisure());
        let result = match self.task {
            Task::None => Ok(()),
            Task::Save { slice, first } => self.save(slice, first, series),
            Task::Restore(slice) => self.restore(slice, series),
        };
        let took = self.end(began);
        if matches!(self.task, Task::Save { .. }) {
            self.resize(took);
        }
        if let Err(failure) = result {
            if let Task::Restore(slice) = self.task {
                self.lose(slice, &failure); // or it would fail each time it is started
            }
            self.failed(&failure, Instant::now());
        }
        self.hear();
    }

    /// Sizes the next slice by how long the last one took. What a call costs whatever its size is not to be had for less by
    /// more calls.
    fn resize(&mut self, took: Duration) {
        let helped = took < self.slice_took / 4 * 3 || self.slice_took < SLICE_TIME;
        if took > SLICE_TIME && helped {
            self.slice = (self.slice / 2).max(1);
        } else if took < SLICE_TIME / 4 {
            self.slice = self.slice.saturating_mul(2).min(SLICE);
        }
        self.slice_took = took;
    }

    /// Begins a pause between batches: no batch waited when it began.
    pub fn pause(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// How long the guest may still be at work before the next batch. That and the batch together take no longer than a
    /// batch may.
    fn leisure(&self) -> Duration {
        (self.deadline() / 2).saturating_sub(self.spent)
    }

    fn deadline(&self) -> Duration {
        self.recipe.as_ref().map_or(Duration::ZERO, |recipe| recipe.limits().deadline)
    }

    /// Begins a piece of work that may take so long.
    fn begin(&mut self, deadline: Duration) -> Duration {
        if let Some(guest) = &mut self.guest {
            guest.allow(deadline);
        }
        ran()
    }

    /// Ends it. Only time that this thread really ran counts: that a machine is busy is no guest's fault.
    fn end(&mut self, began: Duration) -> Duration {
        let took = ran().saturating_sub(began);
        self.spent += took;
        took
    }

    fn save(&mut self, slice: usize, first: u32, series: &SeriesTable) -> Result<(), Failure> {
        let end = first.saturating_add(self.slice).min(series.numbers());
        let Self { guest: Some(guest), recipe: Some(recipe), saved, saving, saved_bytes, task, .. } = self else {
            return Ok(());
        };
        if slice == 0 {
            saving.clear();
            *saved_bytes = 0;
        }
        if first >= end {
            *saved = std::mem::take(saving);
            *task = Task::None;
            return Ok(());
        }
        let known =
            (first..end).filter_map(|number| series.known(number).map(|(identity, age)| (number, identity, age)));
        let mut slice_of = Slice { identities: Vec::new(), ages: Vec::new(), state: Vec::new() };
        let mut numbers = Vec::new();
        for (number, identity, age) in known {
            numbers.push(number);
            slice_of.identities.push(identity);
            slice_of.ages.push(u32::try_from(age / 1_000_000_000).unwrap_or(u32::MAX));
        }
        // The host keeps no more of it than the guest may have.
        slice_of.state = guest.save_within(&numbers, recipe.limits().memory.saturating_sub(*saved_bytes))?;
        *saved_bytes += slice_of.state.len();
        saving.push(Arc::new(slice_of));
        *task = Task::Save { slice: slice + 1, first: end };
        Ok(())
    }

    fn restore(&mut self, slice: usize, series: &SeriesTable) -> Result<(), Failure> {
        let Self { guest: Some(guest), saved, task, .. } = self else { return Ok(()) };
        let Some(saved) = saved.get(slice) else {
            *task = Task::None;
            return Ok(());
        };
        let numbers: Vec<_> = saved.identities.iter().map(|identity| series.find(*identity)).collect();
        match guest.restore(&saved.state, &numbers) {
            Ok(()) => *task = Task::Restore(slice + 1),
            Err(failure @ Failure::Refused(_)) => self.lose(slice, &failure),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Gives up on a slice of saved state.
    fn lose(&mut self, slice: usize, failure: &Failure) {
        let lost = self.saved.remove(slice);
        if !self.lost_state {
            warn!("detector `{}` learns {} series or more anew: {failure}", self.name, lost.identities.len());
        }
        self.lost_state = true;
    }

    /// The guest, started anew if it failed before and has rested, with as much time as is left for a batch.
    fn ready(&mut self, now: Instant) -> Option<&mut Guest> {
        let left = self.deadline().saturating_sub(self.spent);
        if self.guest.is_none() && self.until.is_none_or(|until| until <= now) && self.is_buried() {
            let recipe = self.recipe.as_ref()?;
            let began = ran();
            self.health.starts += 1;
            match Guest::start_or_die(&recipe.with_limits(Limits { deadline: left, ..recipe.limits() })) {
                Ok(guest) => {
                    self.guest = Some(guest);
                    self.related.clear();
                    self.task = Task::Restore(0);
                }
                Err((failure, remains)) => {
                    self.bury(remains);
                    self.failed(&failure, now);
                }
            }
            self.end(began);
        }
        let left = self.deadline().saturating_sub(self.spent);
        let guest = self.guest.as_mut()?;
        guest.allow(left);
        Some(guest)
    }

    /// Has the guest score these rows, where it does not rest.
    fn observe(
        &mut self,
        rows: Batch<'_>,
        wanted: Wanted,
        now: Instant,
        verdicts: &mut Verdicts,
    ) -> Option<Result<(), Failure>> {
        self.ready(now)?;
        let Self { relates, related, guest: Some(guest), explain, .. } = self else { return None };
        let total = guest.begin_batch(rows);
        if *relates {
            let (series, groups) = related.take_unknown();
            match guest.relate_within(&total, series, groups) {
                Ok(told) if told < series.len() => {
                    related.passed_on(told);
                    return Some(Err(Failure::Slow { rows: rows.len(), scored: 0, limit: total.limit() }));
                }
                Ok(_) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        let wanted = Wanted { contributions: *explain || wanted.contributions, ..wanted };
        Some(guest.score_within(&total, rows, wanted, verdicts))
    }

    /// Whether the guest before has given back its memory: two at once could have twice as much as they may.
    fn is_buried(&mut self) -> bool {
        if self.dying.as_ref().is_none_or(JoinHandle::is_finished) {
            self.dying = None;
        }
        self.dying.is_none()
    }

    /// Takes down a guest whose store a failure has poisoned.
    fn bury(&mut self, remains: Remains) {
        self.health.memory = self.health.memory.max(remains.memory() as u64);
        if remains.memory() > SMALL {
            // Where no thread can be started, it is taken down here.
            self.dying = thread::Builder::new().name("qualm-grave".to_owned()).spawn(move || drop(remains)).ok();
        }
    }

    fn failed(&mut self, failure: &Failure, now: Instant) {
        let name = failure.name();
        if let Some(guest) = self.guest.take() {
            self.bury(guest.into_remains());
        }
        self.task = Task::None;
        *self.health.failures.entry(name).or_default() += 1;
        if self.works_since.take().is_some_and(|since| now.saturating_duration_since(since) > self.rest.reset) {
            self.rests = 0;
        }
        self.good = 0;
        self.strikes += 1;
        if self.is_news(name, now) {
            warn!("detector `{}` failed: {failure}; its metrics pass unscored until it works again", self.name);
        }
        if self.strikes < STRIKES {
            return;
        }
        self.strikes = 0;
        if let Some((recipe, saved)) = self.previous.take() {
            warn!("detector `{}` failed {STRIKES} times in short order; it goes back to the model before", self.name);
            self.hear();
            self.heard = recipe.log().counts();
            self.fell_from = self.recipe.replace(recipe).and_then(|failed| failed.title().cloned());
            self.saved = saved;
            self.health.fallbacks += 1;
            return;
        }
        let rest = self.rest.first.saturating_mul(1 << self.rests.min(20)).min(self.rest.most);
        self.rests += 1;
        self.health.rests += 1;
        self.until = Some(now + rest);
        if self.is_news("rest", now) {
            warn!("detector `{}` failed {STRIKES} times in short order and is left alone for {rest:?}", self.name);
        }
    }

    /// It scores, but not all that comes. What is built in is not left alone for that: it takes no longer than it may.
    fn lags(&mut self, failure: &Failure, now: Instant) {
        *self.health.failures.entry(failure.name()).or_default() += 1;
        if self.is_news(failure.name(), now) {
            warn!("detector `{}` lags behind: {failure}; the others pass unscored", self.name);
        }
        self.worked(now);
    }

    /// Whether the log has been silent about this for long enough.
    fn is_news(&mut self, what: &'static str, now: Instant) -> bool {
        let news = self.told.get(what).is_none_or(|told| now - *told > SILENCE);
        if news {
            self.told.insert(what, now);
        }
        news
    }

    fn is_plugin(&self) -> bool {
        self.recipe.as_ref().is_some_and(|recipe| recipe.anatomy().is_some())
    }

    fn worked(&mut self, now: Instant) {
        self.health.batches += 1;
        self.good = self.good.saturating_add(1);
        if self.good == SPELL {
            self.strikes = 0;
        }
        self.works_since.get_or_insert(now);
        if self.until.take().is_some() {
            info!("detector `{}` works again", self.name);
        }
    }
}

/// Takes a guest down beside the pipeline: to give its memory back takes longer than a batch should wait.
pub(crate) fn discard(guest: Guest) {
    // Where no thread can be started it is dropped here, which is late but no harm.
    drop(thread::Builder::new().name("qualm-grave".to_owned()).spawn(move || drop(guest)));
}

/// Series to save at first.
fn first_slice(recipe: Option<&Recipe>) -> u32 {
    if recipe.is_some_and(|recipe| recipe.anatomy().is_some()) { FIRST_SLICE } else { SLICE }
}

impl BatchScorer for Supervisor {
    fn score_batch(&mut self, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let now = Instant::now();
        let observed = self.observe(rows, wanted, now, verdicts);
        self.pause();
        self.hear();
        self.health.unscored += (rows.len() - verdicts.scores.len()) as u64;
        verdicts.pad_unscored(rows.len(), rows.features());
        match observed {
            Some(Ok(())) => self.worked(now),
            Some(Err(failure)) if !self.is_plugin() && matches!(failure, Failure::Slow { .. }) => {
                self.lags(&failure, now);
            }
            Some(Err(failure)) => self.failed(&failure, now),
            None => {}
        }
        Ok(())
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        if self.relates {
            self.related.set_batch(series, groups);
        }
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.related.forget(series);
        // A guest that has used up its time may still forget: series' numbers come to mean others.
        let began = self.begin(self.leisure().max(SLICE_TIME));
        if let Some(Err(failure)) = self.guest.as_mut().map(|guest| guest.forget(series)) {
            self.failed(&failure, Instant::now());
        }
        self.end(began);
        self.hear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use qualm_core::streaming::{Parameters, Prior};

    use super::super::engine::Sandbox;
    use super::*;

    const QUICK: Rest =
        Rest { first: Duration::from_millis(20), most: Duration::from_millis(50), reset: Duration::from_mins(1) };

    fn supervisor(component: &[u8], model: &[u8]) -> Supervisor {
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let recipe = Recipe::new(&Sandbox::new(None), component, model.to_vec(), limits).unwrap();
        Supervisor::new("d", Some(Running::start(recipe, 1).unwrap()), false, QUICK)
    }

    fn score(supervisor: &mut Supervisor, series: u32, time: i64, value: f64) -> f64 {
        let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
        rows.add(series, time, value);
        supervisor.score(&rows, &mut verdicts);
        assert_eq!(verdicts.scores.len(), 1);
        verdicts.scores[0]
    }

    #[test]
    fn a_guest_that_traps_is_started_anew() {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap 100");
        let scored = (0..505).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
        let health = supervisor.health();
        assert_eq!((scored, health.failures["trap"], health.starts, health.rests), (500, 5, 5, 0), "{health:?}");
    }

    #[test]
    fn a_model_that_fails_gives_way_to_the_one_before() {
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let good = Recipe::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, b"fine".to_vec(), limits).unwrap();
        let bad = good.with_model(b"trap".to_vec());
        let mut supervisor = Supervisor::new("d", None, false, QUICK);
        let series = SeriesTable::new(qualm_pipeline::Limits::default());
        assert!(score(&mut supervisor, 0, 0, 0.5).is_nan(), "there is no model as yet");
        supervisor.swap(Running::start(good, 1).unwrap(), Some(&series));
        assert_eq!(score(&mut supervisor, 0, 0, 0.5).to_bits(), 0.5_f64.to_bits());
        supervisor.swap(Running::start(bad, 1).unwrap(), Some(&series));
        let scored = (0..10).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
        let health = supervisor.health();
        assert_eq!((scored, health.failures["trap"], health.swaps, health.fallbacks), (7, 3, 2, 1), "{health:?}");
    }

    /// The old guest may take its time to save, and the new one to restore: together no more than a batch has, with the
    /// next batch.
    #[test]
    fn whoever_is_slow_delays_a_swap_by_no_more_than_a_batch() {
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let recipe = |model: &str| {
            Recipe::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, model.as_bytes().to_vec(), limits).unwrap()
        };
        let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
        let number = series.number(1);
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"save-loop");
        score(&mut supervisor, number, 0, 0.5);
        supervisor.adopt(vec![Arc::new(Slice { identities: vec![1], ages: vec![0], state: b"a".to_vec() })]);
        let next = Running::start(recipe("restore-loop"), 1).unwrap();
        let began = ran();
        supervisor.pause();
        supervisor.swap(next, Some(&series));
        supervisor.tend(&series);
        assert!(score(&mut supervisor, number, 0, 0.5).is_nan() || supervisor.guest.is_some());
        let took = ran().saturating_sub(began);
        assert!(took > limits.deadline / 4 && took < limits.deadline * 5 / 4, "{took:?}");
    }

    #[test]
    fn one_that_did_not_start_is_tried_again() {
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let recipe = Recipe::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, b"fine".to_vec(), limits).unwrap();
        let mut supervisor = Supervisor::resting("d", recipe, false, QUICK);
        assert!(score(&mut supervisor, 0, 0, 0.5).is_nan() && supervisor.mode() == Mode::Resting);
        thread::sleep(QUICK.first * 2);
        assert_eq!(score(&mut supervisor, 0, 0, 0.5).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn without_a_model_there_is_nothing_to_restore() {
        let mut supervisor = Supervisor::new("d", None, false, QUICK);
        supervisor.adopt(Vec::new());
        assert!(!supervisor.is_busy(), "whoever waits for its end would wait for ever");
    }

    #[test]
    fn a_new_model_goes_on_where_the_old_one_was() {
        let model = Parameters { min_samples: 10, ..Parameters::default() }.to_model();
        let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
        let number = series.number(1);
        let (mut swapped, mut kept) =
            (supervisor(qualm_components::DETECTOR, &model), supervisor(qualm_components::DETECTOR, &model));
        for time in 0..50 {
            for supervisor in [&mut swapped, &mut kept] {
                score(supervisor, number, time * 1_000_000_000, (time % 7) as f64);
            }
        }
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let recipe = Recipe::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).unwrap();
        assert!(Running::start(recipe.clone(), 2).unwrap_err().to_string().contains("1 features, where a row has 2"));
        swapped.swap(Running::start(recipe.clone(), 1).unwrap(), Some(&series));
        let both = [&mut swapped, &mut kept].map(|one| score(one, number, 50_000_000_000, 100.0).to_bits());
        assert_eq!(both[0], both[1]);
        swapped.swap(Running::start(recipe, 1).unwrap(), None);
        assert!(score(&mut swapped, number, 51_000_000_000, 100.0).is_nan(), "rows of something else: a fresh start");
    }

    #[test]
    fn a_guest_that_fails_now_and_then_rests_as_well() {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap 2");
        let scored = (0..9).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
        assert_eq!((scored, supervisor.health().rests), (6, 1), "{:?}", supervisor.health());
        assert!(score(&mut supervisor, 0, 0, 0.5).is_nan(), "it is left alone");
    }

    /// What is built in never fails for the number of rows: there may be as many in a batch as a mebibyte has bytes for, and
    /// where they do not fit a short deadline, the rest of them passes unscored.
    #[test]
    fn what_is_built_in_never_rests_however_much_comes() {
        let model = Parameters { min_samples: 2, prior: Prior::Siblings, ..Parameters::default() }.to_model();
        for (deadline, whole) in [(Duration::from_millis(100), true), (Duration::from_millis(20), false)] {
            let limits = Limits { deadline, ..Limits::default() };
            let sandbox = Sandbox::new(None);
            let recipe = Recipe::new(&sandbox, qualm_components::DETECTOR, model.clone(), limits).unwrap();
            let running = Running::start(recipe, 1).unwrap();
            let mut supervisor = Supervisor::new("d", Some(running), false, QUICK).relating(true);
            let series: Vec<u32> = (0..200_000).collect();
            let mut verdicts = Verdicts::default();
            for time in 0..5 {
                let mut rows = Rows::default();
                for &series in &series {
                    rows.add(series, time * 10_000_000_000, f64::from(series) + time as f64);
                    rows.groups.push(u64::from(series));
                }
                verdicts.clear();
                supervisor.score(&rows, &mut verdicts);
            }
            let scored = verdicts.scores.iter().filter(|score| !score.is_nan()).count();
            assert!(scored == series.len() || !whole && scored > 1000, "{deadline:?}: {scored}");
            supervisor.forget(&series);
            let Health { starts, rests, ref failures, .. } = *supervisor.health();
            assert_eq!((starts, rests, failures.keys().all(|name| *name == "slow")), (1, 0, true), "{failures:?}");
        }
    }

    #[test]
    fn a_rest_is_longer_than_the_one_before() {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap");
        let mut rests = Vec::new();
        let mut now = Instant::now();
        for _ in 0..4 {
            for _ in 0..STRIKES {
                supervisor.failed(&Failure::Trap(String::new()), now);
            }
            rests.push(supervisor.until.unwrap() - now);
            now = supervisor.until.unwrap() + Duration::from_hours(1); // resting is not working
        }
        assert_eq!(rests, [20, 40, 50, 50].map(Duration::from_millis));
    }

    #[test]
    fn state_that_a_guest_fails_on_is_lost_and_nothing_else() {
        let series = SeriesTable::new(qualm_pipeline::Limits::default());
        let slice = |state: &[u8]| Arc::new(Slice { identities: vec![1], ages: vec![0], state: state.to_vec() });
        for (attack, counted) in
            [("restore-trap", Some("trap")), ("restore-loop", Some("deadline")), ("restore-error", None)]
        {
            let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, attack.as_bytes());
            supervisor.adopt(vec![slice(b"a"), slice(b"b")]);
            for _ in 0..10 {
                supervisor.tend(&series);
                score(&mut supervisor, 0, 0, 0.5);
            }
            assert!(supervisor.saved().is_empty() && supervisor.lost_state() && !supervisor.is_busy(), "{attack}");
            assert!(supervisor.health().failures.keys().eq(counted.iter()), "{attack}: {:?}", supervisor.health());
            assert_eq!(score(&mut supervisor, 0, 0, 0.5).to_bits(), 0.5_f64.to_bits(), "{attack}: it scores again");
        }
    }

    #[test]
    fn what_fails_every_time_is_left_alone_and_tried_again() {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap");
        for _ in 0..1000 {
            assert!(score(&mut supervisor, 0, 0, 0.5).is_nan());
        }
        let first = supervisor.health.clone();
        assert!(first.failures["trap"] < 100, "most batches did not even try: {first:?}");
        assert!(first.rests >= 1 && first.unscored == 1000, "{first:?}");
        thread::sleep(QUICK.most * 2);
        assert!(score(&mut supervisor, 0, 0, 0.5).is_nan());
        assert!(supervisor.health.failures["trap"] > first.failures["trap"], "it is tried again");
    }

    #[test]
    fn a_guest_that_was_started_anew_goes_on_from_what_was_saved() {
        let model = Parameters { min_samples: 10, ..Parameters::default() }.to_model();
        let mut series = SeriesTable::new(qualm_pipeline::Limits { ttl: 40_000_000_000, ..Default::default() });
        let mut supervisor = supervisor(qualm_components::DETECTOR, &model);
        let (kept, other) = (series.number(1), series.number(2));
        let second = 1_000_000_000;
        for time in 0..50 {
            for number in [kept, other] {
                score(&mut supervisor, number, time * second, (time % 7) as f64);
            }
        }
        supervisor.begin_saving();
        while supervisor.is_busy() {
            supervisor.tend(&series);
        }
        let expected = {
            let mut twin = self::supervisor(qualm_components::DETECTOR, &model);
            twin.adopt(supervisor.saved().to_vec());
            while twin.is_busy() {
                twin.tend(&series);
            }
            score(&mut twin, kept, 50 * second, 100.0)
        };
        assert!(expected > 0.0);
        // While the guest is down, the other series goes, and its number comes to mean a third one.
        supervisor.failed(&Failure::Trap("for the test".to_owned()), Instant::now());
        series.pass(0);
        series.pass(50_000_000_000);
        assert_eq!(series.number(1), kept);
        series.retire(2, &mut Vec::new());
        assert_eq!(series.number(3), other);
        score(&mut supervisor, 99, 0, 0.0); // starts it
        while supervisor.is_busy() {
            supervisor.tend(&series);
        }
        assert_eq!(score(&mut supervisor, kept, 50 * second, 100.0).to_bits(), expected.to_bits());
        assert!(score(&mut supervisor, other, 50 * second, 100.0).is_nan(), "the third series has no past");
    }

    /// Scores a row of a pod, whose siblings are all the others.
    fn score_pod(supervisor: &mut Supervisor, series: u32, row: i64, value: f64) -> f64 {
        let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
        rows.add(series, row * 10_000_000_000, value);
        rows.groups.push(1);
        supervisor.score(&rows, &mut verdicts);
        verdicts.scores[0]
    }

    #[test]
    fn a_new_series_starts_from_its_siblings_after_the_guest_was_started_anew_too() {
        let model = Parameters { prior: Prior::Siblings, ..Parameters::default() }.to_model();
        let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
        for relates in [true, false] {
            let mut supervisor = supervisor(qualm_components::DETECTOR, &model).relating(relates);
            let mut scored = |supervisor: &mut Supervisor, pods: std::ops::Range<u64>| -> Vec<bool> {
                pods.map(|pod| {
                    let number = series.number(pod + 1);
                    let scores = (0..11).map(|row| {
                        let row = 100 * pod as i64 + row;
                        score_pod(supervisor, number, row, (row * 7919 % 13 + 5) as f64)
                    });
                    !scores.last().unwrap().is_nan()
                })
                .collect()
            };
            let first = scored(&mut supervisor, 0..150);
            assert_eq!((first[0], first[149]), (false, relates), "{first:?}");
            supervisor.begin_saving();
            while supervisor.is_busy() {
                supervisor.tend(&series_of(150));
            }
            supervisor.failed(&Failure::Trap("for the test".to_owned()), Instant::now());
            score_pod(&mut supervisor, 9999, 0, 0.0); // starts it
            while supervisor.is_busy() {
                supervisor.tend(&series_of(150));
            }
            assert_eq!(scored(&mut supervisor, 150..152), [relates; 2]);
        }
    }

    /// A table in which so many series have the numbers that they have elsewhere.
    fn series_of(count: u64) -> SeriesTable {
        let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
        (0..count).for_each(|pod| _ = series.number(pod + 1));
        series
    }

    #[test]
    fn whoever_fails_when_told_of_siblings_leaves_the_batch_unscored() {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"relate-trap").relating(true);
        assert!(score_pod(&mut supervisor, 0, 0, 0.5).is_nan());
        assert_eq!(supervisor.health().failures["trap"], 1);
    }

    #[test]
    fn a_state_that_is_refused_is_a_fresh_start() {
        let mut supervisor = supervisor(qualm_components::DETECTOR, &Parameters::default().to_model());
        let series = SeriesTable::new(qualm_pipeline::Limits::default());
        supervisor.adopt(vec![Arc::new(Slice { identities: vec![1], ages: vec![0], state: b"old".to_vec() })]);
        while supervisor.is_busy() {
            supervisor.tend(&series);
        }
        assert!(supervisor.saved().is_empty());
        assert!(supervisor.health.failures.is_empty() && supervisor.guest.is_some());
    }
}
