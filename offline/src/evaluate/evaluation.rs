//! Evaluates a detector on some rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qualm_bundle::manifest::Reference;
use qualm_contract::{Detector, Error};
use serde::Serialize;

use super::drift::Drift;
use super::events::{Events, Sequences};
use super::inject::{self, Kind};
use super::metrics::{Best, Confusion, Figures, Ranking, is_alarm};
use super::networks::NetworkAlone;
use super::perturb::Perturbation;
use super::robustness::{self, Effect};
use super::score::{self, Scored};
use super::summary::{self, Summary};
use crate::history::timestamp;
use crate::table::Table;

/// The settings of an evaluation.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether perturbed rows are scored as well.
    pub robustness: bool,
    /// The seed of all randomness.
    pub seed: u64,
    /// This many rows before and after an event count as part of it.
    pub tolerance: usize,
    /// The most alarms that are listed.
    pub alarms: usize,
    /// The statistics of each feature in training, if known; may be empty.
    pub references: Vec<Option<Reference>>,
}

/// The results of an evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// The time of the first row.
    pub from: Option<Timestamp>,
    /// The time of the last row.
    pub to: Option<Timestamp>,
    /// Entities that have rows.
    pub entities: usize,
    /// Figures that need no labels.
    pub summary: Summary,
    /// Figures with labels.
    pub labelled: Option<Labelled>,
    /// Figures with injected anomalies, if there are no labels.
    pub injected: Option<Injected>,
    /// The effects of perturbations.
    pub robustness: Vec<Effect>,
    /// The figures of each feature.
    pub features: Vec<Feature>,
    /// The alarms with the largest scores, in descending order.
    pub alarms: Vec<Alarm>,
    /// Of a model that has several networks, each by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkAlone>,
    /// The score of each row.
    #[serde(skip)]
    pub scores: Vec<f64>,
}

/// Scores compared with labels.
#[derive(Debug, Clone, Serialize)]
pub struct Labelled {
    /// Rows that are labelled anomalous.
    pub anomalous: u64,
    /// Those among them that have no score.
    pub unscored: u64,
    /// Row by row, at the threshold.
    pub confusion: Confusion,
    /// Row by row.
    #[serde(flatten)]
    pub figures: Figures,
    /// The threshold with the best F1, which needs the labels.
    pub best: Option<Best>,
    /// Event by event.
    pub events: Events,
    /// The histogram of the labelled rows' scores; see [`Summary::histogram`].
    pub histogram: Vec<u64>,
    /// For the curves.
    #[serde(skip)]
    pub ranking: Ranking,
}

/// Scores of rows with injected anomalies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Injected {
    /// Row by row.
    #[serde(flatten)]
    pub figures: Figures,
    /// By shape: how many were injected, and how many found.
    pub kinds: Vec<Found>,
}

/// How many injected anomalies of a shape were found: any of its rows alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The shape.
    pub kind: Kind,
    /// How many were injected.
    pub injected: u64,
    /// How many of them were found.
    pub found: u64,
}

/// The figures of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its share of the contributions to alarms; see [`Scored::shares`].
    pub share: Option<f64>,
    /// Its drift since training.
    pub drift: Option<Drift>,
}

/// A run of rows of one series above the threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// Its entity's tags; empty where there are none.
    pub entity: String,
    /// The time of its first row.
    pub from: Timestamp,
    /// The time of its last row.
    pub to: Timestamp,
    /// How many rows it has.
    pub rows: usize,
    /// The largest score.
    pub score: f64,
    /// The time of the row with the largest score.
    pub peak: Timestamp,
    /// That row's place in the table, the first being 1.
    pub row: usize,
    /// Whether a row of it is labelled.
    pub labelled: Option<bool>,
    /// The largest contributions to the largest score.
    pub causes: Vec<Cause>,
}

/// The contribution of a feature to a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// The feature.
    pub feature: String,
    /// Its contribution, in the detector's units.
    pub contribution: f64,
    /// Its value; `None` if it is missing.
    pub value: Option<f64>,
    /// Its median in training.
    pub typical: Option<f64>,
}

