//! Time and memory.

use std::time::{Duration, Instant};

use qualm_contract::{Verdicts, Wanted};
use qualm_core::trained::{Rows as Learnt, Settings};
use qualm_core::{streaming, zscore};
use qualm_sandbox::{DetectorSpec, Failure, Guest, Limits, Sandbox};

use super::report::{Failed, Outcome, Passed, size};
use super::source::{Shape, Source};
use super::subject::{BATCH, Subject, limits, score_rows};
use crate::text::thousands;

/// The sizes of batches that are timed.
const BATCH_SIZES: [usize; 3] = [1, 64, 1000];

/// How long each size is measured.
const MEASURING_TIME: Duration = Duration::from_millis(500);

/// How often it is started.
const STARTS: usize = 5;

/// Rows within half of which memory must stop growing, and the seconds that they may take.
const GROWTH_ROWS: usize = 1_000_000;
const GROWTH_SECONDS: f64 = 8.0;

/// The growth in bytes that is allowed after that: garbage collection has no fixed schedule.
const MAX_GROWTH: usize = 1 << 20;

/// The days that the rows span: far more than any window of time.
const DAYS: i64 = 30;

/// Series whose memory is measured, rows of each, and how often all series are replaced.
const SERIES: u32 = 20_000;
const ROWS_PER_SERIES: u32 = 5;
const REPLACEMENTS: usize = 6;

/// The time of a row, compared with the built-in detector of the same shape.
pub(super) fn speed(subject: &Subject) -> Outcome {
    let (name, reference) = reference(&subject.sandbox, subject.features())?;
    let (mut guest, mut built_in) = (subject.start()?, Guest::start(&reference)?);
    let warm = subject.ordinary(20, 1, 51);
    score_rows(&mut guest, &warm, BATCH)?;
    score_rows(&mut built_in, &warm, BATCH)?;
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    let mut passed = Passed::ok("");
    let mut last = Duration::ZERO;
    for batch in BATCH_SIZES {
        let ours = batch_time(&mut built_in, subject.features(), batch)?;
        let time = batch_time(&mut guest, subject.features(), batch)?;
        let (row, ratio) = (micros(time) / batch as f64, time.as_secs_f64() / ours.as_secs_f64());
        times.push(format!("{row:.2}"));
        ratios.push(format!("{ratio:.1}"));
        let name = match batch {
            1 => "us_per_row_at_1",
            64 => "us_per_row_at_64",
            _ => "us_per_row_at_1000",
        };
        passed = passed.figure(name, row);
        last = time;
    }
    let (times, ratios) = (times.join(", "), ratios.join(", "));
    let measured = format!("{times} µs a row where 1, 64, 1000 come at once; {ratios} times what `{name}` takes");
    let deadline = Limits::default().deadline;
    if last > deadline {
        let why = format!("1000 rows take {:.0} ms, and the deadline is {deadline:?}", micros(last) / 1e3);
        return Err(Failed::new(why).measured(measured));
    }
    Ok(passed.with_text(measured))
}

