//! Whitening: directions with much variance get the same variance as others.
//!
//! A row x becomes w = (S + r·I)^(−½)·x, S being the second moments of the training rows. Of all matrices that make rows
//! uncorrelated the symmetric root moves them least, so that each element of w still stands for its feature (ZCA, Bell &
//! Sejnowski 1997; Kessy, Lewin & Strimmer, Optimal whitening and decorrelation, 2018). The ridge r is a share of the
//! mean variance: how little directions below it vary in training has no meaning.
//!
//! |w|² is a combined index of PCA monitoring without a number of components: Hotelling's T² in directions with
//! eigenvalues far above r, the squared prediction error over r in those far below.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2};
use qualm_contract::Error;

use super::FitError;
use crate::linalg::covariance::{mean_variance, moments};
use crate::linalg::eigen;
use crate::linalg::lanes::{Blocks, LANES, Lanes, gather, padded};
use crate::linalg::{MAX_FEATURES, as_matrix, as_numbers};
use crate::math::ln;
use crate::model::{Model, Writer};

/// The least ridge, for rows without variance.
const MIN_RIDGE: f64 = 1e-6;

/// The largest element of a matrix, 1/√r, with room for rounding.
const MAX_ELEMENT: f64 = 1.001e3;

/// What the products of four rows need.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    columns: Vec<Lanes>,
    products: Vec<Lanes>,
}

/// A fitted matrix.
#[derive(Debug, Clone)]
pub(crate) struct Whitening {
    /// Features × features.
    matrix: Blocks,
}

impl Whitening {
    /// Learns from rows without missing values, with a ridge of a share of their mean variance.
    ///
    /// # Errors
    ///
    /// Where there are too many features.
    pub(crate) fn fit(rows: ArrayView2<'_, f64>, share: f64) -> Result<Self, FitError> {
        let features = rows.ncols();
        if features > MAX_FEATURES {
            let most = MAX_FEATURES;
            return Err(FitError(format!("{features} features; `whiten` takes {most} at most, set it to 0")));
        }
        // Moments about 0, not about the mean: a row without changes is ordinary.
        let (moments, _) = moments(rows, &vec![0.0; features]);
        let ridge = f64::max(share * mean_variance(&moments), MIN_RIDGE);
        let eigen = eigen::decompose(moments);
        let mut matrix = Array2::zeros((features, features));
        for (vector, value) in eigen.vectors.outer_iter().zip(&eigen.values) {
            let weight = 1.0 / (f64::max(*value, 0.0) + ridge).sqrt();
            for (mut row, factor) in matrix.outer_iter_mut().zip(&vector) {
                row.scaled_add(weight * factor, &vector);
            }
        }
        Ok(Self { matrix: Blocks::new(matrix.view()) })
    }

    /// Appends whitened rows to `out`. The result for a row does not depend on the other rows.
    pub(crate) fn apply(&self, rows: ArrayView2<'_, f64>, buffers: &mut Buffers, out: &mut Vec<f64>) {
        let features = self.matrix.columns();
        let Buffers { columns, products } = buffers;
        columns.resize(features, [0.0; LANES]);
        products.resize(padded(features), [0.0; LANES]);
        for rows in as_numbers(rows).chunks(LANES * features) {
            gather(rows, features, columns);
            self.matrix.multiply(columns, products);
            for lane in 0..rows.len() / features {
                out.extend(products[..features].iter().map(|product| product[lane]));
            }
        }
    }

    pub(crate) fn write_model(&self, name: impl Into<Cow<'static, str>>, model: &mut Writer) {
        let matrix = self.matrix.to_matrix();
        model.doubles(name, matrix.shape(), as_numbers(matrix.view()));
    }

