//! An evaluation as text for a terminal.

use qualm_system::untrusted::visible;

use super::Evaluation;
use super::evaluation::{Alarm, Cause, Feature, Injected, Labelled};
use super::format::{NONE, count, figure, lasted, number, percent, seconds, thousands};
use super::metrics::share;
use super::networks;

/// How many features, and how many alarms, are listed.
const MAX_LISTED: usize = 5;

/// An evaluation with its title and notes.
pub(super) fn text(title: &str, evaluation: &Evaluation, notes: &[String]) -> String {
    let Evaluation { summary, entities, from, to, .. } = evaluation;
    let of = if *entities > 1 { format!(" of {entities} entities") } else { String::new() };
    let when = from.zip(*to).map_or_else(String::new, |(from, to)| format!(", {from} to {to}"));
    let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    [
        format!("{title}: {}{of}{when}\n{notes}", count(summary.rows, "row", "rows")),
        evaluation.labelled.as_ref().map_or_else(String::new, labelled),
        evaluation.injected.as_ref().map_or_else(String::new, injected),
        scores(evaluation),
        alarms(&evaluation.alarms),
        features(&evaluation.features),
        networks(evaluation),
        robustness(evaluation),
    ]
    .concat()
}

fn labelled(it: &Labelled) -> String {
    let Labelled { anomalous, unscored, confusion, figures, best, events, .. } = it;
    let delay = events.delay.map_or_else(String::new, |delay| {
        let when =
            if delay.rows > 0.0 { format!("{} after its start", seconds(delay.seconds)) } else { "at once".to_owned() };
        format!("  an incident that is found is found {when} (median; {} rows)\n", number(delay.rows, 3))
    });
    let recall = format!("recall {}", figure(events.recall));
    let precision = format!("precision {}", figure(events.precision));
    let incidents = [
        vec!["found".to_owned(), format!("{} of {}", events.found, events.events), recall],
        vec!["alarms that are right".to_owned(), format!("{} of {}", events.right, events.alarms), precision],
    ];
    let all = confusion.true_negatives + confusion.false_positives + anomalous;
    let rows = [
        vec!["called anomalous".to_owned(), "called ordinary".to_owned()],
        vec![thousands(confusion.true_positives), thousands(confusion.false_negatives)],
        vec![thousands(confusion.false_positives), thousands(confusion.true_negatives)],
    ];
    let heads = ["", "labelled", "ordinary"].map(str::to_owned);
    let rows = heads.into_iter().zip(rows).map(|(head, cells)| std::iter::once(head).chain(cells).collect());
    let best = best.map_or_else(String::new, |best| {
        format!(
            "; at best {} (threshold {}), for who knows the labels",
            figure(Some(best.f1)),
            number(best.threshold, 3)
        )
    });
    let unscored = if *unscored > 0 {
        format!("{unscored} of the labelled rows have no score, and count as not found\n")
    } else {
        String::new()
    };
    format!(
        "\nIncidents (runs of labelled rows)\n{}{delay}\nRows\n{}precision {}, recall {}, F1 {}{best}\n\
         AUC-PR {} ({} if scores knew nothing), ROC-AUC {}\n{unscored}",
        columns(incidents.into_iter()),
        columns(rows),
        figure(figures.precision),
        figure(figures.recall),
        figure(figures.f1),
        figure(figures.auc_pr),
        share(*anomalous, all).map_or_else(|| NONE.to_owned(), |chance| number(chance, 2)),
        figure(figures.roc_auc),
    )
}

fn injected(it: &Injected) -> String {
    let rows = it
        .kinds
        .iter()
        .map(|found| vec![found.kind.name().to_owned(), format!("{} of {} found", found.found, found.injected)]);
    format!(
        "\nAnomalies put in (there are no labels; good to compare models by, no promise)\n{}AUC-PR {}, ROC-AUC {}\n",
        columns(rows),
        figure(it.figures.auc_pr),
        figure(it.figures.roc_auc)
    )
}

fn scores(evaluation: &Evaluation) -> String {
    let summary = &evaluation.summary;
    let per_day = summary.alarms_per_day.map_or_else(String::new, |alarms| format!(", {} a day", number(alarms, 2)));
    let longest = summary.longest.map_or_else(String::new, |longest| {
        format!(", the longest {} ({})", lasted(longest.rows, longest.seconds), count(longest.rows, "row", "rows"))
    });
    let spread = summary.quantiles.map_or_else(String::new, |[_, half, ninety, percent, thousandth, largest]| {
        let [half, ninety, percent, thousandth, largest] = [half, ninety, percent, thousandth, largest].map(|one| number(one, 3));
        format!("half of the scores are below {half}, 90 % below {ninety}, 99 % below {percent}, 99.9 % below {thousandth}; the largest is {largest}\n")
    });
    let unscored = if summary.unscored > 0 {
        format!("{} no score\n", count(summary.unscored, "row has", "rows have"))
    } else {
        String::new()
    };
    format!(
        "\nScores (above 1 is an alarm)\n{}{per_day}{longest}; {} of rows alarm\n{spread}{unscored}",
        count(summary.alarms, "alarm", "alarms"),
        percent(summary.alarm_rate)
    )
}

