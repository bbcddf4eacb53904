//! The same rows get the same scores, however they come.

use super::report::{Fault, Found, Outcome};
use super::subject::{BATCH, Subject, feed, same};

/// Two of them, alike in all.
pub(super) fn deterministic(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(10, 2, 21);
    let (one, other) = (feed(&mut subject.start()?, &rows, BATCH)?, feed(&mut subject.start()?, &rows, BATCH)?);
    same(&one, &other, "two guests were given the same rows")?;
    Ok(Found::ok(format!("{} rows twice, the same to the last bit", rows.len())))
}

/// How metrics fall into batches is chance, and must not matter.
pub(super) fn batches(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(10, 4, 22);
    let whole = feed(&mut subject.start()?, &rows, rows.len())?;
    for batch in [1, 7, 64] {
        let cut = feed(&mut subject.start()?, &rows, batch)?;
        same(&whole, &cut, &format!("all rows at once, and {batch} at a time"))?;
    }
    Ok(Found::ok(format!("{} rows, 1, 7, 64 and all at a time: the same to the last bit", rows.len())))
}

/// A number that was forgotten is as good as one that never was.
pub(super) fn forget(subject: &Subject) -> Outcome {
    const SERIES: u32 = 6;
    const FRESH: u32 = 1000;
    let rows = subject.ordinary(SERIES, 4, 23);
    let (mut again, mut fresh) = (subject.start()?, subject.start()?);
    for guest in [&mut again, &mut fresh] {
        feed(guest, &rows, BATCH)?;
        guest.forget_series(&[0, 2, FRESH + 7, u32::MAX])?;
    }
    // They differ only in what numbers the new series have: those that were forgotten, or some that never were.
    let mut renamed = rows.clone();
    for series in renamed.series.iter_mut().filter(|series| [0, 2].contains(*series)) {
        *series += FRESH;
    }
    let (again, fresh) = (feed(&mut again, &rows, BATCH)?, feed(&mut fresh, &renamed, BATCH)?);
    same(&again, &fresh, "a series with a number that was forgotten, and one with a number that never was")
        .map_err(|fault| fault.measured("something is left of what was forgotten"))?;
    let untouched = subject.start().and_then(|mut guest| {
        guest.forget_series(&[])?;
        guest.forget_series(&[5, 5])
    });
    untouched.map_err(|failure| Fault::new(format!("asked to forget what it does not know, {failure}")))?;
    Ok(Found::ok("2 of 6 series begin anew, unknown numbers are no error"))
}
