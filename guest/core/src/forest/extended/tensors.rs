//! An extended forest as a model's arrays: as in [`crate::forest::tensors`], but that `nodes` has 1 for a split, and that
//! each split, in the nodes' order, has `width` elements in `axes` (u32, ascending), `normals` and `points` (f32).

use qualm_contract::Error;

use super::Extended;
use super::plane::Planes;
use crate::forest::tensors::trees;
use crate::forest::tree::{Node, Tree};
use crate::model::{Model, Writer};

pub(super) fn write_model(forest: &Extended, model: &mut Writer) {
    let (mut nodes, mut counts) = (Vec::new(), Vec::new());
    for node in forest.trees.iter().flat_map(Tree::nodes) {
        match node {
            Node::Split(_) => nodes.push(1),
            Node::Leaf(count) => {
                nodes.push(0);
                counts.push(*count);
            }
        }
    }
    let axes = || (0..forest.planes.len()).flat_map(|plane| forest.planes.axes(plane));
    model.set("samples", forest.samples).set("width", forest.planes.width());
    model.integers("nodes", &nodes).integers("counts", &counts);
    model.integers("axes", &axes().map(|(name, _, _)| u32::from(name)).collect::<Vec<_>>());
    model.floats("normals", &axes().map(|(_, normal, _)| normal).collect::<Vec<_>>());
    model.floats("points", &axes().map(|(_, _, point)| point).collect::<Vec<_>>());
}

pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Extended, Error> {
    let bad = |what: &str| Error::BadModel(what.to_owned());
    let width: usize = model.number("width")?;
    if !(1..=features).contains(&width) {
        return Err(bad("the width of its planes is not between 1 and its features"));
    }
    let (names, normals, points) = (model.integers("axes")?, model.floats("normals")?, model.floats("points")?);
    if names.len() != normals.len() || names.len() != points.len() || !names.len().is_multiple_of(width) {
        return Err(bad("the arrays of its planes do not fit together"));
    }
    if normals.iter().chain(&points).any(|number| !number.is_finite()) {
        return Err(bad("a plane in it is not finite"));
    }
    let mut planes = Planes::new(features, width);
    for ((names, normals), points) in names.chunks(width).zip(normals.chunks(width)).zip(points.chunks(width)) {
        if !names.is_sorted_by(|a, b| a < b) || names.iter().any(|name| *name as usize >= features) {
            return Err(bad("the features of a plane in it are none, or not in order"));
        }
        let axes = names.iter().zip(normals).zip(points);
        planes.push(axes.map(|((name, normal), point)| (*name as u16, *normal, *point)));
    }
    let mut numbers = 0..planes.len();
    let trees = trees(&model.integers("nodes")?, &model.integers("counts")?, |_| numbers.next())?;
    if !numbers.is_empty() {
        return Err(bad("it has more planes than splits"));
    }
    Extended::new(trees, planes, model.number("samples")?)
}
