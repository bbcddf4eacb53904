//! Explains the scores of rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use qualm_bundle::manifest::Reference;
use qualm_contract::ModelFactory;
use qualm_core::trained::Trained;
use qualm_system::untrusted::visible;
use serde::Serialize;

use crate::evaluate::evaluation::{Cause, entity, name};
use crate::evaluate::events::Sequences;
use crate::evaluate::format::{NONE, number, percent};
use crate::evaluate::metrics::is_alarm;
use crate::evaluate::score::{self, CAUSES, Scored, largest};
use crate::evaluate::terminal::columns;
use crate::history::timestamp;
use crate::subject::{self, Subject};
use crate::table::Table;

/// The options of an explanation.
#[derive(Debug, Clone)]
pub struct Options {
    /// The model: a bundle's directory or .qualm file.
    pub bundle: PathBuf,
    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl).
    pub input: PathBuf,
    /// Which rows are explained.
    pub rows: RowSelection,
    /// The measurement of a CSV or JSON file; by default that of the bundle's first feature.
    pub measurement: Option<String>,
}

/// Which rows are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSelection {
    /// The rows of this time or, if there are none, of the closest time.
    At(i64),
    /// This row, the first being 1.
    Row(usize),
    /// This many rows with the largest scores, one for each alarm.
    Top(usize),
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle or the history cannot be used.
    #[error(transparent)]
    Subject(#[from] subject::Error),
    /// The input has no such row.
    #[error("there is no row {row}; rows are counted from 1 to {rows}")]
    Row {
        /// The row.
        row: usize,
        /// How many there are.
        rows: usize,
    },
    /// The detector refuses the rows.
    #[error("{bundle}: {source}")]
    Detector {
        /// The bundle.
        bundle: String,
        /// Why.
        source: qualm_contract::Error,
    },
}

/// The explanations of rows, with the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanations {
    /// The model's name and version.
    pub title: String,
    /// The rows.
    pub rows: Vec<Explanation>,
}

/// A row with its score and the causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// When it was measured.
    pub time: Timestamp,
    /// Its entity; empty without tags.
    pub entity: String,
    /// Its number, the first being 1.
    pub row: usize,
    /// Its score, if it has one.
    pub score: Option<f64>,
    /// The contributions, the largest first.
    pub causes: Vec<Explained>,
}

/// The contribution of a feature to a score, and its value compared with training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The contribution.
    #[serde(flatten)]
    pub cause: Cause,
    /// Its share of all absolute contributions.
    pub share: f64,
    /// Its value compared with those in training.
    pub meaning: String,
}

/// How many rows are scored at once.
const BATCH: usize = 1000;
/// How many features of a row are shown.
const MAX_FEATURES: usize = 10;
/// The least share that is shown.
const MIN_SHARE: f64 = 0.005;
/// The length of the longest bar, in characters.
const BAR_CHARS: f64 = 20.0;

/// Scores the rows, and explains some of them. `factory` opens the bundle.
///
/// # Errors
///
/// Which file cannot be used, why, and what to do.
pub fn explain(options: &Options, factory: &dyn ModelFactory) -> Result<Explanations, Error> {
    let mut subject = Subject::read(&options.bundle, &options.input, options.measurement.as_deref(), factory)?;
    let references = subject.references();
    let title = subject.title();
    let Subject { table, detector, bundle, .. } = &mut subject;
    let failed = |source| Error::Detector { bundle: options.bundle.display().to_string(), source };
    let scored = score::explain(&mut **detector, table, &|_| {}).map_err(failed)?;
    let rows = match options.rows {
        RowSelection::Row(row) if (1..=table.len()).contains(&row) => vec![row - 1],
        RowSelection::Row(row) => return Err(Error::Row { row, rows: table.len() }),
        RowSelection::At(time) => rows_at(table, time),
        RowSelection::Top(most) => most_anomalous(table, &scored.scores, most),
    };
    // Only trained kinds explain every row; other detectors and plugins explain alarms.
    let trained = if bundle.component.is_none() { qualm_core::open_trained(&bundle.model).ok() } else { None };
    let causes = match trained {
        Some(trained) => contributions(trained, table, &rows).map_err(failed)?,
        None => scored.causes.clone(),
    };
    let none = Vec::new();
    let of = |row| explain_row(table, &scored, row, causes.get(&row).unwrap_or(&none), &references);
    Ok(Explanations { title, rows: rows.into_iter().map(of).collect() })
}

