//! Networks that score a window together.
//!
//! A network's error is the mean energy of its [`residuals`](super::residual), in units of the median on rows that it did not
//! learn from. The raw score combines the errors.

use ndarray::ArrayView2;
use qualm_contract::Error;

use super::architecture::{Architecture, Network};
use super::history::History;
use super::residual::{RIDGE, Residuals};
use super::weights::Weights;
use super::{Autoencoder, Combine};
use crate::linalg::{as_matrix, as_rows};
use crate::model::{Model, Writer};
use crate::trained::calibrate::Calibration;
use crate::trained::prepare::quantile;
use crate::trained::whiten::Whitening;
use crate::trained::{FitError, Kernel, UnknownName};

/// The largest share of a window's cells that may be missing.
const MAX_MISSING: f64 = 0.5;

/// The least median of errors, for networks that are never wrong.
const MIN_ORDINARY: f64 = 1e-9;

/// The largest error in units of the median: powers and means of it are finite.
const MAX_ERROR: f64 = 1e9;

/// The rows that residuals are learnt from are every so many rows.
const STRIDE: usize = 3;

/// Networks of the same windows.
#[derive(Debug, Clone)]
pub(super) struct Ensemble {
    window: usize,
    features: usize,
    combine: Combine,
    hide_newest: bool,
    members: Vec<Member>,
    /// What the networks see of a window, and each one's error.
    input: Vec<f32>,
    errors: Vec<(f64, f64)>,
    residuals: Residuals,
}

/// A network, and how its errors are judged.
#[derive(Debug, Clone)]
struct Member {
    weights: Weights,
    network: Autoencoder,
    whitening: Whitening,
    /// The median error of rows that it did not learn from.
    ordinary: f64,
    /// How much it counts.
    weight: f64,
    /// The threshold that it would have alone, where there are others.
    alone: Option<Calibration>,
}

impl Member {
    /// Adds to each feature its energy in units of the ordinary error; returns their sum.
    fn energies(&self, residuals: &mut Residuals, known: usize, mut each: impl FnMut(usize, f64)) -> f64 {
        let unit = 1.0 / (self.ordinary * known as f64);
        let mut sum = 0.0;
        for (feature, energy) in residuals.energies(&self.whitening).enumerate() {
            sum += energy * unit;
            each(feature, energy * unit);
        }
        sum
    }
}

impl Ensemble {
    /// Fits what judges the networks' errors to rows that they learnt from, and to the ones behind.
    pub(super) fn fit(
        networks: Vec<Weights>,
        history: &History,
        combine: Combine,
        hide_newest: bool,
    ) -> Result<Self, FitError> {
        let Some(Architecture { window, .. }) = networks.first().map(|weights| *weights.architecture()) else {
            return Err(FitError("an autoencoder has no network".to_owned()));
        };
        let features = history.features;
        let mut this = Self {
            window,
            features,
            combine,
            hide_newest,
            members: Vec::new(),
            input: Vec::new(),
            errors: Vec::new(),
            residuals: Residuals::default(),
        };
        for weights in networks {
            let Architecture { window: own, features: seen, .. } = *weights.architecture();
            if (own, seen) != (window, features) {
                let what = format!("a network has windows of {own} × {seen}; here they are of {window} × {features}");
                return Err(FitError(what));
            }
            let mut network = Autoencoder::new(&weights);
            let mut residuals = |runs: &[std::ops::Range<usize>]| {
                let (mut all, mut newest) = (Vec::new(), Vec::new());
                for end in runs.iter().flat_map(|run| (run.start + window - 1..run.end).step_by(STRIDE)) {
                    history.window(end, window, &mut this.input, &mut newest);
                    if hide_newest {
                        hide(&mut this.input, features);
                    }
                    all.extend_from_slice(this.residuals.of(&mut network, &this.input, &newest));
                }
                all
            };
            let (learnt, new) = (residuals(&history.training), residuals(&history.validation));
            let whitening = Whitening::fit(as_matrix(&learnt, features), RIDGE)?;
            let mut errors = Vec::new();
            for row in new.chunks_exact(features) {
                errors.push(this.residuals.energies_of(row, &whitening).sum::<f64>() / features as f64);
            }
            let weight = match combine {
                Combine::Weighted => errors.len() as f64 / errors.iter().sum::<f64>().max(MIN_ORDINARY),
                Combine::Mean | Combine::Maximum | Combine::Vote => 1.0,
            };
            errors.sort_unstable_by(f64::total_cmp);
            let ordinary = quantile(&errors, 0.5).max(MIN_ORDINARY);
            this.members.push(Member { weights, network, whitening, ordinary, weight, alone: None });
        }
        Ok(this)
    }

    /// Where there are several networks, fits the threshold that each would have alone by `calibrate`.
    pub(super) fn calibrate_alone(
        &mut self,
        mut calibrate: impl FnMut(Self) -> Result<Calibration, FitError>,
    ) -> Result<(), FitError> {
        if self.members.len() > 1 {
            for member in 0..self.members.len() {
                self.members[member].alone = Some(calibrate(self.alone(&self.members[member]))?);
            }
        }
        Ok(())
    }

