//! History, and models that learn from it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use qualm_core::BuiltIn;
use qualm_offline::table::{Table, Vectors, discover};
use qualm_offline::train::learner::KindLearner;
use qualm_offline::train::spec::Spec;
use qualm_offline::train::{self, Origin};

/// Some hours of a machine: three features that rise and fall together, with noise, a row each ten seconds.
pub(crate) fn history(rows: usize) -> String {
    let mut text = "time,cpu,mem,net\n".to_owned();
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    for row in 0..rows {
        let load = (row as f64 / 50.0).sin() * 10.0;
        let (cpu, mem, net) =
            (50.0 + load + noise(), 60.0 + load / 2.0 + noise(), 1000.0 + 20.0 * load + 9.0 * noise());
        writeln!(text, "{},{cpu},{mem},{net}", 1_700_000_000 + 10 * row).unwrap();
    }
    text
}

/// Trains a model, and has it as a directory `dir/file`.
pub(crate) fn train(dir: &Path, file: &str, name: &str, version: u64, detector: &str, spec: Option<&str>) -> PathBuf {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = work.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let input = path("history.csv", &history(2000));
    let spec = Spec::read(&path("spec.toml", spec.unwrap_or_default())).unwrap();
    let found = discover(&input, "host", None).unwrap();
    let features = if spec.features.is_empty() { found.features } else { spec.features.clone() };
    let vectors = Vectors { features, ..found };
    let table = Table::read(&input, "host", &vectors.shape().unwrap()).unwrap();
    let origin = Origin { name: name.to_owned(), version, data_sha256: "0".repeat(64) };
    let out = dir.join(file);
    let learner = KindLearner(detector.to_owned());
    let outcome = train::train(&table, &vectors, &spec, origin, &learner, || {}).unwrap();
    outcome.draft.finish(&BuiltIn).unwrap().write(&out).unwrap();
    out
}
