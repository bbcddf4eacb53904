//! Fits a form to prepared rows: components and weights.

use ndarray::{Array2, ArrayView2, Axis};

use super::form::{Form, MAX_WEIGHT, Parts};
use super::{Components, Index, MAX_FEATURES, NO_CLIP, Parameters, Residuals, Shrinkage};
use crate::linalg::as_rows;
use crate::linalg::covariance::Covariance;
use crate::linalg::eigen::{self, Eigen};
use crate::trained::FitError;
use crate::trained::prepare::quantile;

/// A smaller mean variance is rounding: rows do not vary.
const MIN_VARIANCE: f64 = 1e-30;

/// In directions with a smaller share of the first component's variance rows do not vary, up to rounding: features depend on
/// one another.
const MIN_VARIANCE_SHARE: f64 = 1e-10;

/// The least spread of an error, in standard deviations of an average feature. Errors of features that follow from others are
/// 0 in training; without a minimum the rounding of one feature would determine the score.
const MIN_SPREAD: f64 = 0.05;

/// The most rows for quantiles of errors, evenly selected: a 95% quantile is accurate to a few per cent.
const MAX_SAMPLE_ROWS: usize = 20_000;

/// The quantile that defines an error's spread and an index's limit: a twentieth of the rows, such as an incident in the
/// training data or a feature's bursts, changes neither.
const QUANTILE: f64 = 0.95;

/// The same quantile of the absolute value of a standard normal number.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// Fits a form to prepared rows.
pub(super) fn learn(rows: ArrayView2<'_, f64>, parameters: &Parameters) -> Result<Form, FitError> {
    parameters.check(rows)?;
    let features = rows.ncols();
    let clip = parameters.clip.unwrap_or(NO_CLIP);
    let learning_clip = f64::min(clip, parameters.learning_clip.unwrap_or(NO_CLIP));
    let clipped = rows.mapv(|x| x.clamp(-learning_clip, learning_clip));

    let covariance = Covariance::of(clipped.view(), parameters.shrinkage);
    let Eigen { mut values, vectors } = eigen::decompose(covariance.matrix.clone());
    let varies = covariance.variance > MIN_VARIANCE;
    for value in &mut values {
        // Of rows that do not vary only the mean is known: all directions are alike.
        *value = if varies { covariance.shrink(*value) } else { 1.0 };
    }
    let unit = if varies { covariance.variance.sqrt() } else { 1.0 };
    let components = count_components(&values, parameters);
    if components == features && parameters.index == Index::Error {
        let what = format!("all {features} components are taken, which leave nothing unexplained: there is no `error`");
        return Err(FitError(what));
    }
    let least = MIN_SPREAD * unit;
    values[components..].iter_mut().for_each(|value| *value = f64::max(*value, least * least));

    let (loadings, left_out) = vectors.view().split_at(Axis(0), components);
    let mut parts = Parts {
        clip,
        mean: covariance.mean,
        component_weights: values[..components].iter().map(|value| 1.0 / value.sqrt()).collect(),
        error_weights: vec![1.0; features],
        error_clip: MAX_WEIGHT,
    };
    let observed = SampleStats::of(rows, &Form::new(parts.clone(), loadings), components);
    if let Residuals::Weighted { clip } = parameters.residuals {
        parts.error_weights = observed.spreads().map(|spread| 1.0 / f64::max(spread, least)).collect();
        parts.error_clip = clip.unwrap_or(MAX_WEIGHT);
    }
    set_weights(&mut parts, parameters.index, &observed, &values[components..], left_out);
    Ok(Form::new(parts, loadings))
}

impl Parameters {
    pub(super) fn check(&self, rows: ArrayView2<'_, f64>) -> Result<(), FitError> {
        let bad = |what: String| Err(FitError(what));
        let features = rows.ncols();
        if rows.nrows() < 2 {
            return bad("a covariance needs two rows at least".to_owned());
        }
        if features > MAX_FEATURES {
            return bad(format!("{features} features; `{}` takes {MAX_FEATURES} at most", super::KIND));
        }
        match self.components {
            Components::Share(share) if !(share > 0.0 && share <= 1.0) => {
                return bad(format!("a share of variance of {share}; it must lie between 0 and 1"));
            }
            Components::Count(count) if !(1..=features).contains(&count) => {
                return bad(format!(
                    "{count} components; there must be between 1 and {features}, the number of features"
                ));
            }
            _ => {}
        }
        if let Shrinkage::Fixed(shrinkage) = self.shrinkage
            && !(0.0..=1.0).contains(&shrinkage)
        {
            return bad(format!("a shrinkage of {shrinkage}; it must lie between 0 and 1"));
        }
        let error_clip = if let Residuals::Weighted { clip } = self.residuals { clip } else { None };
        for (name, clip) in
            [("values", self.clip), ("values to learn from", self.learning_clip), ("errors", error_clip)]
        {
            if let Some(clip) = clip
                && !(clip > 0.0 && clip <= NO_CLIP)
            {
                return bad(format!("{name} are clipped at {clip}; it must lie between 0 and {NO_CLIP:e}"));
            }
        }
        Ok(())
    }
}

