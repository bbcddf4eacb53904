//! The quadratic form that makes a row's raw score, and how it is divided among the features.
//!
//! A row x is clipped and centred, z = clip(x) − mean. Its coordinates along the k principal components are t = P·z, with
//! one component a row in P; what they do not explain is r = z − Pᵀ·t. With a weight for each component and one for
//! each feature's error,
//!
//! > raw² = Σⱼ (aⱼ·tⱼ)² + Σᵢ min((bᵢ·rᵢ)², c²)
//!
//! Every index is a choice of weights ([`super::learn`] makes it): Mahalanobis' distance has a = 1/√λ and b = 0, the
//! squared prediction error a = 0 and b = 1, their combination the one and the other over their limits.
//!
//! The raw score is the root. The form is a square of distances, so its tail is twice as heavy (a generalised Pareto tail
//! of shape 2ξ instead of ξ): the moments that the calibration's fit rests on exist up to ξ = ½ of the distance, where
//! those of the form would end at ¼, and a score of 2 is twice as far out as the threshold.

use ndarray::ArrayView2;
use qualm_contract::Error;

use super::{MAX_FEATURES, NO_CLIP};
use crate::linalg::lanes::{Blocks, LANES, Lanes, gather, padded};
use crate::linalg::{as_matrix, as_numbers};
use crate::math;
use crate::model::{Model, Writer};
use crate::trained::Kernel;

/// The largest weight and the largest clip of an error: within them nothing can overflow.
pub(super) const MAX_WEIGHT: f64 = 1e40;

/// The parameters of a form.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// The largest magnitude of a prepared value.
    pub(super) clip: f64,
    /// By feature.
    pub(super) mean: Vec<f64>,
    /// a: by component.
    pub(super) component_weights: Vec<f64>,
    /// b: by feature.
    pub(super) error_weights: Vec<f64>,
    /// c: the largest weighted error that counts.
    pub(super) error_clip: f64,
}

/// A form ready to be computed.
#[derive(Debug)]
pub(super) struct Form {
    parts: Parts,
    /// P and Pᵀ, for rows four at a time.
    to_components: Blocks,
    from_components: Blocks,
    /// Whether any error has a weight.
    errors: bool,
}

/// Buffers for four rows: a number for each feature or component, in whole blocks.
#[derive(Debug)]
pub(super) struct Tile {
    /// z.
    pub(super) centred: Vec<Lanes>,
    /// t.
    pub(super) components: Vec<Lanes>,
    /// Pᵀ·t.
    fitted: Vec<Lanes>,
}

impl Form {
    /// `loadings` is P: components × features.
    pub(super) fn new(parts: Parts, loadings: ArrayView2<'_, f64>) -> Self {
        let (to_components, from_components) = (Blocks::new(loadings), Blocks::new(loadings.t()));
        let errors = parts.error_weights.iter().any(|weight| *weight != 0.0);
        Self { parts, to_components, from_components, errors }
    }

    pub(super) fn tile(&self) -> Tile {
        let (features, components) = (self.parts.mean.len(), self.parts.component_weights.len());
        let zeros = |count| vec![[0.0; LANES]; padded(count)];
        Tile { centred: zeros(features), components: zeros(components), fitted: zeros(features) }
    }

    /// Computes z and t of up to four rows. Lanes without a row repeat the first row.
    pub(super) fn project(&self, rows: &[f64], tile: &mut Tile) {
        let Parts { clip, mean, .. } = &self.parts;
        gather(rows, mean.len(), &mut tile.centred);
        for (z, mean) in tile.centred.iter_mut().zip(mean) {
            *z = z.map(|x| math::max(math::min(x, *clip), -*clip) - mean);
        }
        self.to_components.multiply(&tile.centred[..mean.len()], &mut tile.components);
    }

    /// r, by feature: what the components do not explain.
    pub(super) fn residuals<'a>(&self, tile: &'a mut Tile) -> impl Iterator<Item = Lanes> + use<'a> {
        let components = self.parts.component_weights.len();
        self.from_components.multiply(&tile.components[..components], &mut tile.fitted);
        let pairs = tile.centred.iter().zip(&tile.fitted);
        pairs.map(|(z, fitted)| std::array::from_fn(|lane| z[lane] - fitted[lane]))
    }

    /// Σⱼ (aⱼ·tⱼ)².
    fn distance(&self, tile: &Tile) -> Lanes {
        let mut sums = [0.0; LANES];
        for (t, weight) in tile.components.iter().zip(&self.parts.component_weights) {
            for (sum, t) in sums.iter_mut().zip(t) {
                let weighted = weight * t;
                *sum += weighted * weighted;
            }
        }
        sums
    }

    /// min((bᵢ·rᵢ)², c²), feature by feature: what an error adds to the form.
    fn errors<'a>(&'a self, tile: &'a mut Tile) -> impl Iterator<Item = Lanes> + use<'a> {
        let most = self.parts.error_clip * self.parts.error_clip;
        self.residuals(tile).zip(&self.parts.error_weights).map(move |(r, weight)| {
            r.map(|r| {
                let weighted = weight * r;
                math::min(weighted * weighted, most)
            })
        })
    }
}

