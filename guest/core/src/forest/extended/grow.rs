//! Growing trees by hyperplanes: each node draws a normal, whose components are normal deviates for `extension` + 1
//! features and 0 for the others, and a point uniformly in the box around the node's rows.

use std::ops::Range;

use ndarray::ArrayView2;

use super::plane::Planes;
use crate::forest::random::Random;
use crate::forest::tree::{Node, Tree};
use crate::forest::{Parameters, path};
use crate::trained::FitError;

/// Grows the trees of a forest, each of so many rows and features, by planes of so many features.
pub(super) fn forest(
    rows: ArrayView2<'_, f64>,
    parameters: &Parameters,
    samples: usize,
    share: usize,
    width: usize,
) -> Result<(Vec<Tree<u32>>, Planes), FitError> {
    let mut rows_drawn: Vec<u32> = (0..rows.nrows() as u32).collect();
    let mut names: Vec<u16> = (0..rows.ncols() as u16).collect();
    let mut growing = Growing {
        features: rows.ncols(),
        values: Vec::new(),
        order: Vec::new(),
        random: Random::new(parameters.seed),
        planes: Planes::new(rows.ncols(), width),
        nodes: Vec::new(),
    };
    let mut trees = Vec::with_capacity(parameters.trees as usize);
    for _ in 0..parameters.trees {
        growing.random.draw(&mut rows_drawn, samples);
        growing.random.draw(&mut names, share);
        growing.values.clear();
        for &row in &rows_drawn[..samples] {
            growing.values.extend(rows.row(row as usize).iter().map(|value| *value as f32));
        }
        growing.order = (0..samples as u32).collect();
        growing.grow(0..samples, path::limit(samples as u32), &mut names[..share], 0);
        let tree = Tree::take(&mut growing.nodes.drain(..)).ok().flatten();
        trees.push(tree.ok_or_else(|| FitError("a tree grew too deep".to_owned()))?);
    }
    Ok((trees, growing.planes))
}

/// A forest as it grows.
struct Growing {
    features: usize,
    /// The rows that a tree is grown of.
    values: Vec<f32>,
    /// Their numbers, those of a node beside one another.
    order: Vec<u32>,
    random: Random,
    planes: Planes,
    nodes: Vec<Node<u32>>,
}

impl Growing {
    /// Grows the subtree of some rows, in which the first `constant` of the features are known not to vary.
    fn grow(&mut self, rows: Range<usize>, levels: u32, names: &mut [u16], mut constant: usize) {
        let plane = if levels > 0 && rows.len() > 1 { self.plane(rows.clone(), names, &mut constant) } else { None };
        let Some(plane) = plane else {
            self.nodes.push(Node::Leaf(rows.len() as u32));
            return;
        };
        self.nodes.push(Node::Split(plane));
        let mut middle = rows.start;
        for at in rows.clone() {
            let row = &self.values[self.order[at] as usize * self.features..][..self.features];
            if !self.planes.is_beyond(plane, row) {
                self.order.swap(at, middle);
                middle += 1;
            }
        }
        self.grow(rows.start..middle, levels - 1, names, constant);
        self.grow(middle..rows.end, levels - 1, names, constant);
    }

    /// Draws a plane of features that vary, as far as there are any; none where there is not one.
    fn plane(&mut self, rows: Range<usize>, names: &mut [u16], constant: &mut usize) -> Option<u32> {
        let width = self.planes.width();
        let mut axes: Vec<(u16, f32, f32)> = Vec::with_capacity(width);
        // Features that were drawn are put to the end, but for those that do not vary.
        let mut end = names.len();
        while axes.len() < width && *constant < end {
            let drawn = *constant + self.random.below(end - *constant);
            let (low, high) = self.extremes(names[drawn], rows.clone());
            if low < high {
                let point = f64::from(low) + self.random.unit() * (f64::from(high) - f64::from(low));
                axes.push((names[drawn], self.random.normal() as f32, point as f32));
                end -= 1;
                names.swap(drawn, end);
            } else {
                names.swap(drawn, *constant);
                *constant += 1;
            }
        }
        if axes.is_empty() {
            return None;
        }
        // Features that do not vary fill up the plane, with a component of 0.
        axes.extend(names[..*constant].iter().map(|name| (*name, 0.0, 0.0)).take(width - axes.len()));
        axes.sort_unstable_by_key(|(name, _, _)| *name);
        Some(self.planes.push(axes.into_iter()))
    }

    /// The smallest and the largest value of a feature among some rows.
    fn extremes(&self, name: u16, rows: Range<usize>) -> (f32, f32) {
        let values = self.order[rows].iter().map(|row| self.values[*row as usize * self.features + usize::from(name)]);
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (if value < low { value } else { low }, if value > high { value } else { high })
        })
    }
}
