//! `extended-isolation-forest`: an isolation forest whose splits are hyperplanes (Hariri, Carrasco Kind & Brunner,
//! "Extended isolation forest", IEEE TKDE 33(4), 2019), so that no direction of the axes is preferred.
//!
//! Trees are grown by [`grow`], out of [`plane`]s, and written as [`tensors`]; the raw score is that of
//! [`super`]. Shapley values do not apply: no split is one feature's. Instead, by how much each split of a row's way
//! shortens the path that is expected of it is shared among the split's features, in proportion to how far along the
//! normal each lies out, |nᵢ·(xᵢ − pᵢ)|. So a row's contributions add up to [`Extended::base`] − E\[h\], as there.

mod grow;
mod plane;
mod tensors;

use ndarray::ArrayView2;
use qualm_contract::{Batch, Error};

use super::tree::{Node, Tree};
use super::{Forest, MAX_TREES, Parameters};
use crate::linalg::as_numbers;
use crate::model::{Model, Writer};
use crate::trained::{FitError, Kernel, Rows, Settings, Trained};
use plane::Planes;

/// The name of this kind of detector.
pub const KIND: &str = "extended-isolation-forest";

/// Rows that are walked through a tree before the next.
const BLOCK: usize = 64;

/// Fits the detector to `train` and the threshold to `validation`; see [`Extended::fit`].
///
/// # Errors
///
/// What is wrong with the rows or the parameters.
pub fn fit(
    train: Rows<'_>,
    validation: Batch<'_>,
    settings: &Settings,
    parameters: &Parameters,
    extension: u32,
) -> Result<Trained, FitError> {
    Trained::fit(KIND, train, validation, settings, |rows| Ok(Box::new(Extended::fit(rows, parameters, extension)?)))
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |model, features| Ok(Box::new(tensors::read_model(model, features)?)))
}

/// A forest of trees whose splits are hyperplanes.
#[derive(Debug)]
pub struct Extended {
    /// Rows that each tree was grown of.
    samples: u32,
    /// The splits of all trees, which these name by their number.
    planes: Planes,
    trees: Vec<Tree<u32>>,
}

impl Extended {
    /// Grows a forest of complete, scaled rows. A hyperplane runs along all axes but `extension` + 1: 0 is the plain
    /// forest; one less than there are features, or more, is the full extension.
    ///
    /// # Errors
    ///
    /// The parameter that is out of its range, or that there are no rows.
    pub fn fit(rows: ArrayView2<'_, f64>, parameters: &Parameters, extension: u32) -> Result<Self, FitError> {
        let (samples, features) = parameters.draws(rows)?;
        let width = features.min((extension as usize).saturating_add(1));
        let (trees, planes) = grow::forest(rows, parameters, samples, features, width)?;
        Self::new(trees, planes, samples as u32).map_err(|error| FitError(error.to_string()))
    }

    fn new(trees: Vec<Tree<u32>>, planes: Planes, samples: u32) -> Result<Self, Error> {
        if !(1..=MAX_TREES).contains(&trees.len()) {
            let what = format!("its forest has {} trees; 1 to {MAX_TREES} may be", trees.len());
            return Err(Error::BadModel(what));
        }
        Ok(Self { samples, planes, trees })
    }

    /// The mean path length that is expected of a row of the trees' own samples, in splits: what [`Kernel::explain_row`]
    /// starts from.
    #[must_use]
    pub fn base(&self) -> f64 {
        self.trees.iter().map(|tree| tree.expected(0)).sum::<f64>() / self.trees.len() as f64
    }

    /// The leaf of a row, and on the way there each split with the node that follows.
    fn walk(&self, tree: &Tree<u32>, row: &[f32], mut seen: impl FnMut(u32, [usize; 2])) -> usize {
        let mut at = 0;
        while let Node::Split(plane) = tree.nodes()[at] {
            let next = tree.children(at)[usize::from(self.planes.is_beyond(plane, row))];
            seen(plane, [at, next]);
            at = next;
        }
        at
    }
}