impl Kernel for Form {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        let mut tile = self.tile();
        let features = rows.ncols();
        for rows in as_numbers(rows).chunks(LANES * features) {
            self.project(rows, &mut tile);
            let mut sums = self.distance(&tile);
            if self.errors {
                let mut errors = [0.0; LANES];
                for error in self.errors(&mut tile) {
                    errors.iter_mut().zip(error).for_each(|(sum, error)| *sum += error);
                }
                sums.iter_mut().zip(errors).for_each(|(sum, errors)| *sum += errors);
            }
            raw.extend(sums[..rows.len() / features].iter().map(|sum| sum.sqrt()));
        }
    }

    /// Contributions are not negative, and add up to the square of the raw score, but for rounding. Each index is divided
    /// by its complete decomposition contributions (Alcala & Qin, Reconstruction-based contribution for process monitoring,
    /// 2009, and Analysis and generalization of fault diagnosis methods, 2011): feature i has the square of the ith element
    /// of M^½·z for an index zᵀ·M·z. For the distance M^½·z is Pᵀ·(a ∘ t); for the error it is r itself, so that weights
    /// and the clip apply feature by feature. The clipped part of a value contributes nothing.
    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        let mut tile = self.tile();
        self.project(row, &mut tile);
        contributions.fill(0.0);
        if self.errors {
            let errors = self.errors(&mut tile).map(|lanes| lanes[0]);
            contributions.iter_mut().zip(errors).for_each(|(contribution, error)| *contribution = error);
        }
        for (t, weight) in tile.components.iter_mut().zip(&self.parts.component_weights) {
            t[0] *= weight;
        }
        let components = self.parts.component_weights.len();
        self.from_components.multiply(&tile.components[..components], &mut tile.fitted);
        for (contribution, root) in contributions.iter_mut().zip(&tile.fitted) {
            *contribution += root[0] * root[0];
        }
    }

    fn write_model(&self, model: &mut Writer) {
        let Parts { clip, mean, component_weights, error_weights, error_clip } = &self.parts;
        let loadings = self.to_components.to_matrix();
        model.set("index", "form").set("components", loadings.nrows());
        model.set("clip", format_args!("{clip:e}")).set("error_clip", format_args!("{error_clip:e}"));
        model.doubles("mean", &[mean.len()], mean);
        model.doubles("loadings", loadings.shape(), as_numbers(loadings.view()));
        model.doubles("component_weights", &[component_weights.len()], component_weights);
        model.doubles("error_weights", &[error_weights.len()], error_weights);
    }
}

impl Form {
    /// Reads what [`Kernel::write_model`] wrote. Parameters in their ranges cannot overflow for any rows.
    pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let bad = |what: String| Err(Error::BadModel(what));
        if features > MAX_FEATURES {
            return bad(format!("its {features} features are more than the {MAX_FEATURES} of this kind"));
        }
        let components: usize = model.number("components")?;
        if !(1..=features).contains(&components) {
            return bad(format!("its {components} components are not between 1 and its {features} features"));
        }
        let number = |name: &str, most: f64| {
            let number = model.finite(name)?;
            if number > 0.0 && number <= most {
                return Ok(number);
            }
            Err(Error::BadModel(format!("its `{name}` of {number} is not above 0 and up to {most:e}")))
        };
        let array = |name: &str, length: usize, least: f64, most: f64| {
            let numbers = model.doubles(name, length)?;
            match numbers.iter().find(|number| !(least..=most).contains(*number)) {
                Some(number) => {
                    Err(Error::BadModel(format!("its array `{name}` has {number:e}, not {least:e} to {most:e}")))
                }
                None => Ok(numbers),
            }
        };
        let (clip, error_clip) = (number("clip", NO_CLIP)?, number("error_clip", MAX_WEIGHT)?);
        let mean = array("mean", features, -NO_CLIP, NO_CLIP)?;
        // Vectors of length 1, up to rounding.
        let loadings = array("loadings", components * features, -1.001, 1.001)?;
        let parts = Parts {
            clip,
            mean,
            error_clip,
            component_weights: array("component_weights", components, 0.0, MAX_WEIGHT)?,
            error_weights: array("error_weights", features, 0.0, MAX_WEIGHT)?,
        };
        Ok(Self::new(parts, as_matrix(&loadings, features)))
    }
}