/// The number of components of the principal subspace, without directions that have no variance.
fn count_components(values: &[f64], parameters: &Parameters) -> usize {
    let rank = values.iter().take_while(|value| **value > MIN_VARIANCE_SHARE * values[0]).count();
    let wanted = match parameters.components {
        Components::Count(count) => count,
        Components::Share(share) => {
            // Summed from the smallest, for precision: the omitted share is small.
            let total: f64 = values.iter().rev().sum();
            let mut sum = 0.0;
            let small = values.iter().rev().take_while(|value| {
                sum += **value;
                sum <= (1.0 - share) * total
            });
            let left_out = small.count();
            values.len() - if parameters.index == Index::Error { left_out.max(1) } else { left_out }
        }
    };
    wanted.clamp(1, rank)
}

/// Sets the weights by the index. For the combined index (Yue & Qin, Reconstruction-based fault identification using a
/// combined index, 2001) both indices are divided by their limits.
///
/// Its authors derive limits from the moments of normal data (Jackson & Mudholkar 1979; Box 1954). Metrics are not normal, and
/// the threshold is calibrated afterwards, so a limit only determines the relative weight of the indices. It is a quantile of
/// the training rows, which a few extreme rows do not change; but at least what the shrunk covariance expects on average, since
/// training rows are closer than others (with fewer rows than features, they have no errors).
///
/// `values` and `vectors` are those of the components left out.
fn set_weights(parts: &mut Parts, index: Index, observed: &SampleStats, values: &[f64], vectors: ArrayView2<'_, f64>) {
    // If no direction is omitted, there are no errors but rounding.
    let no_errors = values.is_empty();
    let (distance, error) = match index {
        Index::Whitened => unreachable!("nothing is learnt of rows that are whitened"),
        Index::Distance => (1.0, 0.0),
        Index::Error => (0.0, 1.0),
        Index::Combined => {
            let distances = observed.distances(&parts.component_weights);
            let distance = f64::max(index_limit(distances), parts.component_weights.len() as f64);
            let errors = observed.errors(&parts.error_weights, parts.error_clip);
            let error = f64::max(index_limit(errors), expected_error(parts, values, vectors));
            (1.0 / distance.sqrt(), if no_errors { 0.0 } else { 1.0 / error.sqrt() })
        }
    };
    let error = if no_errors { 0.0 } else { error };
    parts.component_weights.iter_mut().for_each(|weight| *weight *= distance);
    parts.error_weights.iter_mut().for_each(|weight| *weight *= error);
    if error > 0.0 {
        parts.error_clip = f64::min(parts.error_clip * error, MAX_WEIGHT);
    }
}

/// The mean of the weighted squared error that the covariance expects: Σᵢ bᵢ²·Σⱼ λⱼ·pⱼᵢ², over the components left out.
fn expected_error(parts: &Parts, values: &[f64], vectors: ArrayView2<'_, f64>) -> f64 {
    let weighted = vectors.outer_iter().zip(values).map(|(vector, value)| {
        let squares = vector.iter().zip(&parts.error_weights).map(|(p, weight)| (weight * p) * (weight * p));
        value * squares.sum::<f64>()
    });
    weighted.sum()
}

fn index_limit(mut index: Vec<f64>) -> f64 {
    index.sort_unstable_by(f64::total_cmp);
    quantile(&index, QUANTILE)
}

/// Residuals and components of a sample of the training rows.
struct SampleStats {
    /// r: rows × features.
    residuals: Array2<f64>,
    /// t: rows × components.
    components: Array2<f64>,
}

impl SampleStats {
    fn of(rows: ArrayView2<'_, f64>, form: &Form, components: usize) -> Self {
        let every = rows.nrows().div_ceil(MAX_SAMPLE_ROWS);
        let mut residuals = Array2::zeros((rows.nrows().div_ceil(every), rows.ncols()));
        let mut components = Array2::zeros((residuals.nrows(), components));
        let mut tile = form.tile();
        let sample = residuals.outer_iter_mut().zip(components.outer_iter_mut());
        for (row, (residuals, components)) in as_rows(rows).step_by(every).zip(sample) {
            form.project(row, &mut tile);
            components.into_iter().zip(&tile.components).for_each(|(to, lanes)| *to = lanes[0]);
            residuals.into_iter().zip(form.residuals(&mut tile)).for_each(|(to, lanes)| *to = lanes[0]);
        }
        Self { residuals, components }
    }

    /// By feature: the quantile of errors over that of a standard normal number.
    fn spreads(&self) -> impl Iterator<Item = f64> {
        let errors = self.residuals.columns().into_iter();
        errors.map(|errors| index_limit(errors.iter().map(|error| error.abs()).collect()) / NORMAL_QUANTILE)
    }

    /// By row: Σⱼ (aⱼ·tⱼ)².
    fn distances(&self, weights: &[f64]) -> Vec<f64> {
        clipped_sums(&self.components, weights, f64::INFINITY)
    }

    /// By row: Σᵢ min((bᵢ·rᵢ)², c²).
    fn errors(&self, weights: &[f64], clip: f64) -> Vec<f64> {
        clipped_sums(&self.residuals, weights, clip)
    }
}

fn clipped_sums(rows: &Array2<f64>, weights: &[f64], clip: f64) -> Vec<f64> {
    let square = |(x, weight): (&f64, &f64)| {
        let far = f64::min((x * weight).abs(), clip);
        far * far
    };
    rows.outer_iter().map(|row| row.iter().zip(weights).map(square).sum()).collect()
}
