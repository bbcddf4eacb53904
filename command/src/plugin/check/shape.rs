//! The shapes of requests and answers.

use qualm_contract::{Batch, Description, Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::Failure;

use super::report::{Failed, Outcome, Passed};
use super::source::{Shape, Source};
use super::subject::{BATCH, Subject, check_same, score_rows, scored};
use crate::text::thousands;

/// The description is valid, and the same at every call.
pub(super) fn description(subject: &Subject) -> Outcome {
    let description = &subject.description;
    let mut guest = subject.start()?;
    score_rows(&mut guest, &subject.ordinary(2, 10, 1), BATCH)?;
    if guest.describe()? != *description {
        return Err(Failed::new("it is another one after some rows; it must be the same at every call"));
    }
    let kind = description.kind.as_str();
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if kind.len() > 100 || !kind.split('-').all(word) || !kind.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(Failed::new(format!(
            "`kind` is `{kind}`; it must be lower-case words joined by hyphens, 100 letters at most"
        )));
    }
    if description.features == 0 {
        return Err(Failed::new("`features` is 0; it must be at least 1"));
    }
    for (name, text) in [("version", &description.version), ("scale", &description.scale)] {
        let why = match text {
            text if text.is_empty() => "is empty",
            text if text.ends_with('…') => "is longer than 300 letters",
            text if text.contains('·') => "has a control character, or `·`, which stands for one in logs",
            _ => continue,
        };
        return Err(Failed::new(format!("`{name}` {why}: `{text}`")));
    }
    let Description { version, features, warm_up, .. } = description;
    let plural = if *features == 1 { "" } else { "s" };
    let measured = format!("{kind}, version {version}, {features} feature{plural}, warm-up of {warm_up} rows");
    Ok(Passed::ok(measured).figure("features", subject.features() as f64))
}

/// As many scores as rows, and contributions on request: zeros where a row is no anomaly.
pub(super) fn shapes(subject: &Subject) -> Outcome {
    let (rows, features) = (subject.spiked(2, 2), subject.features());
    let explained = score_rows(&mut subject.start()?, &rows, BATCH)?;
    let mut plain = Verdicts::default();
    let mut guest = subject.start()?;
    for start in (0..rows.len()).step_by(BATCH) {
        let part = super::source::part(&rows, start..rows.len().min(start + BATCH));
        guest.score_batch(part.batch(), part.wanted(), &mut plain)?;
    }
    check_same(&plain, &Verdicts { contributions: Vec::new(), ..explained.clone() }, "with and without contributions")?;
    let anomalous = explained.scores.iter().filter(|score| **score > 1.0).count();
    for (row, (score, shares)) in explained.scores.iter().zip(explained.contributions.chunks(features)).enumerate() {
        if *score > 1.0 || shares.iter().all(|share| *share == 0.0) {
            continue;
        }
        return Err(Failed::new(format!(
            "row {row} has a score of {score} and contributions; only those above 1 may have any"
        )));
    }
    Ok(Passed::ok(format!("{} rows, {} scored, {anomalous} anomalous and explained", rows.len(), scored(&explained))))
}

/// No rows, no scores.
pub(super) fn empty(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 4, 3);
    let (mut guest, mut reference) = (subject.start()?, subject.start()?);
    let nothing = Rows::new(subject.features());
    guest.score_batch(nothing.batch(), Wanted::CONTRIBUTIONS, &mut Verdicts::default())?;
    guest.score_batch(nothing.batch(), Wanted::SCORES, &mut Verdicts::default())?;
    check_same(
        &score_rows(&mut guest, &rows, BATCH)?,
        &score_rows(&mut reference, &rows, BATCH)?,
        "after empty batches and without",
    )?;
    Ok(Passed::ok("empty lists, and nothing changed"))
}

/// One row alone.
pub(super) fn single(subject: &Subject) -> Outcome {
    let mut verdicts = Verdicts::default();
    let row = Source::new(subject.features(), 1, Shape::Noise, 4).rows(1);
    subject.start()?.score_batch(row.batch(), Wanted { contributions: true, ..row.wanted() }, &mut verdicts)?;
    Ok(Passed::ok(match verdicts.scores.first() {
        Some(score) if !score.is_nan() => format!("a first row scores {score:.3}"),
        _ => "a first row has no score".to_owned(),
    }))
}

/// Lists whose lengths do not fit together are refused, and change nothing.
pub(super) fn mismatched(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 2, 5);
    let (mut guest, mut reference) = (subject.start()?, subject.start()?);
    let batch = super::source::part(&rows, 0..3);
    let with = |change: fn(&mut Rows)| {
        let mut rows = batch.clone();
        change(&mut rows);
        rows
    };
    for (what, rows) in [
        ("a timestamp too few", with(|rows| rows.times.truncate(2))),
        ("a timestamp too many", with(|rows| rows.times.push(0))),
        ("a value too few", with(|rows| rows.values.truncate(rows.values.len() - 1))),
        ("a value too many", with(|rows| rows.values.push(0.0))),
        ("twice the values", with(|rows| rows.values.extend_from_within(..))),
        ("values without rows", with(|rows| (rows.series.clear(), rows.times.clear()).1)),
    ] {
        let bad = Batch { series: &rows.series, times: &rows.times, values: &rows.values };
        let wanted = Wanted { contributions: true, bands: false };
        match guest.score_in_one_call(bad, wanted, &mut Verdicts::default()) {
            Err(Failure::Refused(why)) if why.starts_with("bad shape") => {}
            Err(failure) => return Err(Failed::new(format!("with {what}, {failure}; it must answer bad-shape"))),
            Ok(()) => return Err(Failed::new(format!("with {what}, it scored the batch; it must answer bad-shape"))),
        }
    }
    let after = score_rows(&mut guest, &rows, BATCH)?;
    check_same(&after, &score_rows(&mut reference, &rows, BATCH)?, "after misfits were refused, and without them")?;
    Ok(Passed::ok("6 kinds of misfit are refused, and nothing changed"))
}

/// Many series.
pub(super) fn many(subject: &Subject) -> Outcome {
    let series = subject.rows_within(20_000, 2.0) / 2;
    let rows = Source::new(subject.features(), series as u32, Shape::Noise, 6).rows(2 * series);
    score_rows(&mut subject.start()?, &rows, 10 * BATCH)?;
    Ok(Passed::ok(format!("{} series", thousands(series))).figure("series", series as f64))
}
