//! What it answers fits what it was asked.

use qualm_contract::{Batch, Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::Failure;

use super::report::{Fault, Found, Outcome};
use super::source::{Shape, Source};
use super::subject::{BATCH, Subject, feed, same, scored};
use crate::text::thousands;

/// What it says it is, and whether it says so every time.
pub(super) fn description(subject: &Subject) -> Outcome {
    let told = &subject.description;
    let mut guest = subject.start()?;
    feed(&mut guest, &subject.ordinary(2, 10, 1), BATCH)?;
    if guest.describe()? != *told {
        return Err(Fault::new("it is another one after some rows; it must be the same at every call"));
    }
    let kind = told.kind.as_str();
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if kind.len() > 100 || !kind.split('-').all(word) || !kind.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(Fault::new(format!(
            "`kind` is `{kind}`; it must be lower-case words joined by hyphens, 100 letters at most"
        )));
    }
    if told.features == 0 {
        return Err(Fault::new("`features` is 0; it must be at least 1"));
    }
    for (name, text) in [("version", &told.version), ("scale", &told.scale)] {
        let why = match text {
            text if text.is_empty() => "is empty",
            text if text.ends_with('…') => "is longer than 300 letters",
            text if text.contains('·') => "has a control character, or `·`, which stands for one in logs",
            _ => continue,
        };
        return Err(Fault::new(format!("`{name}` {why}: `{text}`")));
    }
    let features = if told.features == 1 { "1 feature".to_owned() } else { format!("{} features", told.features) };
    let told = format!("{kind}, version {}, {features}, warm-up of {} rows", told.version, told.warm_up);
    Ok(Found::ok(told).figure("features", subject.features() as f64))
}

/// As many scores as rows, and contributions where they were asked for: zeros where a row is no anomaly.
pub(super) fn shapes(subject: &Subject) -> Outcome {
    let (rows, features) = (subject.spiked(2, 2), subject.features());
    let explained = feed(&mut subject.start()?, &rows, BATCH)?;
    let mut plain = Verdicts::default();
    let mut guest = subject.start()?;
    for start in (0..rows.len()).step_by(BATCH) {
        let part = super::source::part(&rows, start..rows.len().min(start + BATCH));
        guest.score_batch(part.batch(), part.wanted(), &mut plain)?;
    }
    same(&plain, &Verdicts { contributions: Vec::new(), ..explained.clone() }, "with and without contributions")?;
    let anomalous = explained.scores.iter().filter(|score| **score > 1.0).count();
    for (row, (score, shares)) in explained.scores.iter().zip(explained.contributions.chunks(features)).enumerate() {
        if *score > 1.0 || shares.iter().all(|share| *share == 0.0) {
            continue;
        }
        return Err(Fault::new(format!(
            "row {row} has a score of {score} and contributions; only those above 1 may have any"
        )));
    }
    Ok(Found::ok(format!("{} rows, {} scored, {anomalous} anomalous and explained", rows.len(), scored(&explained))))
}

/// No rows, no scores.
pub(super) fn empty(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 4, 3);
    let (mut guest, mut twin) = (subject.start()?, subject.start()?);
    let nothing = Rows::new(subject.features());
    guest.score_batch(nothing.batch(), Wanted::CONTRIBUTIONS, &mut Verdicts::default())?;
    guest.score_batch(nothing.batch(), Wanted::SCORES, &mut Verdicts::default())?;
    same(&feed(&mut guest, &rows, BATCH)?, &feed(&mut twin, &rows, BATCH)?, "after empty batches and without")?;
    Ok(Found::ok("empty lists, and nothing changed"))
}

/// One row alone.
pub(super) fn single(subject: &Subject) -> Outcome {
    let mut verdicts = Verdicts::default();
    let row = Source::new(subject.features(), 1, Shape::Noise, 4).rows(1);
    subject.start()?.score_batch(row.batch(), Wanted { contributions: true, ..row.wanted() }, &mut verdicts)?;
    Ok(Found::ok(match verdicts.scores.first() {
        Some(score) if !score.is_nan() => format!("a first row scores {score:.3}"),
        _ => "a first row has no score".to_owned(),
    }))
}

/// Lists that do not fit together are refused, and change nothing.
pub(super) fn misfits(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 2, 5);
    let (mut guest, mut twin) = (subject.start()?, subject.start()?);
    let batch = super::source::part(&rows, 0..3);
    let bent = |bend: fn(&mut Rows)| {
        let mut bent = batch.clone();
        bend(&mut bent);
        bent
    };
    for (what, bent) in [
        ("a timestamp too few", bent(|rows| rows.times.truncate(2))),
        ("a timestamp too many", bent(|rows| rows.times.push(0))),
        ("a value too few", bent(|rows| rows.values.truncate(rows.values.len() - 1))),
        ("a value too many", bent(|rows| rows.values.push(0.0))),
        ("twice the values", bent(|rows| rows.values.extend_from_within(..))),
        ("values without rows", bent(|rows| (rows.series.clear(), rows.times.clear()).1)),
    ] {
        let bent = Batch { series: &bent.series, times: &bent.times, values: &bent.values };
        let wanted = Wanted { contributions: true, bands: false };
        match guest.score_in_one_call(bent, wanted, &mut Verdicts::default()) {
            Err(Failure::Refused(why)) if why.starts_with("bad shape") => {}
            Err(failure) => return Err(Fault::new(format!("with {what}, {failure}; it must answer bad-shape"))),
            Ok(()) => return Err(Fault::new(format!("with {what}, it scored the batch; it must answer bad-shape"))),
        }
    }
    let after = feed(&mut guest, &rows, BATCH)?;
    same(&after, &feed(&mut twin, &rows, BATCH)?, "after misfits were refused, and without them")?;
    Ok(Found::ok("6 kinds of misfit are refused, and nothing changed"))
}

/// More series than most have.
pub(super) fn many(subject: &Subject) -> Outcome {
    let series = subject.affordable(20_000, 2.0) / 2;
    let rows = Source::new(subject.features(), series as u32, Shape::Noise, 6).rows(2 * series);
    feed(&mut subject.start()?, &rows, 10 * BATCH)?;
    Ok(Found::ok(format!("{} series", thousands(series))).figure("series", series as f64))
}
