//! Unusual values and times.

use qualm_pipeline::Rows;

use super::report::{Failed, Outcome, Passed};
use super::source::Random;
use super::subject::{BATCH, Subject, score_rows, scored};

/// NaN anywhere: no trap, valid scores, and later rows are still scored.
pub(super) fn missing(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(5, 2, 11);
    let features = subject.features();
    let mut with_gaps = rows.clone();
    let mut random = Random::new(12);
    let mut removed = 0;
    for (row, values) in with_gaps.values.chunks_mut(features).enumerate() {
        // The first rows and some later ones lack all values, others one.
        match random.below(10) {
            _ if row < 3 => values.fill(f64::NAN),
            0 => values.fill(f64::NAN),
            1 => values[random.below(features)] = f64::NAN,
            _ => {}
        }
        removed += values.iter().filter(|value| value.is_nan()).count();
    }
    let whole = scored(&score_rows(&mut subject.start()?, &rows, BATCH)?);
    let scored_with_gaps = scored(&score_rows(&mut subject.start()?, &with_gaps, BATCH)?);
    let measured = format!("{removed} values missing; {scored_with_gaps} of {} rows scored", rows.len());
    if scored_with_gaps == 0 && whole > 0 {
        return Err(Failed::new(format!("without missing values {whole} are: one must not spoil all that come after"))
            .measured(measured));
    }
    Ok(Passed::ok(measured))
}

/// The largest and smallest doubles.
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
    score_rows(&mut subject.start()?, &rows, BATCH)?;
    let mut guest = subject.start()?;
    let before = scored(&score_rows(&mut guest, &ordinary, BATCH)?);
    score_rows(&mut guest, &rows, BATCH)?;
    let after = scored(&score_rows(&mut guest, &ordinary, BATCH)?);
    let measured = format!("{} rows up to ±1.8e308, down to ±5e-324", rows.len() * 2);
    if after == 0 && before > 0 {
        return Ok(Passed::note(format!(
            "{measured}: sound scores, but afterwards not one ordinary row is scored any more"
        )));
    }
    Ok(Passed::ok(measured))
}

/// Times that stand still, go backwards, and jump.
pub(super) fn times(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(3, 4, 15);
    let with_times = |time: &dyn Fn(usize, i64) -> i64| {
        let mut changed = rows.clone();
        for (at, own) in changed.times.iter_mut().enumerate() {
            *own = time(at, *own);
        }
        changed
    };
    let jumps = [i64::MIN, -1, 0, 1, i64::MAX];
    for (what, rows) in [
        ("stand still", with_times(&|_, _| rows.times[0])),
        ("go backwards", with_times(&|at, _| rows.times[rows.len() - 1 - at])),
        ("jump", with_times(&|at, own| if at % 7 == 0 { own ^ (1 << (at % 60)) } else { own })),
        (
            "are as extreme as can be",
            with_times(&|at, own| if at % 5 == 0 { jumps[at / 5 % jumps.len()] } else { own }),
        ),
    ] {
        let fault = |failure| Failed::new(format!("where times {what}, {failure}"));
        score_rows(&mut subject.start()?, &rows, BATCH).map_err(fault)?;
    }
    Ok(Passed::ok(format!("{} rows whose times stand still, go backwards or jump", rows.len() * 4)))
}
