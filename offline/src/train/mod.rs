//! Training: history in, a bundle out.
//!
//! History becomes a [`Table`], which is split in order of time: models are fitted to the training part; the validation part
//! selects among the [`grid`] of parameters and calibrates the threshold; the test part (hold-out) evaluates the result.
//! Training is deterministic: the same data, specification and seed make the same bundle, byte for byte.

mod autoencoder;
mod fault;
mod from_file;
pub mod grid;
pub mod kinds;
pub mod learner;
pub mod plugin;
mod reference;
pub mod spec;
#[cfg(test)]
pub(crate) mod testing;

use std::ops::Range;

use jiff::Timestamp;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::{self, Golden};
use qualm_bundle::manifest::{self, FORMAT, Feature, Manifest, NetworkTraining, Provenance, Shape};
use qualm_bundle::reference::ReferenceFile;
use qualm_contract::Transform;
use qualm_contract::{Batch, Detector};
use qualm_core::trained::Rows;
use qualm_core::trained::calibrate::{MIN_SCORES, Threshold};
use qualm_drift::Reference;
use rayon::prelude::*;

use crate::evaluate::inject::{inject, objective};
use crate::evaluate::score;
use crate::table::{Table, Vectors};
pub use fault::Fault;
pub use from_file::{Error, Options, Trained, from_file};
pub(crate) use from_file::{digest, learner_of};

use grid::Choice;
use learner::{Fitted, Learner, TrainingData};
use spec::Spec;

/// How many golden rows are taken from the data, evenly spread.
const GOLDEN: usize = 24;

/// The least number of rows for training.
pub const MIN_ROWS: usize = 500;

/// The split of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The training part.
    pub train: Range<usize>,
    /// The validation part, which selects parameters and calibrates the threshold.
    pub validation: Range<usize>,
    /// The test part (hold-out).
    pub test: Range<usize>,
}

/// The result of training.
#[derive(Debug)]
pub struct Outcome {
    /// The bundle, not yet finished.
    pub draft: Draft,
    /// Every combination that was tried, with its objective; empty if there was only one.
    pub tried: Vec<(Choice, f64)>,
    /// Warnings about the data.
    pub warnings: Vec<String>,
    /// The split.
    pub split: Split,
}

/// A step of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A model has been fitted.
    Fitted {
        /// How many there are so far.
        models: u64,
        /// How many there will be.
        of: u64,
    },
    /// A network has learnt from all windows once more.
    Epoch {
        /// Which: `lstm`, `gru` or `conv`.
        network: &'static str,
        /// How many epochs are done.
        epoch: u64,
        /// How many there are at most.
        of: u64,
        /// The mean loss of its batches.
        training: f64,
        /// The loss on the rows that decide when training stops.
        validation: f64,
    },
}

/// Is told of each step, from any thread.
pub type Report<'a> = &'a (dyn Fn(Step) + Sync);

/// Name, version and data digest of a bundle.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The digest of the data.
    pub data_sha256: String,
}

