//! `qualm bundle inspect`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use qualm_bundle::bundle::Bundle;
use qualm_bundle::duration::friendly;
use qualm_bundle::files;
use qualm_bundle::manifest::{Direction, Feature, Manifest, NetworkTraining, Provenance, Shape, Suppression};
use qualm_bundle::reference::ReferenceFile;
use qualm_bundle::signature::{Signed, Trust};
use qualm_contract::Transform;
use serde::Serialize;

use super::{Error, print_result, read};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    path: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// The contents of a bundle.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    manifest: &'a Manifest,
    /// The size of each file.
    files: BTreeMap<&'static str, usize>,
    golden_rows: usize,
    /// What live rows are compared with; without it their drift is unknown.
    drift: Option<Drift>,
    /// The digest of the manifest, which identifies the bundle.
    digest: String,
    signature: Signed,
}

/// What a bundle knows of its training rows beside their features.
#[derive(Debug, Serialize)]
struct Drift {
    /// How much of the newest rows is compared with training, as in a specification.
    window: String,
    /// Of scores that were not reported.
    score_median: Option<f64>,
    score_p95: Option<f64>,
    /// The share of rows that were reported.
    alarm_rate: f64,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let bundle = read(&options.path)?;
    let signature = bundle.check_trust(&Trust::default());
    let summary = Summary {
        manifest: &bundle.manifest,
        files: bundle.files().map(|(name, bytes)| (name, bytes.len())).collect(),
        golden_rows: bundle.golden.rows(),
        drift: bundle.reference.as_ref().map(|ReferenceFile { reference, window, .. }| Drift {
            window: friendly(*window),
            score_median: reference.score.median(),
            score_p95: reference.score.p95(),
            alarm_rate: reference.alarm_rate,
        }),
        digest: bundle.digest(),
        signature: signature.map_err(|fault| Error::Bundle(fault.at(options.path.display())))?,
    };
    print_result(&summary, options.json, || {
        format!(
            "{}\nIs it as it should be? qualm bundle verify {}\n",
            to_text(&bundle, &summary),
            options.path.display()
        )
    })
}

fn to_text(bundle: &Bundle, summary: &Summary<'_>) -> String {
    let Manifest { name, version, created, expires, kind, features, threshold, .. } = &bundle.manifest;
    let plugin = if bundle.component.is_some() { ", a plugin" } else { "" };
    let files: Vec<_> =
        summary.files.iter().map(|(name, size)| format!("{name} {}", text::bytes(*size as u64))).collect();
    let signature = match &summary.signature {
        Signed::No => "none".to_owned(),
        Signed::Unchecked { key } | Signed::By { key, .. } => {
            format!("with the key {key}; `qualm bundle verify --key` checks it")
        }
    };
    let rows = [
        ("kind", format!("{kind}{plugin}")),
        ("made", created.to_string()),
        ("expires", expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string())),
        ("rows", describe_rows(&bundle.manifest)),
        (
            "threshold",
            format!(
                "{}: raw score {}, where an ordinary row has {}",
                threshold.rule,
                text::number(threshold.raw),
                text::number(threshold.ordinary)
            ),
        ),
        ("alarms", describe_alarms(&bundle.manifest.suppression)),
        ("trained", describe_training(&bundle.manifest.provenance)),
        ("parameters", list(&bundle.manifest.provenance.parameters, ToString::to_string)),
        ("metrics", list(&bundle.manifest.provenance.metrics, |metric| text::number(*metric))),
        ("drift", describe_drift(summary.drift.as_ref())),
        ("golden", format!("{} rows", summary.golden_rows)),
        ("files", files.join(", ")),
        ("digest", format!("{} ({})", summary.digest, files::MANIFEST)),
        ("signature", signature),
    ];
    let mut rows: Vec<_> = rows.map(|(name, what)| vec![name.to_owned(), what]).to_vec();
    let networks = bundle.manifest.provenance.networks.iter();
    rows.splice(7..7, networks.map(|network| vec![network.network.clone(), describe_network(network)]));
    let features: Vec<_> = features.iter().map(feature_row).collect();
    format!("{name}, version {version}\n{}\nFeatures\n{}", text::table(&rows), text::table(&features))
}

