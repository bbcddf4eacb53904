//! The families of `/metrics`. `docs/metrics.md` explains each.

use std::sync::atomic::{AtomicU64, Ordering};

use qualm::Mode;
use qualm::rollout::{Report, State};
use qualm::view::latency::{BUCKETS, Histogram};
use qualm::view::{Detector, Snapshot};
use qualm_http::exposition::{Exposition, Family};

use super::drift_metrics;
use super::observed::Observed;
use super::pipeline_health::PipelineHealth;

/// Writes all families.
pub fn expose(observed: &Observed, out: &mut Exposition) {
    out.info("qualm_build", "The version that runs.", &[("version", env!("CARGO_PKG_VERSION"))]);
    let pipelines = observed.views.iter().map(|view| {
        let (snapshot, latency) = view.copy(|inside| (inside.snapshot.clone(), inside.latency.all));
        Pipeline { name: view.name, snapshot, latency }
    });
    let pipelines: Vec<_> = pipelines.collect();
    events(&pipelines, out);
    detectors(&pipelines, out);
    models(&pipelines, out);
    drift_metrics::expose(all(&pipelines), out);
    rollouts(&pipelines, out);
    if let Some(registry) = &observed.registry {
        let help = "How often a model could not be loaded that applications ask for scores.";
        out.counter("qualm_api_models_refused", help).value(&[], registry.refused() as f64);
    }
    health(observed, out);
    forwarded(observed, out);
    observed.server.snapshot().expose(out);
}

/// One pipeline's counts.
struct Pipeline {
    name: &'static str,
    snapshot: Snapshot,
    latency: Histogram,
}

/// A family of rollouts: its name, its help, and its value.
type Gauge<T> = (&'static str, &'static str, fn(&Report) -> T);

/// A family of counters: its name, its help, and its value.
type Counter<T> = (&'static str, &'static str, fn(&T) -> u64);

fn events(pipelines: &[Pipeline], out: &mut Exposition) {
    let families: [Counter<Snapshot>; 8] = [
        ("qualm_received_bytes", "Bytes that came in.", |one| one.counts.bytes),
        ("qualm_received_events", "Events that came in and are metrics.", |one| one.counts.events),
        ("qualm_selected_events", "Events with a value that a detector wants.", |one| one.counts.selected),
        ("qualm_scored_events", "Events and vectors that got a score.", |one| one.counts.scored),
        ("qualm_incidents", "Incidents that were reported, each once.", |one| one.counts.incidents),
        ("qualm_upstream_scored_events", "Events that had a score already.", |one| one.counts.upstream),
        ("qualm_rows", "Values and vectors that were given to a detector.", |one| one.counts.rows),
        ("qualm_evicted_series", "Series that were dropped: too many, or not seen for long.", |one| one.counts.evicted),
    ];
    for (name, help, count) in families {
        let mut family = out.counter(name, help);
        for Pipeline { name, snapshot, .. } in pipelines {
            family.value(&[("pipeline", name)], count(snapshot) as f64);
        }
    }
    let help = "Events that could not be scored, and passed as they are (or, of Vector, were refused): malformed, \
                unknown (well-formed, of no kind that is known), or unfinished (longer than 1 MiB, or without an end in \
                time).";
    let mut family = out.counter("qualm_errors", help);
    for Pipeline { name, snapshot, .. } in pipelines {
        let qualm_pipeline::Counts { malformed, unknown, unfinished, .. } = snapshot.counts;
        for (kind, count) in [("malformed", malformed), ("unknown", unknown), ("unfinished", unfinished)] {
            let labels = [("pipeline", *name), ("error_type", kind), ("stage", "receiving")];
            family.value(&labels, count as f64);
        }
    }
    let mut family = out.histogram("qualm_batch_seconds", "How long batches took, from read to scored.");
    for Pipeline { name, latency, .. } in pipelines {
        let bucket = |at: usize| (Histogram::bound(at), latency.counts[at]);
        family.buckets(&[("pipeline", name)], &(0..BUCKETS).map(bucket).collect::<Vec<_>>(), latency.sum);
    }
}

/// All detectors, each with the name of its pipeline.
fn all(pipelines: &[Pipeline]) -> impl Iterator<Item = (&'static str, &Detector)> + Clone {
    pipelines.iter().flat_map(|one| one.snapshot.detectors.iter().map(|detector| (one.name, detector)))
}

/// Adds the value of each detector that has one.
fn per_detector(pipelines: &[Pipeline], mut family: Family<'_>, value: impl Fn(&Detector) -> Option<u64>) {
    for (name, one) in all(pipelines) {
        if let Some(value) = value(one) {
            family.value(&[("pipeline", name), ("detector", &one.name)], value as f64);
        }
    }
}

