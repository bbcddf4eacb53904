//! `qualm bundle diff`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use qualm_bundle::bundle::Bundle;
use qualm_bundle::duration::friendly;
use qualm_bundle::files;
use qualm_bundle::manifest::{Feature, Manifest, Reference};
use serde::Serialize;
use serde_json::{Value, json};

use super::inspect::feature_source;
use super::{Error, print_result, read};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The one bundle
    #[arg(value_name = "A")]
    before: PathBuf,

    /// The other
    #[arg(value_name = "B")]
    after: PathBuf,

    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct Differences {
    same: bool,
    changes: Vec<Change>,
}

/// A value that differs; null where a bundle has none.
#[derive(Debug, PartialEq, Serialize)]
struct Change {
    what: String,
    before: Value,
    after: Value,
    /// The shift of a feature's mean, in standard deviations of the first bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    deviations: Option<f64>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let (before, after) = (read(&options.before)?, read(&options.after)?);
    let differences = differences(&before, &after);
    print_result(&differences, options.json, || differences.to_text())
}

fn differences(before: &Bundle, after: &Bundle) -> Differences {
    let mut changes = Vec::new();
    let mut add = |what: &str, before: Value, after: Value| {
        if before != after {
            changes.push(Change { what: what.to_owned(), before, after, deviations: None });
        }
    };
    let (a, b) = (&before.manifest, &after.manifest);
    add("name", json!(a.name), json!(b.name));
    add("version", json!(a.version), json!(b.version));
    add("created", json!(a.created), json!(b.created));
    add("expires", json!(a.expires), json!(b.expires));
    add("kind", json!(a.kind), json!(b.kind));
    add("shape", json!(a.shape), json!(b.shape));
    add("entity", json!(a.entity), json!(b.entity));
    add("interval", json!(friendly(a.interval)), json!(friendly(b.interval)));
    add("threshold.rule", json!(a.threshold.rule), json!(b.threshold.rule));
    add("threshold.ordinary", json!(a.threshold.ordinary), json!(b.threshold.ordinary));
    add("threshold.raw", json!(a.threshold.raw), json!(b.threshold.raw));
    let (s, t) = (&a.suppression, &b.suppression);
    add("suppression.direction", json!(s.direction), json!(t.direction));
    add("suppression.min_deviation", json!(s.min_deviation), json!(t.min_deviation));
    add("suppression.expected_range", json!(s.expected_range), json!(t.expected_range));
    add("suppression.sustained", json!(s.sustained), json!(t.sustained));
    add("suppression.cooldown", json!(friendly(s.cooldown)), json!(friendly(t.cooldown)));
    let order = |manifest: &Manifest| manifest.features.iter().map(|feature| feature.name.clone()).collect::<Vec<_>>();
    let (order_a, order_b) = (order(a), order(b));
    if order_a.iter().collect::<BTreeSet<_>>() == order_b.iter().collect() {
        add("order of features", json!(order_a), json!(order_b));
    }
    let named = |manifest: &Manifest| -> BTreeMap<String, Value> {
        let feature = |feature: &Feature| (format!("feature {}", feature.name), json!(feature_source(feature)));
        manifest.features.iter().map(feature).collect()
    };
    diff_maps(&named(a), &named(b), &mut add);
    let (p, q) = (&a.provenance, &b.provenance);
    add("data", json!(p.data_sha256), json!(q.data_sha256));
    add("rows", json!(p.rows), json!(q.rows));
    add("from", json!(p.from), json!(q.from));
    add("to", json!(p.to), json!(q.to));
    add("seed", json!(p.seed), json!(q.seed));
    diff_maps(&values("parameter", &p.parameters), &values("parameter", &q.parameters), &mut add);
    diff_maps(&values("metric", &p.metrics), &values("metric", &q.metrics), &mut add);
    for file in [files::MODEL, files::GOLDEN, files::COMPONENT] {
        add(file, json!(a.sha256.get(file)), json!(b.sha256.get(file)));
    }
    add("signature", json!(before.signature), json!(after.signature));
    changes.extend(distribution_shifts(a, b));
    Differences { same: before == after, changes }
}

/// Adds each name of either map whose values differ.
fn diff_maps(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    add: &mut impl FnMut(&str, Value, Value),
) {
    let all = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in all {
        let value = |of: &BTreeMap<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
        add(name, value(before), value(after));
    }
}