fn describe_rows(manifest: &Manifest) -> String {
    let Manifest { shape, features, entity, interval, .. } = manifest;
    let each = if entity.is_empty() { String::new() } else { format!(" for each {}", entity.join(", ")) };
    match shape {
        Shape::Field => format!("one field{each}"),
        Shape::Vector if interval.is_zero() => format!("{} features of the same time{each}", features.len()),
        Shape::Vector => format!("{} features within {}{each}", features.len(), friendly(*interval)),
    }
}

fn describe_alarms(suppression: &Suppression) -> String {
    let Suppression { direction, min_deviation, expected_range, sustained, cooldown } = suppression;
    let mut when = sustained.as_ref().map_or_else(
        || "at every incident".to_owned(),
        |sustained| format!("once {sustained} rows belong to an incident"),
    );
    if *direction != Direction::Both {
        when = format!("{when}, {} what was expected", direction.name());
    }
    if *min_deviation > 0.0 {
        when = format!("{when}, {} or more from what was expected", text::number(*min_deviation));
    }
    if let Some([least, most]) = expected_range {
        when = format!("{when}, never from {} to {}", text::number(*least), text::number(*most));
    }
    if !cooldown.is_zero() {
        when = format!("{when}, then none for {}", friendly(*cooldown));
    }
    when
}

fn describe_training(provenance: &Provenance) -> String {
    let Provenance { rows, from, to, seed, .. } = provenance;
    let when = match (from, to) {
        (Some(from), Some(to)) => format!(" from {from} to {to}"),
        _ => String::new(),
    };
    format!("on {rows} rows{when}, seed {seed}")
}

fn describe_drift(drift: Option<&Drift>) -> String {
    let Some(Drift { window, score_median, score_p95, alarm_rate }) = drift else {
        return "unknown: it does not contain what its training rows looked like; `qualm train` adds that".to_owned();
    };
    let number = |score: &Option<f64>| score.map_or_else(|| "–".to_owned(), text::number);
    format!(
        "compares {window} with training, where scores had the median {} and the 95 % quantile {}, and {} % were reported",
        number(score_median),
        number(score_p95),
        text::number(100.0 * alarm_rate)
    )
}

/// When a network was the best, and its loss on rows that it did not learn from.
fn describe_network(training: &NetworkTraining) -> String {
    let NetworkTraining { stopped, best_epoch, validation_loss, .. } = training;
    let loss = |at: usize| validation_loss.get(at).map_or_else(|| "unknown".to_owned(), |loss| text::number(*loss));
    format!(
        "best of {} epochs was {best_epoch}: loss {} after the first, {} then; it stopped {stopped}",
        validation_loss.len(),
        loss(0),
        loss((*best_epoch as usize).saturating_sub(1)),
    )
}

fn list<T>(items: &BTreeMap<String, T>, show: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(|(name, item)| format!("{name} = {}", show(item))).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// A feature's name, its source, and its distribution in training.
fn feature_row(feature: &Feature) -> Vec<String> {
    let reference = feature.reference.as_ref().map_or_else(String::new, |reference| {
        let range = match (reference.quantiles.first(), reference.quantiles.last()) {
            (Some(least), Some(most)) => format!(", {} to {}", text::number(*least), text::number(*most)),
            _ => String::new(),
        };
        format!("{} ± {}{range}", text::number(reference.mean), text::number(reference.deviation))
    });
    vec![feature.name.clone(), feature_source(feature), reference]
}

/// The field that a feature is read from, and its transform.
pub(super) fn feature_source(feature: &Feature) -> String {
    let Feature { measurement, field, tags, transform, .. } = feature;
    let tags: String = tags.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    let transform = match transform {
        Transform::None => "",
        Transform::Rate => ", its growth a second",
        Transform::Delta => ", its change",
        Transform::Log1p => ", ln(1 + x)",
    };
    format!("{measurement}.{field}{tags}{transform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarm_rules_are_described_as_text() {
        let read = |text| describe_alarms(&toml::from_str(text).unwrap());
        assert_eq!(read(""), "at every incident");
        assert_eq!(
            read("sustained = '3 of 5'\ncooldown = '10m'"),
            "once 3 of 5 rows belong to an incident, then none for 10m"
        );
        assert_eq!(
            read("direction = 'above'\nmin_deviation = 5\nexpected_range = [-inf, 80]"),
            "at every incident, above what was expected, 5 or more from what was expected, never from -inf to 80"
        );
    }
}
