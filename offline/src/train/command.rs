//! `qualm train`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use qualm_bundle::Bundle;
use qualm_bundle::digest::hex;
use qualm_bundle::stdout::say;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::learner::{KindLearner, Learner};
use super::plugin::Plugged;
use super::spec::{self, Spec};
use super::{Origin, Outcome, grid, kinds, train};
use crate::history::cell::MOST;
use crate::history::{self, order};
use crate::progress;
use crate::table::{self, Table, Vectors};
use qualm_contract::ModelFactory;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm train --detector isolation-forest --input history.csv --out models/host
  qualm train --spec vitals.toml --input metrics.lp --out models/vitals --json
  qualm train --plugin mine.wasm --input history.csv --out models/mine   a detector of your own

Without --spec every column of a CSV file, or every numeric field of other files, is a feature, and values of one `host`
belong together. A specification says more:

  detector = \"pca-mahalanobis\"
  entity = [\"host\"]
  interval = \"10s\"
  threshold = { false_alarm_rate = 1e-4 }
  suppression = { sustained = \"3 of 5\", cooldown = \"10m\" }

  [[features]]
  name = \"received\"
  measurement = \"net\"
  field = \"bytes_recv\"
  tags = { interface = \"eth0\" }
  transform = \"rate\"                        # none, rate, delta, log1p

  [parameters]
  scaling = [\"standard\", \"robust\"]          # a list is tried value by value
  memory = [1, 10]

The rows are parted by time: 70 % are learnt from, 15 % choose parameters and set the threshold, 15 % show how it does.";

/// What a user may ask for.
#[derive(Debug, Args)]
pub struct Options {
    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// Where the bundle goes: a directory, which it replaces if it is a bundle already
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// The kind of detector
    #[arg(long, value_name = "KIND")]
    pub detector: Option<String>,

    /// A plugin that learns: a component, which becomes part of the bundle
    #[arg(long, value_name = "FILE", conflicts_with = "detector")]
    pub plugin: Option<PathBuf>,

    /// What to train, in TOML
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,

    /// The bundle's name; by default the directory's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The bundle's version; by default one more than that of the bundle it replaces, or 1
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,

    /// The seed of all randomness
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// What the metrics of a CSV or JSON file are called; by default the file's name without its ending
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,

    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The specification cannot be used.
    #[error(transparent)]
    Spec(#[from] spec::Error),
    /// Nothing can be learnt from this.
    #[error("{place}: {what}")]
    Train {
        /// What is at fault: the history, or what was set.
        place: String,
        /// Why.
        what: String,
    },
    /// The bundle cannot be made or written.
    #[error(transparent)]
    Bundle(#[from] qualm_bundle::Error),
    /// A file cannot be read, or the outcome not be printed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Trains, writes the bundle, and tells what came of it. `factory` has a plugin learn, where it is one that shall.
///
/// # Errors
///
/// What cannot be used, where, and what to do. No bundle is written then.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let Options { input, out, .. } = options;
    let failed = |what: String| options.failed(what);
    let spec = options.spec.as_deref().map_or_else(|| Ok(Spec::default()), Spec::read)?;
    let spec = Spec { seed: options.seed.unwrap_or(spec.seed), ..spec };
    let learner = options.learner(&spec, factory)?;
    let measurement = measurement(options);
    let vectors = vectors(&spec, input, &measurement)?;
    let shape = vectors.shape().map_err(failed)?;
    // A few late rows are what live metrics have as well; of a file that runs backwards hardly a row would be learnt.
    let backwards = order::backwards(input, &measurement)?;
    if backwards.count * 100 > backwards.rows {
        return Err(failed(backwards.to_string()));
    }
    let table = Table::read(input, &measurement, &shape)?;
    if let Some(at) = table.values.iter().position(|value| value.abs() > MOST) {
        let (name, value) = (&table.names[at % table.features()], table.values[at]);
        return Err(failed(format!(
            "column `{name}`: {value:e} is too large to learn from; is it a mark for what is missing? Then leave it empty"
        )));
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let origin = Origin {
        name: options.name.clone().unwrap_or_else(|| spec.name_for(out)),
        version: options.version.or(spec.version).unwrap_or_else(|| Bundle::next_version(out)),
        data_sha256: digest(input).map_err(io(input))?,
    };
    let bar = bar(grid::choices(&spec.parameters).map_or(1, |choices| choices.len() as u64));
    let outcome = train(&table, &vectors, &spec, origin, &*learner, || bar.inc(1)).map_err(failed)?;
    bar.finish_and_clear();
    let Outcome { draft, tried, mut warnings, split } = outcome;
    if backwards.count > 0 {
        warnings.push(backwards.to_string());
    }
    // What a plugin is, only its model tells.
    if let Some(kind) = spec.detector.as_ref().filter(|kind| options.plugin.is_some() && **kind != draft.manifest.kind)
    {
        let theirs = &draft.manifest.kind;
        return Err(failed(format!("[detector] is `{kind}`, but the plugin is `{theirs}`; leave it out")));
    }
    let bundle = draft.finish(factory).map_err(|fault| fault.at(out.display()))?;
    bundle.write(out)?;
    let told = if options.json {
        let tried: Vec<_> = tried
            .iter()
            .map(|(choice, objective)| json!({ "parameters": choice.0, "validation_injected_auc_pr": objective }))
            .collect();
        let told = json!({
            "bundle": out,
            "manifest": bundle.manifest,
            "warnings": warnings,
            "tried": tried,
            "rows": { "train": split.train.len(), "validation": split.validation.len(), "test": split.test.len() },
        });
        format!("{told}\n")
    } else {
        for_people(&bundle, &tried, &warnings, out)
    };
    say(&told).map_err(io(Path::new("stdout")))
}

impl Options {
    /// What learns.
    fn learner<'a>(&self, spec: &Spec, factory: &'a dyn ModelFactory) -> Result<Box<dyn Learner + 'a>, Error> {
        if let Some(path) = &self.plugin {
            let component = fs::read(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            let plugged = Plugged::new(component, factory);
            let place = path.display().to_string();
            return Ok(Box::new(plugged.map_err(|what| Error::Train { place, what })?));
        }
        let kinds = kinds::KINDS.join(", ");
        let kind = self.detector.as_ref().or(spec.detector.as_ref());
        let kind = kind.ok_or_else(|| self.failed(format!("name one with --detector: {kinds}")))?;
        if !kinds::KINDS.contains(&kind.as_str()) {
            return Err(self.failed(format!("`{kind}` is no detector that is trained; there are {kinds}")));
        }
        Ok(Box::new(KindLearner(kind.clone())))
    }

    /// What is wrong with what was set, or with the plugin, is not the data's fault.
    fn failed(&self, what: String) -> Error {
        let set = what.starts_with('[') || what.starts_with("name one") || what.contains("no detector that is trained");
        let place = match (&self.plugin, &self.spec) {
            (Some(plugin), _) if what.starts_with("the plugin") => plugin.display().to_string(),
            (_, Some(spec)) if set => spec.display().to_string(),
            (_, None) if set => "--detector".to_owned(),
            _ => self.input.display().to_string(),
        };
        Error::Train { place, what }
    }
}

/// What a format without measurements calls its metrics.
fn measurement(options: &Options) -> String {
    let stem = options.input.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    options.measurement.clone().or(stem).unwrap_or_default()
}

/// What the specification says of the vectors, and what it leaves open as the data have it.
fn vectors(spec: &Spec, input: &Path, measurement: &str) -> Result<Vectors, Error> {
    let mut vectors = Vectors {
        entity: spec.entity.clone().unwrap_or_default(),
        interval: spec.interval.unwrap_or_default(),
        features: spec.features.clone(),
    };
    if spec.features.is_empty() || spec.entity.is_none() || spec.interval.is_none() {
        let found = table::discover(input, measurement, spec.entity.as_deref())?;
        if spec.features.is_empty() {
            vectors.features = found.features;
        }
        vectors.entity = spec.entity.clone().unwrap_or(found.entity);
        vectors.interval = spec.interval.unwrap_or(found.interval);
    }
    Ok(vectors)
}

/// The digest of a file, as provenance has it.
pub(crate) fn digest(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    Ok(hex(&digest.finalize()))
}

fn for_people(bundle: &Bundle, tried: &[(grid::Choice, f64)], warnings: &[String], out: &Path) -> String {
    let manifest = &bundle.manifest;
    let metric = |name: &str| manifest.provenance.metrics.get(name).copied().unwrap_or(f64::NAN);
    let path = out.display().to_string();
    let set = manifest.provenance.parameters.iter().map(|(name, value)| format!("{name} = {value}"));
    let set = set.collect::<Vec<_>>().join(", ");
    let notes: String = warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    let tried = match tried.len() {
        0 => String::new(),
        tried => format!("tried {tried} combinations of parameters; taken: {set}\n"),
    };
    format!(
        "{notes}{tried}{} {} ({}), {} features, learnt from {} rows\n\
         on the last {} rows, which it had not seen: {:.4} % alarms; anomalies put in among them are told apart with an \
         AUC-PR of {:.3}\n\
         the bundle is in {path}\n\
         next: qualm evaluate --bundle {path} --input HISTORY, or in qualm.toml: model = {path:?}\n",
        manifest.name,
        manifest.version,
        manifest.kind,
        manifest.features.len(),
        manifest.provenance.rows,
        metric("test_rows"),
        metric("test_alarm_rate") * 100.0,
        metric("test_injected_auc_pr"),
    )
}

fn bar(fits: u64) -> ProgressBar {
    match fits {
        ..2 => ProgressBar::hidden(),
        _ => progress::bar(fits + 1, "{wide_bar} {pos}/{len} models, {eta} left"),
    }
}
