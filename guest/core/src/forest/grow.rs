//! Growing trees as scikit-learn's `IsolationForest` does (its `ExtraTreeRegressor` with the splitter "random"): values are
//! single-precision, a split's feature is any that varies in the node, its threshold uniform between the node's extremes.

use super::random::Random;
use super::tree::{Node, Split, Tree};
use super::{Parameters, path};
use crate::trained::{FitError, Rows};

/// What varies by no more than this does not vary (scikit-learn's `FEATURE_THRESHOLD`).
const LEAST_RANGE: f32 = 1e-7;

/// Grows the trees of a forest, each of so many rows and features.
pub(crate) fn forest(
    rows: Rows<'_>,
    parameters: &Parameters,
    samples: usize,
    share: usize,
) -> Result<Vec<Tree<Split>>, FitError> {
    let mut random = Random::new(parameters.seed);
    // A few steps of a shuffle draw a fair sample, whatever order they start from.
    let mut rows_drawn: Vec<u32> = (0..rows.len() as u32).collect();
    let mut features: Vec<u16> = (0..rows.features() as u16).collect();
    let mut sample = Sample { columns: Vec::new(), order: Vec::new(), count: samples };
    let mut tree = || {
        random.draw(&mut rows_drawn, samples);
        random.draw(&mut features, share);
        sample.fill(rows, &rows_drawn[..samples], &features[..share]);
        let mut nodes = Vec::with_capacity(2 * samples);
        let mut places: Vec<u16> = (0..share as u16).collect();
        let mut growing = Growing { sample: &mut sample, random: &mut random, places: &mut places, nodes: &mut nodes };
        growing.grow(0..samples, path::limit(samples as u32), 0);
        let named = nodes.into_iter().map(|node| match node {
            Node::Split(Split { feature, threshold }) => {
                Node::Split(Split { feature: features[usize::from(feature)], threshold })
            }
            leaf => leaf,
        });
        Tree::take(&mut { named }).ok().flatten().ok_or_else(|| FitError("a tree grew too deep".to_owned()))
    };
    (0..parameters.trees).map(|_| tree()).collect()
}

/// The rows and features that a tree is grown from.
struct Sample {
    /// Column after column, `count` values each.
    columns: Vec<f32>,
    /// The rows, those of a node beside one another.
    order: Vec<u32>,
    count: usize,
}

impl Sample {
    fn fill(&mut self, rows: Rows<'_>, drawn: &[u32], features: &[u16]) {
        self.order = (0..drawn.len() as u32).collect();
        self.columns.clear();
        self.columns.resize(features.len() * drawn.len(), 0.0);
        for (at, &row) in drawn.iter().enumerate() {
            let row = &rows.values()[row as usize * rows.features()..][..rows.features()];
            for (place, &feature) in features.iter().enumerate() {
                self.columns[place * drawn.len() + at] = row[usize::from(feature)] as f32;
            }
        }
    }

    fn column(&self, place: u16) -> &[f32] {
        &self.columns[usize::from(place) * self.count..][..self.count]
    }

    /// The smallest and the largest value of a column among some rows.
    fn extremes(&self, place: u16, rows: std::ops::Range<usize>) -> (f32, f32) {
        let column = self.column(place);
        let values = self.order[rows].iter().map(|row| column[*row as usize]);
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (if value < low { value } else { low }, if value > high { value } else { high })
        })
    }

    /// Puts those rows first whose value is at most `threshold`. Where the others begin.
    fn part(&mut self, place: u16, threshold: f32, rows: std::ops::Range<usize>) -> usize {
        let column = &self.columns[usize::from(place) * self.count..][..self.count];
        let mut left = rows.start;
        for at in rows {
            let row = self.order[at];
            self.order[at] = self.order[left];
            self.order[left] = row;
            left += usize::from(column[row as usize] <= threshold);
        }
        left
    }
}

/// A tree as it grows.
struct Growing<'a> {
    sample: &'a mut Sample,
    random: &'a mut Random,
    /// The sample's columns in any order, but for those first that are known not to vary in the node.
    places: &'a mut [u16],
    nodes: &'a mut Vec<Node<Split>>,
}

impl Growing<'_> {
    /// Grows the subtree of some rows, in which `constant` columns are known not to vary.
    fn grow(&mut self, rows: std::ops::Range<usize>, levels: u32, constant: usize) {
        let Some((place, low, high, constant)) = self.column(rows.clone(), levels, constant) else {
            self.nodes.push(Node::Leaf(rows.len() as u32));
            return;
        };
        let drawn = f64::from(low) + self.random.unit() * (f64::from(high) - f64::from(low));
        let threshold = if drawn >= f64::from(high) { low } else { floor(drawn) };
        self.nodes.push(Node::Split(Split { feature: place, threshold }));
        let middle = self.sample.part(place, threshold, rows.clone());
        self.grow(rows.start..middle, levels - 1, constant);
        self.grow(middle..rows.end, levels - 1, constant);
    }

    /// Draws a column that varies: its place, its extremes, and how many columns are now known not to vary. None where
    /// the node shall be a leaf.
    fn column(
        &mut self,
        rows: std::ops::Range<usize>,
        levels: u32,
        mut constant: usize,
    ) -> Option<(u16, f32, f32, usize)> {
        if levels == 0 || rows.len() < 2 {
            return None;
        }
        while constant < self.places.len() {
            let drawn = constant + self.random.below(self.places.len() - constant);
            let place = self.places[drawn];
            let (low, high) = self.sample.extremes(place, rows.clone());
            if high > low + LEAST_RANGE {
                return Some((place, low, high, constant));
            }
            self.places.swap(drawn, constant);
            constant += 1;
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