fn detectors(pipelines: &[Pipeline], out: &mut Exposition) {
    let family = out.gauge("qualm_detector_series", "Series that a detector knows.");
    per_detector(pipelines, family, |one| Some(one.series as u64));
    let help = "The most memory that a detector's guest had at a time.";
    let family = out.gauge("qualm_detector_peak_memory_bytes", help);
    per_detector(pipelines, family, |one| Some(one.health.memory));
    let help = "1 for a detector's state: scoring; waiting, without a model; resting, after repeated failures.";
    let mut family = out.gauge("qualm_detector_state", help);
    for (name, one) in all(pipelines) {
        for mode in Mode::ALL {
            let labels = [("pipeline", name), ("detector", &*one.name), ("state", mode.name())];
            family.value(&labels, f64::from(u8::from(one.mode == mode)));
        }
    }
    let families: [Counter<Detector>; 10] = [
        ("qualm_detector_rows", "Rows that a detector was given.", |one| one.rows),
        ("qualm_detector_scored_rows", "Rows that it scored.", |one| one.scored),
        ("qualm_detector_unscored_rows", "Rows that passed unscored because it failed or rested.", |one| {
            one.health.unscored
        }),
        ("qualm_detector_batches", "Batches that it scored.", |one| one.health.batches),
        ("qualm_detector_starts", "How often it was started.", |one| one.health.starts),
        ("qualm_detector_rests", "How often it rested after repeated failures.", |one| one.health.rests),
        ("qualm_detector_fallbacks", "How often it went back to the model before.", |one| one.health.fallbacks),
        ("qualm_vectors", "Vectors that were joined for it.", |one| one.joined.vectors),
        ("qualm_vector_missing_values", "Values that were missing in them.", |one| one.joined.missing),
        ("qualm_vector_late_events", "Events that came after their vector was complete.", |one| one.joined.late),
    ];
    for (name, help, count) in families {
        per_detector(pipelines, out.counter(name, help), |one| Some(count(one)));
    }
    let family = out.counter("qualm_detector_incidents", "Incidents that it reported, each once.");
    per_detector(pipelines, family, |one| one.incidents);
    let mut family = out.counter("qualm_detector_failures", "Failures of a detector, by reason.");
    for (name, one) in all(pipelines) {
        for (reason, count) in &one.health.failures {
            family.value(&[("pipeline", name), ("detector", &one.name), ("reason", reason)], *count as f64);
        }
    }
    let help = "Lines that a detector wrote to the log: written, or dropped because they came too fast.";
    let mut family = out.counter("qualm_detector_log_lines", help);
    for (name, one) in all(pipelines) {
        for (outcome, count) in [("written", one.health.lines_written), ("dropped", one.health.lines_dropped)] {
            family.value(&[("pipeline", name), ("detector", &one.name), ("outcome", outcome)], count as f64);
        }
    }
}

fn models(pipelines: &[Pipeline], out: &mut Exposition) {
    let mut family = out.gauge("qualm_model_version", "The version of the model that a detector scores with.");
    for (name, one) in all(pipelines) {
        if let Some(model) = &one.model {
            let labels =
                [("pipeline", name), ("detector", &*one.name), ("model", &*model.name), ("kind", &*model.kind)];
            family.value(&labels, model.version as f64);
        }
    }
    let mut family = out.gauge("qualm_bundle_info", "1; its labels say which bundle a detector scores with.");
    for (name, one) in all(pipelines) {
        if let Some(model) = &one.model {
            let version = model.version.to_string();
            let labels = [
                ("pipeline", name),
                ("detector", &*one.name),
                ("name", &*model.name),
                ("version", &version),
                ("kind", &*model.kind),
            ];
            family.value(&labels, 1.0);
        }
    }
    let family = out.counter("qualm_models_taken", "Models that have taken over while metrics flowed.");
    per_detector(pipelines, family, |one| Some(one.taken));
    let family = out.counter("qualm_models_refused", "How often a model was offered that was not taken.");
    per_detector(pipelines, family, |one| Some(one.refused));
}

