//! `isolation-forest`: how few random splits isolate a row (Liu, Ting & Zhou, "Isolation forest", ICDM 2008).
//!
//! The semantics are scikit-learn's, whose forests can be imported ([`import`]) and give the same scores: values are cast to single precision, and go left where they are at most the threshold. Trees are grown by [`grow`],
//! held as [`tree`]s, evaluated as [`heap`]s, written as [`tensors`]. The raw score is scikit-learn's
//! `-score_samples`, 2^(−E\[h\]/c) in (0, 1], where E\[h\] is the row's path length averaged over the trees ([`path`]).
//!
//! A feature's contribution is a Shapley value of the mean path length with its sign turned ([`shap`]): by how many splits
//! it makes the path shorter. A row's contributions add up to [`Forest::base`] − E\[h\].
//!
//! [`extended`] is the variant whose splits are hyperplanes.

pub mod extended;
mod grow;
mod heap;
pub mod import;
mod path;
mod random;
mod shap;
mod tensors;
mod tree;

use ndarray::ArrayView2;
use qualm_contract::{Batch, Error};

use crate::model::{Model, Writer};
use crate::trained::{FitError, Kernel, MAX_FEATURES, Rows, Settings, Trained};
use heap::Heaps;
use tree::{Split, Tree};

/// The name of this kind of detector.
pub const KIND: &str = "isolation-forest";

/// The most trees of a forest. A tree takes at least 3.5 KB as a heap.
pub const MAX_TREES: usize = 10_000;

/// The most rows of a batch that are explained: each takes some 0.2 ms, and a batch has a tenth of a second.
const MAX_EXPLAINED_ROWS: usize = 100;

/// The parameters. The defaults are scikit-learn's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// How many trees are grown.
    pub trees: u32,
    /// Rows that are drawn for each tree, without replacement; all if there are fewer.
    pub max_samples: u32,
    /// Share of the features that is drawn for each tree, at least one.
    pub max_features: f64,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { trees: 100, max_samples: 256, max_features: 1.0, seed: 0 }
    }
}

impl Parameters {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// The parameter that is out of its range, and the range.
    pub fn check(&self) -> Result<(), FitError> {
        let Self { trees, max_samples, max_features, seed: _ } = *self;
        if !(1..=MAX_TREES).contains(&(trees as usize)) {
            return Err(FitError(format!("`trees` is {trees}; it must lie between 1 and {MAX_TREES}")));
        }
        if max_samples == 0 {
            return Err(FitError("`max_samples` is 0; a tree needs a row".to_owned()));
        }
        if !(max_features > 0.0 && max_features <= 1.0) {
            return Err(FitError(format!("`max_features` is {max_features}; it must lie above 0, and be 1 at most")));
        }
        Ok(())
    }

    /// Checks that a forest can be grown of these rows, and returns how many rows and features are drawn for a tree.
    fn draws(&self, rows: ArrayView2<'_, f64>) -> Result<(usize, usize), FitError> {
        self.check()?;
        if rows.is_empty() || rows.nrows() > u32::MAX as usize {
            return Err(FitError(format!("a forest cannot be grown of {} rows", rows.nrows())));
        }
        if rows.ncols() > MAX_FEATURES {
            return Err(FitError(format!("{} features; {MAX_FEATURES} at most make a forest", rows.ncols())));
        }
        let features = (self.max_features * rows.ncols() as f64) as usize;
        Ok((rows.nrows().min(self.max_samples as usize), features.max(1)))
    }
}

/// Fits the detector to `train` and the threshold to `validation`.
///
/// # Errors
///
/// What is wrong with the rows or the parameters.
pub fn fit(
    train: Rows<'_>,
    validation: Batch<'_>,
    settings: &Settings,
    parameters: &Parameters,
) -> Result<Trained, FitError> {
    Trained::fit(KIND, train, validation, settings, |rows| Ok(Box::new(Forest::fit(rows, parameters)?)))
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |model, features| Ok(Box::new(tensors::read_model(model, features)?)))
}

/// A forest of axis-parallel trees.
#[derive(Debug)]
pub struct Forest {
    /// Rows that each tree was grown of.
    samples: u32,
    trees: Vec<Tree<Split>>,
    heaps: Heaps,
}

impl Forest {
    /// Grows a forest of complete, scaled rows.
    ///
    /// # Errors
    ///
    /// The parameter that is out of its range, or that there are no rows.
    pub fn fit(rows: ArrayView2<'_, f64>, parameters: &Parameters) -> Result<Self, FitError> {
        let (samples, features) = parameters.draws(rows)?;
        let trees = grow::forest(rows, parameters, samples, features)?;
        Self::new(trees, rows.ncols(), samples as u32).map_err(|error| FitError(error.to_string()))
    }

    /// A forest of these trees, after a check that their features exist.
    fn new(trees: Vec<Tree<Split>>, features: usize, samples: u32) -> Result<Self, Error> {
        let bad = |what: String| Err(Error::BadModel(what));
        if !(1..=MAX_TREES).contains(&trees.len()) {
            return bad(format!("its forest has {} trees; 1 to {MAX_TREES} may be", trees.len()));
        }
        for node in trees.iter().flat_map(Tree::nodes) {
            match *node {
                tree::Node::Leaf(0) => return bad("a leaf in its forest has no rows".to_owned()),
                tree::Node::Split(Split { feature, .. }) if usize::from(feature) >= features => {
                    return bad(format!("a split in its forest is by feature {feature}, of {features}"));
                }
                _ => {}
            }
        }
        let heaps = Heaps::new(&trees, features);
        Ok(Self { samples, trees, heaps })
    }

    /// The mean path length that is expected of a row of the trees' own samples, in splits: what [`Kernel::explain_row`]
    /// starts from.
    #[must_use]
    pub fn base(&self) -> f64 {
        self.trees.iter().map(|tree| tree.expected(0)).sum::<f64>() / self.trees.len() as f64
    }

    /// Turns sums of path lengths into scores.
    fn scores(sums: &mut [f64], trees: usize, samples: u32) {
        let average = path::average(samples);
        for sum in sums {
            *sum = path::score(*sum / trees as f64, average);
        }
    }
}

impl Kernel for Forest {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        let start = raw.len();
        self.heaps.lengths(rows, raw);
        Self::scores(&mut raw[start..], self.trees.len(), self.samples);
    }

    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        shap::explain(&self.trees, row, contributions);
    }

    fn max_explained_rows(&self) -> usize {
        MAX_EXPLAINED_ROWS
    }

    fn write_model(&self, model: &mut Writer) {
        tensors::write_model(self, model);
    }
}
