//! Forests that scikit-learn grew: the fields of its `IsolationForest`, as untrusted numbers.

use qualm_contract::Error;

use super::grow::floor;
use super::tree::{Node, Split, Tree, TreeError};
use super::{Forest, MAX_TREES};
use crate::trained::prepare::Preparation;
use crate::trained::{MAX_FEATURES, Trained};

/// A fitted `sklearn.ensemble.IsolationForest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// `n_features_in_`.
    pub features: usize,
    /// `max_samples_`: rows that each tree was grown of.
    pub max_samples: u32,
    /// `estimators_`.
    pub trees: Vec<TreeParts>,
}

/// One of its trees. All arrays but the last have an element a node; node 0 is the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TreeParts {
    /// `tree_.children_left`: where rows with x ≤ threshold go; −1 for a leaf.
    pub children_left: Vec<i64>,
    /// `tree_.children_right`; −1 for a leaf.
    pub children_right: Vec<i64>,
    /// `tree_.feature`: a place in `features`. Ignored for a leaf.
    pub feature: Vec<i64>,
    /// `tree_.threshold`. Ignored for a leaf.
    pub threshold: Vec<f64>,
    /// `tree_.n_node_samples`.
    pub n_node_samples: Vec<u32>,
    /// `estimators_features_` of this tree: the features that it was grown by.
    pub features: Vec<u32>,
}

/// What is wrong with a tree; the text continues a sentence about it.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("has arrays of different lengths")]
    Lengths,
    #[error("has no nodes")]
    Empty,
    #[error("reaches a node twice")]
    Twice,
    #[error("has {0} nodes that nothing leads to")]
    Unreachable(usize),
    #[error("cannot be: {0}")]
    Tree(#[from] TreeError),
    #[error("has a node {0} whose samples are not those of its children")]
    Samples(usize),
    #[error("has a node {node} with the children {children:?}, which are no nodes")]
    Children { node: usize, children: [i64; 2] },
    #[error("has a node {node} that splits by feature {feature}, which there is not")]
    Feature { node: usize, feature: i64 },
    #[error("has a node {node} with the threshold {threshold}")]
    Threshold { node: usize, threshold: f64 },
}

impl Forest {
    /// A forest with the scores of this one: minus `score_samples`, for complete rows.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] says which tree is invalid, and why.
    pub fn from_parts(parts: &Parts) -> Result<Self, Error> {
        if !(1..=MAX_FEATURES).contains(&parts.features) {
            let what = format!("its {} features are not between 1 and {MAX_FEATURES}", parts.features);
            return Err(Error::BadModel(what));
        }
        if parts.trees.len() > MAX_TREES {
            return Err(Error::BadModel(format!("its {} trees are more than {MAX_TREES}", parts.trees.len())));
        }
        let tree = |(at, tree): (usize, &TreeParts)| {
            tree.check(parts.features).map_err(|error| Error::BadModel(format!("its tree {at} {error}")))
        };
        let trees = parts.trees.iter().enumerate().map(tree).collect::<Result<_, _>>()?;
        Self::new(trees, parts.features, parts.max_samples)
    }
}

/// A detector with a forest that was fitted elsewhere, to rows with this preparation. `ordinary` and `threshold` are the raw
/// scores (minus `score_samples`) that become 0 and 1.
///
/// # Errors
///
/// [`Error::BadModel`] says what does not fit.
pub fn assemble(parts: &Parts, preparation: Preparation, ordinary: f64, threshold: f64) -> Result<Trained, Error> {
    if preparation.features() != parts.features {
        let what = format!("rows of {} values for a forest of {} features", preparation.features(), parts.features);
        return Err(Error::BadModel(what));
    }
    let forest = Forest::from_parts(parts)?;
    Trained::assemble(super::KIND, preparation, Box::new(forest), ordinary, threshold)
}

impl TreeParts {
    /// The tree with its nodes in preorder.
    fn check(&self, features: usize) -> Result<Tree<Split>, ImportError> {
        let count = self.children_left.len();
        let lengths = [self.children_right.len(), self.feature.len(), self.threshold.len(), self.n_node_samples.len()];
        if lengths.iter().any(|length| *length != count) {
            return Err(ImportError::Lengths);
        }
        let mut order = Vec::with_capacity(count);
        let mut nodes = Vec::with_capacity(count);
        let mut next = vec![0];
        while let Some(node) = next.pop() {
            if order.len() == count {
                return Err(if count == 0 { ImportError::Empty } else { ImportError::Twice });
            }
            order.push(node);
            nodes.push(match self.children(node)? {
                None => Node::Leaf(self.n_node_samples[node]),
                Some([left, right]) => {
                    next.extend([right, left]);
                    Node::Split(self.split(node, features)?)
                }
            });
        }
        if nodes.len() < count {
            return Err(ImportError::Unreachable(count - nodes.len()));
        }
        let tree = Tree::take(&mut nodes.into_iter())?.ok_or(ImportError::Empty)?;
        match order.iter().enumerate().find(|(at, node)| tree.count(*at) != self.n_node_samples[**node]) {
            Some((_, &node)) => Err(ImportError::Samples(node)),
            None => Ok(tree),
        }
    }

    /// A split's children; `None` for a leaf.
    fn children(&self, node: usize) -> Result<Option<[usize; 2]>, ImportError> {
        match [self.children_left[node], self.children_right[node]] {
            [-1, -1] => Ok(None),
            children => {
                let place = |child: i64| usize::try_from(child).ok().filter(|child| *child < self.children_left.len());
                match children.map(place) {
                    [Some(left), Some(right)] => Ok(Some([left, right])),
                    _ => Err(ImportError::Children { node, children }),
                }
            }
        }
    }

    fn split(&self, node: usize, features: usize) -> Result<Split, ImportError> {
        let place = usize::try_from(self.feature[node]).ok();
        let feature = place.and_then(|place| self.features.get(place)).copied();
        let Some(feature) = feature.filter(|feature| (*feature as usize) < features) else {
            return Err(ImportError::Feature { node, feature: self.feature[node] });
        };
        let threshold = self.threshold[node];
        if !threshold.is_finite() {
            return Err(ImportError::Threshold { node, threshold });
        }
        // scikit-learn compares a value in single precision with a threshold in double.
        Ok(Split { feature: feature as u16, threshold: floor(threshold) })
    }
}
