//! Growing trees as scikit-learn's `IsolationForest` does (its `ExtraTreeRegressor` with the splitter "random"): values are
//! single-precision, a split's feature is any that varies in the node, its threshold uniform between the node's extremes.

use std::ops::Range;

use ndarray::ArrayView2;

use super::random::Random;
use super::tree::{Node, Split, Tree};
use super::{Parameters, path};
use crate::trained::FitError;

/// A feature with a smaller range does not vary (scikit-learn's `FEATURE_THRESHOLD`).
const MIN_RANGE: f32 = 1e-7;

/// Grows the trees of a forest, each of so many rows and features.
pub(super) fn forest(
    rows: ArrayView2<'_, f64>,
    parameters: &Parameters,
    samples: usize,
    share: usize,
) -> Result<Vec<Tree<Split>>, FitError> {
    let mut random = Random::new(parameters.seed);
    // The first steps of a shuffle draw a fair sample from any order.
    let mut drawn: Vec<u32> = (0..rows.nrows() as u32).collect();
    let mut features: Vec<u16> = (0..rows.ncols() as u16).collect();
    let mut trees = Vec::with_capacity(parameters.trees as usize);
    for _ in 0..parameters.trees {
        random.draw(&mut drawn, samples);
        random.draw(&mut features, share);
        let sample = Sample::new(rows, &drawn[..samples], &features[..share]);
        let mut growing = Growing {
            sample,
            features: &features,
            places: (0..share as u16).collect(),
            random: &mut random,
            nodes: Vec::with_capacity(2 * samples),
        };
        growing.grow(0..samples, path::limit(samples as u32), 0);
        let tree = Tree::take(&mut growing.nodes.into_iter()).ok().flatten();
        trees.push(tree.ok_or_else(|| FitError("a tree grew too deep".to_owned()))?);
    }
    Ok(trees)
}

/// The rows and features that a tree is grown of.
struct Sample {
    /// Column after column.
    columns: Vec<f32>,
    /// The rows' numbers in a column, those of a node beside one another.
    order: Vec<u32>,
}

impl Sample {
    fn new(rows: ArrayView2<'_, f64>, drawn: &[u32], features: &[u16]) -> Self {
        let mut columns = vec![0.0; features.len() * drawn.len()];
        for (at, &row) in drawn.iter().enumerate() {
            for (column, &feature) in columns.chunks_exact_mut(drawn.len()).zip(features) {
                column[at] = rows[[row as usize, feature.into()]] as f32;
            }
        }
        Self { columns, order: (0..drawn.len() as u32).collect() }
    }

    /// The smallest and the largest value of a column among some rows.
    fn extremes(&self, place: u16, rows: Range<usize>) -> (f32, f32) {
        let column = &self.columns[usize::from(place) * self.order.len()..][..self.order.len()];
        let values = self.order[rows].iter().map(|row| column[*row as usize]);
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (if value < low { value } else { low }, if value > high { value } else { high })
        })
    }

    /// Moves the rows whose value is at most `threshold` to the front, and returns where the others begin.
    fn part(&mut self, place: u16, threshold: f32, rows: Range<usize>) -> usize {
        let column = &self.columns[usize::from(place) * self.order.len()..][..self.order.len()];
        let mut others = rows.start;
        for at in rows {
            let goes_left = column[self.order[at] as usize] <= threshold;
            // Always swapped: a branch would be unpredictable.
            self.order.swap(at, others);
            others += usize::from(goes_left);
        }
        others
    }
}

/// A tree as it grows.
struct Growing<'a> {
    sample: Sample,
    /// The sample's columns' features.
    features: &'a [u16],
    /// The places of the sample's columns; those that are known not to vary in the node are first.
    places: Vec<u16>,
    random: &'a mut Random,
    nodes: Vec<Node<Split>>,
}

impl Growing<'_> {
    /// Grows the subtree of some rows, in which `constant` columns are known not to vary.
    fn grow(&mut self, rows: Range<usize>, levels: u32, mut constant: usize) {
        let varying = if levels > 0 && rows.len() > 1 { self.varying(rows.clone(), &mut constant) } else { None };
        let Some((place, low, high)) = varying else {
            self.nodes.push(Node::Leaf(rows.len() as u32));
            return;
        };
        let drawn = f64::from(low) + self.random.unit() * (f64::from(high) - f64::from(low));
        let threshold = if drawn >= f64::from(high) { low } else { floor(drawn) };
        self.nodes.push(Node::Split(Split { feature: self.features[usize::from(place)], threshold }));
        let middle = self.sample.part(place, threshold, rows.clone());
        self.grow(rows.start..middle, levels - 1, constant);
        self.grow(middle..rows.end, levels - 1, constant);
    }

    /// Draws a column that varies among some rows: its place and extremes. Counts those that it found not to.
    fn varying(&mut self, rows: Range<usize>, constant: &mut usize) -> Option<(u16, f32, f32)> {
        while *constant < self.places.len() {
            let drawn = *constant + self.random.below(self.places.len() - *constant);
            let place = self.places[drawn];
            let (low, high) = self.sample.extremes(place, rows.clone());
            if high > low + MIN_RANGE {
                return Some((place, low, high));
            }
            self.places.swap(drawn, *constant);
            *constant += 1;
        }
        None
    }
}

/// The largest single-precision number that is at most `x`: for a single-precision value it is the same threshold.
pub(crate) fn floor(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_keeps_its_side_in_single_precision() {
        for threshold in [0.1, -0.1, 1e-300, -1e-300, 1e300, -1e300, 16_777_217.0, 0.0] {
            let rounded = floor(threshold);
            for value in [rounded.next_down(), rounded, rounded.next_up()] {
                assert_eq!(f64::from(value) <= threshold, value <= rounded, "{threshold}");
            }
        }
    }
}