/// How often [`evaluate`] scores all rows, for a progress bar.
#[must_use]
pub fn passes(labelled: bool, settings: &Settings) -> usize {
    1 + usize::from(!labelled) + if settings.robustness { Perturbation::ALL.len() } else { 0 }
}

/// Scores the rows with a detector, whose state of their series is reset, and evaluates the scores. Calls `scored` with the
/// number of rows of each batch.
///
/// # Errors
///
/// If the detector has other features than the table.
///
/// # Panics
///
/// If there are labels, but not one for each row.
pub fn evaluate(
    detector: &mut dyn Detector,
    table: &Table,
    labels: Option<&[bool]>,
    settings: &Settings,
    scored: &dyn Fn(usize),
) -> Result<Evaluation, Error> {
    let explained = score::explain(detector, table, scored)?;
    let mut out = assess(table, explained, labels, settings);
    if labels.is_none() {
        out.injected = injected(detector, table, settings.seed, scored)?;
    }
    if settings.robustness {
        for (number, perturbation) in Perturbation::ALL.into_iter().enumerate() {
            let seed = settings.seed.wrapping_add(number as u64);
            let effect = robustness::effect(perturbation, detector, table, &out.scores, labels, seed, scored)?;
            out.robustness.push(effect);
        }
    }
    Ok(out)
}

/// Evaluates given scores. The table needs no features.
///
/// # Panics
///
/// If there are labels or scores, but not one for each row.
#[must_use]
pub fn assess(table: &Table, scored: Scored, labels: Option<&[bool]>, settings: &Settings) -> Evaluation {
    assert_eq!(scored.scores.len(), table.len(), "one score a row");
    assert!(labels.is_none_or(|labels| labels.len() == table.len()), "one label a row");
    let sequences = Sequences::new(&table.series);
    let summary = Summary::of(&sequences, &table.times, &scored.scores);
    let labelled = labels.map(|labels| Labelled::of(&sequences, &table.times, &scored.scores, labels, settings));
    let feature = |(feature, name): (usize, &String)| Feature {
        name: name.clone(),
        share: scored.shares.get(feature).copied(),
        drift: reference(settings, feature).map(|reference| Drift::of(reference, table.column(feature))),
    };
    Evaluation {
        from: table.times.iter().min().map(|time| timestamp(*time)),
        to: table.times.iter().max().map(|time| timestamp(*time)),
        entities: sequences.rows().filter(|rows| !rows.is_empty()).count(),
        summary,
        labelled,
        injected: None,
        robustness: Vec::new(),
        features: table.names.iter().enumerate().map(feature).collect(),
        alarms: alarms(table, &sequences, &scored, labels, settings),
        networks: Vec::new(),
        scores: scored.scores,
    }
}

fn reference(settings: &Settings, feature: usize) -> Option<&Reference> {
    settings.references.get(feature).and_then(Option::as_ref)
}

impl Labelled {
    fn of(sequences: &Sequences, times: &[i64], scores: &[f64], labels: &[bool], settings: &Settings) -> Self {
        let (confusion, ranking) = (Confusion::of(scores, labels), Ranking::new(scores, labels));
        let anomalous = || scores.iter().zip(labels).filter(|(_, label)| **label).map(|(score, _)| *score);
        Self {
            anomalous: anomalous().count() as u64,
            unscored: anomalous().filter(|score| score.is_nan()).count() as u64,
            confusion,
            figures: Figures::from(&confusion, &ranking),
            best: ranking.best(),
            events: Events::of(sequences, times, scores, labels, settings.tolerance),
            histogram: summary::histogram(anomalous()),
            ranking,
        }
    }
}

fn injected(
    detector: &mut dyn Detector,
    table: &Table,
    seed: u64,
    scored: &dyn Fn(usize),
) -> Result<Option<Injected>, Error> {
    let inject::Injected { values, labels, injections } = inject::injections(table, 0..table.len(), seed);
    let scores = score::score(detector, table, &values, scored)?;
    let of_kind = |kind: Kind| {
        let these = || injections.iter().filter(move |injection| injection.kind == kind);
        let found = these().filter(|injection| injection.rows.iter().any(|row| is_alarm(scores[*row]))).count() as u64;
        Found { kind, injected: these().count() as u64, found }
    };
    let kinds = Kind::ALL.into_iter().map(of_kind).filter(|found| found.injected > 0).collect();
    Ok((!injections.is_empty()).then(|| Injected { figures: Figures::of(&scores, &labels), kinds }))
}

