//! The same rows get the same scores, in any batches.

use super::report::{Failed, Outcome, Passed};
use super::subject::{BATCH, Subject, check_same, score_rows};

/// Two guests give the same scores.
pub(super) fn deterministic(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(10, 2, 21);
    let (one, other) =
        (score_rows(&mut subject.start()?, &rows, BATCH)?, score_rows(&mut subject.start()?, &rows, BATCH)?);
    check_same(&one, &other, "two guests were given the same rows")?;
    Ok(Passed::ok(format!("{} rows twice, the same to the last bit", rows.len())))
}

/// Scores do not depend on how rows are split into batches.
pub(super) fn batches(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(10, 4, 22);
    let whole = score_rows(&mut subject.start()?, &rows, rows.len())?;
    for batch in [1, 7, 64] {
        let cut = score_rows(&mut subject.start()?, &rows, batch)?;
        check_same(&whole, &cut, &format!("all rows at once, and {batch} at a time"))?;
    }
    Ok(Passed::ok(format!("{} rows, 1, 7, 64 and all at a time: the same to the last bit", rows.len())))
}

/// A forgotten number is as new as one that was never used.
pub(super) fn forget(subject: &Subject) -> Outcome {
    const SERIES: u32 = 6;
    const FRESH: u32 = 1000;
    let rows = subject.ordinary(SERIES, 4, 23);
    let (mut reusing, mut fresh) = (subject.start()?, subject.start()?);
    for guest in [&mut reusing, &mut fresh] {
        score_rows(guest, &rows, BATCH)?;
        guest.forget_series(&[0, 2, FRESH + 7, u32::MAX])?;
    }
    // The new series have forgotten numbers in one guest, and unused ones in the other.
    let mut renamed = rows.clone();
    for series in renamed.series.iter_mut().filter(|series| [0, 2].contains(*series)) {
        *series += FRESH;
    }
    let (reusing, fresh) = (score_rows(&mut reusing, &rows, BATCH)?, score_rows(&mut fresh, &renamed, BATCH)?);
    check_same(&reusing, &fresh, "a series with a number that was forgotten, and one with a number that never was")
        .map_err(|failed| failed.measured("something is left of what was forgotten"))?;
    let untouched = subject.start().and_then(|mut guest| {
        guest.forget_series(&[])?;
        guest.forget_series(&[5, 5])
    });
    untouched.map_err(|failure| Failed::new(format!("asked to forget what it does not know, {failure}")))?;
    Ok(Passed::ok("2 of 6 series begin anew, unknown numbers are no error"))
}
