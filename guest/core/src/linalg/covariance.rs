//! Mean and covariance of rows, with shrinkage for directions that few rows determine.

use ndarray::{Array2, ArrayView2, Axis};

use super::as_rows;

/// How much of the mean variance is mixed into each eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shrinkage {
    /// By Ledoit & Wolf (2004): much if there are few rows for their features, little if there are many.
    Auto,
    /// This share: 0 is not at all, 1 is features that vary alike and independently.
    Fixed(f64),
}

/// How features vary, alone and together.
#[derive(Debug)]
pub(crate) struct Covariance {
    /// By feature.
    pub(crate) mean: Vec<f64>,
    /// Features × features, divided by the number of rows as in scikit-learn, without shrinkage.
    pub(crate) matrix: Array2<f64>,
    /// The mean variance of a feature, μ: the target of the shrinkage.
    pub(crate) variance: f64,
    /// How much of μ·I to mix in: δ.
    pub(crate) shrinkage: f64,
}

/// Rows for each pass over the matrix.
const ROWS_PER_PASS: usize = 4;

impl Covariance {
    /// Of rows, at least one.
    pub(crate) fn of(rows: ArrayView2<'_, f64>, shrinkage: Shrinkage) -> Self {
        let count = rows.nrows() as f64;
        let mut mean = vec![0.0; rows.ncols()];
        for row in as_rows(rows) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        for mean in &mut mean {
            *mean /= count;
        }

        let (matrix, fourth) = moments(rows, &mean);
        let variance = mean_variance(&matrix);
        let shrinkage = match shrinkage {
            Shrinkage::Auto => ledoit_wolf(&matrix, variance, fourth, count),
            Shrinkage::Fixed(shrinkage) => shrinkage,
        };
        Self { mean, matrix, variance, shrinkage }
    }

    /// An eigenvalue of the matrix after shrinkage, which keeps eigenvectors. It is not negative.
    pub(crate) fn shrink(&self, eigenvalue: f64) -> f64 {
        (1.0 - self.shrinkage) * f64::max(eigenvalue, 0.0) + self.shrinkage * self.variance
    }
}

/// The mean of the diagonal.
pub(crate) fn mean_variance(moments: &Array2<f64>) -> f64 {
    moments.diag().iter().sum::<f64>() / moments.ncols() as f64
}

/// The means of xxᵀ and of |x|⁴ over all rows x less `mean`.
pub(crate) fn moments(rows: ArrayView2<'_, f64>, mean: &[f64]) -> (Array2<f64>, f64) {
    let (count, features) = (rows.nrows() as f64, rows.ncols());
    let mut matrix = Array2::zeros((features, features));
    let mut fourth = 0.0;
    let mut centred = vec![0.0; ROWS_PER_PASS * features];
    for rows in rows.axis_chunks_iter(Axis(0), ROWS_PER_PASS) {
        centred.fill(0.0); // missing rows of the last chunk add 0
        for (centred, row) in centred.chunks_exact_mut(features).zip(as_rows(rows)) {
            let differences = row.iter().zip(mean).map(|(x, mean)| x - mean);
            centred.iter_mut().zip(differences).for_each(|(centred, x)| *centred = x);
            let square: f64 = centred.iter().map(|x| x * x).sum();
            fourth += square * square;
        }
        let (a, rest) = centred.split_at(features);
        let (b, rest) = rest.split_at(features);
        let (c, d) = rest.split_at(features);
        for (i, sums) in matrix.outer_iter_mut().enumerate() {
            let with = [a[i], b[i], c[i], d[i]];
            let sums = sums.into_slice().expect("a row stands together");
            for ((((sum, a), b), c), d) in sums[i..].iter_mut().zip(&a[i..]).zip(&b[i..]).zip(&c[i..]).zip(&d[i..]) {
                *sum += (with[0] * a + with[1] * b) + (with[2] * c + with[3] * d);
            }
        }
    }
    for i in 0..features {
        for j in i..features {
            matrix[[i, j]] /= count;
            matrix[[j, i]] = matrix[[i, j]];
        }
    }
    (matrix, fourth / count)
}

/// The shrinkage with the least expected distance from the true covariance: Ledoit & Wolf, A well-conditioned estimator for
/// large-dimensional covariance matrices (2004), section 3.2: b²/d², where d² is how far the matrix is from μ·I, and b²
/// how far it is expected to be from the truth. `fourth` is the mean of |x|⁴.
fn ledoit_wolf(matrix: &Array2<f64>, variance: f64, fourth: f64, count: f64) -> f64 {
    let features = matrix.ncols() as f64;
    let squares: f64 = matrix.iter().map(|x| x * x).sum();
    let far = squares / features - variance * variance;
    let uncertain = (fourth - squares) / (features * count);
    // If rows do not vary, or alike in all directions, both numbers are rounding and any shrinkage will do.
    if uncertain <= 0.0 || far <= 0.0 { 0.0 } else { f64::min(uncertain / far, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::super::as_matrix;
    use super::*;
    use crate::pca::tests::{Random, Reference};

    #[test]
    fn it_is_what_scikit_learn_has() {
        let reference = Reference::read();
        for name in ["wide", "long", "train"] {
            let features = reference.numbers(&format!("{name} mean")).len();
            let rows = reference.numbers(&format!("{name} rows"));
            let covariance = Covariance::of(as_matrix(&rows, features), Shrinkage::Auto);
            reference.near(&format!("{name} mean"), &covariance.mean, 1e-14);
            reference.near(&format!("{name} covariance"), covariance.matrix.as_slice().unwrap(), 1e-14);
            reference.near(&format!("{name} shrinkage"), &[covariance.shrinkage], 1e-12);
        }
    }

    #[test]
    fn far_from_zero_nothing_is_lost() {
        let random = &mut Random(3);
        let near: Vec<f64> = (0..999).map(|_| (random.normal() * 1024.0).round() / 1024.0).collect();
        let far: Vec<f64> = near.iter().map(|x| x + 1_048_576.0).collect();
        let of = |rows| Covariance::of(as_matrix(rows, 3), Shrinkage::Auto).matrix;
        for (near, far) in of(&near).iter().zip(of(&far)) {
            assert!((near - far).abs() < 1e-9, "{near} became {far}");
        }
    }

    #[test]
    fn rows_that_do_not_vary_are_shrunk_to_nothing() {
        for (rows, features) in [(vec![5.0; 12], 3), (vec![5.0; 3], 3), (vec![0.1; 700], 7)] {
            let covariance = Covariance::of(as_matrix(&rows, features), Shrinkage::Auto);
            assert!(covariance.variance < 1e-30 && (0.0..=1.0).contains(&covariance.shrinkage));
        }
        let fixed = Covariance::of(as_matrix(&[1.0, 3.0], 1), Shrinkage::Fixed(0.5));
        assert_eq!((fixed.variance, fixed.shrink(0.0), fixed.shrink(2.0)), (1.0, 0.5, 1.5));
    }
}
