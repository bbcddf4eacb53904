//! Scores CSV files with `streaming` and its defaults, natively: `score IN OUT [IN OUT ...]`.
//!
//! What it writes is what `qualm replay --input IN --scores OUT` writes, to the last bit. It takes seconds to build.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;

use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::streaming::Parameters;

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let (pairs, rest) = files.as_chunks();
    if pairs.is_empty() || !rest.is_empty() {
        return Err("usage: score IN OUT [IN OUT ...]".into());
    }
    for [from, to] in pairs {
        let scored = score(&fs::read_to_string(from)?).map_err(|error| format!("{from}: {error}"))?;
        fs::write(to, scored)?;
    }
    Ok(())
}

/// The scores of a CSV: its times, a score for each column, and last the largest of a row.
fn score(csv: &str) -> Result<String, Box<dyn Error>> {
    let mut detector = qualm_core::open(&Parameters::default().to_model())?;
    let mut lines = csv.lines();
    let (_, columns) = split(lines.next().unwrap_or_default())?;
    let mut out = format!("time,{columns},score\n");
    for (at, line) in lines.enumerate() {
        let (time, cells) = split(line)?;
        let nanoseconds = nanoseconds(time).ok_or_else(|| format!("row {}: `{time}` is no time", at + 1))?;
        out.push_str(time);
        let mut largest = f64::NAN;
        for (series, cell) in (0..).zip(cells.split(',')) {
            let score = one(&mut *detector, series, nanoseconds, cell)?;
            largest = largest.max(score);
            put(&mut out, score)?;
        }
        put(&mut out, largest)?;
        out.push('\n');
    }
    Ok(out)
}

fn split(line: &str) -> Result<(&str, &str), String> {
    line.split_once(',').ok_or_else(|| format!("`{line}` has no column besides the time"))
}

/// The score of a cell; NaN where there is none.
fn one(detector: &mut dyn Detector, series: u32, time: i64, cell: &str) -> Result<f64, Box<dyn Error>> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    let batch = Batch { series: &[series], times: &[time], values: &[cell.parse()?] };
    Ok(detector.verdicts_of(batch, Wanted::SCORES)?.scores[0])
}

fn put(out: &mut String, score: f64) -> Result<(), std::fmt::Error> {
    if score.is_nan() { write!(out, ",") } else { write!(out, ",{score}") }
}

/// Reads `YYYY-MM-DD hh:mm:ss`, and the same with a `T` between and a `Z` behind, as nanoseconds since 1970.
fn nanoseconds(time: &str) -> Option<i64> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Years begin in March, so that a leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000)
}
