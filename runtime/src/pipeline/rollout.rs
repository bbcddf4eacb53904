//! Candidates in shadow: they score what was written, between batches, and take over or not.

use std::sync::Arc;

use qualm_bundle::Bundle;
use qualm_bundle::duration::friendly;
use qualm_contract::Verdicts;
use qualm_pipeline::Format;
use qualm_pipeline::suppress::Suppression;
use qualm_sandbox::{Running, Title};
use tracing::{info, warn};

use super::Pipeline;
use super::ensemble::{Ensemble, Member};
use crate::models::Promotion;
use crate::rollout::{Answer, Command, Due, Entry, Model, Orders, Refusal, State, Trial};
use crate::supervisor::Supervisor;

impl<F: Format> Pipeline<F> {
    /// Takes commands from this channel, between batches.
    pub fn obey(&mut self, orders: Orders) {
        self.orders = Some(orders);
    }

    /// Scores the last batch in shadow, once it has been written.
    pub(super) fn score_in_shadow(&mut self) {
        for (ensemble, lane) in self.ensembles.iter_mut().zip(self.inner.lanes()) {
            let (rows, Verdicts { scores, .. }) = lane.last_rows();
            let several = ensemble.has_several();
            if rows.is_empty() {
                continue;
            }
            let alone = (!several).then_some(scores.as_slice());
            ensemble.members_mut().iter_mut().for_each(|member| member.score_in_shadow(rows, alone));
        }
    }

    /// Does what the rules of rollouts ask for.
    pub(super) fn follow_rules(&mut self) {
        for lane in 0..self.ensembles.len() {
            for member in 0..self.ensembles[lane].members().len() {
                match self.ensembles[lane].members()[member].rollout.due() {
                    None => {}
                    Some(Due::Promotion) => drop(self.promote(lane, member, "by rule")),
                    Some(Due::Rejection(why)) => drop(self.reject(lane, member, &why.to_string())),
                    Some(Due::Rollback(why)) => drop(self.roll_back(lane, member, &why.to_string())),
                    Some(Due::Acceptance) => self.accept(lane, member),
                }
            }
        }
    }

    /// Carries out a command, if one waits.
    pub(super) fn obey_orders(&mut self) {
        let Some(orders) = self.orders.take() else { return };
        orders.obey(|command| self.carry_out(command));
        self.orders = Some(orders);
    }

    /// Puts a candidate in shadow of the present model.
    pub(super) fn begin_shadow(&mut self, at: usize, member: usize, of: TrialOf, title: &Title) {
        let Self { inner, ensembles, watched, .. } = self;
        let Member { supervisor, rollout, .. } = &mut ensembles[at].members_mut()[member];
        // No two guests beside the present one.
        rollout.end(supervisor).into_iter().for_each(Supervisor::discard);
        let TrialOf { running, suppression, unkept } = of;
        let other = supervisor.shadow(running, inner.lanes()[at].series());
        rollout.begin_shadow(Trial::begin(supervisor, other, suppression, unkept));
        if let Some(watched) = watched {
            watched.unshown = true;
        }
        info!("detector `{}`: {title} is compared in shadow; its scores go nowhere else", supervisor.name());
    }

    fn promote(&mut self, at: usize, member: usize, how: &str) -> Option<String> {
        let Self { inner, ensembles, watched, .. } = self;
        let several = ensembles[at].has_several();
        let Member { supervisor, reloader, rollout, .. } = &mut ensembles[at].members_mut()[member];
        let before = supervisor.title().cloned();
        let lane = &mut inner.lanes_mut()[at];
        let (suppression, unkept) = rollout.promote(supervisor, lane.suppression())?;
        if !several {
            lane.set_suppression(suppression);
        }
        if let Some(reloader) = reloader {
            reloader.record_taken();
            if let Some(bundle) = unkept {
                reloader.record(Promotion::Promoted(bundle));
            }
        }
        if let Some(watched) = watched {
            watched.unshown = true;
        }
        let watch = friendly(rollout.watch_for());
        let what = format!(
            "{} has taken over from {}, {how}; it is watched for {watch}",
            shown(supervisor.title().map(|title| &**title)),
            shown(before.as_deref())
        );
        info!("detector `{}`: {what}", supervisor.name());
        Some(what)
    }

    fn reject(&mut self, at: usize, member: usize, why: &str) -> Option<String> {
        let Member { supervisor, reloader, rollout, .. } = &mut self.ensembles[at].members_mut()[member];
        let other = rollout.reject(supervisor)?;
        let title = other.title().cloned();
        other.discard();
        let what = format!("{} is given up in shadow: {why}", shown(title.as_deref()));
        warn!("detector `{}` keeps its model: {what}", supervisor.name());
        if let (Some(reloader), Some(title)) = (reloader, title) {
            reloader.record_refusal(&what);
            reloader.record(Promotion::Rejected(title.version));
        }
        Some(what)
    }

