//! New models take over between two batches.

use std::time::Instant;

use qualm_pipeline::Format;
use qualm_pipeline::suppress::Suppression;
use tracing::{error, info};

use super::ensemble::{Ensemble, Member};
use super::rollout::TrialOf;
use super::{Pipeline, part};
use crate::clock;
use crate::models::{Candidate, Promotion};
use crate::rollout::State;
use crate::supervisor::{Ability, Mode, Supervisor, drop_in_background};

impl<F: Format> Pipeline<F> {
    /// Records which models failed, so that they are not loaded again.
    pub(super) fn fall_back(&mut self) {
        for Member { supervisor, reloader, .. } in self.ensembles.iter_mut().flat_map(Ensemble::members_mut) {
            if let (Some(failed), Some(reloader)) = (supervisor.take_fallback(), reloader) {
                reloader.record_fallback(&failed);
            }
        }
    }

    /// Swaps in new models.
    pub(super) fn swap(&mut self) {
        for lane in 0..self.ensembles.len() {
            for member in 0..self.ensembles[lane].members().len() {
                let Member { reloader, rollout, .. } = &self.ensembles[lane].members()[member];
                let only_chosen = rollout.state() == State::Watching;
                if let Some(candidate) = reloader.as_ref().and_then(|reloader| reloader.take_candidate(only_chosen)) {
                    self.swap_one(lane, member, candidate);
                }
            }
        }
    }

    fn swap_one(&mut self, at: usize, member: usize, candidate: Candidate) {
        let Self { inner, ensembles, own, limits, watched, .. } = self;
        let began = Instant::now();
        let Candidate { title, shape, suppression, reference, running, unkept } = candidate;
        let same = inner.lanes()[at].shape() == shape.as_ref();
        let several = ensembles[at].has_several();
        let others = ensembles[at].members().iter().enumerate().filter(|(other, _)| *other != member);
        let bound = others.map(|(_, other)| other.supervisor.mode()).any(|mode| mode != Mode::Waiting);
        let Member { supervisor, reloader, rollout, drift, .. } = &mut ensembles[at].members_mut()[member];
        // Somebody may have gone back to the model that runs: it did before this was read.
        if rollout.shadows() && unkept.is_none() && supervisor.title() == Some(&title) {
            drop_in_background(running.into_parts().1);
            return;
        }
        // What somebody went back to is not compared first, nor is what comes where nothing is scored.
        let compared = rollout.shadows() && unkept.is_some() && supervisor.mode() == Mode::Scoring;
        if (bound || compared) && !same {
            let why = if compared {
                format!(
                    "{title} has other features, entities or intervals, so it cannot be compared; with `rollout = \
                     \"immediate\"` it takes over"
                )
            } else {
                format!(
                    "{title} has other features, entities or intervals than the other members; to change them for all, put \
                     all new models in place and restart qualm"
                )
            };
            error!("detector `{}` keeps its model: {why}", supervisor.name());
            if let Some(reloader) = reloader {
                reloader.record_refusal(&why);
            }
            drop_in_background(running.into_parts().1);
            return;
        }
        let suppression = part::suppression(&own[at], if several { Suppression::default() } else { suppression });
        if !compared {
            rollout.end(supervisor).into_iter().for_each(Supervisor::discard);
            if same {
                inner.lanes_mut()[at].set_suppression(suppression);
            } else {
                if let Some(watched) = watched {
                    watched.view.lock().recorder.forget_all(at, clock::now() / 1_000_000);
                }
                part::log_unused_settings(&own[at], shape.as_ref());
                inner.replace_lane(at, part::lane(&own[at], *limits, shape, suppression));
            }
        }
        if !several && let Err(what) = part::check_bands(&own[at], &[Some(Ability::bands(&running))]) {
            error!("detector `{}`: {what}", supervisor.name());
        }
        let Some((configured, _)) = own[at].members().nth(member) else { return };
        if let Err(what) = part::check_prior(configured, &running) {
            error!("detector `{}`: {what}", configured.name);
        }
        drift.add(reference);
        if compared {
            self.begin_shadow(at, member, TrialOf { running, suppression, unkept }, &title);
            return;
        }
        let series = same.then(|| inner.lanes()[at].series());
        supervisor.swap(running, series);
        if let Some(reloader) = reloader {
            reloader.record_taken();
            if let Some(bundle) = unkept {
                reloader.record(Promotion::Promoted(bundle));
            }
        }
        if let Some(watched) = watched {
            watched.unshown = true;
        }
        info!("detector `{}`: {title} has taken over, in {:.1?}", supervisor.name(), began.elapsed());
    }
}