fn alarms(
    table: &Table,
    sequences: &Sequences,
    scored: &Scored,
    labels: Option<&[bool]>,
    settings: &Settings,
) -> Vec<Alarm> {
    let Scored { scores, causes, .. } = scored;
    let mut runs: Vec<(usize, &[usize])> = sequences
        .runs(|row| is_alarm(scores[row]))
        .filter_map(|run| Some((run.rows.iter().copied().max_by(|a, b| scores[*a].total_cmp(&scores[*b]))?, run.rows)))
        .collect();
    runs.sort_by(|(one, _), (other, _)| scores[*other].total_cmp(&scores[*one]).then(one.cmp(other)));
    let alarm = |(peak, rows): (usize, &[usize])| Alarm {
        entity: entity(table, peak).to_owned(),
        from: timestamp(table.times[rows[0]]),
        to: timestamp(table.times[rows[rows.len() - 1]]),
        rows: rows.len(),
        score: scores[peak],
        peak: timestamp(table.times[peak]),
        row: peak + 1,
        labelled: labels.map(|labels| rows.iter().any(|row| labels[*row])),
        causes: causes.get(&peak).map_or_else(Vec::new, |causes| name(causes, table, peak, &settings.references)),
    };
    runs.into_iter().take(settings.alarms).map(alarm).collect()
}

/// The entity of a row.
pub(crate) fn entity(table: &Table, row: usize) -> &str {
    table.entities.get(table.series[row] as usize).map_or("", String::as_str)
}

/// Contributions to a row's score, with the features' names.
pub(crate) fn name(
    contributions: &[(usize, f64)],
    table: &Table,
    row: usize,
    references: &[Option<Reference>],
) -> Vec<Cause> {
    let cause = |(feature, contribution): &(usize, f64)| {
        let value = table.values[row * table.features() + feature];
        let reference = references.get(*feature).and_then(Option::as_ref);
        Cause {
            feature: table.names[*feature].clone(),
            contribution: *contribution,
            value: (!value.is_nan()).then_some(value),
            typical: reference.and_then(|reference| reference.quantiles.get(5)).copied(),
        }
    };
    contributions.iter().map(cause).collect()
}

impl Evaluation {
    /// The figures that are single numbers, by name; those that are undefined are left out.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<&'static str, f64> {
        let mut out = BTreeMap::new();
        let mut put = |name, figure: Option<f64>| {
            if let Some(figure) = figure {
                out.insert(name, figure);
            }
        };
        put("alarm_rate", self.summary.alarm_rate);
        put("alarms_per_day", self.summary.alarms_per_day);
        put("unscored_share", super::metrics::share(self.summary.unscored, self.summary.rows));
        if let Some(Labelled { figures, best, events, .. }) = &self.labelled {
            put("precision", figures.precision);
            put("recall", figures.recall);
            put("f1", figures.f1);
            put("roc_auc", figures.roc_auc);
            put("auc_pr", figures.auc_pr);
            put("best_f1", best.map(|best| best.f1));
            put("event_precision", events.precision);
            put("event_recall", events.recall);
            put("event_f1", events.f1);
            put("delay_seconds", events.delay.map(|delay| delay.seconds));
        }
        if let Some(Injected { figures, .. }) = &self.injected {
            put("injected_roc_auc", figures.roc_auc);
            put("injected_auc_pr", figures.auc_pr);
        }
        put("most_flipped", self.robustness.iter().filter_map(|effect| effect.flipped).reduce(f64::max));
        out
    }
}

/// All names in [`Evaluation::figures`].
pub const FIGURES: [&str; 16] = [
    "alarm_rate",
    "alarms_per_day",
    "unscored_share",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "auc_pr",
    "best_f1",
    "event_precision",
    "event_recall",
    "event_f1",
    "delay_seconds",
    "injected_roc_auc",
    "injected_auc_pr",
    "most_flipped",
];