fn values<T: Serialize>(what: &str, of: &BTreeMap<String, T>) -> BTreeMap<String, Value> {
    of.iter().map(|(name, value)| (format!("{what} {name}"), json!(value))).collect()
}

/// The differences of the features' distributions in training, the largest shift first.
fn distribution_shifts(before: &Manifest, after: &Manifest) -> Vec<Change> {
    let references = |feature: &Feature| -> Option<(String, Reference, Reference)> {
        let other = after.features.iter().find(|other| other.name == feature.name)?;
        Some((feature.name.clone(), feature.reference.clone()?, other.reference.clone()?))
    };
    let mut changes = Vec::new();
    for (name, before, after) in before.features.iter().filter_map(references) {
        let mut add = |what: &str, before: f64, after: f64, deviations: Option<f64>| {
            if before.to_bits() != after.to_bits() {
                let (before, after) = (json!(before), json!(after));
                changes.push(Change { what: format!("{what} of {name}"), before, after, deviations });
            }
        };
        let shift = (after.mean - before.mean) / before.deviation;
        add("mean", before.mean, after.mean, Some(shift).filter(|shift| shift.is_finite()));
        add("deviation", before.deviation, after.deviation, None);
        add("missing share", before.missing, after.missing, None);
    }
    let shift = |change: &Change| -change.deviations.map_or(0.0, f64::abs);
    changes.sort_by(|one, other| shift(one).total_cmp(&shift(other)));
    changes
}

impl Differences {
    fn to_text(&self) -> String {
        if self.same {
            return "They are the same bundle.\n".to_owned();
        }
        let row = |change: &Change| {
            let Change { what, before, after, deviations } = change;
            let how = match (before, after) {
                (Value::Null, after) => format!("+ {}", short_value(after)),
                (before, Value::Null) => format!("− {}", short_value(before)),
                (before, after) => format!("{} → {}", short_value(before), short_value(after)),
            };
            let by = deviations.map_or_else(String::new, |by| {
                let sign = if by > 0.0 { "+" } else { "" };
                format!("  ({sign}{} deviations)", text::number(by))
            });
            vec![what.clone(), format!("{how}{by}")]
        };
        text::table(&self.changes.iter().map(row).collect::<Vec<_>>())
    }
}

/// A value as text; of digests and signatures the beginning.
fn short_value(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => {
            let line = text.lines().nth(1).unwrap_or(text); // a signature's second line is the signature
            if line.len() > 60 && !line.contains(' ') {
                format!("{}…", line.chars().take(12).collect::<String>())
            } else {
                line.to_owned()
            }
        }
        Value::Number(number) if number.is_f64() => text::number(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => items.iter().map(short_value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing;
    use super::*;
    use qualm_contract::Transform;
    use qualm_core::BuiltIn;

    #[test]
    fn differences_are_described_as_text() {
        let before = testing::bundle(1);
        let same = differences(&before, &testing::bundle(1));
        assert_eq!((same.same, same.changes.len()), (true, 0));
        let mut draft = testing::draft(2);
        let manifest = &mut draft.manifest;
        manifest.threshold.raw = 4.125;
        manifest.suppression.cooldown = Duration::from_mins(20);
        manifest.features[1].transform = Transform::Delta;
        manifest.features[1].name = "kernel".to_owned();
        manifest.features[0].reference.as_mut().unwrap().mean = 10.3;
        manifest.provenance.metrics.insert("f1".to_owned(), 0.5);
        manifest.provenance.parameters.clear();
        let after = draft.finish(&BuiltIn).unwrap();
        let differences = differences(&before, &after);
        let text = differences.to_text();
        for line in [
            "version",
            "1 → 2",
            "threshold.raw",
            "3.25 → 4.125",
            "suppression.cooldown",
            "10m → 20m",
            "feature system",
            "− cpu.usage_system cpu=cpu-total, its growth a second",
            "feature kernel",
            "+ cpu.usage_system cpu=cpu-total, its change",
            "parameter scaling",
            "− standard",
            "metric f1",
            "+ 0.5",
            "mean of user",
            "4.5 → 10.3  (+2 deviations)",
            "model.safetensors",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(
            !text.contains("kind") && !text.contains("suppression.sustained") && !text.contains("order of features"),
            "{text}"
        );
        assert_eq!(json!(differences)["changes"][0], json!({"what": "version", "before": 1, "after": 2}));
    }
}