    pub(crate) fn read_model(name: &str, model: &Model<'_>, features: usize) -> Result<Self, Error> {
        if features > MAX_FEATURES {
            let most = MAX_FEATURES;
            return Err(Error::BadModel(format!("its {features} features are whitened; {most} may be at most")));
        }
        let matrix = model.doubles(name, features * features)?;
        match matrix.iter().find(|element| element.abs() > MAX_ELEMENT) {
            Some(element) => {
                Err(Error::BadModel(format!("its array `{name}` has {element:e}, beyond {MAX_ELEMENT:e}")))
            }
            None => Ok(Self { matrix: Blocks::new(as_matrix(&matrix, features)) }),
        }
    }
}

/// ν of [`energy`]. A value five deviations off counts as much as 4.7 that are two off; by squares it would be 6.3.
const DEGREES: f64 = 25.0;

/// The energy of a whitened value, that of Student's t distribution with ν degrees of freedom (Lange, Little & Taylor, Robust
/// statistical modeling using the t distribution, JASA 1989): w² where it is ordinary, and only the logarithm of it where it
/// is wild, so that one feature does not decide alone.
pub(crate) fn energy(white: f64) -> f64 {
    DEGREES * ln(1.0 + white * white * (1.0 / DEGREES))
}

/// The mean of a whitened row's energies.
pub(crate) fn mean_energy(row: &[f64]) -> f64 {
    let (chunks, rest) = row.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += energy(*x));
    }
    let rest = rest.iter().fold(0.0, |sum, x| sum + energy(*x));
    ((sums[0] + sums[1]) + (sums[2] + sums[3]) + rest) / row.len() as f64
}

/// What each feature adds to [`mean_energy`].
pub(crate) fn shares(row: &[f64], out: &mut [f64]) {
    let features = row.len() as f64;
    out.iter_mut().zip(row).for_each(|(out, x)| *out = energy(*x) / features);
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
        let whitening = Whitening::fit(as_matrix(&rows, 5), 1e-9).unwrap();
        let mut white = Vec::new();
        whitening.apply(as_matrix(&rows, 5), &mut Buffers::default(), &mut white);
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
        let matrix = whitening.matrix.to_matrix();
        for i in 0..5 {
            for j in 0..5 {
                assert!((matrix[[i, j]] - matrix[[j, i]]).abs() < 1e-9, "not symmetric");
            }
        }
    }

    #[test]
    fn a_ridge_bounds_what_hardly_varies() {
        let rows = rows(2000);
        let variance = rows.iter().map(|x| x * x).sum::<f64>() / rows.len() as f64;
        let whitening = Whitening::fit(as_matrix(&rows, 5), 0.03).unwrap();
        let mut white = Vec::new();
        whitening.apply(as_matrix(&[0.0, 0.0, 0.0, 0.0, 1.0], 5), &mut Buffers::default(), &mut white);
        assert!((white[4] - 1.0 / (0.03 * variance).sqrt()).abs() < 1e-9, "{white:?}");
        let still = Whitening::fit(as_matrix(&[0.0; 30], 3), 0.03).unwrap();
        assert!(still.matrix.to_matrix().iter().all(|element| element.abs() <= MAX_ELEMENT));
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let rows = rows(23);
        let whitening = Whitening::fit(as_matrix(&rows, 5), 0.03).unwrap();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        whitening.apply(as_matrix(&rows, 5), &mut Buffers::default(), &mut together);
        rows.chunks_exact(5).for_each(|row| whitening.apply(as_matrix(row, 5), &mut Buffers::default(), &mut alone));
        let bits = |rows: &[f64]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone));
    }

    #[test]
    fn shares_make_the_whole() {
        let row = [0.5, -3.0, 20.0, 1e15, 0.0, -7.0, 2.0];
        let mut out = [0.0; 7];
        shares(&row, &mut out);
        assert!((out.iter().sum::<f64>() - mean_energy(&row)).abs() < 1e-9);
        assert!((energy(0.1) - 0.01).abs() < 1e-5, "nearly a square");
        assert!((energy(5.0) / energy(2.0) - 4.67).abs() < 0.01);
        assert!(energy(1e15) < 2000.0, "a logarithm");
    }
}
