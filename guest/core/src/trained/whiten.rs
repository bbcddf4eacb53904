//! Whitening: directions with much variance get the same variance as others.
//!
//! A row x becomes w = (S + r·I)^(−½)·x, S being the second moments of the training rows. Of all matrices that make rows
//! uncorrelated the symmetric root moves them least, so that each element of w still stands for its feature (ZCA, Bell &
//! Sejnowski 1997; Kessy, Lewin & Strimmer, Optimal whitening and decorrelation, 2018). The ridge r is a share of the
//! mean variance: how little directions below it vary in training has no meaning.
//!
//! |w|² is a combined index of PCA monitoring without a number of components: Hotelling's T² in directions with
//! eigenvalues far above r, the squared prediction error over r in those far below.

use qualm_contract::Error;

use super::{FitError, Rows};
use crate::linalg::MAX_FEATURES;
use crate::linalg::covariance::products;
use crate::linalg::eigen;
use crate::linalg::lanes::{Blocks, LANES, Lanes, padded};
use crate::math::min;
use crate::model::{Model, Writer};

/// The least ridge, for rows without variance.
const MIN_RIDGE: f64 = 1e-6;

/// The largest element of a matrix, 1/√r, with room for rounding.
const MAX_ELEMENT: f64 = 1.001e3;

/// A fitted matrix.
#[derive(Debug)]
pub(super) struct Whitening {
    features: usize,
    /// Features × features.
    matrix: Vec<f64>,
    blocks: Blocks,
}

impl Whitening {
    /// Learns from rows without missing values, with a ridge of a share of their mean variance.
    ///
    /// # Errors
    ///
    /// Where there are too many features.
    pub(super) fn fit(rows: Rows<'_>, share: f64) -> Result<Self, FitError> {
        let features = rows.features();
        if features > MAX_FEATURES {
            let most = MAX_FEATURES;
            return Err(FitError(format!("{features} features; `whiten` takes {most} at most, set it to 0")));
        }
        // Moments about 0, not about the mean: a row without changes is ordinary.
        let (mut moments, _) = products(rows, &vec![0.0; features]);
        for i in 0..features {
            for j in i..features {
                moments[i * features + j] /= rows.len() as f64;
                moments[j * features + i] = moments[i * features + j];
            }
        }
        let variance = (0..features).map(|i| moments[i * features + i]).sum::<f64>() / features as f64;
        let ridge = f64::max(share * variance, MIN_RIDGE);
        let eigen = eigen::decompose(moments, features);
        let mut matrix = vec![0.0; features * features];
        for (vector, value) in eigen.vectors.chunks_exact(features).zip(&eigen.values) {
            let weight = 1.0 / (f64::max(*value, 0.0) + ridge).sqrt();
            for (row, factor) in matrix.chunks_exact_mut(features).zip(vector) {
                row.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * factor * x);
            }
        }
        Ok(Self::new(matrix, features))
    }

    fn new(matrix: Vec<f64>, features: usize) -> Self {
        let blocks = Blocks::new(features, features, |row, column| matrix[row * features + column]);
        Self { features, matrix, blocks }
    }

    /// Appends whitened rows to `out`. The result for a row does not depend on the other rows.
    pub(super) fn apply(&self, rows: &[f64], out: &mut Vec<f64>) {
        let features = self.features;
        let mut columns: Vec<Lanes> = vec![[0.0; LANES]; features];
        let mut products: Vec<Lanes> = vec![[0.0; LANES]; padded(features)];
        for rows in rows.chunks(LANES * features) {
            // Lanes without a row repeat the first one.
            let row = |lane: usize| rows.get(lane * features..(lane + 1) * features).unwrap_or(&rows[..features]);
            let values = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
            for (column, (((a, b), c), d)) in columns.iter_mut().zip(values) {
                *column = [*a, *b, *c, *d];
            }
            self.blocks.multiply(&columns, &mut products);
            for lane in 0..rows.len() / features {
                out.extend(products[..features].iter().map(|product| product[lane]));
            }
        }
    }

    pub(super) fn write_model(&self, name: &'static str, model: &mut Writer) {
        model.doubles(name, &[self.features, self.features], &self.matrix);
    }

    pub(super) fn read_model(name: &'static str, model: &Model<'_>, features: usize) -> Result<Self, Error> {
        if features > MAX_FEATURES {
            let most = MAX_FEATURES;
            return Err(Error::BadModel(format!("its {features} features are whitened; {most} may be at most")));
        }
        let matrix = model.doubles(name, features * features)?;
        match matrix.iter().find(|element| element.abs() > MAX_ELEMENT) {
            Some(element) => {
                Err(Error::BadModel(format!("its array `{name}` has {element:e}, beyond {MAX_ELEMENT:e}")))
            }
            None => Ok(Self::new(matrix, features)),
        }
    }
}

