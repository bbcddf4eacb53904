//! A scorer that never fails, made of guests that may: fail open, start anew, rest, and remember.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_stream::series::SeriesTable;
use qualm_stream::{Rows, Scorer};
use tracing::{info, warn};

use super::guest::{Description, Failure, Guest, Recipe};

/// Series saved or restored at a time, between two batches: a third of a millisecond's work.
const SLICE: u32 = 4096;

/// Failures in a row after which a guest is left alone for a while.
const STRIKES: u32 = 3;

/// For how long it is left alone: first, and doubling each time, at most.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// The first time.
    pub first: Duration,
    /// At most; also how long it must have worked for the next rest to be a first one again.
    pub most: Duration,
}

impl Default for Rest {
    /// A second, and five minutes: a passing fault costs little, and one that lasts costs little either.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_mins(5) }
    }
}

/// How long the log keeps silent about a kind of failure that it has just told.
const SILENCE: Duration = Duration::from_mins(1);

/// The saved state of some series.
#[derive(Debug, PartialEq, Eq)]
pub struct Slice {
    /// Who they are: their numbers may have come to mean others.
    pub identities: Vec<u64>,
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
}

/// A detector that is watched.
#[derive(Debug)]
pub struct Supervisor {
    name: String,
    recipe: Recipe,
    rest: Rest,
    guest: Option<Guest>,
    /// Failures in a row.
    strikes: u32,
    /// Rests in a row.
    rests: u32,
    /// Until when it rests.
    until: Option<Instant>,
    last_failure: Option<Instant>,
    told: HashMap<&'static str, Instant>,
    saved: Vec<Arc<Slice>>,
    task: Task,
    health: Health,
}

/// What is done between batches, a slice at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    None,
    /// The next slice to save.
    Save(u32),
    /// The next slice to restore.
    Restore(usize),
}

impl Supervisor {
    /// Starts a detector, and asks it what it is.
    ///
    /// # Errors
    ///
    /// Where even that fails: there is nothing to fall back on yet.
    pub fn start(name: &str, recipe: Recipe, rest: Rest) -> Result<(Self, Description), Failure> {
        // Nothing waits yet, so a machine that is busy gets a second chance, and a third.
        let busy = |result: &Result<Guest, Failure>| matches!(result, Err(Failure::Deadline(_)));
        let mut started = Guest::start(&recipe);
        for _ in 1..STRIKES {
            started = if busy(&started) { Guest::start(&recipe) } else { started };
        }
        let mut guest = started?;
        let description = guest.describe()?;
        if description.features != 1 {
            return Err(Failure::Nonsense(format!(
                "{} features, where each field is a row of one",
                description.features
            )));
        }
        let supervisor = Self {
            name: name.to_owned(),
            recipe,
            rest,
            guest: Some(guest),
            strikes: 0,
            rests: 0,
            until: None,
            last_failure: None,
            told: HashMap::new(),
            saved: Vec::new(),
            task: Task::None,
            health: Health { starts: 1, ..Health::default() },
        };
        Ok((supervisor, description))
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What became of its batches.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Bytes of memory that the guest has.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.guest.as_ref().map_or(0, Guest::memory)
    }

