//! Measures `streaming` with other constants, natively and within seconds, on labelled metrics.
//!
//! `tests/quality/pack.py` makes the folder DIR; `make tune` does all of this.
//!
//! ```text
//! quality table DIR [SET...] [NAME=VALUE...]   how sets are scored, by default all; NAME is a field of `Tuning`, or
//!                                              `check_weights.4` for the fifth of its weights
//! quality ablation DIR                         what each part adds: writes tests/quality/ablation.json
//! quality nested DIR                           figures of sets that the constants were not chosen on: writes
//!                                              tests/quality/nested.json
//! ```
//!
//! Figures are defined as in `score.py`, which is no part of this project.

mod ablation;
mod data;
mod events;
mod grid;
mod nab;
mod nested;
mod score;
mod table;
mod tuning;
mod vus;

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Serialize;

/// Any error, as text.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: quality table DIR [SET...] [NAME=VALUE...] | quality ablation DIR | quality nested DIR";

fn main() -> Result<(), Failure> {
    let given: Vec<String> = env::args().skip(1).collect();
    let [command, folder, rest @ ..] = given.as_slice() else { return Err(USAGE.into()) };
    let folder = Path::new(folder);
    match (command.as_str(), rest) {
        ("table", rest) => table::print(folder, rest),
        ("ablation", []) => write("ablation.json", &ablation::measure(folder)?),
        ("nested", []) => write("nested.json", &nested::measure(folder)?),
        _ => Err(USAGE.into()),
    }
}

/// Writes the input of `make quality`'s page.
fn write(name: &str, found: &impl Serialize) -> Result<(), Failure> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/quality")).join(name);
    fs::write(&file, serde_json::to_string_pretty(found)? + "\n")?;
    println!("tests/quality/{name} is written");
    Ok(())
}
