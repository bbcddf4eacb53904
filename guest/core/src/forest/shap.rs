//! Exact Shapley values of the mean path length: what `shap.TreeExplainer` computes with
//! `feature_perturbation="tree_path_dependent"` (Lundberg et al., "From local explanations to global understanding with
//! explainable AI for trees", Nature Machine Intelligence 2, 2020, algorithms 1 and 2), with the sign turned.
//!
//! The game: of a coalition S of features, a tree's value is the path length of its leaves, each weighted by a product
//! over the features i on the way to it: of oᵢ where i ∈ S, which is 1 if the row meets all of i's splits there, else 0;
//! of zᵢ where i ∉ S, which is the share of the sample's rows that go along at i's splits. Its multilinear extension
//! (Owen, "Multilinear extensions of games", Management Science 18, 1972) weights a leaf by ∏ᵢ (t·oᵢ + (1−t)·zᵢ) where every
//! feature is in S with probability t, and feature i's Shapley value is
//!
//! ∫₀¹ Σ over leaves: length · (oᵢ − zᵢ) · ∏ over j ≠ i of (t·oⱼ + (1−t)·zⱼ) dt.
//!
//! With d features on the way to a leaf this is a polynomial of degree d−1, which Gauss and Legendre's rule integrates
//! exactly with ⌈d/2⌉ points. At each point the products are shared: those of the features above a split are handed down,
//! and the sum over the leaves below it, of length times the features below it, is handed up. So a tree takes as many
//! steps as it has nodes, where the algorithm as published takes d² for each leaf.

use super::tree::{MAX_TREE_DEPTH, Node, Split, Tree};

/// Sets `contributions` to the Shapley values of minus the mean path length of a row.
pub(super) fn explain(trees: &[Tree<Split>], row: &[f64], contributions: &mut [f64]) {
    contributions.fill(0.0);
    let row: Vec<f32> = row.iter().map(|value| *value as f32).collect();
    // Trees grown of up to 256 rows have at most eight features on a way.
    let (shallow, deep): (Vec<_>, Vec<_>) = trees.iter().partition(|tree| tree.depth() <= 8);
    add::<4>(&shallow, &row, contributions);
    add::<{ MAX_TREE_DEPTH / 2 }>(&deep, &row, contributions);
    for contribution in contributions {
        *contribution /= -(trees.len() as f64);
    }
}

/// Adds the Shapley values of some trees' path lengths, with `Q` points to integrate by.
fn add<const Q: usize>(trees: &[&Tree<Split>], row: &[f32], contributions: &mut [f64]) {
    let Some(first) = trees.first() else { return };
    let (points, weights) = gauss_legendre();
    let steps = vec![Step::NONE; row.len()];
    let mut walk = Walk::<Q> { points, tree: first, row, steps, contributions };
    for tree in trees {
        walk.tree = tree;
        if let Node::Split(split) = tree.nodes()[0] {
            walk.visit(0, split, weights);
        }
    }
}

/// What the splits by one feature, on the way to a node, come to.
#[derive(Debug, Clone, Copy)]
struct Step<const Q: usize> {
    /// o: 1 if the row goes this way at all of them, else 0.
    met: f64,
    /// z: the share of the sample's rows that does.
    share: f64,
    /// t·o + (1−t)·z at each point: positive.
    factors: [f64; Q],
}

impl<const Q: usize> Step<Q> {
    /// No splits.
    const NONE: Self = Self { met: 1.0, share: 1.0, factors: [1.0; Q] };
}

/// A walk through all of a tree.
struct Walk<'a, const Q: usize> {
    points: [f64; Q],
    tree: &'a Tree<Split>,
    row: &'a [f32],
    /// For each feature the splits on the way to where the walk is.
    steps: Vec<Step<Q>>,
    contributions: &'a mut [f64],
}

impl<const Q: usize> Walk<'_, Q> {
    /// Visits a split, given the product of weight and factors of all features on the way to it. At each point, the sum over
    /// the leaves below of path length times what their factors are to those on the way to this node.
    fn visit(&mut self, node: usize, split: Split, above: [f64; Q]) -> [f64; Q] {
        let feature = usize::from(split.feature);
        let goes_left = self.row[feature] <= split.threshold;
        let before = self.steps[feature];
        // This split's feature may have split on the way already: then its factor is replaced, not joined by another.
        let is_new = before.met.to_bits() == 1.0_f64.to_bits() && before.share >= 1.0;
        let inverse = if is_new { before.factors } else { before.factors.map(|factor| 1.0 / factor) };
        let others = product(above, inverse);
        let gain_before = before.met - before.share;
        let share_a_row = before.share / f64::from(self.tree.count(node));
        let mut below = [0.0; Q];
        let mut contribution = 0.0;
        for (child, goes) in self.tree.children(node).into_iter().zip([goes_left, !goes_left]) {
            let met = if goes { before.met } else { 0.0 };
            let share = share_a_row * f64::from(self.tree.count(child));
            let factors = self.points.map(|t| t * met + (1.0 - t) * share);
            let inner = match self.tree.nodes()[child] {
                Node::Leaf(_) => [self.tree.expected(child); Q],
                Node::Split(split) => {
                    self.steps[feature] = Step { met, share, factors };
                    self.visit(child, split, product(others, factors))
                }
            };
            let ratio = product(factors, inverse);
            for q in 0..Q {
                // The leaves' share in what the splits further up come to is taken back.
                contribution += others[q] * inner[q] * (met - share - gain_before * ratio[q]);
                below[q] += ratio[q] * inner[q];
            }
        }
        self.steps[feature] = before;
        self.contributions[feature] += contribution;
        below
    }
}

