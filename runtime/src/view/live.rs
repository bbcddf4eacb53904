//! What the live page asks for, as JSON.

use std::sync::Arc;

use qualm_drift::{FeatureReport, Report, Test};
use serde_json::{Value, json};

use super::latency::Histogram;
use super::recorder::{Incident, Rates};
use super::track::{Now, Point, STEP};
use super::{Detector, Inside, Snapshot, View};
use crate::clock;
use crate::drift::DriftView;

/// The most series that are listed.
const MAX_LISTED: usize = 2_000;

/// The most features of an incident that are shown.
const MAX_FEATURES: usize = 10;

/// The state of these pipelines, which are parts of `mode` (`execd` or `serve`). `api` is whether the scoring API is served.
#[must_use]
pub fn overview(mode: &str, api: bool, views: &[Arc<View>]) -> Value {
    let now = clock::now() / 1_000_000;
    let (mut detectors, mut series, mut incidents) = (Vec::new(), Vec::new(), Vec::new());
    let (mut throughput, mut total) = (Throughput::default(), 0);
    let mut latency = Histogram::default();
    let mut uptime = 0.0_f64;
    for view in views {
        let (copy, minute) = view.copy(|inside| Copy::of(inside, now));
        let Copy { snapshot, rates, tracks, incidents: recorded, features } = &copy;
        throughput.add(snapshot.counts, *rates);
        total += snapshot.detectors.iter().map(|detector| detector.series).sum::<usize>();
        detectors.extend(snapshot.detectors.iter().map(|one| detector(view, one, views.len() > 1)));
        series.extend(tracks.iter().map(|one| (order(one), track(view, one, snapshot.detectors.get(one.lane)))));
        incidents.extend(recorded.iter().map(|one| {
            let names = features.get(one.lane).map_or(&[][..], Vec::as_slice);
            (one.started, incident(view, one, snapshot.detectors.get(one.lane), names))
        }));
        latency = latency.plus(&minute);
        uptime = uptime.max(view.started.elapsed().as_secs_f64());
    }
    series.sort_by(|(a, _), (b, _)| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    series.truncate(MAX_LISTED);
    incidents.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
    incidents.truncate(super::recorder::MAX_INCIDENTS);
    let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
    json!({
        "now": now,
        "qualm": { "version": env!("CARGO_PKG_VERSION"), "mode": mode, "api": api, "uptime_seconds": uptime },
        "throughput": throughput.json(),
        "latency": {
            "batches": latency.count,
            "p50_ms": ms(latency.quantile(0.5)),
            "p99_ms": ms(latency.quantile(0.99)),
            "max_ms": ms((latency.count > 0).then_some(latency.max)),
        },
        "detectors": detectors,
        "series": series.into_iter().map(|(_, one)| one).collect::<Vec<_>>(),
        "series_total": total,
        "incidents": incidents.into_iter().map(|(_, one)| one).collect::<Vec<_>>(),
    })
}

/// One series, by the `id` that the overview gave it. None where there is none of that name, or no more.
#[must_use]
pub fn series(views: &[Arc<View>], id: &str) -> Option<Value> {
    let mut parts = id.rsplitn(3, '-');
    let (number, lane, name) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let view = views.iter().find(|view| view.name == name)?;
    let SeriesCopy { name, detector, points, has_bands, features, contributions } =
        view.copy(|inside| SeriesCopy::of(inside, lane, number))?;
    let finite = |number: fn(&Point) -> f32| {
        points.iter().map(number).map(|number| number.is_finite().then_some(number)).collect::<Vec<_>>()
    };
    let band = || {
        json!({
            "expected": finite(|point| point.band[0]),
            "lower": finite(|point| point.band[1]),
            "upper": finite(|point| point.band[2]),
        })
    };
    Some(json!({
        "id": id,
        "name": &*name,
        "detector": detector,
        "step_ms": STEP,
        "times": points.iter().map(|point| point.time).collect::<Vec<_>>(),
        "scores": finite(|point| point.score),
        "values": finite(|point| point.value),
        "band": has_bands.then(band),
        "features": (!features.is_empty()).then_some(features),
        "contributions": contributions,
    }))
}

/// What is copied of one series.
struct SeriesCopy {
    name: Arc<str>,
    detector: String,
    points: Vec<Point>,
    has_bands: bool,
    features: Vec<String>,
    contributions: Box<[f64]>,
}

impl SeriesCopy {
    fn of(inside: &Inside, lane: usize, series: u32) -> Option<Self> {
        let track = inside.recorder.track(lane, series)?;
        Some(Self {
            name: Arc::clone(&track.now.name),
            detector: inside.snapshot.detectors.get(lane)?.name.clone(),
            points: track.points().collect(),
            has_bands: track.has_bands(),
            features: inside.recorder.features(lane).to_vec(),
            contributions: track.contributions.clone(),
        })
    }
}

/// What is copied of a view.
struct Copy {
    snapshot: Snapshot,
    rates: Rates,
    tracks: Vec<Now>,
    incidents: Vec<Incident>,
    features: Vec<Vec<String>>,
}

impl Copy {
    fn of(inside: &mut Inside, now: i64) -> (Self, Histogram) {
        let minute = inside.latency.last_minute(now);
        let Inside { snapshot, recorder, .. } = inside;
        let features = (0..snapshot.detectors.len()).map(|lane| recorder.features(lane).to_vec()).collect();
        let tracks = recorder.tracks().map(|track| track.now.clone()).collect();
        let (rates, incidents) = (recorder.rates(snapshot.counts, now), recorder.incidents().cloned().collect());
        (Self { snapshot: snapshot.clone(), rates, tracks, incidents, features }, minute)
    }
}

/// The order of series: anomalous ones first, then by score.
fn order(track: &Now) -> (bool, f64) {
    (track.since.is_some(), if track.score.is_nan() { -1.0 } else { track.score })
}

fn id(view: &View, lane: usize, series: u32) -> String {
    format!("{}-{lane}-{series}", view.name)
}

fn detector(view: &View, detector: &Detector, several: bool) -> Value {
    let Detector { name, kind, mode, model, series, joined: _, rows, scored, incidents, health, .. } = detector;
    let Detector { taken, refused, refusal, rollout, .. } = detector;
    json!({
        "name": if several { format!("{}: {name}", view.name) } else { name.clone() },
        "kind": kind,
        "state": mode.name(),
        "model": model.as_ref().map(|title| json!({ "name": title.name, "version": title.version })),
        "series": series,
        "rows": rows,
        "scored": scored,
        "incidents": incidents,
        "unscored": health.unscored,
        "failures": health.failures,
        "rests": health.rests,
        "restarts": health.starts.saturating_sub(1),
        "reloads": { "taken": taken, "refused": refused, "last_error": refusal },
        "drift": drift(&detector.drift),
        "rollout": rollout,
    })
}

/// `null` where nothing is compared.
fn drift(view: &DriftView) -> Value {
    let Some(state) = view.state() else { return Value::Null };
    let DriftView::Known(snapshot) = view else { return json!({ "state": state, "features": [], "also": [] }) };
    let report @ Report { features, alarm_rate, .. } = &snapshot.report;
    let distance = |report: &FeatureReport| {
        report.tests.iter().find(|test| test.test == Test::Wasserstein).map(|test| test.statistic)
    };
    let mut shown: Vec<_> = snapshot.features.iter().zip(features).collect();
    shown.sort_by(|(_, a), (_, b)| {
        b.drifted.cmp(&a.drifted).then(distance(b).unwrap_or(0.0).total_cmp(&distance(a).unwrap_or(0.0)))
    });
    shown.truncate(MAX_FEATURES);
    let also = [("scores", report.scores_drift()), ("rate of alarms", alarm_rate.drifted)];
    json!({
        "state": state,
        "features": shown.into_iter().map(|(name, report)| {
            json!({ "name": name, "distance": distance(report), "drifted": report.drifted })
        }).collect::<Vec<_>>(),
        "also": also.iter().filter(|(_, drifted)| *drifted).map(|(what, _)| *what).collect::<Vec<_>>(),
    })
}

fn track(view: &View, track: &Now, detector: Option<&Detector>) -> Value {
    let Now { lane, series, name, score, since, last } = track;
    json!({
        "id": id(view, *lane, *series),
        "name": &**name,
        "detector": detector.map(|detector| &detector.name),
        "score": score.is_finite().then_some(score),
        "anomalous": since.is_some(),
        "since": since,
        "last": last,
    })
}

fn incident(view: &View, incident: &Incident, detector: Option<&Detector>, features: &[String]) -> Value {
    let Incident { lane, series, name, key, started, ended, peak, reason, contributions } = incident;
    let all: f64 = contributions.iter().map(|(share, _)| share.abs()).sum();
    let share = |(share, value): &(f64, f64)| (if all > 0.0 { share / all } else { 0.0 }, *value);
    let mut shares: Vec<_> = contributions.iter().map(share).zip(features).collect();
    shares.sort_by(|((a, _), _), ((b, _), _)| b.abs().total_cmp(&a.abs()));
    shares.truncate(MAX_FEATURES);
    let cause = shares.first().map_or(&**key, |(_, name)| name.as_str());
    json!({
        "id": id(view, *lane, *series),
        "name": &**name,
        "detector": detector.map(|detector| &detector.name),
        "started": started,
        "ended": ended,
        "peak": peak,
        "reason": reason.name(),
        "cause": cause,
        "contributions": shares.iter().map(|((share, value), name)| {
            json!({ "feature": name, "share": share, "value": value.is_finite().then_some(value) })
        }).collect::<Vec<_>>(),
    })
}

/// Counts and rates of all pipelines together.
#[derive(Default)]
struct Throughput {
    counts: qualm_pipeline::Counts,
    rates: Rates,
}

impl Throughput {
    fn add(&mut self, counts: qualm_pipeline::Counts, rates: Rates) {
        self.counts.events += counts.events;
        self.counts.rows += counts.rows;
        self.counts.scored += counts.scored;
        self.counts.incidents += counts.incidents;
        self.counts.bytes += counts.bytes;
        self.rates.events += rates.events;
        self.rates.rows += rates.rows;
    }

    fn json(&self) -> Value {
        let qualm_pipeline::Counts { events, rows, scored, incidents, bytes, .. } = self.counts;
        json!({
            "events": events, "rows": rows, "scored": scored, "incidents": incidents, "bytes": bytes,
            "events_per_second": self.rates.events, "rows_per_second": self.rates.rows,
        })
    }
}