#[cfg(test)]
mod tests {
    use super::super::testing::{servers, zscore};
    use super::*;

    fn settings() -> Settings {
        Settings { robustness: true, seed: 1, alarms: 3, ..Settings::default() }
    }

    /// The second server's second feature is high for an hour.
    fn incident() -> (Table, Vec<bool>) {
        let mut table = servers(2, 3000, 3, 2);
        let mut labels = vec![false; table.len()];
        for minute in 1000..1060 {
            let row = 2 * minute + 1;
            table.values[row * 3 + 1] += 40.0;
            labels[row] = true;
        }
        (table, labels)
    }

    #[test]
    fn with_labels_an_incident_is_found_and_explained() {
        let mut detector = qualm_core::open(&zscore(&servers(2, 3000, 3, 1))).unwrap();
        let (table, labels) = incident();
        let references = vec![
            None,
            Some(Reference {
                missing: 0.0,
                mean: 100.0,
                deviation: 4.0,
                quantiles: (90..=100).map(f64::from).collect(),
            }),
        ];
        let settings = Settings { references, ..settings() };
        let rows = std::cell::Cell::new(0);
        let found = evaluate(&mut *detector, &table, Some(&labels), &settings, &|scored| rows.set(rows.get() + scored))
            .unwrap();
        assert_eq!(rows.get(), passes(true, &settings) * table.len());
        let labelled = found.labelled.as_ref().unwrap();
        assert_eq!((labelled.anomalous, labelled.events.events, labelled.events.found), (60, 1, 1));
        assert!(labelled.figures.auc_pr > Some(0.99) && labelled.events.delay.unwrap().rows < 1.0);
        assert_eq!(found.robustness.len(), Perturbation::ALL.len());
        assert!(found.injected.is_none() && found.robustness.iter().all(|effect| effect.labelled.is_some()));
        let alarm = &found.alarms[0];
        assert_eq!((alarm.entity.as_str(), alarm.rows, alarm.labelled), ("host=h1", 60, Some(true)));
        assert_eq!(alarm.from.to_string(), "2024-01-01T16:40:00Z");
        assert!(labels[alarm.row - 1]);
        let cause = &alarm.causes[0];
        assert_eq!((cause.feature.as_str(), cause.typical), ("m1", Some(95.0)));
        assert!(found.features[1].share > Some(0.5) && found.features[1].drift.is_some());
        assert!(found.features[0].drift.is_none());
        let figures = found.figures();
        assert!(figures.keys().all(|name| FIGURES.contains(name)) && figures["event_recall"] > 0.99);
    }

    #[test]
    fn without_labels_anomalies_are_injected() {
        let mut detector = qualm_core::open(&zscore(&servers(2, 3000, 3, 1))).unwrap();
        let table = servers(2, 3000, 3, 2);
        let settings = Settings { robustness: false, ..settings() };
        let found = evaluate(&mut *detector, &table, None, &settings, &|_| {}).unwrap();
        assert!(found.labelled.is_none() && found.robustness.is_empty());
        let injected = found.injected.as_ref().unwrap();
        assert_eq!(injected.kinds.len(), Kind::ALL.len());
        assert!(injected.figures.auc_pr > Some(0.1), "{injected:?}");
        let figures = found.figures();
        assert!(figures.contains_key("injected_auc_pr") && figures.keys().all(|name| FIGURES.contains(name)));
    }

    #[test]
    fn given_scores_need_no_features() {
        let table = Table { series: vec![0; 3], times: vec![0, 1, 2], ..Table::default() };
        let scored = Scored { scores: vec![f64::NAN, 2.0, 0.5], ..Scored::default() };
        let found = assess(&table, scored, Some(&[false, true, false]), &settings());
        assert_eq!((found.alarms.len(), found.alarms[0].row, found.entities), (1, 2, 1));
        assert_eq!(found.labelled.unwrap().figures.f1, Some(1.0));
        assert!(serde_json::to_string(&found.alarms).unwrap().contains("\"causes\":[]"));
        let nothing = assess(&Table::default(), Scored::default(), None, &settings());
        assert!(nothing.from.is_none() && nothing.alarms.is_empty());
    }
}
