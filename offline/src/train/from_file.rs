//! Training from a file: history in, a bundle out, with a specification in between.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use qualm_bundle::Bundle;
use qualm_contract::ModelFactory;
use qualm_system::digest::hex;
use sha2::{Digest, Sha256};

use super::autoencoder::AutoencoderLearner;
use super::fault::{Blame, Fault};
use super::grid::Choice;
use super::learner::{KindLearner, Learner};
use super::plugin::PluginLearner;
use super::spec::{self, Spec};
use super::{Origin, Outcome, Report, Split, Step, grid, kinds, train};
use crate::history::cell::MAX_VALUE;
use crate::history::{self, order};
use crate::table::{self, Table, Vectors};

/// The options of training from a file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl).
    pub input: PathBuf,

    /// The directory of the bundle, which is replaced if it is one already.
    pub out: PathBuf,

    /// The kind of detector.
    pub detector: Option<String>,

    /// A plugin that can be trained: a component, which becomes part of the bundle.
    pub plugin: Option<PathBuf>,

    /// The specification, in TOML.
    pub spec: Option<PathBuf>,

    /// The bundle's name; by default the directory's.
    pub name: Option<String>,

    /// The bundle's version; by default one more than that of the bundle it replaces, or 1.
    pub version: Option<u64>,

    /// The seed of all randomness.
    pub seed: Option<u64>,

    /// The measurement of a CSV or JSON file; by default the file's name without its extension.
    pub measurement: Option<String>,
}