fn product<const Q: usize>(a: [f64; Q], b: [f64; Q]) -> [f64; Q] {
    std::array::from_fn(|q| a[q] * b[q])
}

/// The points and weights of Gauss and Legendre's rule for \[0, 1\]: the roots of Legendre's polynomial, by Newton's method
/// from Tricomi's guess (Press et al., Numerical Recipes, 4.6).
fn gauss_legendre<const Q: usize>() -> ([f64; Q], [f64; Q]) {
    let (mut points, mut weights) = ([0.0; Q], [0.0; Q]);
    for (at, (point, weight)) in points.iter_mut().zip(&mut weights).enumerate() {
        let mut x = libm::cos(std::f64::consts::PI * (at as f64 + 0.75) / (Q as f64 + 0.5));
        let mut slope = 1.0;
        for _ in 0..8 {
            // The polynomials of degree n−1 and n at x, by Bonnet's recursion.
            let (mut below, mut value) = (1.0, x);
            for n in 2..=Q {
                let n = n as f64;
                (below, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * below) / n);
            }
            slope = Q as f64 * (x * value - below) / (x * x - 1.0);
            x -= value / slope;
        }
        *point = 0.5 * (1.0 + x);
        *weight = 1.0 / ((1.0 - x * x) * slope * slope);
    }
    (points, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        fn check<const Q: usize>() {
            let (points, weights) = gauss_legendre::<Q>();
            for degree in 0..2 * Q {
                let integral: f64 = points.iter().zip(weights).map(|(t, weight)| weight * t.powi(degree as i32)).sum();
                assert!((integral * (degree + 1) as f64 - 1.0).abs() < 1e-13, "{Q} {degree}: {integral}");
            }
        }
        check::<4>();
        check::<16>();
    }

    /// Shapley's own formula, over all coalitions.
    fn by_definition(tree: &Tree<Split>, row: &[f32], features: usize) -> Vec<f64> {
        fn value(tree: &Tree<Split>, node: usize, row: &[f32], coalition: usize) -> f64 {
            let Node::Split(Split { feature, threshold }) = tree.nodes()[node] else { return tree.expected(node) };
            let [left, right] = tree.children(node);
            if coalition >> feature & 1 == 1 {
                let goes_left = row[usize::from(feature)] <= threshold;
                return value(tree, if goes_left { left } else { right }, row, coalition);
            }
            let weighted = |child| f64::from(tree.count(child)) * value(tree, child, row, coalition);
            (weighted(left) + weighted(right)) / f64::from(tree.count(node))
        }
        let factorial = |n: usize| (1..=n).map(|n| n as f64).product::<f64>();
        let shapley = |feature: usize| {
            let coalitions = (0..1_usize << features).filter(|coalition| coalition >> feature & 1 == 0);
            let gains = coalitions.map(|coalition| {
                let size = coalition.count_ones() as usize;
                let weight = factorial(size) * factorial(features - size - 1) / factorial(features);
                weight * (value(tree, 0, row, coalition | 1 << feature) - value(tree, 0, row, coalition))
            });
            gains.sum()
        };
        (0..features).map(shapley).collect()
    }

    #[test]
    fn they_are_shapley_values() {
        use super::super::{Forest, Parameters};
        use crate::linalg::as_matrix;
        let mut random = super::super::random::Random::new(7);
        // Few features lie on each way several times, many once; deep trees take the finer rule.
        for (features, max_samples) in [(2, 64), (5, 256), (9, 2000)] {
            let rows: Vec<f64> = (0..2000 * features).map(|_| random.normal()).collect();
            let parameters = Parameters { trees: 1, max_samples, ..Parameters::default() };
            let forest = Forest::fit(as_matrix(&rows, features), &parameters).unwrap();
            for row in rows.chunks(features).take(3) {
                let mut ours = vec![f64::NAN; features];
                explain(&forest.trees, row, &mut ours);
                let row: Vec<f32> = row.iter().map(|value| *value as f32).collect();
                for (ours, theirs) in ours.iter().zip(by_definition(&forest.trees[0], &row, features)) {
                    assert!((ours + theirs).abs() < 1e-10, "{ours} is not {}", -theirs);
                }
            }
        }
    }
}