/// The contributions to the scores of some rows, computed in sequence because they depend on earlier rows.
fn contributions(
    mut trained: Trained,
    table: &Table,
    rows: &[usize],
) -> Result<BTreeMap<usize, Vec<(usize, f64)>>, qualm_contract::Error> {
    let features = table.features().max(1);
    let mut causes = BTreeMap::new();
    for first in (0..table.len()).step_by(BATCH) {
        let range = first..table.len().min(first + BATCH);
        let verdicts =
            trained.score_batch_explaining(table.batch(range.clone()), |at, _| rows.contains(&(first + at)))?;
        for row in range.filter(|row| rows.contains(row)) {
            let shares = &verdicts.contributions[(row - first) * features..][..features];
            causes.insert(row, largest(shares, features));
        }
    }
    Ok(causes)
}

/// The rows of a time or, if there are none, of the closest time.
fn rows_at(table: &Table, time: i64) -> Vec<usize> {
    let closest = table.times.iter().copied().min_by_key(|other| other.abs_diff(time));
    (0..table.len()).filter(|row| Some(table.times[*row]) == closest).collect()
}

/// The rows with the largest scores, of each alarm only its peak.
fn most_anomalous(table: &Table, scores: &[f64], most: usize) -> Vec<usize> {
    let larger = |one: &usize, other: &usize| scores[*one].total_cmp(&scores[*other]);
    let sequences = Sequences::new(&table.series);
    let peaks = sequences.runs(|row| is_alarm(scores[row])).filter_map(|run| run.rows.iter().copied().max_by(larger));
    let rest = (0..scores.len()).filter(|row| scores[*row] <= 1.0);
    let mut rows: Vec<usize> = peaks.chain(rest).collect();
    rows.sort_by(|one, other| larger(other, one).then(one.cmp(other)));
    rows.truncate(most);
    rows
}

fn explain_row(
    table: &Table,
    scored: &Scored,
    row: usize,
    contributions: &[(usize, f64)],
    references: &[Option<Reference>],
) -> Explanation {
    let all: f64 = contributions.iter().map(|(_, contribution)| contribution.abs()).sum();
    let causes = name(contributions, table, row, references);
    let explained = |(cause, (feature, _)): (Cause, &(usize, f64))| Explained {
        share: cause.contribution.abs() / all,
        meaning: meaning(cause.value, references.get(*feature).and_then(Option::as_ref)),
        cause,
    };
    let score = scored.scores[row];
    Explanation {
        time: timestamp(table.times[row]),
        entity: entity(table, row).to_owned(),
        row: row + 1,
        score: (!score.is_nan()).then_some(score),
        causes: causes.into_iter().zip(contributions).map(explained).collect(),
    }
}

/// A value compared with those in training.
fn meaning(value: Option<f64>, reference: Option<&Reference>) -> String {
    let Some(Reference { missing, quantiles, .. }) = reference else { return String::new() };
    let Some(value) = value else {
        return format!("missing, as in {} of rows in training", percent(Some(*missing)));
    };
    let &[least, tenth, .., ninth, most] = quantiles.as_slice() else { return String::new() };
    if value > most {
        format!("more than ever in training (at most {})", number(most, 3))
    } else if value < least {
        format!("less than ever in training (at least {})", number(least, 3))
    } else if value > ninth {
        format!("among the highest tenth in training (above {})", number(ninth, 3))
    } else if value < tenth {
        format!("among the lowest tenth in training (below {})", number(tenth, 3))
    } else {
        "as in training, by itself".to_owned()
    }
}