/// The result: a bundle, which has been written.
#[derive(Debug)]
pub struct Trained {
    /// The bundle.
    pub bundle: Bundle,
    /// Every combination of parameters that was tried, with its objective.
    pub tried: Vec<(Choice, f64)>,
    /// Warnings about the data.
    pub warnings: Vec<String>,
    /// The training, validation and test part.
    pub split: Split,
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
    /// Training fails.
    #[error("{place}: {fault}")]
    Train {
        /// The file or option at fault.
        place: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// A component cannot be trained.
    #[error("{}: {source}", path.display())]
    Plugin {
        /// The component.
        path: PathBuf,
        /// Why.
        source: qualm_contract::Error,
    },
    /// The bundle cannot be made or written.
    #[error(transparent)]
    Bundle(#[from] qualm_bundle::Error),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Trains, and writes the bundle. `factory` runs the plugin, if one is trained; `report` is told of each step.
///
/// # Errors
///
/// Which file or option cannot be used, why, and what to do. No bundle is written then.
pub fn from_file(options: &Options, factory: &dyn ModelFactory, report: Report<'_>) -> Result<Trained, Error> {
    let Options { input, out, .. } = options;
    let failed = |fault: Fault| options.failed(fault);
    let spec = options.spec.as_deref().map_or_else(|| Ok(Spec::default()), Spec::read)?;
    let spec = Spec { seed: options.seed.unwrap_or(spec.seed), ..spec };
    let learner = options.learner(&spec, factory, report)?;
    let measurement = history::default_measurement(options.measurement.as_deref(), input);
    let vectors = vectors(&spec, input, &measurement)?;
    let shape = vectors.shape().map_err(|error| failed(error.into()))?;
    // Live metrics have some late rows as well; of a file in reverse order, hardly any row would remain.
    let out_of_order = order::find_out_of_order(input, &measurement)?;
    if out_of_order.count * 100 > out_of_order.rows {
        return Err(failed(Fault::OutOfOrder(out_of_order)));
    }
    let table = Table::read(input, &measurement, &shape)?;
    if let Some(at) = table.values.iter().position(|value| value.abs() > MAX_VALUE) {
        let (name, value) = (&table.names[at % table.features()], table.values[at]);
        return Err(failed(Fault::TooLarge { name: name.clone(), value }));
    }
    let origin = Origin {
        name: options.name.clone().unwrap_or_else(|| spec.name_for(out)),
        version: options.version.or(spec.version).unwrap_or_else(|| Bundle::next_version(out)),
        data_sha256: digest(input).map_err(|source| Error::Io { path: input.clone(), source })?,
    };
    // With several combinations, the best is fitted once more.
    let choices = grid::choices(&spec.parameters).map_or(1, |choices| choices.len() as u64);
    let (fitted, fits) = (AtomicU64::new(0), if choices < 2 { 1 } else { choices + 1 });
    let step = || report(Step::Fitted { models: fitted.fetch_add(1, Ordering::Relaxed) + 1, of: fits });
    let outcome = train(&table, &vectors, &spec, origin, &*learner, step).map_err(failed)?;
    let Outcome { draft, tried, mut warnings, split } = outcome;
    if out_of_order.count > 0 {
        warnings.push(out_of_order.to_string());
    }
    // Only an open model describes a plugin.
    if let Some(kind) = spec.detector.as_ref().filter(|kind| options.plugin.is_some() && **kind != draft.manifest.kind)
    {
        return Err(failed(Fault::OtherKind { said: kind.clone(), is: draft.manifest.kind }));
    }
    let bundle = draft.finish(factory).map_err(|fault| fault.at(out.display()))?;
    bundle.write(out)?;
    // They are of no use any more; where they cannot be removed, the next training overwrites them.
    let _ = fs::remove_dir_all(checkpoints(out));
    Ok(Trained { bundle, tried, warnings, split })
}

impl Options {
    /// The learner: a plugin or a built-in kind.
    fn learner<'a>(
        &self,
        spec: &Spec,
        factory: &'a dyn ModelFactory,
        report: Report<'a>,
    ) -> Result<Box<dyn Learner + 'a>, Error> {
        if let Some(path) = &self.plugin {
            let component = fs::read(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            let learner = PluginLearner::new(component, factory);
            return Ok(Box::new(learner.map_err(|source| Error::Plugin { path: path.clone(), source })?));
        }
        let kind = self.detector.as_ref().or(spec.detector.as_ref());
        let kind = kind.ok_or_else(|| self.failed(Fault::NoKind))?;
        built_in_learner(kind, &self.out, report).map_err(|fault| self.failed(fault))
    }

    /// The error at the file or option at fault.
    fn failed(&self, fault: Fault) -> Error {
        let place = match (fault.blame(), &self.plugin, &self.spec) {
            (Blame::Plugin, Some(plugin), _) => plugin.display().to_string(),
            (Blame::Settings, _, Some(spec)) => spec.display().to_string(),
            (Blame::Settings, _, None) => "--detector".to_owned(),
            _ => self.input.display().to_string(),
        };
        Error::Train { place, fault: Box::new(fault) }
    }
}

/// The learner of a bundle's kind of model, whose successor goes to `out`: a plugin's where it has a component.
///
/// # Errors
///
/// If the kind or the plugin cannot be trained.
pub(crate) fn learner_of<'a>(
    kind: &str,
    component: Option<&[u8]>,
    out: &Path,
    factory: &'a dyn ModelFactory,
    report: Report<'a>,
) -> Result<Box<dyn Learner + 'a>, Fault> {
    match component {
        Some(component) => Ok(Box::new(PluginLearner::new(component.to_vec(), factory).map_err(Fault::Open)?)),
        None => built_in_learner(kind, out, report),
    }
}

/// The learner of a built-in kind.
fn built_in_learner<'a>(kind: &str, out: &Path, report: Report<'a>) -> Result<Box<dyn Learner + 'a>, Fault> {
    if kind == qualm_core::autoencoder::KIND {
        return Ok(Box::new(AutoencoderLearner { checkpoints: checkpoints(out), report }));
    }
    if !kinds::KINDS.contains(&kind) {
        return Err(Fault::Kind(kind.to_owned()));
    }
    Ok(Box::new(KindLearner(kind.to_owned())))
}

/// Where the checkpoints of an interrupted training are, beside the bundle.
fn checkpoints(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".training");
    out.with_file_name(name)
}

/// The vectors of the specification, completed from the data.
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

/// The SHA-256 of a file, for the provenance.
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
