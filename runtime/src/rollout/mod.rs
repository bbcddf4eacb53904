//! Safe rollout: a new model is in shadow first, takes over by rule or by command, and is watched from then on.
//!
//! Beside a member's [`Supervisor`] there is another one, in shadow. It scores the same batches between batches, after they have
//! been written, and its verdicts go nowhere but into a [`Comparison`]. When a candidate takes over, the two exchange their
//! models: the model before goes on in shadow, where it learns and is compared, so that a rollback loses nothing. After the
//! watch it is kept as it was last saved.
//!
//! - `comparison`, `ranks`: what is compared; `rules`: what follows from it. Both only count and compare;
//! - `report`: what is told of it; `orders`: commands for a running pipeline.
//!
//! `pipeline::rollout` does what the rules say.

mod comparison;
mod orders;
mod ranks;
mod report;
mod rules;

use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_bundle::Bundle;
use qualm_contract::{BatchScorer as _, Verdicts};
use qualm_pipeline::Rows;
use qualm_pipeline::suppress::Suppression;

use self::comparison::Comparison;
pub use self::orders::{Answer, Command, Commander, Orders, Refusal, Unanswered, channel};
pub use self::report::{Counts, Entry, Model, Report, State};
use self::rules::Beyond;
pub(crate) use self::rules::Due;
use crate::config;
use crate::supervisor::Supervisor;

/// The rollouts of one member.
#[derive(Debug, Default)]
pub(crate) struct Rollout {
    /// How new models take over; at once without one.
    plan: Option<config::Rollout>,
    stage: Stage,
    counts: Counts,
}

/// Where a rollout stands.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// There is no candidate.
    #[default]
    None,
    /// A candidate is in shadow.
    Shadow(Box<Trial>),
    /// A candidate took over, and the model before is in shadow. That one's rate of alarms, when it was not, is this.
    Watch(Box<Trial>, f64),
}

/// A model in shadow, compared with the one that scores.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Who looks after the guest in shadow.
    pub(crate) other: Supervisor,
    /// Which of its incidents would be reported.
    pub(crate) suppression: Suppression,
    /// Its bundle, which is kept for the next start once it takes over.
    pub(crate) unkept: Option<Arc<Bundle>>,
    verdicts: Verdicts,
    comparison: Comparison,
    since: Instant,
    /// Failures of both that were taken in.
    failures: (u64, u64),
}

impl Trial {
    /// Begins to compare a model in shadow with the present one.
    pub(crate) fn begin(
        present: &mut Supervisor,
        mut other: Supervisor,
        suppression: Suppression,
        unkept: Option<Arc<Bundle>>,
    ) -> Self {
        present.measure(true);
        other.measure(true);
        let failures = (present.failures(), other.failures());
        Self {
            other,
            suppression,
            unkept,
            verdicts: Verdicts::default(),
            comparison: Comparison::default(),
            since: Instant::now(),
            failures,
        }
    }

    /// Scores a batch in shadow that the present model has scored, and compares.
    fn score(&mut self, present: &mut Supervisor, rows: &Rows, scores: &[f64]) {
        let Self { other, verdicts, comparison, failures, .. } = self;
        other.start_pause();
        other.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
        verdicts.clear();
        other.score_in_shadow(rows.batch(), rows.wanted(), verdicts);
        comparison.add_rows(&rows.series, scores, &verdicts.scores);
        let now = (present.failures(), other.failures());
        let new = (now.0.saturating_sub(failures.0), now.1.saturating_sub(failures.1));
        *failures = now;
        comparison.add_batch((present.take_worked(), other.take_worked()), new);
    }

    /// The same trial, after the two models have changed places: it begins anew.
    fn exchanged(self, present: &mut Supervisor, suppression: Suppression) -> Self {
        let (verdicts, comparison) = (self.verdicts, self.comparison.exchanged());
        Self { verdicts, comparison, ..Self::begin(present, self.other, suppression, None) }
    }
}

impl Rollout {
    /// Without a candidate. `plan` says how one takes over.
    pub(crate) fn new(plan: Option<config::Rollout>) -> Self {
        Self { plan, ..Self::default() }
    }