/// The mean of a whitened row's squares, each limited to the square of `clip`, which limits the effect of one feature.
pub(crate) fn mean_square(row: &[f64], clip: f64) -> f64 {
    let square = |x: f64| min(x * x, clip * clip);
    let (chunks, rest) = row.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += square(*x));
    }
    let rest = rest.iter().fold(0.0, |sum, x| sum + square(*x));
    ((sums[0] + sums[1]) + (sums[2] + sums[3]) + rest) / row.len() as f64
}

/// What each feature adds to [`mean_square`].
pub(crate) fn shares(row: &[f64], clip: f64, out: &mut [f64]) {
    let features = row.len() as f64;
    out.iter_mut().zip(row).for_each(|(out, x)| *out = min(x * x, clip * clip) / features);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pca::tests::Random;

    /// Five features on two causes, one that never moves.
    fn rows(count: usize) -> Vec<f64> {
        let random = &mut Random(11);
        let row = |random: &mut Random| {
            let (a, b) = (random.normal(), random.normal());
            [a, a + 0.1 * random.normal(), 3.0 * b, b - a + 0.1 * random.normal(), 0.0]
        };
        (0..count).flat_map(|_| row(random)).collect()
    }

    #[test]
    fn rows_become_uncorrelated_and_features_stay_what_they_are() {
        let rows = rows(2000);
        let whitening = Whitening::fit(Rows::new(&rows, 5), 1e-9).unwrap();
        let mut white = Vec::new();
        whitening.apply(&rows, &mut white);
        let moment = |i: usize, j: usize| {
            let products = white.chunks_exact(5).map(|row| row[i] * row[j]);
            products.sum::<f64>() / 2000.0
        };
        for i in 0..4 {
            for j in 0..i {
                assert!(moment(i, j).abs() < 1e-3, "{i} and {j}: {}", moment(i, j));
            }
            assert!((moment(i, i) - 1.0).abs() < 1e-3);
            let own = rows.chunks_exact(5).zip(white.chunks_exact(5)).map(|(row, white)| row[i] * white[i]);
            assert!(own.sum::<f64>() > 0.0);
        }
        for i in 0..5 {
            for j in 0..5 {
                assert!((whitening.matrix[i * 5 + j] - whitening.matrix[j * 5 + i]).abs() < 1e-9, "not symmetric");
            }
        }
    }

    #[test]
    fn a_ridge_bounds_what_hardly_varies() {
        let rows = rows(2000);
        let variance = rows.iter().map(|x| x * x).sum::<f64>() / rows.len() as f64;
        let whitening = Whitening::fit(Rows::new(&rows, 5), 0.03).unwrap();
        let mut white = Vec::new();
        whitening.apply(&[0.0, 0.0, 0.0, 0.0, 1.0], &mut white);
        assert!((white[4] - 1.0 / (0.03 * variance).sqrt()).abs() < 1e-9, "{white:?}");
        let still = Whitening::fit(Rows::new(&[0.0; 30], 3), 0.03).unwrap();
        assert!(still.matrix.iter().all(|element| element.abs() <= MAX_ELEMENT));
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let rows = rows(23);
        let whitening = Whitening::fit(Rows::new(&rows, 5), 0.03).unwrap();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        whitening.apply(&rows, &mut together);
        rows.chunks_exact(5).for_each(|row| whitening.apply(row, &mut alone));
        let bits = |rows: &[f64]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone));
    }

    #[test]
    fn shares_make_the_whole() {
        let row = [0.5, -3.0, 20.0, 1e200, 0.0, -7.0, 2.0];
        let mut out = [0.0; 7];
        shares(&row, 10.0, &mut out);
        assert!((out.iter().sum::<f64>() - mean_square(&row, 10.0)).abs() < 1e-12);
        assert_eq!(out[2].to_bits(), (100.0_f64 / 7.0).to_bits());
    }
}