impl Explanation {
    /// The explanation as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { time, entity, row, score, causes } = self;
        let of = if entity.is_empty() { String::new() } else { format!(", {}", visible(entity)) };
        let verdict = match score {
            Some(score) if is_alarm(*score) => format!("score {}: an anomaly", number(*score, 3)),
            Some(score) => format!("score {}: ordinary", number(*score, 3)),
            None => "no score".to_owned(),
        };
        let mut out = format!("{time}{of}, row {row}: {verdict}\n");
        if causes.is_empty() {
            out += "  there is nothing to explain: no feature contributed, or this kind of detector explains anomalies only\n";
            return out;
        }
        let shown = causes.iter().take(MAX_FEATURES).take_while(|explained| explained.share >= MIN_SHARE);
        let most = causes.first().map_or(1.0, |explained| explained.share);
        let rows: Vec<Vec<String>> = shown.map(|explained| explained.cells(most)).collect();
        let left = causes.len() - rows.len();
        let heads = ["feature", "share", "", "contribution", "value", "typical", ""].map(str::to_owned).to_vec();
        out += &columns(std::iter::once(heads).chain(rows));
        if left > 0 {
            let share: f64 = causes[causes.len() - left..].iter().map(|explained| explained.share).sum();
            let _infallible = writeln!(out, "  … and {left} more with {}", percent(Some(share)));
        }
        out
    }
}

impl Explained {
    /// The cells of a table's row; a share of `most` has the longest bar.
    fn cells(&self, most: f64) -> Vec<String> {
        let Self { cause, share, meaning } = self;
        let format_value = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| number(value, 4));
        vec![
            visible(&cause.feature),
            percent(Some(*share)),
            "█".repeat(((share / most * BAR_CHARS).round() as usize).max(1)),
            format!("{}{}", if cause.contribution > 0.0 { "+" } else { "" }, number(cause.contribution, 3)),
            format_value(cause.value),
            format_value(cause.typical),
            meaning.clone(),
        ]
    }
}

const _: () = assert!(CAUSES <= MAX_FEATURES, "all causes of an alarm are shown");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::testing::{servers, zscore};

    fn reference() -> Reference {
        Reference { missing: 0.02, mean: 5.0, deviation: 1.0, quantiles: (0..=10).map(f64::from).collect() }
    }

    #[test]
    fn a_value_is_compared_with_training() {
        let compared = |value| meaning(value, Some(&reference()));
        for (value, what) in [
            (Some(11.0), "more than ever in training (at most 10)"),
            (Some(-1.0), "less than ever in training (at least 0)"),
            (Some(9.5), "among the highest tenth in training (above 9)"),
            (Some(0.5), "among the lowest tenth in training (below 1)"),
            (Some(5.0), "as in training, by itself"),
            (None, "missing, as in 2 % of rows in training"),
        ] {
            assert_eq!(compared(value), what);
        }
        assert_eq!(meaning(Some(1.0), None), "");
    }

    #[test]
    fn one_row_represents_an_alarm_and_the_closest_a_time() {
        let table = Table { series: vec![0; 6], times: vec![10, 20, 30, 40, 50, 60], ..Table::default() };
        let scores = [2.0, 3.0, 0.5, f64::NAN, 1.5, 0.9];
        assert_eq!(most_anomalous(&table, &scores, 3), [1, 4, 5]);
        assert_eq!(most_anomalous(&table, &scores, 99), [1, 4, 5, 2], "what has no score is not explained");
        assert_eq!([rows_at(&table, 34), rows_at(&table, i64::MAX)], [[2], [5]]);
    }

    #[test]
    fn a_row_is_explained_by_its_unusual_feature() {
        let mut table = servers(2, 1000, 3, 1);
        let model = zscore(&table);
        table.names[1] = "bad\u{7}".to_owned();
        table.values[301 * 3 + 1] += 100.0;
        table.values[301 * 3 + 2] = f64::NAN;
        let scored = score::explain(&mut *qualm_core::open(&model).unwrap(), &table, &|_| {}).unwrap();
        let [row] = most_anomalous(&table, &scored.scores, 1)[..] else { panic!("one row") };
        let causes = contributions(qualm_core::open_trained(&model).unwrap(), &table, &[row]).unwrap();
        let explained = explain_row(&table, &scored, row, &causes[&row], &[None, Some(reference()), None]);
        assert_eq!((explained.row, explained.entity.as_str()), (302, "host=h1"));
        assert_eq!(
            (explained.causes[0].cause.feature.as_str(), explained.causes[0].cause.typical),
            ("bad\u{7}", Some(5.0))
        );
        let text = explained.text();
        assert!(text.contains("row 302: score") && text.contains("an anomaly") && !text.contains('\u{7}'), "{text}");
        assert!(text.contains("more than ever in training") && text.contains("████"), "{text}");
        let nothing = explain_row(&table, &scored, row, &[], &[]).text();
        assert!(nothing.contains("nothing to explain"));
    }
}