    /// Whether new models are in shadow first.
    pub(crate) fn shadows(&self) -> bool {
        self.plan.is_some()
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::None => State::None,
            Stage::Shadow(_) => State::Shadow,
            Stage::Watch(..) => State::Watching,
        }
    }

    /// For how long a model is watched that took over.
    pub(crate) fn watch_for(&self) -> Duration {
        self.plan.as_ref().map_or(Duration::ZERO, |plan| plan.watch_for)
    }

    /// The supervisor in shadow.
    pub(crate) fn other_mut(&mut self) -> Option<&mut Supervisor> {
        match &mut self.stage {
            Stage::None => None,
            Stage::Shadow(trial) | Stage::Watch(trial, _) => Some(&mut trial.other),
        }
    }

    /// Whether the guest in shadow is being saved or restored.
    pub(crate) fn is_busy(&self) -> bool {
        self.trial().is_some_and(|trial| trial.other.is_busy())
    }

    fn trial(&self) -> Option<&Trial> {
        match &self.stage {
            Stage::None => None,
            Stage::Shadow(trial) | Stage::Watch(trial, _) => Some(trial),
        }
    }

    /// Scores a batch in shadow that the present model has scored.
    pub(crate) fn score(&mut self, present: &mut Supervisor, rows: &Rows, scores: &[f64]) {
        if let Stage::Shadow(trial) | Stage::Watch(trial, _) = &mut self.stage {
            trial.score(present, rows, scores);
        }
    }

    /// These series' numbers come to mean others.
    pub(crate) fn forget_series(&mut self, series: &[u32]) {
        if let Stage::Shadow(trial) | Stage::Watch(trial, _) = &mut self.stage {
            // It never fails.
            let _forgotten = trial.other.forget_series(series);
            trial.comparison.forget_series(series);
        }
    }

    /// Puts a candidate in shadow, where nothing is.
    pub(crate) fn begin_shadow(&mut self, trial: Trial) {
        self.stage = Stage::Shadow(Box::new(trial));
    }

    /// What the rules ask for now.
    pub(crate) fn due(&self) -> Option<Due> {
        let plan = self.plan.as_ref()?;
        match &self.stage {
            Stage::None => None,
            Stage::Shadow(trial) => rules::of_candidate(&trial.comparison, plan, trial.since.elapsed()),
            Stage::Watch(trial, rate) => rules::of_promoted(&trial.comparison, plan, *rate, trial.since.elapsed()),
        }
    }

    /// The candidate in shadow takes over, and the model before goes on in shadow. What the candidate brought: its suppression,
    /// in return for that of the model before; and its bundle.
    pub(crate) fn promote(
        &mut self,
        present: &mut Supervisor,
        suppression: Suppression,
    ) -> Option<(Suppression, Option<Arc<Bundle>>)> {
        if self.state() != State::Shadow {
            return None;
        }
        let Stage::Shadow(mut trial) = std::mem::take(&mut self.stage) else { return None };
        let rate = trial.comparison.present_rate();
        present.take_over(&mut trial.other);
        let brought = (trial.suppression, trial.unkept.take());
        self.stage = Stage::Watch(Box::new(trial.exchanged(present, suppression)), rate);
        self.counts.promotions += 1;
        Some(brought)
    }

    /// The model before takes its place again; the one that took over is ended. The suppression of the model before.
    pub(crate) fn roll_back(&mut self, present: &mut Supervisor) -> Option<Suppression> {
        if self.state() != State::Watching {
            return None;
        }
        let Stage::Watch(mut trial, _) = std::mem::take(&mut self.stage) else { return None };
        present.give_back(&mut trial.other);
        present.measure(false);
        self.counts.rollbacks += 1;
        trial.other.discard();
        Some(trial.suppression)
    }

    /// Counts that the model before was started again, after its watch.
    pub(crate) fn count_rollback(&mut self) {
        self.counts.rollbacks += 1;
    }

    /// Gives the candidate in shadow up.
    pub(crate) fn reject(&mut self, present: &mut Supervisor) -> Option<Supervisor> {
        self.counts.rejections += 1;
        self.end(present)
    }

    /// Ends what is under way. The model in shadow, if there is one.
    pub(crate) fn end(&mut self, present: &mut Supervisor) -> Option<Supervisor> {
        present.measure(false);
        std::mem::take(&mut self.stage).into_other()
    }

    /// What is told of it; `None` where new models take over at once.
    pub(crate) fn report(&self) -> Option<Report> {
        let plan = self.plan.as_ref()?;
        let (state, counts) = (self.state(), self.counts);
        let Some(Trial { other, comparison, since, .. }) = self.trial() else {
            return Some(Report { state, counts, ..Report::default() });
        };
        let beyond = match &self.stage {
            Stage::Shadow(_) => rules::check_candidate(comparison, &plan.bounds).err(),
            Stage::None | Stage::Watch(..) => None, // it would have been rolled back
        };
        Some(Report {
            state,
            shadow: other.title().map(|title| Model::from(&**title)),
            seconds: since.elapsed().as_secs(),
            rows: comparison.rows,
            alarms: comparison.present.alarms,
            shadow_alarms: comparison.other.alarms,
            anomalous: comparison.present.anomalous,
            shadow_anomalous: comparison.other.anomalous,
            agreement: comparison.agreement(),
            correlation: comparison.correlation(),
            failures: comparison.present.failures,
            shadow_failures: comparison.other.failures,
            cost: comparison.cost(),
            memory: other.memory(),
            out_of_bounds: beyond.as_ref().map(Beyond::to_string),
            counts,
        })
    }
}

impl Stage {
    fn into_other(self) -> Option<Supervisor> {
        match self {
            Self::None => None,
            Self::Shadow(trial) | Self::Watch(trial, _) => Some(trial.other),
        }
    }
}