/// Trains on a table, whose columns are the features of `vectors`. Calls `step` after each fit.
///
/// # Errors
///
/// What is wrong with the data or the specification, and what to do.
pub fn train(
    table: &Table,
    vectors: &Vectors,
    spec: &Spec,
    origin: Origin,
    learner: &dyn Learner,
    step: impl Fn() + Sync,
) -> Result<Outcome, Fault> {
    let split = split(table, spec.split)?;
    let mut warnings = check(table, vectors, &split.train, learner)?;
    let choices = grid::choices(&spec.parameters)?;
    let (threshold, rule) = spec.threshold.resolve()?;
    let data = TrainingData {
        features: &table.names,
        train: table.batch(split.train.clone()),
        validation: table.batch(split.validation.clone()),
        threshold,
        seed: spec.seed,
    };
    let fit = |choice: &Choice| {
        let fitted = learner.fit(choice, &data);
        step();
        fitted
    };
    let injected = |model: &[u8], range: Range<usize>| injected(learner, model, table, range, spec.seed);
    let measure = |fitted: &Fitted| injected(&fitted.model, split.validation.clone());
    let (choice, Fitted { model, calibration, networks }, tried) = choose(choices, fit, measure)?;

    let mut provenance = provenance(table, &split, spec.seed, &choice, origin.data_sha256);
    let badly = networks.iter().filter(|network| network.stopped.contains("diverged"));
    warnings.extend(badly.map(|NetworkTraining { network, stopped, best_epoch, .. }| {
        format!(
            "the training of `{network}` stopped {stopped}: the model has its weights of epoch {best_epoch}. Try a smaller \
             `learning_rate`"
        )
    }));
    provenance.networks = networks;
    let tested = if split.test.is_empty() { split.validation.clone() } else { split.test.clone() };
    let scores = scores(learner, &model, table.features(), table.batch(tested.clone()))?;
    let scored = scores.iter().filter(|score| !score.is_nan()).count();
    let alarms = scores.iter().filter(|score| **score > 1.0).count();
    provenance.metrics.insert("test_rows".to_owned(), scored as f64);
    provenance.metrics.insert("test_alarm_rate".to_owned(), alarms as f64 / scored.max(1) as f64);
    // A plugin's networks, if it has any, are its own business.
    let networks = match learner.component() {
        Some(_) => Vec::new(),
        None => qualm_core::autoencoder::each_alone(&model).map_err(Fault::Open)?,
    };
    for (network, alone) in networks {
        let auc_pr = injected(&alone, tested.clone())?;
        provenance.metrics.insert(format!("test_injected_auc_pr_{}", network.name()), auc_pr);
    }
    provenance.metrics.insert("test_injected_auc_pr".to_owned(), injected(&model, tested)?);
    let share = alarms as f64 / scored.max(1) as f64;
    if let Threshold::FalseAlarmRate(rate) = threshold
        && alarms > 3
        && share > 10.0 * rate
    {
        warnings.push(format!(
            "{:.2} % of the rows that it had not seen are alarms, where {:.4} % was asked for: unless there were \
             incidents, what is ordinary has moved since the rows that it learnt from. Give it a longer history",
            share * 100.0,
            rate * 100.0
        ));
    }

    let mut detector = learner.open(&model)?;
    let statistics = reference::of(table, split.train.clone());
    let all = self::scores(learner, &model, table.features(), table.batch(0..table.len()))?;
    let reference = Reference::new(&table.times, &table.values, table.features(), &all, spec.drift_window);
    let reference = reference.ok().map(|reference| ReferenceFile::new(reference, spec.drift_window));
    let features = vectors.features.iter().cloned().zip(statistics);
    let manifest = Manifest {
        format: FORMAT,
        name: origin.name,
        version: origin.version,
        created: provenance.to.unwrap_or_default(),
        expires: None,
        kind: detector.describe().kind,
        shape: Shape::Vector,
        entity: vectors.entity.clone(),
        interval: vectors.interval,
        threshold: manifest::Threshold { rule, ordinary: calibration.ordinary, raw: calibration.threshold },
        suppression: spec.suppression.clone(),
        features: features.map(|(feature, statistics)| Feature { reference: Some(statistics), ..feature }).collect(),
        provenance,
        sha256: std::collections::BTreeMap::new(),
    };
    let golden = golden(&mut *detector, table).map_err(|error| match learner.component() {
        Some(_) => plugin::Error::Golden(error).into(),
        None => Fault::Golden(error),
    })?;
    let component = learner.component().map(<[u8]>::to_vec);
    Ok(Outcome { draft: Draft { manifest, model, golden, reference, component }, tried, warnings, split })
}

/// Splits a table, which is in order of time.
pub(crate) fn split(table: &Table, shares: [f64; 3]) -> Result<Split, Fault> {
    let rows = table.len();
    let train = (rows as f64 * shares[0]).round() as usize;
    let validation = train + (rows as f64 * shares[1]).round() as usize;
    let validation = if shares[2] == 0.0 { rows } else { validation.min(rows) };
    let split = Split { train: 0..train, validation: train..validation, test: validation..rows };
    if rows < MIN_ROWS || split.validation.len() < MIN_SCORES {
        return Err(Fault::TooFewRows { rows, validation: split.validation.len() });
    }
    Ok(split)
}