/// Models in shadow, and what became of candidates.
fn rollouts(pipelines: &[Pipeline], out: &mut Exposition) {
    let all = || all(pipelines).filter_map(|(name, one)| Some((name, &*one.name, one.rollout.as_ref()?)));
    let help =
        "1 for the state of a detector's rollout: none, without a candidate; shadow; watching, after a promotion.";
    let mut family = out.gauge("qualm_rollout_state", help);
    for (pipeline, detector, report) in all() {
        for state in State::ALL {
            let labels = [("pipeline", pipeline), ("detector", detector), ("state", state.name())];
            family.value(&labels, f64::from(u8::from(report.state == state)));
        }
    }
    let compared: [Gauge<Option<f64>>; 5] = [
        ("qualm_rollout_rows", "Rows that both models scored.", |one| Some(one.rows as f64)),
        (
            "qualm_rollout_agreement_ratio",
            "Of rows that either model calls anomalies, the share that both do.",
            |one| one.agreement,
        ),
        ("qualm_rollout_rank_correlation", "Spearman's rank correlation of both models' scores.", |one| {
            one.correlation
        }),
        ("qualm_rollout_cost_ratio", "Processor time of the model in shadow, in terms of the other's.", |one| one.cost),
        ("qualm_rollout_memory_bytes", "Memory of the guest in shadow.", |one| Some(one.memory as f64)),
    ];
    for (name, help, value) in compared {
        let mut family = out.gauge(name, help);
        for (pipeline, detector, report) in all().filter(|(.., report)| report.state != State::None) {
            if let Some(value) = value(report) {
                family.value(&[("pipeline", pipeline), ("detector", detector)], value);
            }
        }
    }
    let of_both: [Gauge<[u64; 2]>; 3] = [
        ("qualm_rollout_incidents", "Incidents that began on rows that both models scored, by their scores.", |one| {
            [one.alarms, one.shadow_alarms]
        }),
        ("qualm_rollout_anomalous_rows", "Rows among these that were within such incidents.", |one| {
            [one.anomalous, one.shadow_anomalous]
        }),
        ("qualm_rollout_failures", "Failures on batches that the other model did not fail on.", |one| {
            [one.failures, one.shadow_failures]
        }),
    ];
    for (name, help, values) in of_both {
        let mut family = out.gauge(name, help);
        for (pipeline, detector, report) in all().filter(|(.., report)| report.state != State::None) {
            for (role, value) in ["present", "shadow"].into_iter().zip(values(report)) {
                family.value(&[("pipeline", pipeline), ("detector", detector), ("role", role)], value as f64);
            }
        }
    }
    let counters: [Counter<Report>; 3] = [
        ("qualm_rollout_promotions", "Candidates that took over after a time in shadow.", |one| one.counts.promotions),
        ("qualm_rollout_rollbacks", "Those among them that gave way to the model before.", |one| one.counts.rollbacks),
        ("qualm_rollout_rejections", "Candidates that were given up in shadow.", |one| one.counts.rejections),
    ];
    for (name, help, count) in counters {
        let mut family = out.counter(name, help);
        for (pipeline, detector, report) in all() {
            family.value(&[("pipeline", pipeline), ("detector", detector)], count(report) as f64);
        }
    }
}

/// Whether pipelines work.
fn health(observed: &Observed, out: &mut Exposition) {
    if observed.pipelines().next().is_none() {
        return;
    }
    let mut family =
        out.gauge("qualm_pipeline_up", "1 while a pipeline works, 0 after a panic until it is started again.");
    for (name, health) in observed.pipelines() {
        family.value(&[("pipeline", name)], f64::from(u8::from(health.is_up())));
    }
    let families: [Counter<PipelineHealth>; 2] = [
        ("qualm_pipeline_panics", "How often a pipeline panicked, a fault of qualm.", PipelineHealth::panics),
        ("qualm_pipeline_unscored_bodies", "Bodies that passed unscored on account of that.", PipelineHealth::unscored),
    ];
    for (family, help, count) in families {
        let mut family = out.counter(family, help);
        for (name, health) in observed.pipelines() {
            family.value(&[("pipeline", name)], count(health) as f64);
        }
    }
}

/// Bodies that were forwarded, repaired, discarded or retried.
fn forwarded(observed: &Observed, out: &mut Exposition) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let vector = observed.vector.as_ref();
    let destinations = [
        ("vector", vector.and_then(|vector| vector.forward())),
        ("influxdb", observed.influxdb.as_ref().map(|influxdb| &influxdb.forward)),
    ];
    let destinations: Vec<_> =
        destinations.into_iter().filter_map(|(name, forward)| Some((name, forward?.counts()))).collect();
    if !destinations.is_empty() {
        let help = "Bodies that were forwarded, by outcome: delivered, rejected for good, or failed until they are sent again.";
        let mut family = out.counter("qualm_sent_bodies", help);
        for (name, counts) in &destinations {
            let outcomes =
                [("delivered", &counts.delivered), ("rejected", &counts.rejected), ("failed", &counts.failed)];
            for (outcome, counter) in outcomes {
                family.value(&[("pipeline", name), ("outcome", outcome)], count(counter));
            }
        }
        let mut family = out.counter("qualm_sent_bytes", "Bytes of bodies that were delivered.");
        for (name, counts) in &destinations {
            family.value(&[("pipeline", name)], count(&counts.bytes));
        }
    }
    if let Some(vector) = vector {
        let counts = &vector.counts;
        let labels = [("pipeline", "vector")];
        out.counter(
            "qualm_repaired_events",
            "Events that Vector's encoder wrote so that its decoder would refuse them.",
        )
        .value(&labels, count(&counts.repaired));
        out.counter("qualm_discarded_events", "Events that could not go back: metrics whose value is not a number.")
            .value(&[("pipeline", "vector"), ("intentional", "false")], count(&counts.discarded));
    }
    let retried = [
        ("vector", vector.map(|vector| vector.retries.retried())),
        ("influxdb", observed.influxdb.as_ref().map(|influxdb| influxdb.retries.retried())),
    ];
    let mut family = out.counter("qualm_repeated_bodies", "Bodies that were sent again, and not scored a second time.");
    for (name, count) in retried.into_iter().filter_map(|(name, count)| Some((name, count?))) {
        family.value(&[("pipeline", name)], count as f64);
    }
}
