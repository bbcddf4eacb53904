//! Values and times that are rare in tests and common in the world.

use qualm_pipeline::Rows;

use super::report::{Fault, Found, Outcome};
use super::source::Random;
use super::subject::{BATCH, Subject, feed, scored};

/// NaN anywhere: no trap, sound scores, and the other rows are scored as before.
pub(super) fn missing(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(5, 2, 11);
    let features = subject.features();
    let mut holes = rows.clone();
    let mut random = Random::new(12);
    let mut emptied = 0;
    for (row, values) in holes.values.chunks_mut(features).enumerate() {
        // A series begins without values; then some rows lack all, others one.
        match random.below(10) {
            _ if row < 3 => values.fill(f64::NAN),
            0 => values.fill(f64::NAN),
            1 => values[random.below(features)] = f64::NAN,
            _ => {}
        }
        emptied += values.iter().filter(|value| value.is_nan()).count();
    }
    let whole = scored(&feed(&mut subject.start()?, &rows, BATCH)?);
    let holed = scored(&feed(&mut subject.start()?, &holes, BATCH)?);
    let told = format!("{emptied} values missing; {holed} of {} rows scored", rows.len());
    if holed == 0 && whole > 0 {
        return Err(Fault::new(format!("without missing values {whole} are: one must not spoil all that come after"))
            .measured(told));
    }
    Ok(Found::ok(told))
}

/// Values as large and as small as doubles go.
pub(super) fn extreme(subject: &Subject) -> Outcome {
    const EXTREMES: [f64; 8] = [1e308, -1e308, 0.0, -0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, f64::MAX];
    let ordinary = subject.ordinary(5, 3, 13);
    let features = subject.features();
    let mut random = Random::new(14);
    let spoil = |rows: &mut Rows, random: &mut Random| {
        for values in rows.values.chunks_mut(features) {
            if random.below(10) == 0 {
                let whole = random.below(2) == 0;
                let at = random.below(features);
                for (feature, value) in values.iter_mut().enumerate() {
                    if whole || feature == at {
                        *value = EXTREMES[random.below(EXTREMES.len())];
                    }
                }
            }
        }
    };
    // From the first row on, and after ordinary ones.
    let mut rows = ordinary.clone();
    spoil(&mut rows, &mut random);
    feed(&mut subject.start()?, &rows, BATCH)?;
    let mut guest = subject.start()?;
    let before = scored(&feed(&mut guest, &ordinary, BATCH)?);
    feed(&mut guest, &rows, BATCH)?;
    let after = scored(&feed(&mut guest, &ordinary, BATCH)?);
    let told = format!("{} rows up to ±1.8e308, down to ±5e-324", rows.len() * 2);
    if after == 0 && before > 0 {
        return Ok(Found::note(format!(
            "{told}: sound scores, but afterwards not one ordinary row is scored any more"
        )));
    }
    Ok(Found::ok(told))
}

/// Times that stand still, go backwards, and jump.
pub(super) fn times(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 4, 15);
    let with = |time: &dyn Fn(usize, i64) -> i64| {
        let mut changed = rows.clone();
        for (at, own) in changed.times.iter_mut().enumerate() {
            *own = time(at, *own);
        }
        changed
    };
    let jumps = [i64::MIN, -1, 0, 1, i64::MAX];
    for (what, rows) in [
        ("stand still", with(&|_, _| rows.times[0])),
        ("go backwards", with(&|at, _| rows.times[rows.len() - 1 - at])),
        ("jump", with(&|at, own| if at % 7 == 0 { own ^ (1 << (at % 60)) } else { own })),
        ("are as extreme as can be", with(&|at, own| if at % 5 == 0 { jumps[at / 5 % jumps.len()] } else { own })),
    ] {
        let fault = |failure| Fault::new(format!("where times {what}, {failure}"));
        feed(&mut subject.start()?, &rows, BATCH).map_err(fault)?;
    }
    Ok(Found::ok(format!("{} rows whose times stand still, go backwards or jump", rows.len() * 4)))
}