/// The median time of a batch.
fn batch_time(guest: &mut Guest, features: usize, batch: usize) -> Result<Duration, Failure> {
    let mut source = Source::new(features, 20, Shape::Noise, 52);
    let mut verdicts = Verdicts::default();
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < 3 || begun.elapsed() < MEASURING_TIME && times.len() < 2000 {
        let rows = source.rows(batch);
        verdicts.clear();
        let start = Instant::now();
        guest.score_batch(rows.batch(), Wanted::CONTRIBUTIONS, &mut verdicts)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// The built-in detector for rows of so many features.
fn reference(sandbox: &Sandbox, features: usize) -> Result<(&'static str, DetectorSpec), Failed> {
    let (name, model) = if features == 1 {
        (streaming::KIND, streaming::Parameters::default().to_model())
    } else {
        let rows = Source::new(features, 1, Shape::Noise, 53).rows(2000);
        let batch = rows.batch();
        let fitted = zscore::fit(Learnt::new(&rows.values, features), batch, &Settings::default())?;
        (zscore::KIND, fitted.to_model())
    };
    Ok((name, DetectorSpec::new(sandbox, qualm_components::DETECTOR, model, limits())?))
}

/// The time of a start: a guest that failed is restarted while metrics wait.
pub(super) fn start(subject: &Subject) -> Outcome {
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        let begun = Instant::now();
        subject.start()?;
        shortest = shortest.min(begun.elapsed());
    }
    let measured = format!("{shortest:.1?} until it is open");
    let deadline = Limits::default().deadline;
    if shortest > deadline {
        return Err(Failed::new(format!("the deadline is {deadline:?}")).measured(measured));
    }
    Ok(Passed::ok(measured).figure("ms", micros(shortest) / 1e3))
}

/// The memory of the same series stops growing.
pub(super) fn growth(subject: &Subject) -> Outcome {
    const SERIES: u32 = 100;
    let rows = subject.rows_within(GROWTH_ROWS, GROWTH_SECONDS) / BATCH * BATCH;
    let step = DAYS * 86_400_000_000_000 / (rows as i64 / i64::from(SERIES)).max(1);
    let mut source = Source::new(subject.features(), SERIES, Shape::Noise, 54).with_interval(step);
    let mut guest = subject.start()?;
    let begun = guest.memory();
    let mut half = begun;
    let mut fed = 0;
    while fed < rows {
        score_rows(&mut guest, &source.rows(BATCH), BATCH)?;
        fed += BATCH;
        if fed <= rows / 2 {
            half = guest.memory();
        }
    }
    check_growth(begun, half, guest.memory(), &format!("{} rows of {SERIES} series", thousands(rows)))
}

/// Fails where memory still grows in the second half.
fn check_growth(begun: usize, half: usize, end: usize, over: &str) -> Outcome {
    let grew = end.saturating_sub(half);
    let measured = format!("from {} to {}, then {} more, over {over}", size(begun), size(half), size(grew));
    if grew > MAX_GROWTH {
        let why = "it still grows in the second half; what it keeps of a series must have an end";
        return Err(Failed::new(why).measured(measured));
    }
    Ok(Passed::ok(measured).figure("grew_bytes", grew as f64))
}

/// The bytes of a series, in memory and saved.
pub(super) fn per_series(subject: &Subject) -> Outcome {
    let series = (subject.rows_within((SERIES * ROWS_PER_SERIES) as usize, 2.0) as u32 / ROWS_PER_SERIES).max(1);
    let mut guest = subject.start()?;
    let before = guest.memory();
    score_rows(
        &mut guest,
        &Source::new(subject.features(), series, Shape::Noise, 55).rows((series * ROWS_PER_SERIES) as usize),
        BATCH,
    )?;
    let memory = guest.memory().saturating_sub(before) as f64 / f64::from(series);
    let numbers: Vec<u32> = (0..series).collect();
    let mut saved = 0;
    for slice in numbers.chunks(BATCH) {
        saved += guest.save_series(slice)?.len();
    }
    let saved = saved as f64 / f64::from(series);
    let memory_text = if memory == 0.0 { "none beyond what it had".to_owned() } else { format!("{memory:.0} bytes") };
    let measured = format!(
        "memory: {memory_text}; saved: {saved:.0} bytes; by {} series of {ROWS_PER_SERIES} rows",
        thousands(series as usize)
    );
    Ok(Passed::note(measured).figure("memory_bytes", memory).figure("saved_bytes", saved))
}

/// The memory of forgotten series is used again.
pub(super) fn churn(subject: &Subject) -> Outcome {
    let series = (subject.rows_within(REPLACEMENTS * 4000, 3.0) / REPLACEMENTS / 2).max(1) as u32;
    let mut guest = subject.start()?;
    let begun = guest.memory();
    let numbers: Vec<u32> = (0..series).collect();
    let mut half = begun;
    for turn in 0..REPLACEMENTS {
        let mut source = Source::new(subject.features(), series, Shape::Noise, turn as u64);
        score_rows(&mut guest, &source.rows(2 * series as usize), BATCH)?;
        guest.forget_series(&numbers)?;
        if turn < REPLACEMENTS / 2 {
            half = guest.memory();
        }
    }
    check_growth(begun, half, guest.memory(), &format!("{REPLACEMENTS} times {series} series that are forgotten"))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