    /// Where there are several networks, each by itself, with its threshold.
    pub(super) fn each_alone(&self) -> impl Iterator<Item = (Network, Self, Calibration)> + '_ {
        let alone = |member: &Member| Some((member.network.architecture().network, self.alone(member), member.alone?));
        self.members.iter().filter_map(alone)
    }

    fn alone(&self, member: &Member) -> Self {
        Self { members: vec![Member { alone: None, ..member.clone() }], ..self.clone() }
    }

    /// Fills in what the networks see of a window. Returns how many values its newest row has; `None` where too much is missing.
    fn see(&mut self, window: &[f64]) -> Option<usize> {
        let mut missing = 0;
        self.input.clear();
        self.input.extend(window.iter().map(|value| {
            missing += usize::from(value.is_nan());
            if value.is_nan() { 0.0 } else { *value as f32 }
        }));
        if self.hide_newest {
            hide(&mut self.input, self.features);
        }
        let newest = &window[window.len() - self.features..];
        let known = newest.iter().filter(|value| !value.is_nan()).count();
        (missing as f64 <= MAX_MISSING * window.len() as f64 && known > 0).then_some(known)
    }

    /// The raw score of a window; NaN where too much of it is missing.
    fn error(&mut self, window: &[f64]) -> f64 {
        let Some(known) = self.see(window) else { return f64::NAN };
        let newest = &window[window.len() - self.features..];
        self.errors.clear();
        for member in &mut self.members {
            self.residuals.of(&mut member.network, &self.input, newest);
            let error = member.energies(&mut self.residuals, known, |_, _| {});
            self.errors.push((f64::min(error, MAX_ERROR), member.weight));
        }
        self.combine.of(&mut self.errors)
    }

    pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let bad = |what: String| Err(Error::BadModel(what));
        let (window, combine) = (model.number("window")?, model.number("combine")?);
        let names = model.text("networks")?;
        let mut members = Vec::new();
        for name in names.split(',') {
            let network = name.parse().map_err(|error: UnknownName| Error::BadModel(error.to_string()))?;
            if members.len() == Network::ALL.len() {
                return bad(format!("it has more than {} networks", Network::ALL.len()));
            }
            let number = |what: &str| model.number(&format!("{name}.{what}"));
            let architecture = Architecture {
                network,
                features,
                window,
                hidden: number("hidden")?,
                layers: number("layers")?,
                bottleneck: number("bottleneck")?,
                kernel: number("kernel")?,
                order: model.number(&format!("{name}.order"))?,
            };
            let weights = Weights::read_model(architecture, model)?;
            let (ordinary, weight) =
                (model.finite(&format!("{name}.ordinary"))?, model.finite(&format!("{name}.weight"))?);
            if !((MIN_ORDINARY..=MAX_ERROR).contains(&ordinary)
                && (MIN_ORDINARY..=1.0 / MIN_ORDINARY).contains(&weight))
            {
                return bad(format!(
                    "its network `{name}` has an ordinary error of {ordinary} and the weight {weight}"
                ));
            }
            let whitening = Whitening::read_model(&format!("{name}.whitening"), model, features)?;
            let prefix = format!("{name}.alone.");
            let alone = model.optional(&format!("{prefix}threshold")).map(|_| Calibration::read_model(&prefix, model));
            let alone = alone.transpose()?;
            members.push(Member { network: Autoencoder::new(&weights), weights, whitening, ordinary, weight, alone });
        }
        let hide_newest = model.number("hide_newest")?;
        let (input, errors, residuals) = (Vec::new(), Vec::new(), Residuals::default());
        Ok(Self { window, features, combine, hide_newest, members, input, errors, residuals })
    }
}

/// Hides a window's newest row from a network, which then has to expect it from the rows before.
fn hide(input: &mut [f32], features: usize) {
    let newest = input.len() - features;
    input[newest..].fill(0.0);
}

impl Kernel for Ensemble {
    fn span(&self) -> usize {
        self.window
    }

    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        for window in as_rows(rows) {
            let error = self.error(window);
            raw.push(error);
        }
    }

    /// What features add to the mean of the networks' errors, by weight.
    fn explain_row(&mut self, window: &[f64], contributions: &mut [f64]) {
        contributions.fill(0.0);
        let Some(known) = self.see(window) else { return };
        let newest = &window[window.len() - self.features..];
        let all: f64 = self.members.iter().map(|member| member.weight).sum();
        for member in &mut self.members {
            self.residuals.of(&mut member.network, &self.input, newest);
            let share = member.weight / all;
            member.energies(&mut self.residuals, known, |feature, energy| contributions[feature] += share * energy);
        }
    }

    fn max_explained_rows(&self) -> usize {
        super::MAX_EXPLAINED_ROWS
    }

    fn write_model(&self, model: &mut Writer) {
        let names: Vec<&str> = self.members.iter().map(|member| member.weights.architecture().network.name()).collect();
        model.set("networks", names.join(",")).set("window", self.window).set("combine", self.combine.name());
        model.set("hide_newest", self.hide_newest);
        for Member { weights, whitening, ordinary, weight, alone, .. } in &self.members {
            let Architecture { network, hidden, layers, bottleneck, kernel, order, .. } = *weights.architecture();
            let name = network.name();
            for (what, size) in [("hidden", hidden), ("layers", layers), ("bottleneck", bottleneck), ("kernel", kernel)]
            {
                model.set(format!("{name}.{what}"), size);
            }
            model.set(format!("{name}.order"), order.name());
            model.set(format!("{name}.ordinary"), ordinary).set(format!("{name}.weight"), weight);
            if let Some(alone) = alone {
                alone.write_model(&format!("{name}.alone."), model);
            }
            weights.write_model(model);
            whitening.write_model(format!("{name}.whitening"), model);
        }
    }
}