fn alarms(alarms: &[Alarm]) -> String {
    if alarms.is_empty() {
        return String::new();
    }
    let row = |alarm: &Alarm| {
        let mark = match alarm.labelled {
            Some(true) => "right",
            Some(false) => "false",
            None => "",
        };
        let why: Vec<&str> = alarm.causes.iter().take(3).map(|cause: &Cause| cause.feature.as_str()).collect();
        vec![
            alarm.from.to_string(),
            visible(&alarm.entity),
            number(alarm.score, 3),
            count(alarm.rows as u64, "row", "rows"),
            mark.to_owned(),
            visible(&why.join(", ")),
        ]
    };
    format!("\nLargest alarms\n{}", columns(alarms.iter().take(MAX_LISTED).map(row)))
}

fn networks(evaluation: &Evaluation) -> String {
    let (heads, rows) = networks::table(evaluation);
    if rows.is_empty() {
        return String::new();
    }
    let heads = heads.into_iter().map(|head| head.to_lowercase().replace("auc-pr", "AUC-PR")).collect();
    format!("\nNetworks, together and each alone\n{}", columns(std::iter::once(heads).chain(rows)))
}

fn features(features: &[Feature]) -> String {
    let mut moved: Vec<(f64, Vec<String>)> = features.iter().filter_map(moved).filter(|(by, _)| *by >= 1.0).collect();
    if moved.is_empty() {
        return String::new();
    }
    moved.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let left = moved.len().saturating_sub(MAX_LISTED);
    let left = if left > 0 { format!("  … and {left} more\n") } else { String::new() };
    let rows = moved.into_iter().take(MAX_LISTED).map(|(_, cells)| cells);
    format!(
        "\nFeatures whose mean has moved since training (from about 1 deviation on, train anew)\n{}{left}",
        columns(rows)
    )
}

/// By how many deviations a feature has moved, and the cells of its row.
fn moved(feature: &Feature) -> Option<(f64, Vec<String>)> {
    let drift = feature.drift.as_ref()?;
    let means = format!("{} → {}", number(drift.then, 3), number(drift.now?, 3));
    let (by, text) = match drift.shift {
        Some(shift) => (shift.abs(), format!("{shift:+.1} deviations")),
        None => (f64::INFINITY, "did not vary in training".to_owned()),
    };
    Some((by, vec![visible(&feature.name), text, means]))
}

fn robustness(evaluation: &Evaluation) -> String {
    let Evaluation { robustness, summary, labelled, .. } = evaluation;
    if robustness.is_empty() {
        return String::new();
    }
    let none = || NONE.to_owned();
    let mut heads: Vec<String> = ["", "verdicts changed", "rows that alarm", "order kept"].map(str::to_owned).to_vec();
    let mut asis = vec!["nothing".to_owned(), none(), percent(summary.alarm_rate), none()];
    if let Some(Labelled { figures, .. }) = labelled {
        heads.push("AUC-PR".to_owned());
        asis.push(figure(figures.auc_pr));
    }
    let rows = robustness.iter().map(|effect| {
        let order = effect.rank_correlation.map_or_else(none, |correlation| format!("{correlation:.2}"));
        let mut cells = vec![effect.perturbation.clone(), percent(effect.flipped), percent(effect.alarm_rate), order];
        cells.extend(effect.labelled.map(|figures| figure(figures.auc_pr)));
        cells
    });
    let rows = [heads, asis].into_iter().chain(rows);
    format!(
        "\nWhen the data is not what it was (small noise and gaps should change little, shifts much)\n{}",
        columns(rows)
    )
}

/// Aligns rows of cells in columns.
pub(crate) fn columns(rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..most).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{servers, zscore};
    use super::super::{Settings, evaluate};
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a", "", "1"], vec!["long", "", "22"], vec!["ü"]]
            .map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(columns(rows.into_iter()), "  a     1\n  long  22\n  ü\n");
    }

    #[test]
    fn the_text_is_complete_and_has_no_control_characters() {
        let mut table = servers(2, 3000, 3, 2);
        table.names[1] = "m\u{1b}[31m1".to_owned();
        let labels: Vec<bool> = (0..table.len()).map(|row| (3000..3100).contains(&row)).collect();
        for row in 3000..3100 {
            table.values[row * 3 + 1] += 40.0;
        }
        let mut detector = qualm_core::open(&zscore(&servers(2, 3000, 3, 1))).unwrap();
        let settings = Settings { robustness: true, seed: 1, alarms: 9, ..Settings::default() };
        for (labels, parts) in [
            (
                Some(&labels[..]),
                ["Incidents", "found                  2 of 2", "AUC-PR 1.000 (0.017 ", "Largest alarms", "variance ×2"],
            ),
            (None, ["Anomalies put in", "spike", "alarms,", "host=h1", "noise of 0.1"]),
        ] {
            let evaluation = evaluate(&mut *detector, &table, labels, &settings, &|_| {}).unwrap();
            let text = text("m 1", &evaluation, &["mind".to_owned()]);
            for part in parts.into_iter().chain(["m 1: 6000 rows of 2 entities", "note: mind"]) {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains('\u{1b}') && !text.contains("NaN"), "{text}");
        }
    }
}
