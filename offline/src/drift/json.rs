//! A comparison as JSON.

use qualm_drift::{Compare, FeatureReport, Summary};
use serde_json::{Value, json};

use super::{Causes, Moment, Outcome, Sustained};
use crate::history::timestamp;

pub(super) fn json(outcome: &Outcome) -> Value {
    let Outcome { title, report, timeline, table, reference, rules, notes, provenance, .. } = outcome;
    let provenance: serde_json::Map<_, _> =
        provenance.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
    let features = outcome.ranked().into_iter().map(|at| {
        let mut out = column(outcome, at, outcome.feature_drifts(at));
        out["feature"] = json!(table.names[at]);
        out
    });
    let mut alarm_rate = compare(&report.alarm_rate);
    alarm_rate["drifted"] = json!(outcome.alarms_drift());
    add_times(&mut alarm_rate, outcome.alarms_in_windows());
    let causes = |Causes { features, scores, alarms }: Causes| {
        let features: Vec<&str> = features.iter().map(|at| table.names[*at].as_str()).collect();
        json!({ "features": features, "scores": scores, "alarm_rate": alarms })
    };
    json!({
        "title": title,
        "notes": notes,
        "drifts": outcome.drifts(),
        "state": report.state.name(),
        "rows": report.rows,
        "window_seconds": reference.window.as_secs_f64(),
        "began": outcome.began().map(|time| timestamp(time).to_string()),
        "began_of": outcome.began_of().map(causes),
        "drifting_at_end": timeline.last().map(|moment| causes(outcome.drifting(moment))),
        "features": features.collect::<Vec<_>>(),
        "score": column(outcome, table.features(), outcome.score_drifts()),
        "alarm_rate": alarm_rate,
        "score_median": compare(&report.error_median),
        "score_p95": compare(&report.error_p95),
        "timeline": timeline.iter().map(|of| moment(of, rules.consensus)).collect::<Vec<_>>(),
        "provenance": provenance,
    })
}

/// What was found at the end of a window.
fn moment(moment: &Moment, consensus: usize) -> Value {
    let Moment { time, state, alarm_rate, alarms_drift, columns } = moment;
    json!({
        "time": timestamp(*time).to_string(),
        "state": state.name(),
        "features_drifting": moment.features_drifting(),
        "features_voting": moment.features_voting(consensus),
        "score_drifts": columns.last().is_some_and(|score| score.drifts),
        "alarm_rate": alarm_rate,
        "alarm_rate_drifts": alarms_drift,
    })
}

/// A feature or the score, of all rows together and in windows.
fn column(outcome: &Outcome, at: usize, drifted: bool) -> Value {
    let windows = outcome.in_windows(at);
    let mut out = feature(outcome.column(at));
    out["drifted"] = json!(drifted);
    out["most_votes"] = json!(windows.most_votes);
    out["window_means"] = outcome.timeline.iter().map(|moment| json!(moment.columns[at].mean)).collect();
    add_times(&mut out, windows.sustained);
    out
}

/// When drift was sustained in windows.
fn add_times(out: &mut Value, sustained: Option<Sustained>) {
    let text = |time: i64| timestamp(time).to_string();
    out["drifted_from"] = json!(sustained.map(|sustained| text(sustained.from)));
    out["drifted_until"] = json!(sustained.map(|sustained| text(sustained.until)));
}

fn feature(report: &FeatureReport) -> Value {
    let FeatureReport { reference, live, tests, votes, missing, beyond, .. } = report;
    let summary =
        |Summary { mean, deviation, missing }: &Summary| json!({ "mean": mean, "std": deviation, "missing": missing });
    let tests: serde_json::Map<_, _> = tests
        .iter()
        .map(|test| {
            let what = json!({
                "statistic": test.statistic, "level": test.level, "p_value": test.p_value, "votes": test.votes,
            });
            (test.test.name().to_owned(), what)
        })
        .collect();
    json!({
        "votes": votes,
        "reference": summary(reference),
        "live": summary(live),
        "missing": compare(missing),
        "beyond": compare(beyond),
        "tests": tests,
    })
}

fn compare(of: &Compare) -> Value {
    let Compare { reference, live, effect, level, p_value, drifted, .. } = of;
    json!({
        "reference": reference, "live": live, "effect": effect, "level": level, "p_value": p_value, "drifted": drifted,
    })
}
