//! What it takes: time and memory.

use std::time::{Duration, Instant};

use qualm_contract::{Verdicts, Wanted};
use qualm_core::trained::{Rows as Learnt, Settings};
use qualm_core::{streaming, zscore};
use qualm_sandbox::{DetectorSpec, Failure, Guest, Limits, Sandbox};

use super::report::{Fault, Found, Outcome, size};
use super::source::{Shape, Source};
use super::subject::{BATCH, Subject, feed, limits};
use crate::text::thousands;

/// Rows handed over at a time, to measure how long they take.
const BATCHES: [usize; 3] = [1, 64, 1000];

/// How long each of those is measured.
const MEASURE: Duration = Duration::from_millis(500);

/// How often it is started, to measure that.
const STARTS: usize = 5;

/// Rows after which memory must not grow any more, and for how many seconds they may come.
const ROWS: usize = 1_000_000;
const ROWS_SECONDS: f64 = 8.0;

/// How much it may grow all the same: a language's runtime frees when it likes.
const LITTLE: usize = 1 << 20;

/// The days that the rows are spread over: a window of time is full long before.
const DAYS: i64 = 30;

/// Series to measure the memory of one by; how many values each has; how often they make place for others.
const SERIES: u32 = 20_000;
const VALUES: u32 = 5;
const TURNS: usize = 6;

/// How long a row takes, beside the built-in detector of the same shape.
pub(super) fn speed(subject: &Subject) -> Outcome {
    let (name, reference) = reference(&subject.sandbox, subject.features())?;
    let (mut guest, mut beside) = (subject.start()?, Guest::start(&reference)?);
    let warm = subject.ordinary(20, 1, 51);
    feed(&mut guest, &warm, BATCH)?;
    feed(&mut beside, &warm, BATCH)?;
    let (mut told, mut ratios) = (Vec::new(), Vec::new());
    let mut found = Found::ok("");
    let mut last = Duration::ZERO;
    for batch in BATCHES {
        let ours = batch_time(&mut beside, subject.features(), batch)?;
        let time = batch_time(&mut guest, subject.features(), batch)?;
        let (row, ratio) = (micros(time) / batch as f64, time.as_secs_f64() / ours.as_secs_f64());
        told.push(format!("{row:.2}"));
        ratios.push(format!("{ratio:.1}"));
        let name = match batch {
            1 => "us_per_row_at_1",
            64 => "us_per_row_at_64",
            _ => "us_per_row_at_1000",
        };
        found = found.figure(name, row);
        last = time;
    }
    let (times, ratios) = (told.join(", "), ratios.join(", "));
    let told = format!("{times} µs a row where 1, 64, 1000 come at once; {ratios} times what `{name}` takes");
    let deadline = Limits::default().deadline;
    if last > deadline {
        let why = format!("1000 rows take {:.0} ms, and the deadline is {deadline:?}", micros(last) / 1e3);
        return Err(Fault::new(why).measured(told));
    }
    Ok(found.says(told))
}

/// How long a batch takes: the median of some.
fn batch_time(guest: &mut Guest, features: usize, batch: usize) -> Result<Duration, Failure> {
    let mut source = Source::new(features, 20, Shape::Noise, 52);
    let mut verdicts = Verdicts::default();
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < 3 || begun.elapsed() < MEASURE && times.len() < 2000 {
        let rows = source.rows(batch);
        verdicts.clear();
        let start = Instant::now();
        guest.score_batch(rows.batch(), Wanted::CONTRIBUTIONS, &mut verdicts)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// A built-in detector for rows of so many values.
fn reference(sandbox: &Sandbox, features: usize) -> Result<(&'static str, DetectorSpec), Fault> {
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

/// How long it takes until it can be asked: whoever fails is started anew while metrics wait.
pub(super) fn start(subject: &Subject) -> Outcome {
    let mut best = Duration::MAX;
    for _ in 0..STARTS {
        let begun = Instant::now();
        subject.start()?;
        best = best.min(begun.elapsed());
    }
    let told = format!("{best:.1?} until it is open");
    let deadline = Limits::default().deadline;
    if best > deadline {
        return Err(Fault::new(format!("the deadline is {deadline:?}")).measured(told));
    }
    Ok(Found::ok(told).figure("ms", micros(best) / 1e3))
}

/// The same series for a long time: what it keeps of them has an end.
pub(super) fn growth(subject: &Subject) -> Outcome {
    const SERIES: u32 = 100;
    let rows = subject.affordable(ROWS, ROWS_SECONDS) / BATCH * BATCH;
    let step = DAYS * 86_400_000_000_000 / (rows as i64 / i64::from(SERIES)).max(1);
    let mut source = Source::new(subject.features(), SERIES, Shape::Noise, 54).each(step);
    let mut guest = subject.start()?;
    let begun = guest.memory();
    let mut half = begun;
    let mut fed = 0;
    while fed < rows {
        feed(&mut guest, &source.rows(BATCH), BATCH)?;
        fed += BATCH;
        if fed <= rows / 2 {
            half = guest.memory();
        }
    }
    steady(begun, half, guest.memory(), &format!("{} rows of {SERIES} series", thousands(rows)))
}

/// Whether memory stays as it is from some time on.
fn steady(begun: usize, half: usize, end: usize, over: &str) -> Outcome {
    let grew = end.saturating_sub(half);
    let told = format!("from {} to {}, then {} more, over {over}", size(begun), size(half), size(grew));
    if grew > LITTLE {
        let why = "it still grows in the second half; what it keeps of a series must have an end";
        return Err(Fault::new(why).measured(told));
    }
    Ok(Found::ok(told).figure("grew_bytes", grew as f64))
}

/// What one series takes, in memory and when saved.
pub(super) fn per_series(subject: &Subject) -> Outcome {
    let series = (subject.affordable((SERIES * VALUES) as usize, 2.0) as u32 / VALUES).max(1);
    let mut guest = subject.start()?;
    let before = guest.memory();
    feed(
        &mut guest,
        &Source::new(subject.features(), series, Shape::Noise, 55).rows((series * VALUES) as usize),
        BATCH,
    )?;
    let memory = guest.memory().saturating_sub(before) as f64 / f64::from(series);
    let numbers: Vec<u32> = (0..series).collect();
    let mut saved = 0;
    for slice in numbers.chunks(BATCH) {
        saved += guest.save_series(slice)?.len();
    }
    let saved = saved as f64 / f64::from(series);
    let memory_told = if memory == 0.0 { "none beyond what it had".to_owned() } else { format!("{memory:.0} bytes") };
    let told = format!(
        "memory: {memory_told}; saved: {saved:.0} bytes; by {} series of {VALUES} rows",
        thousands(series as usize)
    );
    Ok(Found::note(told).figure("memory_bytes", memory).figure("saved_bytes", saved))
}

/// Series that come and go: their memory comes back.
pub(super) fn churn(subject: &Subject) -> Outcome {
    let series = (subject.affordable(TURNS * 4000, 3.0) / TURNS / 2).max(1) as u32;
    let mut guest = subject.start()?;
    let begun = guest.memory();
    let numbers: Vec<u32> = (0..series).collect();
    let mut half = begun;
    for turn in 0..TURNS {
        let mut source = Source::new(subject.features(), series, Shape::Noise, turn as u64);
        feed(&mut guest, &source.rows(2 * series as usize), BATCH)?;
        guest.forget_series(&numbers)?;
        if turn < TURNS / 2 {
            half = guest.memory();
        }
    }
    steady(begun, half, guest.memory(), &format!("{TURNS} times {series} series that are forgotten"))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
