//! How well isolation forests detect labelled anomalies: `adbench DIRECTORY [--extended] [--seeds 10]`.
//!
//! Reads every CSV of the directory: no header, a row a line, the last column 1 for an anomaly and 0 otherwise. Prints for
//! each the mean and the standard deviation, over seeds, of the area under the ROC curve of a forest of 100 trees of 256
//! rows, grown of all rows, which they then score. Where the directory has a `reference.csv` with the columns `dataset`,
//! `roc_auc_mean` and `roc_auc_std`, prints those beside, and fails where a mean is more than two standard deviations off.
//!
//! `ADBench`'s files <https://github.com/Minqi824/ADBench> become such CSVs by `numpy.savetxt(name + ".csv",
//! numpy.column_stack([data["X"], data["y"]]), delimiter=",")`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use qualm_core::forest::extended::Extended;
use qualm_core::forest::{Forest, Parameters};
use qualm_core::linalg::as_matrix;
use qualm_core::trained::Kernel;

const USAGE: &str = "usage: adbench DIRECTORY [--extended] [--seeds 10]";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut directory, mut extended, mut seeds) = (None, false, 10);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--extended" => extended = true,
            "--seeds" => seeds = arguments.next().ok_or(USAGE)?.parse()?,
            // What `cargo bench` and `cargo run` may add.
            "--bench" => {}
            _ => directory = Some(PathBuf::from(argument)),
        }
    }
    let directory = directory.ok_or(USAGE)?;
    let references = references(&directory.join("reference.csv"))?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "csv") && !file.ends_with("reference.csv"));
    files.sort_by_key(|file| number(file));
    println!("{:<20} {:>7} {:>4}  {:>6} ± {:<6}  {:>6} ± {:<6}", "data set", "rows", "d", "ours", "", "theirs", "");
    let mut off = 0;
    for file in files {
        let (rows, labels) = read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let features = rows.len() / labels.len();
        let areas: Vec<f64> = (0..seeds)
            .map(|seed| Ok(area(&scores(&as_matrix(&rows, features), seed, extended)?, &labels)))
            .collect::<Result<_, Box<dyn Error>>>()?;
        let (mean, deviation) = mean_and_deviation(&areas);
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        print!("{name:<20} {:>7} {features:>4}  {mean:.4} ± {deviation:.4}", labels.len());
        if let Some((theirs, spread)) = references.get(&name) {
            let apart = (mean - theirs) / spread;
            print!("  {theirs:.4} ± {spread:.4}  {apart:+.1} standard deviations");
            off += u32::from(apart.abs() > 2.0);
        }
        println!();
    }
    if off > 0 && !extended {
        Err(format!("{off} means are more than two standard deviations off").into())
    } else {
        Ok(())
    }
}

/// The number that a file's name starts with, by which `ADBench`'s are ordered.
fn number(file: &Path) -> (u32, PathBuf) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    (name.split('_').next().and_then(|number| number.parse().ok()).unwrap_or(0), file.to_owned())
}

fn references(file: &Path) -> Result<HashMap<String, (f64, f64)>, Box<dyn Error>> {
    if !file.exists() {
        return Ok(HashMap::new());
    }
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let place = |name: &str| header.iter().position(|column| *column == name).ok_or(format!("no column `{name}`"));
    let (name, mean, deviation) = (place("dataset")?, place("roc_auc_mean")?, place("roc_auc_std")?);
    lines.map(|line| Ok((line[name].to_owned(), (line[mean].parse()?, line[deviation].parse()?)))).collect()
}

/// Rows, and whether each is an anomaly.
fn read(file: &Path) -> Result<(Vec<f64>, Vec<bool>), Box<dyn Error>> {
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for line in fs::read_to_string(file)?.lines() {
        let (row, label) = line.rsplit_once(',').ok_or("a line of one column")?;
        for value in row.split(',') {
            rows.push(value.trim().parse()?);
        }
        labels.push(label.trim().parse::<f64>()? > 0.5);
    }
    Ok((rows, labels))
}

fn scores(rows: &ArrayView2<'_, f64>, seed: u64, extended: bool) -> Result<Vec<f64>, Box<dyn Error>> {
    let parameters = Parameters { seed, ..Parameters::default() };
    let mut scores = Vec::with_capacity(rows.len());
    if extended {
        Extended::fit(*rows, &parameters, u32::MAX)?.score_rows(*rows, &mut scores);
    } else {
        Forest::fit(*rows, &parameters)?.score_rows(*rows, &mut scores);
    }
    Ok(scores)
}

/// The area under the ROC curve: how probable it is that an anomaly scores higher than another row, a tie counting half
/// (Mann & Whitney's U over the number of pairs).
fn area(scores: &[f64], labels: &[bool]) -> f64 {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| a.0.to_bits() == b.0.to_bits()) {
        let anomalies = tied.iter().filter(|(_, label)| *label).count() as f64;
        let others = tied.len() as f64 - anomalies;
        wins += anomalies * (below + 0.5 * others);
        below += others;
    }
    wins / (below * (order.len() as f64 - below))
}

fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|number| (number - mean) * (number - mean)).sum();
    (mean, (squares / count).sqrt())
}
