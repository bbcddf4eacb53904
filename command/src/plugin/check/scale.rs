//! The scale of scores: 0 is ordinary, 1 is the threshold.

use super::report::{Failed, Outcome, Passed};
use super::source::{MINUTE, Shape, Source, sigma};
use super::subject::{BATCH, Subject, score_rows};
use crate::text::thousands;

/// The share of ordinary rows that may score above 1.
const MAX_ANOMALOUS_SHARE: f64 = 0.05;

/// The seconds that the check may take.
const SECONDS: f64 = 4.0;

/// Series of each shape.
const SERIES: u32 = 10;

/// Ordinary rows have scores, at most [`MAX_ANOMALOUS_SHARE`] of them above 1.
pub(super) fn ordinary(subject: &Subject) -> Outcome {
    // A plugin trained by this command has seen noise alone.
    let shapes = if subject.trained { &Shape::ALL[..1] } else { &Shape::ALL[..] };
    let each = (3 * subject.description.warm_up as usize).max(2000) * SERIES as usize;
    let each = subject.rows_within(each, SECONDS / shapes.len() as f64);
    let (mut scored, mut worst, mut shares) = (0, 0.0_f64, Vec::new());
    for shape in shapes {
        let rows = Source::new(subject.features(), SERIES, *shape, 41).with_interval(subject.interval).rows(each);
        let scores = score_rows(&mut subject.start()?, &rows, BATCH)?.scores;
        let scored_here = scores.iter().filter(|score| !score.is_nan()).count();
        let share = scores.iter().filter(|score| **score > 1.0).count() as f64 / scored_here.max(1) as f64;
        scored += scored_here;
        worst = worst.max(share);
        shares.push(format!("{} {:.2} %", shape.name(), share * 100.0));
    }
    let rows = each * shapes.len();
    if scored == 0 {
        let why = format!(
            "not one of {} rows of a series has a score, where `warm-up` says that {} come before the first",
            each / SERIES as usize,
            subject.description.warm_up
        );
        return Err(Failed::new(why));
    }
    let measured = format!("above 1: {}; of {} rows", shares.join(", "), thousands(rows));
    if worst > MAX_ANOMALOUS_SHARE && subject.knows_ordinary {
        let why = format!("more than {:.0} % of what is ordinary would be anomalies", MAX_ANOMALOUS_SHARE * 100.0);
        return Err(Failed::new(why).measured(measured));
    }
    let passed = if subject.knows_ordinary {
        Passed::ok(measured)
    } else {
        Passed::note(format!("{measured}; what is ordinary to the model given, only its maker knows"))
    };
    Ok(passed.figure("worst_share", worst).figure("rows", rows as f64))
}

/// The score of a jump by 20 standard deviations.
pub(super) fn jump(subject: &Subject) -> Outcome {
    let each = (3 * subject.description.warm_up as usize).max(2000);
    let mut source = Source::new(subject.features(), 1, Shape::Noise, 42).with_interval(subject.interval);
    let mut guest = subject.start()?;
    score_rows(&mut guest, &source.rows(subject.rows_within(each, SECONDS / 3.0)), BATCH)?;
    let mut rows = source.rows(1);
    for (feature, value) in rows.values.iter_mut().enumerate() {
        *value += 20.0 * sigma(feature);
    }
    let score = score_rows(&mut guest, &rows, 1)?.scores[0];
    let result = match score {
        score if score.is_nan() => "has no score".to_owned(),
        score => format!("scores {score:.3}"),
    };
    let all = if subject.features() == 1 { "" } else { " in all features" };
    Ok(Passed::note(format!("a row 20 standard deviations out{all}, once, {result}")).figure("score", score))
}

/// The rows of a series before its first score.
pub(super) fn warm_up(subject: &Subject) -> Outcome {
    let described = subject.description.warm_up as usize;
    let mut source = Source::new(subject.features(), 1, Shape::Noise, 43).with_interval(subject.interval);
    let rows = source.rows(subject.rows_within((3 * described).max(2000), SECONDS / 3.0));
    let interval = match subject.interval / MINUTE {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let scores = score_rows(&mut subject.start()?, &rows, BATCH)?.scores;
    let measured = match scores.iter().position(|score| !score.is_nan()) {
        Some(first) if first == described => format!("the first score comes after {first} rows, as described"),
        Some(first) => format!("the first score comes after {first} rows {interval} apart; described are {described}"),
        None => format!("no score within {} rows {interval} apart; described are {described}", rows.len()),
    };
    Ok(Passed::note(measured))
}