    fn roll_back(&mut self, at: usize, member: usize, why: &str) -> Option<String> {
        let Self { inner, ensembles, watched, .. } = self;
        let several = ensembles[at].has_several();
        let Member { supervisor, reloader, rollout, .. } = &mut ensembles[at].members_mut()[member];
        let failed = supervisor.title().cloned();
        let suppression = rollout.roll_back(supervisor)?;
        if !several {
            inner.lanes_mut()[at].set_suppression(suppression);
        }
        if let (Some(reloader), Some(failed)) = (reloader, &failed) {
            reloader.record_fallback(failed);
        }
        if let Some(watched) = watched {
            watched.unshown = true;
        }
        let now = shown(supervisor.title().map(|title| &**title));
        let what = format!("{} gives way to {now} again: {why}", shown(failed.as_deref()));
        warn!("detector `{}`: {what}", supervisor.name());
        Some(what)
    }

    /// Goes back to the model before, which has not run since its watch ended.
    fn restart_previous(&mut self, at: usize, member: usize) -> Option<String> {
        let Member { supervisor, rollout, .. } = &mut self.ensembles[at].members_mut()[member];
        let failed = supervisor.title().cloned();
        if !supervisor.roll_back() {
            return None;
        }
        rollout.count_rollback();
        let now = shown(supervisor.title().map(|title| &**title));
        let what = format!("{} gives way to {now} again: by command", shown(failed.as_deref()));
        warn!("detector `{}`: {what}", supervisor.name());
        self.fall_back(); // it is not loaded again
        Some(what)
    }

    fn accept(&mut self, at: usize, member: usize) {
        let Member { supervisor, rollout, .. } = &mut self.ensembles[at].members_mut()[member];
        if let Some(other) = rollout.end(supervisor) {
            supervisor.keep_as_previous(other);
            info!("detector `{}`: {} stays", supervisor.name(), shown(supervisor.title().map(|title| &**title)));
        }
    }

    fn carry_out(&mut self, command: &Command) -> Answer {
        let done = match command {
            Command::List => return Answer::Models(self.with_models().map(|(_, member)| entry(member)).collect()),
            Command::Promote(name) => self.find(name.as_deref(), can_promote).and_then(|(at, member)| {
                let what = self.promote(at, member, "by command");
                self.done(at, member, what, "no candidate is in shadow")
            }),
            Command::RollBack(name) => self.find(name.as_deref(), can_roll_back).and_then(|(at, member)| {
                let what = match self.ensembles[at].members()[member].rollout.state() {
                    State::Shadow => self.reject(at, member, "by command"),
                    State::Watching => self.roll_back(at, member, "by command"),
                    State::None => self.restart_previous(at, member),
                };
                let nothing = "no candidate is in shadow, and no model before is in memory; `qualm bundle rollback` goes \
                               back to one that the state directory keeps";
                self.done(at, member, what, nothing)
            }),
        };
        done.unwrap_or_else(Answer::Refused)
    }

    fn done(&self, at: usize, member: usize, what: Option<String>, nothing: &str) -> Result<Answer, Refusal> {
        let detector = self.ensembles[at].members()[member].supervisor.name().to_owned();
        match what {
            Some(what) => Ok(Answer::Done { detector, what }),
            None => Err(Refusal::Nothing(format!("detector `{detector}`: {nothing}"))),
        }
    }

    /// The members that have models, with their places.
    fn with_models(&self) -> impl Iterator<Item = ((usize, usize), &Member)> {
        let places = self.ensembles.iter().map(Ensemble::members).enumerate();
        let all = places.flat_map(|(at, members)| members.iter().enumerate().map(move |(of, one)| ((at, of), one)));
        all.filter(|(_, member)| member.reloader.is_some() || member.supervisor.title().is_some())
    }

    /// The member of this name; the only one that `can`, without a name.
    fn find(&self, name: Option<&str>, can: impl Fn(&Member) -> bool) -> Result<(usize, usize), Refusal> {
        let names = |members: &[((usize, usize), &Member)]| {
            members.iter().map(|(_, member)| member.supervisor.name()).collect::<Vec<_>>().join(", ")
        };
        if let Some(name) = name {
            let found = self.with_models().find(|(_, member)| member.supervisor.name() == name);
            let unknown =
                || Refusal::Unknown { name: name.to_owned(), known: names(&self.with_models().collect::<Vec<_>>()) };
            return found.map(|(place, _)| place).ok_or_else(unknown);
        }
        let able: Vec<_> = self.with_models().filter(|(_, member)| can(member)).collect();
        match able[..] {
            [(place, _)] => Ok(place),
            [] => Err(Refusal::Nothing("no detector has a candidate, or a model before, for that".to_owned())),
            _ => Err(Refusal::Several(names(&able))),
        }
    }
}

/// What a trial is made of.
pub(super) struct TrialOf {
    pub(super) running: Running,
    pub(super) suppression: Suppression,
    pub(super) unkept: Option<Arc<Bundle>>,
}

fn can_promote(member: &Member) -> bool {
    member.rollout.state() == State::Shadow
}

fn can_roll_back(member: &Member) -> bool {
    member.rollout.state() != State::None || member.supervisor.has_previous()
}

fn entry(member: &Member) -> Entry {
    let Member { supervisor, rollout, .. } = member;
    Entry {
        detector: supervisor.name().to_owned(),
        mode: supervisor.mode().name().to_owned(),
        model: supervisor.title().map(|title| Model::from(&**title)),
        can_roll_back: can_roll_back(member),
        rollout: rollout.report(),
    }
}

fn shown(title: Option<&Title>) -> String {
    title.map_or_else(|| "a model".to_owned(), Title::to_string)
}
