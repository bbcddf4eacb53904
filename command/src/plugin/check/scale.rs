//! What a score means: 0 is ordinary, 1 is the threshold.

use super::report::{Fault, Found, Outcome};
use super::source::{MINUTE, Shape, Source, sigma};
use super::subject::{BATCH, Subject, feed};
use crate::text::thousands;

/// The share of ordinary rows that may be called anomalies: more than anybody would look at.
const MOST: f64 = 0.05;

/// How long all of this may take, in seconds.
const SECONDS: f64 = 4.0;

/// Series of each shape.
const SERIES: u32 = 10;

/// Ordinary rows have scores, and few of them above 1.
pub(super) fn ordinary(subject: &Subject) -> Outcome {
    // What was trained here saw noise only.
    let shapes = if subject.trained { &Shape::ALL[..1] } else { &Shape::ALL[..] };
    let each = (3 * subject.description.warm_up as usize).max(2000) * SERIES as usize;
    let each = subject.affordable(each, SECONDS / shapes.len() as f64);
    let (mut scored, mut worst, mut told) = (0, 0.0_f64, Vec::new());
    for shape in shapes {
        let rows = Source::new(subject.features(), SERIES, *shape, 41).each(subject.step).rows(each);
        let scores = feed(&mut subject.start()?, &rows, BATCH)?.scores;
        let here = scores.iter().filter(|score| !score.is_nan()).count();
        let share = scores.iter().filter(|score| **score > 1.0).count() as f64 / here.max(1) as f64;
        scored += here;
        worst = worst.max(share);
        told.push(format!("{} {:.2} %", shape.name(), share * 100.0));
    }
    let rows = each * shapes.len();
    if scored == 0 {
        let why = format!(
            "not one of {} rows of a series has a score, where `warm-up` says that {} come before the first",
            each / SERIES as usize,
            subject.description.warm_up
        );
        return Err(Fault::new(why));
    }
    let told = format!("above 1: {}; of {} rows", told.join(", "), thousands(rows));
    if worst > MOST && subject.knows_ordinary {
        let why = format!("more than {:.0} % of what is ordinary would be anomalies", MOST * 100.0);
        return Err(Fault::new(why).measured(told));
    }
    let found = if subject.knows_ordinary {
        Found::ok(told)
    } else {
        Found::note(format!("{told}; what is ordinary to the model given, only its maker knows"))
    };
    Ok(found.figure("worst_share", worst).figure("rows", rows as f64))
}

/// What a jump by 20 standard deviations gets.
pub(super) fn jump(subject: &Subject) -> Outcome {
    let each = (3 * subject.description.warm_up as usize).max(2000);
    let mut source = Source::new(subject.features(), 1, Shape::Noise, 42).each(subject.step);
    let mut guest = subject.start()?;
    feed(&mut guest, &source.rows(subject.affordable(each, SECONDS / 3.0)), BATCH)?;
    let mut rows = source.rows(1);
    for (feature, value) in rows.values.iter_mut().enumerate() {
        *value += 20.0 * sigma(feature);
    }
    let score = feed(&mut guest, &rows, 1)?.scores[0];
    let told = match score {
        score if score.is_nan() => "has no score".to_owned(),
        score => format!("scores {score:.3}"),
    };
    let all = if subject.features() == 1 { "" } else { " in all features" };
    Ok(Found::note(format!("a row 20 standard deviations out{all}, once, {told}")).figure("score", score))
}

/// From how many rows of a series on it scores.
pub(super) fn warm_up(subject: &Subject) -> Outcome {
    let said = subject.description.warm_up as usize;
    let mut source = Source::new(subject.features(), 1, Shape::Noise, 43).each(subject.step);
    let rows = source.rows(subject.affordable((3 * said).max(2000), SECONDS / 3.0));
    let apart = match subject.step / MINUTE {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let scores = feed(&mut subject.start()?, &rows, BATCH)?.scores;
    let told = match scores.iter().position(|score| !score.is_nan()) {
        Some(first) if first == said => format!("the first score comes after {first} rows, as described"),
        Some(first) => format!("the first score comes after {first} rows {apart} apart; described are {said}"),
        None => format!("no score within {} rows {apart} apart; described are {said}", rows.len()),
    };
    Ok(Found::note(told))
}
