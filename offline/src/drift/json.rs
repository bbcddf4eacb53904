//! A comparison as JSON.

use qualm_drift::{Compare, FeatureReport, Summary};
use serde_json::{Value, json};

use super::{Moment, Outcome};
use crate::history::timestamp;

pub(super) fn json(outcome: &Outcome) -> Value {
    let Outcome { title, report, timeline, table, reference, notes, provenance, .. } = outcome;
    let provenance: serde_json::Map<_, _> =
        provenance.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
    let features = outcome.ranked().into_iter().map(|at| {
        let mut out = feature(&report.features[at]);
        out["feature"] = json!(table.names[at]);
        out["drifted"] = json!(outcome.feature_drifts(at));
        out
    });
    let moment = |Moment { time, state, alarm_rate, columns, .. }: &Moment| {
        json!({
            "time": timestamp(*time).to_string(),
            "state": state.name(),
            "alarm_rate": alarm_rate,
            "features_drifting": columns[..table.features()].iter().filter(|column| column.drifts).count(),
        })
    };
    json!({
        "title": title,
        "notes": notes,
        "drifts": outcome.drifts(),
        "state": report.state.name(),
        "rows": report.rows,
        "window_seconds": reference.window.as_secs_f64(),
        "began": outcome.began().map(|time| timestamp(time).to_string()),
        "features": features.collect::<Vec<_>>(),
        "score": feature(&report.score),
        "alarm_rate": compare(&report.alarm_rate),
        "score_median": compare(&report.error_median),
        "score_p95": compare(&report.error_p95),
        "timeline": timeline.iter().map(moment).collect::<Vec<_>>(),
        "provenance": provenance,
    })
}

fn feature(report: &FeatureReport) -> Value {
    let FeatureReport { reference, live, tests, votes, missing, drifted, .. } = report;
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
        "drifted": drifted,
        "votes": votes,
        "reference": summary(reference),
        "live": summary(live),
        "missing": compare(missing),
        "tests": tests,
    })
}

fn compare(of: &Compare) -> Value {
    let Compare { reference, live, effect, level, p_value, drifted, .. } = of;
    json!({
        "reference": reference, "live": live, "effect": effect, "level": level, "p_value": p_value, "drifted": drifted,
    })
}