impl Kernel for Extended {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        let features = self.planes.features();
        let start = raw.len();
        let mut block = Vec::with_capacity(BLOCK * features);
        for rows in as_numbers(rows).chunks(BLOCK * features) {
            block.clear();
            block.extend(rows.iter().map(|value| *value as f32));
            let mut sums = [0.0; BLOCK];
            for tree in &self.trees {
                for (row, sum) in block.chunks_exact(features).zip(&mut sums) {
                    *sum += tree.expected(self.walk(tree, row, |_, _| ()));
                }
            }
            raw.extend_from_slice(&sums[..rows.len() / features]);
        }
        Forest::scores(&mut raw[start..], self.trees.len(), self.samples);
    }

    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        contributions.fill(0.0);
        let row: Vec<f32> = row.iter().map(|value| *value as f32).collect();
        for tree in &self.trees {
            self.walk(tree, &row, |plane, [from, to]| {
                let shorter = (tree.expected(from) - tree.expected(to)) / self.trees.len() as f64;
                self.planes.share(plane, &row, shorter, contributions);
            });
        }
    }

    fn max_explained_rows(&self) -> usize {
        super::MAX_EXPLAINED_ROWS
    }

    fn write_model(&self, model: &mut Writer) {
        tensors::write_model(self, model);
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;
    use crate::linalg::as_matrix;

    fn rows(count: usize, features: usize) -> Vec<f64> {
        let mut random = Random::new(3);
        (0..count * features).map(|_| random.normal()).collect()
    }

    fn scores(forest: &mut Extended, rows: &[f64]) -> Vec<f64> {
        let mut raw = Vec::new();
        forest.score_rows(as_matrix(rows, forest.planes.features()), &mut raw);
        raw
    }

    #[test]
    fn what_is_far_out_in_any_direction_scores_alike() {
        let rows = rows(2000, 2);
        for extension in [0, 1] {
            let mut forest = Extended::fit(as_matrix(&rows, 2), &Parameters::default(), extension).unwrap();
            let around: Vec<f64> =
                (0..16).flat_map(|at| [libm::sin, libm::cos].map(|f| 4.5 * f(f64::from(at) / 2.0))).collect();
            let scores = scores(&mut forest, &around);
            let (least, most) =
                scores.iter().fold((1.0, 0.0), |(low, high): (f64, f64), x| (low.min(*x), high.max(*x)));
            assert!(least > 0.6, "{scores:?}");
            // The very thing that the extension is for.
            assert!(extension == 0 || most - least < 0.06, "{scores:?}");
        }
    }

    #[test]
    fn contributions_add_up_and_name_the_feature() {
        let mut rows = rows(1000, 6);
        rows.iter_mut().skip(4).step_by(6).for_each(|value| *value = 7.0); // one that does not vary
        for (extension, max_features) in [(0, 1.0), (2, 1.0), (2, 0.5), (99, 1.0)] {
            let parameters = Parameters { max_features, seed: 1, ..Parameters::default() };
            let mut forest = Extended::fit(as_matrix(&rows, 6), &parameters, extension).unwrap();
            let mut row = rows[..6].to_vec();
            row[2] = 9.0;
            let mut contributions = [f64::NAN; 6];
            forest.explain_row(&row, &mut contributions);
            let mean = -libm::log2(scores(&mut forest, &row)[0]) * super::super::path::average(256);
            assert!((contributions.iter().sum::<f64>() - (forest.base() - mean)).abs() < 1e-9);
            assert!(contributions.iter().all(|contribution| *contribution <= contributions[2]), "{contributions:?}");
            assert!(contributions[4].abs() < 1e-12, "{contributions:?}");
        }
    }

    #[test]
    fn rows_that_are_equal_make_a_leaf() {
        let forest = Extended::fit(as_matrix(&[5.0; 30], 3), &Parameters::default(), 2).unwrap();
        assert!(forest.trees.iter().all(|tree| tree.nodes().len() == 1));
        let mut forest = Extended::fit(as_matrix(&[1.0, 2.0], 2), &Parameters::default(), 1).unwrap();
        assert_eq!(scores(&mut forest, &[1.0, 2.0]), [0.5]);
    }
}