/// Checks that every feature can be trained on. Returns warnings.
fn check(table: &Table, vectors: &Vectors, train: &Range<usize>, learner: &dyn Learner) -> Result<Vec<String>, Fault> {
    let batch = table.batch(train.clone());
    let rows = Rows::new(batch.values, table.features());
    let mut warnings = Vec::new();
    let mut varying = 0;
    for (feature, name) in table.names.iter().enumerate() {
        let Some(first) = rows.column(feature).next() else {
            let Feature { measurement, field, tags, .. } = &vectors.features[feature];
            let tags: String = tags.iter().map(|(key, value)| format!(", {key}={value}")).collect();
            let of = format!("{measurement}.{field}{tags}");
            return Err(Fault::NoValue { name: name.clone(), rows: train.len(), of });
        };
        let transform = vectors.features[feature].transform;
        if transform == Transform::None && only_grows(rows.column(feature)) {
            warnings.push(format!(
                "`{name}` only grows, as counters do; `transform = \"rate\"` in a specification makes it a rate"
            ));
        }
        let present = rows.column(feature).count();
        if rows.column(feature).all(|value| value.to_bits() == first.to_bits()) {
            warnings.push(format!("`{name}` is always {first}: any other value will look strange"));
        } else {
            varying += 1;
        }
        let missing = train.len() - present;
        if missing * 5 > train.len() {
            // How a plugin handles missing values is not known.
            let then = if learner.component().is_none() { "; its median stands in" } else { "" };
            warnings.push(format!("`{name}` is missing in {missing} of {} rows{then}", train.len()));
        }
    }
    if varying == 0 {
        return Err(Fault::Constant);
    }
    Ok(warnings)
}

/// Whether values never decrease, and mostly grow.
fn only_grows(values: impl Iterator<Item = f64>) -> bool {
    let (mut last, mut steps, mut rows) = (f64::NEG_INFINITY, 0_usize, 0_usize);
    for value in values {
        if value < last {
            return false;
        }
        steps += usize::from(value > last);
        rows += 1;
        last = value;
    }
    steps * 2 > rows
}

/// The best combination, its model, and the objectives of all.
type Chosen = (Choice, Fitted, Vec<(Choice, f64)>);

fn choose(
    mut choices: Vec<Choice>,
    fit: impl Fn(&Choice) -> Result<Fitted, Fault> + Sync,
    measure: impl Fn(&Fitted) -> Result<f64, Fault> + Sync,
) -> Result<Chosen, Fault> {
    if choices.len() == 1 {
        let choice = choices.remove(0);
        let fitted = fit(&choice)?;
        return Ok((choice, fitted, Vec::new()));
    }
    let measured: Result<Vec<f64>, Fault> = choices.par_iter().map(|choice| measure(&fit(choice)?)).collect();
    let tried: Vec<(Choice, f64)> = choices.into_iter().zip(measured?).collect();
    // The first of equals.
    let best = tried.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let choice = best.map(|(choice, _)| choice.clone()).unwrap_or_default();
    let fitted = fit(&choice)?;
    Ok((choice, fitted, tried))
}

/// The objective of a model on rows with injected anomalies.
fn injected(learner: &dyn Learner, model: &[u8], table: &Table, range: Range<usize>, seed: u64) -> Result<f64, Fault> {
    let (values, labels) = inject(table, range.clone(), seed);
    let batch = Batch { values: &values, ..table.batch(range) };
    Ok(objective(&scores(learner, model, table.features(), batch)?, &labels))
}

fn scores(learner: &dyn Learner, model: &[u8], features: usize, rows: Batch<'_>) -> Result<Vec<f64>, Fault> {
    score::batch(&mut *learner.open(model)?, features, rows).map_err(|error| match learner.component() {
        Some(_) => plugin::Error::Unscored(error).into(),
        None => Fault::Unscored(error),
    })
}

fn provenance(table: &Table, split: &Split, seed: u64, choice: &Choice, data_sha256: String) -> Provenance {
    let time = |row: usize| Timestamp::from_nanosecond(table.times[row].into()).ok();
    Provenance {
        data_sha256,
        rows: split.train.len() as u64,
        from: time(0),
        to: time(table.len() - 1),
        seed,
        parameters: choice.0.clone(),
        metrics: std::collections::BTreeMap::new(),
        networks: Vec::new(),
    }
}

