//! The detectors of a pipeline, as its [view](crate::view) shows them.

use qualm_pipeline::{Lane, join};

use super::ensemble::{Ensemble, Member};
use crate::config;
use crate::drift::DriftView;
use crate::models::Reloader;
use crate::supervisor::{Health, Mode};
use crate::view::Detector;

/// One a lane; behind them the members of ensembles.
pub(super) fn detectors(lanes: &[Lane], ensembles: &[Ensemble], configured: &[config::Detector]) -> Vec<Detector> {
    let all = lanes.iter().zip(ensembles.iter().zip(configured)).enumerate();
    let whole = all.clone().map(|(at, (lane, (ensemble, configured)))| {
        let one = match ensemble.members() {
            [only] => member(at, only, configured),
            several => whole_ensemble(at, several, configured),
        };
        Detector { is_lane: true, series: lane.series().len(), joined: lane.joined(), ..one }
    });
    let parts = all.filter(|(_, (_, (ensemble, _)))| ensemble.has_several()).flat_map(|(at, (_, (ensemble, own)))| {
        ensemble.members().iter().zip(own.members()).map(move |(one, (configured, _))| member(at, one, configured))
    });
    whole.chain(parts).collect()
}

/// A member, but for what is known of its lane.
fn member(lane: usize, member: &Member, configured: &config::Detector) -> Detector {
    let Member { supervisor, reloader, rollout, scored, drift, .. } = member;
    let model = supervisor.title().map(|title| (**title).clone());
    Detector {
        lane,
        is_lane: false,
        name: configured.name.clone(),
        kind: model.as_ref().map_or_else(|| configured.kind.name().to_owned(), |title| title.kind.clone()),
        mode: supervisor.mode(),
        model,
        series: 0,
        joined: join::Counts::default(),
        health: supervisor.health().clone(),
        rows: 0,
        scored: *scored,
        incidents: None,
        taken: reloader.as_ref().map_or(0, Reloader::taken),
        refused: reloader.as_ref().map_or(0, Reloader::refused),
        refusal: reloader.as_ref().and_then(Reloader::refusal),
        drift: drift.view(),
        drift_skipped: drift.skipped(),
        rollout: rollout.report(),
    }
}

/// An ensemble, but for what is known of its lane: it scores as long as one member does.
fn whole_ensemble(lane: usize, members: &[Member], configured: &config::Detector) -> Detector {
    let any = |wanted| members.iter().any(|member| member.supervisor.mode() == wanted);
    let mode = [Mode::Scoring, Mode::Resting].into_iter().find(|mode| any(*mode)).unwrap_or(Mode::Waiting);
    Detector {
        lane,
        is_lane: false,
        name: configured.name.clone(),
        kind: configured.kind.name().to_owned(),
        mode,
        model: None,
        series: 0,
        joined: join::Counts::default(),
        health: Health::default(),
        rows: 0,
        scored: 0,
        incidents: None,
        taken: 0,
        refused: 0,
        refusal: None,
        drift: DriftView::Off,
        drift_skipped: 0,
        rollout: None,
    }
}
