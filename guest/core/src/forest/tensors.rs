//! A forest as a model's arrays: all trees' nodes in preorder, tree after tree, so that nothing needs to be linked.
//!
//! | array | of | what |
//! |---|---|---|
//! | `nodes` | u32, one a node | 0 for a leaf, else 1 + the feature of the split |
//! | `thresholds` | f32, one a split | rows whose value is at most it go left |
//! | `counts` | u32, one a leaf | rows of the tree's sample that ended there |
//!
//! The parameter `samples` is how many rows each tree was grown of.

use qualm_contract::Error;

use super::Forest;
use super::tree::{Node, Split, Tree};
use crate::model::{Model, Writer};

pub(super) fn write_model(forest: &Forest, model: &mut Writer) {
    let (mut nodes, mut thresholds, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for node in forest.trees.iter().flat_map(Tree::nodes) {
        match *node {
            Node::Split(Split { feature, threshold }) => {
                nodes.push(1 + u32::from(feature));
                thresholds.push(threshold);
            }
            Node::Leaf(count) => {
                nodes.push(0);
                counts.push(count);
            }
        }
    }
    model.set("samples", forest.samples);
    model.integers("nodes", &nodes).floats("thresholds", &thresholds).integers("counts", &counts);
}

pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Forest, Error> {
    let nodes = model.integers("nodes")?;
    let mut thresholds = model.floats("thresholds")?.into_iter();
    let split = |feature: u32| {
        // `Forest::new` rejects features that do not exist.
        let feature = u16::try_from(feature - 1).unwrap_or(u16::MAX);
        Some(Split { feature, threshold: thresholds.next()? })
    };
    let trees = trees(&nodes, &model.integers("counts")?, split)?;
    if thresholds.next().is_some() {
        return Err(Error::BadModel("it has more thresholds than splits".to_owned()));
    }
    Forest::new(trees, features, model.number("samples")?)
}

/// Trees of nodes, where 0 is a leaf and anything else a split.
pub(super) fn trees<S: Copy>(
    nodes: &[u32],
    counts: &[u32],
    mut split: impl FnMut(u32) -> Option<S>,
) -> Result<Vec<Tree<S>>, Error> {
    let bad = |what: &str| Error::BadModel(what.to_owned());
    let mut counts = counts.iter().copied();
    let mut left = nodes.len();
    let mut nodes = nodes.iter().map_while(|&node| {
        let node = if node == 0 { Node::Leaf(counts.next()?) } else { Node::Split(split(node)?) };
        left -= 1;
        Some(node)
    });
    let mut trees = Vec::new();
    while let Some(tree) = Tree::take(&mut nodes).map_err(|error| Error::BadModel(error.to_string()))? {
        trees.push(tree);
    }
    if left > 0 || counts.next().is_some() {
        return Err(bad("its arrays of nodes, splits and leaves do not fit together"));
    }
    Ok(trees)
}
