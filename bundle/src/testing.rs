//! Bundles for the tests of this crate and of the command, which compiles this file too.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use qualm_bundle::bundle::{Bundle, Draft};
use qualm_bundle::golden::Golden;
use qualm_bundle::manifest::{
    FORMAT, Feature, Manifest, NetworkTraining, Provenance, Reference, Shape, Suppression, Threshold,
};
use qualm_contract::{Batch, Detector, Error, ModelFactory, ModelSource, Trainer, Transform};
use qualm_core::BuiltIn;
use qualm_core::trained::calibrate::Threshold as Rule;
use qualm_core::trained::{Rows, Settings};

/// A model of two features, different for each `shift`.
pub(crate) fn model(shift: f64) -> Vec<u8> {
    let rows: Vec<f64> =
        (0..1000).flat_map(|at| [f64::from(at % 10) + shift, (f64::from(at % 7) + shift) * 100.0]).collect();
    let settings = Settings { threshold: Rule::FalseAlarmRate(1e-3), ..Settings::default() };
    let batch = Batch { series: &[0; 1000], times: &[0; 1000], values: &rows };
    qualm_core::zscore::fit(Rows::new(&rows, 2), batch, &settings).unwrap().to_model()
}

pub(crate) fn manifest(version: u64) -> Manifest {
    let feature = |name: &str, transform| Feature {
        name: name.to_owned(),
        measurement: "cpu".to_owned(),
        field: format!("usage_{name}"),
        tags: BTreeMap::from([("cpu".to_owned(), "cpu-total".to_owned())]),
        transform,
        reference: Some(Reference {
            missing: 0.0,
            mean: 4.5,
            deviation: 2.9,
            quantiles: (0..11).map(f64::from).collect(),
        }),
    };
    Manifest {
        format: FORMAT,
        name: "cpu".to_owned(),
        version,
        created: "2026-05-01T12:00:00Z".parse().unwrap(),
        expires: None,
        kind: "zscore".to_owned(),
        shape: Shape::Vector,
        entity: vec!["host".to_owned()],
        interval: Duration::from_secs(10),
        threshold: Threshold { rule: "false_alarm_rate = 0.001".to_owned(), ordinary: 0.5, raw: 3.25 },
        suppression: Suppression {
            sustained: Some("3 of 5".to_owned()),
            cooldown: Duration::from_mins(10),
            ..Suppression::default()
        },
        features: vec![feature("user", Transform::None), feature("system", Transform::Rate)],
        provenance: Provenance {
            data_sha256: "0".repeat(64),
            rows: 1000,
            from: Some("2026-04-01T00:00:00Z".parse().unwrap()),
            to: Some("2026-05-01T12:00:00Z".parse().unwrap()),
            seed: 7,
            parameters: BTreeMap::from([("scaling".to_owned(), toml::Value::from("standard"))]),
            metrics: BTreeMap::from([("vus_pr".to_owned(), 0.75)]),
            networks: vec![NetworkTraining {
                network: "gru".to_owned(),
                stopped: "as it became no better".to_owned(),
                best_epoch: 1,
                training_loss: vec![0.5, 0.25],
                validation_loss: vec![0.5, 0.625],
            }],
        },
        sha256: BTreeMap::new(),
    }
}

/// A bundle with a different model for each version.
pub(crate) fn bundle(version: u64) -> Bundle {
    draft(version).finish(&BuiltIn).unwrap()
}

pub(crate) fn draft(version: u64) -> Draft {
    let model = model(version as f64);
    let values = [4.0, 300.0, f64::NAN, -3000.0, f64::NAN, f64::NAN];
    let golden = Golden::of(
        &mut *qualm_core::open(&model).unwrap(),
        Batch { series: &[0, 1, 0], times: &[0, 1, 2], values: &values },
    )
    .unwrap();
    Draft { manifest: manifest(version), model, golden, reference: None, component: None }
}

/// Opens components as built-in models.
#[derive(Debug)]
pub(crate) struct Sandbox;

impl ModelFactory for Sandbox {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        BuiltIn.open_model(ModelSource { component: None, ..source })
    }

    fn open_trainer(&self, _component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        Err(Error::NoSandbox)
    }
}

/// The real minisign. Without it, a test is skipped with a message; in CI it fails.
pub(crate) fn minisign() -> Option<PathBuf> {
    let path = env::var_os("MINISIGN_BIN").map(PathBuf::from).or_else(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tools.sh");
        let answer = Command::new(script).args(["--where", "minisign"]).output().expect("tools.sh can be run");
        Some(String::from_utf8_lossy(&answer.stdout).trim().into())
    });
    let path = path.filter(|path| path.is_file());
    if path.is_none() {
        let hint = "minisign is not here; run `tests/tools.sh minisign` (or set MINISIGN_BIN)";
        assert!(env::var_os("CI").is_none(), "{hint}");
        let thread = thread::current();
        // Not `eprintln`, which the test harness captures when a test passes.
        let _ = writeln!(io::stderr(), "SKIPPED {}: {hint}", thread.name().unwrap_or("a test"));
    }
    path
}
