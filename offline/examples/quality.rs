//! Trains with the defaults on one file's rows and scores another's, for the quality figures.
//!
//! > quality KIND FOLDER OUT \[false-alarm-rate\] \[name=value …\]
//!
//! For each `X.train.csv` of FOLDER (time, then a column a feature, with a header) it learns from the first four fifths of
//! the rows, sets the threshold by the last, scores `X.test.csv`, and writes `OUT/X.csv` with one score a row. What follows
//! are parameters as in `[parameters]`. On standard output: name, features, rows, microseconds a row, share of alarms.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use qualm_contract::{Batch, Wanted};
use qualm_core::trained::Rows;
use qualm_core::trained::calibrate::Threshold;
use qualm_offline::train::grid::Choice;
use qualm_offline::train::kinds;

/// Rows that are scored at once.
const BATCH: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, folder, out, rest @ ..] = &arguments[..] else {
        return Err("usage: quality KIND FOLDER OUT [false-alarm-rate] [name=value ...]".into());
    };
    let rate: f64 = rest.first().map_or(Ok(1e-4), |rate| rate.parse())?;
    let mut choice = Choice::default();
    for given in rest.iter().skip(1) {
        choice.0.extend(given.parse::<toml::Table>()?);
    }
    fs::create_dir_all(out)?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Box<dyn Error>>>()?;
    files.sort();
    for train in files {
        let Some(name) = train.file_name().and_then(|name| name.to_str()?.strip_suffix(".train.csv")) else { continue };
        let test = table(&train.with_file_name(format!("{name}.test.csv")))?;
        let model = model(kind, &choice, rate, &table(&train)?)?;
        let mut detector = qualm_core::open(&model)?;
        let mut scores = Vec::new();
        let start = Instant::now();
        for values in test.values.chunks(BATCH * test.features) {
            let zeros = vec![0; values.len() / test.features];
            let times = vec![0; zeros.len()];
            scores
                .extend(detector.verdicts_of(Batch { series: &zeros, times: &times, values }, Wanted::SCORES)?.scores);
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / scores.len() as f64;
        let alarms = scores.iter().filter(|score| **score > 1.0).count() as f64 / scores.len() as f64;
        println!("{name} {} {} {micros:.3} {alarms:.6}", test.features, scores.len());
        let lines: String = scores.iter().map(|score| format!("{score}\n")).collect();
        fs::write(Path::new(out).join(format!("{name}.csv")), format!("score\n{lines}"))?;
    }
    Ok(())
}

struct Table {
    features: usize,
    values: Vec<f64>,
}

fn table(path: &Path) -> Result<Table, Box<dyn Error>> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let features = reader.headers()?.len() - 1;
    let mut values = Vec::new();
    for record in reader.records() {
        let record = record?;
        values.extend(record.iter().skip(1).map(|cell| cell.parse().unwrap_or(f64::NAN)));
    }
    Ok(Table { features, values })
}

fn model(kind: &str, choice: &Choice, rate: f64, table: &Table) -> Result<Vec<u8>, Box<dyn Error>> {
    let rows = table.values.len() / table.features;
    let (train, validation) = table.values.split_at(rows * 4 / 5 * table.features);
    let zeros = vec![0; validation.len() / table.features];
    let times = vec![0; zeros.len()];
    let validation = Batch { series: &zeros, times: &times, values: validation };
    let threshold = Threshold::FalseAlarmRate(rate);
    Ok(kinds::fit(kind, choice, Rows::new(train, table.features), validation, threshold, 0)?.to_model())
}