/// Golden rows: some from the data, one far out, one with a missing value, one without values.
fn golden(detector: &mut dyn Detector, table: &Table) -> Result<Golden, golden::Error> {
    let features = table.features();
    let every = (table.len() / GOLDEN).max(1);
    let row = |at: usize| &table.values[at * features..][..features];
    let mut values: Vec<f64> = (0..table.len()).step_by(every).take(GOLDEN).flat_map(row).copied().collect();
    let last = row(table.len() - 1);
    values.extend(last.iter().map(|value| value * 10.0 + 1.0));
    values.extend(last.iter().enumerate().map(|(at, value)| if at == 0 { f64::NAN } else { *value }));
    values.extend(std::iter::repeat_n(f64::NAN, features));
    values.extend(last);
    let rows = values.len() / features;
    let series: Vec<u32> = (0..rows as u32).map(|row| row % 2).collect();
    let times: Vec<i64> = (0..rows as i64).map(|row| row * 1_000_000_000).collect();
    Golden::of(detector, Batch { series: &series, times: &times, values: &values })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use qualm_bundle::Bundle;

    use qualm_core::BuiltIn;
    #[cfg(feature = "deep")]
    use qualm_core::autoencoder::architecture::Network;

    use super::learner::KindLearner;
    use super::*;
    #[cfg(feature = "deep")]
    use crate::evaluate::{self, Scores, evaluate_files};

    /// A day of minutes: three correlated features, and a constant one.
    fn history(rows: usize) -> String {
        let mut state = 5_u64;
        let row = |row: usize| {
            let day = (row as f64 / 240.0).sin();
            let mut noisy = |level: f64, swing: f64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                level + swing * (day + 0.2 * ((state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5))
            };
            let (load, cpu, net) = (noisy(4.0, 2.0), noisy(50.0, 20.0), noisy(1e6, 3e5));
            format!("{},{load:.4},{cpu:.4},{net:.2},7\n", 1_700_000_000 + row * 60)
        };
        ["time,load,cpu,net,version\n".to_owned()].into_iter().chain((0..rows).map(row)).collect()
    }

    fn options(dir: &std::path::Path, text: &str, detector: &str, spec: Option<&str>) -> Options {
        let path = |name: &str| dir.join(name);
        fs::write(path("history.csv"), text).unwrap();
        let spec: Option<PathBuf> = spec.map(|spec| {
            fs::write(path("spec.toml"), spec).unwrap();
            path("spec.toml")
        });
        Options {
            input: path("history.csv"),
            out: path("model"),
            detector: Some(detector.to_owned()),
            plugin: None,
            spec,
            name: None,
            version: None,
            seed: None,
            measurement: None,
        }
    }

    #[test]
    fn every_kind_is_trained_to_a_bundle_that_loads_and_is_the_same_again() {
        for kind in kinds::KINDS {
            let dir = tempfile::tempdir().unwrap();
            let options = options(dir.path(), &history(1500), kind, None);
            from_file(&options, &BuiltIn, &|_| {}).unwrap();
            let bundle = Bundle::read(&options.out).unwrap();
            assert_eq!((bundle.manifest.version, bundle.manifest.kind.as_str()), (1, kind));
            assert!((bundle.manifest.features[3].reference.as_ref().unwrap().mean - 7.0).abs() < 1e-9);
            assert_eq!(bundle.manifest.features[0].measurement, "history");
            let metrics = &bundle.manifest.provenance.metrics;
            // Forests are weak with so few rows; random scores would reach 0.01.
            let least = if kind.ends_with("forest") { 0.05 } else { 0.3 };
            assert!(
                metrics["test_alarm_rate"] < 0.02 && metrics["test_injected_auc_pr"] > least,
                "{kind}: {metrics:?}"
            );
            let first = bundle.pack();
            fs::remove_dir_all(&options.out).unwrap();
            from_file(&options, &BuiltIn, &|_| {}).unwrap();
            assert!(Bundle::read(&options.out).unwrap().pack() == first, "{kind}: not the same bytes");
            from_file(&options, &BuiltIn, &|_| {}).unwrap();
            assert_eq!(Bundle::read(&options.out).unwrap().manifest.version, 2, "the next one is newer");
        }
    }

    /// Trains, and returns the model, how its networks were trained, and each step.
    #[cfg(feature = "deep")]
    fn autoencoder(options: &Options) -> (Bundle, Vec<Step>) {
        let steps = std::sync::Mutex::new(Vec::new());
        let report = |step| steps.lock().unwrap().push(step);
        from_file(options, &BuiltIn, &report).unwrap();
        (Bundle::read(&options.out).unwrap(), steps.into_inner().unwrap())
    }

    #[cfg(feature = "deep")]
    const SMALL: &str = "[parameters]\nepochs = 4\nhidden = 8\nstride = 4\nbatch = 16\n";

    #[test]
    #[cfg(feature = "deep")]
    fn an_autoencoder_is_trained_and_goes_on_where_it_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), &history(1500), "autoencoder", Some(SMALL));
        let (whole, steps) = autoencoder(&options);
        assert!(steps.iter().filter(|step| matches!(step, Step::Epoch { .. })).count() > 6, "{steps:?}");
        let networks = &whole.manifest.provenance.networks;
        assert_eq!(networks.iter().map(|network| &network.network[..]).collect::<Vec<_>>(), ["lstm", "gru", "conv"]);
        assert!(networks.iter().all(|one| one.best_epoch > 0 && one.validation_loss[0] > one.validation_loss[2]));
        let metrics = &whole.manifest.provenance.metrics;
        assert!(metrics["test_alarm_rate"] < 0.02 && metrics["test_injected_auc_pr"] > 0.2, "{metrics:?}");
        assert!(Network::ALL.iter().all(|one| metrics[&format!("test_injected_auc_pr_{}", one.name())] > 0.1));
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name == "model.training"), "checkpoints remain: {left:?}");

        // What a network is alone is what it is where it alone is trained.
        let alone = qualm_core::autoencoder::each_alone(&whole.model).unwrap();
        let dir_of_one = tempfile::tempdir().unwrap();
        let spec = format!("{SMALL}networks = \"lstm\"\n");
        let (one, _) = autoencoder(&self::options(dir_of_one.path(), &history(1500), "autoencoder", Some(&spec)));
        assert!(alone[0] == (Network::Lstm, one.model.clone()), "not the same bytes");
        assert!(qualm_core::autoencoder::each_alone(&one.model).unwrap().is_empty(), "it is alone already");
        let scores = Scores::Bundle { bundle: options.out.clone(), input: options.input.clone(), measurement: None };
        let how = evaluate::Options { scores, labels: None, tolerance: 0, robustness: false, seed: 1 };
        let evaluated = evaluate_files(&how, &BuiltIn, &|done, all| assert!(done <= all, "{done} of {all}")).unwrap();
        let compared = &evaluated.evaluation.networks;
        assert_eq!(compared.iter().map(|one| one.network).collect::<Vec<_>>(), ["lstm", "gru", "conv"]);
        assert!(compared.iter().all(|one| one.figures["injected_auc_pr"] > 0.1), "{compared:?}");
        assert!(
            evaluated.text().contains("\nNetworks, together and each alone\n") && evaluated.html().contains("<td>")
        );
        assert!(evaluated.json()["evaluation"]["networks"][2]["figures"]["alarm_rate"].is_number());

        // A training that is interrupted in its third epoch.
        fs::remove_dir_all(&options.out).unwrap();
        let interrupted = std::panic::catch_unwind(|| {
            let report = |step| {
                if let Step::Epoch { network: "conv", epoch: 3, .. } = step {
                    std::panic::resume_unwind(Box::new("interrupted"));
                }
            };
            from_file(&options, &BuiltIn, &report).map(|_| ())
        });
        assert!(interrupted.is_err() && !options.out.exists());
        assert!(dir.path().join("model.training/conv.checkpoint").exists());
        let (resumed, steps) = autoencoder(&options);
        let first = steps.iter().find_map(|step| match step {
            Step::Epoch { network: "conv", epoch, .. } => Some(*epoch),
            _ => None,
        });
        assert_eq!(first, Some(3), "two epochs were done");
        assert!(resumed.pack() == whole.pack(), "the same bytes as without the interruption");
    }

    #[test]
    #[cfg(feature = "deep")]
    fn an_autoencoder_is_made_of_weights_that_were_trained_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), &history(1500), "autoencoder", Some(SMALL));
        let (trained, _) = autoencoder(&options);
        let weights = dir.path().join("weights.safetensors");
        fs::write(&weights, &trained.model).unwrap();
        let spec = |text: String| {
            fs::write(dir.path().join("spec.toml"), text).unwrap();
        };
        spec(format!("{SMALL}weights = {weights:?}\n"));
        options.out = dir.path().join("imported");
        let (imported, steps) = autoencoder(&options);
        assert!(imported.model == trained.model && imported.manifest.provenance.networks.is_empty());
        assert_eq!(steps, [Step::Fitted { models: 1, of: 1 }]);
        spec(format!("{SMALL}weights = {weights:?}\nlayers = 2\n"));
        let error = from_file(&options, &BuiltIn, &|_| {}).unwrap_err().to_string();
        assert!(error.ends_with("it has no array `lstm.encoder.weight_ih_l1`"), "{error}");
        spec(format!("{SMALL}weights = \"nowhere.safetensors\"\n"));
        let error = from_file(&options, &BuiltIn, &|_| {}).unwrap_err().to_string();
        assert!(error.contains("nowhere.safetensors: No such file"), "{error}");
    }

    #[test]
    #[cfg(feature = "deep")]
    fn a_training_that_learns_nothing_says_so() {
        for (spec, what) in [
            ("[parameters]\nepochs = 2\nlearning_rate = 1e30\n", "it learnt nothing in"),
            ("[parameters]\nnetworks = \"lstm,rnn\"\n", "`networks` is `rnn`; known are lstm, gru and conv"),
            ("[parameters]\nnetworks = \"gru,gru\"\n", "`networks` names gru twice"),
            ("[parameters]\nwindow = 17\n", "`window` is 17; convolutions of 2 layers need a multiple of 4"),
            ("[parameters]\nhide_newest = 1\n", "`hide_newest` is 1; it must be true or false"),
            ("[parameters]\nwindow = 400\n", "no entity has rows enough to learn windows of 400 from"),
            ("[parameters]\ntrees = 3\n", "unknown `trees`"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(dir.path(), &history(800), "autoencoder", Some(spec));
            let error = from_file(&options, &BuiltIn, &|_| {}).unwrap_err().to_string();
            assert!(error.contains(what), "{error}, not {what}");
        }
    }

    #[test]
    fn a_grid_is_searched_and_its_best_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let spec = "name = \"vitals\"\nseed = 3\n[parameters]\nscaling = [\"none\", \"standard\"]\n";
        let options = options(dir.path(), &history(1500), "zscore", Some(spec));
        let spec = Spec::read(options.spec.as_deref().unwrap()).unwrap();
        let vectors = crate::table::discover(&options.input, "history", None).unwrap();
        let table = Table::read(&options.input, "history", &vectors.shape().unwrap()).unwrap();
        let steps = AtomicU32::new(0);
        let origin = Origin { name: "vitals".into(), version: 9, data_sha256: String::new() };
        let step = || {
            steps.fetch_add(1, Ordering::Relaxed);
        };
        let outcome = train(&table, &vectors, &spec, origin, &KindLearner("zscore".into()), step).unwrap();
        assert_eq!((outcome.tried.len(), steps.into_inner()), (2, 3));
        assert!(
            outcome.tried[1].1 > outcome.tried[0].1,
            "unscaled, the largest feature drowns the others: {:?}",
            outcome.tried
        );
        let parameters = &outcome.draft.manifest.provenance.parameters;
        assert_eq!(parameters["scaling"].as_str(), Some("standard"));
        assert_eq!((outcome.split.train.len(), outcome.split.test.len()), (1050, 225));
        assert!(outcome.warnings[0].contains("`version` is always 7"), "{:?}", outcome.warnings);
    }

    #[test]
    fn unusable_history_is_explained_and_leaves_no_files() {
        let constant: String = "time,a\n"
            .chars()
            .chain((0..700).flat_map(|row| format!("{row},5\n").into_bytes()).map(char::from))
            .collect();
        let empty: String = "time,a,b\n"
            .chars()
            .chain((0..700).flat_map(|row| format!("{row},{row},\n").into_bytes()).map(char::from))
            .collect();
        let good = history(700);
        let (header, rows) = good.split_once('\n').unwrap();
        let newest_first: String = rows.lines().rev().map(|row| format!("{row}\n")).collect();
        let newest_first = format!("{header}\n{newest_first}");
        for (text, spec, what) in [
            (history(400), "", "there are 400 rows"),
            (newest_first, "", "699 of 700 rows go back in time, first row 2; sort the rows by time"),
            (history(700).replacen(",version", ",ver\0sion", 1), "", "has a control character in its name"),
            (history(700).replacen(",7\n", ",1e308\n", 1), "", "column `version`: 1e308 is too large to learn from"),
            (constant, "", "no feature ever changes"),
            (empty, "", "`b` has no value in the first 489 rows, which are learnt from: is history.b what"),
            (history(700).replace(",7\n", ",seven\n"), "", "history.csv:2: column `version`: `seven` is no number"),
            (history(700).replacen("time,", "when,", 1), "", "the first column must be `time`"),
            (history(700), "[parameters]\nscalng = \"robust\"", "unknown `scalng`; known here are scaling, clip"),
            (history(700), "[parameters]\nscaling = \"big\"", "`big` is no scaling"),
            (history(700), "threshold = { false_alarm_rate = 3 }", "must lie between"),
            (history(700), "[[features]]\nname = \"x\"\nmeasurement = \"no\"\nfield = \"y\"", "there are 0 rows"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(dir.path(), &text, "zscore", Some(spec));
            let error = from_file(&options, &BuiltIn, &|_| {}).unwrap_err().to_string();
            assert!(error.contains(what), "{error}, not {what}");
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left.len(), 2, "{left:?}");
        }
    }
}