    /// Begins to save all that the guest knows, unless something is under way.
    pub fn begin_saving(&mut self) {
        if self.task == Task::None && self.guest.is_some() {
            self.task = Task::Save(0);
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

    /// Takes over what an earlier run saved, and begins to restore it.
    pub fn adopt(&mut self, saved: Vec<Arc<Slice>>) {
        self.saved = saved;
        self.task = Task::Restore(0);
    }

    /// Does a little of what is under way: saves or restores one slice. `series` are the lane's.
    pub fn tend(&mut self, series: &SeriesTable) {
        if self.guest.is_none() {
            return;
        }
        let result = match self.task {
            Task::None => Ok(()),
            Task::Save(slice) => self.save(slice, series),
            Task::Restore(slice) => self.restore(slice, series),
        };
        if let Err(failure) = result {
            if matches!(self.task, Task::Restore(_)) {
                warn!("detector `{}` fails on its saved state, and learns anew", self.name);
                self.saved.clear(); // or it would fail each time it is started
            }
            self.failed(&failure, Instant::now());
        }
    }

    fn save(&mut self, slice: u32, series: &SeriesTable) -> Result<(), Failure> {
        let Self { guest: Some(guest), saved, task, .. } = self else { return Ok(()) };
        let first = slice.saturating_mul(SLICE);
        if first >= series.numbers() {
            saved.truncate(slice as usize);
            *task = Task::None;
            return Ok(());
        }
        let known = (first..first.saturating_add(SLICE).min(series.numbers()))
            .filter_map(|number| series.identity(number).map(|identity| (number, identity)));
        let (numbers, identities): (Vec<_>, Vec<_>) = known.unzip();
        let state = guest.save(&numbers)?;
        let new = Arc::new(Slice { identities, state });
        match saved.get_mut(slice as usize) {
            Some(old) => *old = new,
            None => saved.push(new),
        }
        *task = Task::Save(slice + 1);
        Ok(())
    }

    fn restore(&mut self, slice: usize, series: &SeriesTable) -> Result<(), Failure> {
        let Self { guest: Some(guest), saved, task, .. } = self else { return Ok(()) };
        let Some(saved) = saved.get(slice) else {
            *task = Task::None;
            return Ok(());
        };
        *task = Task::Restore(slice + 1);
        let numbers: Vec<_> = saved.identities.iter().map(|identity| series.find(*identity)).collect();
        match guest.restore(&saved.state, &numbers) {
            Err(Failure::Refused(why)) => {
                warn!("detector `{}` cannot use its saved state, and learns anew: {why}", self.name);
                self.saved.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// The guest, started anew if it failed before and has rested.
    fn ready(&mut self, now: Instant) -> Option<&mut Guest> {
        if self.guest.is_none() && self.until.is_none_or(|until| until <= now) {
            self.health.starts += 1;
            match Guest::start(&self.recipe) {
                Ok(guest) => {
                    self.guest = Some(guest);
                    self.task = Task::Restore(0);
                }
                Err(failure) => self.failed(&failure, now),
            }
        }
        self.guest.as_mut()
    }

    fn failed(&mut self, failure: &Failure, now: Instant) {
        let name = failure.name();
        self.guest = None; // a trap poisons its store
        self.task = Task::None;
        *self.health.failures.entry(name).or_default() += 1;
        if self.last_failure.is_some_and(|last| now - last > self.rest.most) {
            (self.strikes, self.rests) = (0, 0);
        }
        self.last_failure = Some(now);
        self.strikes += 1;
        if self.told.get(name).is_none_or(|told| now - *told > SILENCE) {
            self.told.insert(name, now);
            warn!("detector `{}` failed: {failure}; its metrics pass unscored until it works again", self.name);
        }
        if self.strikes >= STRIKES {
            let rest = self.rest.first.saturating_mul(1 << self.rests.min(20)).min(self.rest.most);
            self.rests += 1;
            self.health.rests += 1;
            self.strikes = 0;
            self.until = Some(now + rest);
            if self.told.get("rest").is_none_or(|told| now - *told > SILENCE) {
                self.told.insert("rest", now);
                warn!("detector `{}` failed {STRIKES} times in a row and is left alone for {rest:?}", self.name);
            }
        }
    }

    fn worked(&mut self) {
        self.health.batches += 1;
        self.strikes = 0;
        if self.until.take().is_some() {
            info!("detector `{}` works again", self.name);
        }
    }
}

impl Scorer for Supervisor {
    fn score(&mut self, rows: &Rows, scores: &mut Vec<f64>) {
        let now = Instant::now();
        match self.ready(now).map(|guest| guest.observe(rows, scores)) {
            Some(Ok(())) => return self.worked(),
            Some(Err(failure)) => self.failed(&failure, now),
            None => {}
        }
        self.health.unscored += rows.len() as u64;
        scores.resize(scores.len() + rows.len(), f64::NAN);
    }

    fn forget(&mut self, series: &[u32]) {
        if let Some(Err(failure)) = self.guest.as_mut().map(|guest| guest.forget(series)) {
            self.failed(&failure, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use qualm_core::streaming::Parameters;

    use super::super::engine::Sandbox;
    use super::super::guest::Limits;
    use super::*;

    const QUICK: Rest = Rest { first: Duration::from_millis(20), most: Duration::from_millis(50) };

    fn supervisor(component: &[u8], model: &[u8]) -> Supervisor {
        let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
        let recipe = Recipe::new(&Sandbox::new(None), component, model.to_vec(), limits).unwrap();
        Supervisor::start("d", recipe, QUICK).unwrap().0
    }

    fn score(supervisor: &mut Supervisor, series: u32, time: i64, value: f64) -> f64 {
        let (mut rows, mut scores) = (Rows::default(), Vec::new());
        rows.add(series, time, value);
        supervisor.score(&rows, &mut scores);
        assert_eq!(scores.len(), 1);
        scores[0]
    }

    #[test]
    fn a_guest_that_traps_is_started_anew() {
        let mut supervisor = supervisor(qualm_components::HOSTILE, b"trap 2");
        let scored = (0..300).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
        // Two good batches a life: failures are never three in a row.
        let health = supervisor.health();
        assert_eq!((scored, health.failures["trap"], health.starts, health.rests), (200, 100, 100, 0), "{health:?}");
    }

    #[test]
    fn what_fails_every_time_is_left_alone_and_tried_again() {
        let mut supervisor = supervisor(qualm_components::HOSTILE, b"trap");
        for _ in 0..1000 {
            assert!(score(&mut supervisor, 0, 0, 0.5).is_nan());
        }
        let first = supervisor.health.clone();
        assert!(first.failures["trap"] < 100, "most batches did not even try: {first:?}");
        assert!(first.rests >= 1 && first.unscored == 1000, "{first:?}");
        std::thread::sleep(QUICK.most * 2);
        assert!(score(&mut supervisor, 0, 0, 0.5).is_nan());
        assert!(supervisor.health.failures["trap"] > first.failures["trap"], "it is tried again");
    }

    #[test]
    fn a_guest_that_was_started_anew_goes_on_from_what_was_saved() {
        let model = Parameters { min_samples: 10, ..Parameters::default() }.to_model();
        let mut series = SeriesTable::new(qualm_stream::Limits::default());
        let mut supervisor = supervisor(qualm_components::DETECTOR, &model);
        let (kept, other) = (series.number(1, 0), series.number(2, 0));
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
        let ttl = qualm_stream::Limits::default().ttl;
        assert_eq!(series.number(1, ttl), kept);
        series.retire(ttl + 1, 2, &mut Vec::new());
        assert_eq!(series.number(3, ttl + 1), other);
        score(&mut supervisor, 99, 0, 0.0); // starts it
        while supervisor.is_busy() {
            supervisor.tend(&series);
        }
        assert_eq!(score(&mut supervisor, kept, 50 * second, 100.0).to_bits(), expected.to_bits());
        assert!(score(&mut supervisor, other, 50 * second, 100.0).is_nan(), "the third series has no past");
    }

    #[test]
    fn a_state_that_is_refused_is_a_fresh_start() {
        let mut supervisor = supervisor(qualm_components::DETECTOR, &Parameters::default().to_model());
        let series = SeriesTable::new(qualm_stream::Limits::default());
        supervisor.adopt(vec![Arc::new(Slice { identities: vec![1], state: b"old".to_vec() })]);
        while supervisor.is_busy() {
            supervisor.tend(&series);
        }
        assert!(supervisor.saved().is_empty());
        assert!(supervisor.health.failures.is_empty() && supervisor.guest.is_some());
    }
}
