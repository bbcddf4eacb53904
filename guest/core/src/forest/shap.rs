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
//! For a leaf with d features this is a polynomial of degree d−1, which Gauss and Legendre's rule integrates exactly with
//! ⌈d/2⌉ points. So a leaf takes d products a point, where the algorithm as published takes d²; nothing is divided, and
//! all factors are positive.

use super::tree::{MOST_DEPTH, Node, Split, Tree};

/// Adds nothing up: sets `contributions` to the Shapley values of minus the mean path length of a row.
pub(super) fn explain(trees: &[Tree<Split>], row: &[f64], contributions: &mut [f64]) {
    contributions.fill(0.0);
    let row: Vec<f32> = row.iter().map(|value| *value as f32).collect();
    // Trees grown of up to 256 rows have at most eight features on a way.
    let (shallow, deep): (Vec<_>, Vec<_>) = trees.iter().partition(|tree| tree.depth() <= 8);
    Walk::<4>::over(&shallow, &row, contributions);
    Walk::<{ MOST_DEPTH / 2 }>::over(&deep, &row, contributions);
    for contribution in contributions {
        *contribution /= -(trees.len() as f64);
    }
}

/// A feature on the way to a node.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    feature: u16,
    /// o: 1 if the row goes this way at all splits by it, else 0.
    met: f64,
    /// z: the share of the sample's rows that does.
    share: f64,
}

/// A way through a tree, with `Q` points to integrate by.
struct Walk<'a, const Q: usize> {
    points: [f64; Q],
    tree: &'a Tree<Split>,
    row: &'a [f32],
    /// The features on the way.
    steps: [Step; MOST_DEPTH],
    /// t·o + (1−t)·z of each.
    factors: [[f64; Q]; MOST_DEPTH],
    /// The product of the factors before each, and the points' weights.
    products: [[f64; Q]; MOST_DEPTH + 1],
    contributions: &'a mut [f64],
}

impl<'a, const Q: usize> Walk<'a, Q> {
    fn over(trees: &[&'a Tree<Split>], row: &'a [f32], contributions: &'a mut [f64]) {
        let Some(tree) = trees.first() else { return };
        let (points, weights) = gauss_legendre();
        let (steps, factors) = ([Step::default(); MOST_DEPTH], [[0.0; Q]; MOST_DEPTH]);
        let products = [weights; MOST_DEPTH + 1];
        let mut walk = Self { points, tree, row, steps, factors, products, contributions };
        for tree in trees {
            walk.tree = tree;
            walk.visit(0, 0);
        }
    }

    /// Visits a node with so many features on the way to it.
    fn visit(&mut self, node: usize, features: usize) {
        let Node::Split(Split { feature, threshold }) = self.tree.nodes()[node] else {
            return self.add(self.tree.length(node), features);
        };
        let goes_left = self.row[usize::from(feature)] <= threshold;
        let rows = f64::from(self.tree.count(node));
        let known = self.steps[..features].iter().position(|step| step.feature == feature);
        let place = known.unwrap_or(features);
        let features = features.max(place + 1);
        let before = known.map_or(Step { feature, met: 1.0, share: 1.0 }, |place| self.steps[place]);
        for (child, goes) in self.tree.children(node).into_iter().zip([goes_left, !goes_left]) {
            let share = before.share * (f64::from(self.tree.count(child)) / rows);
            self.set(place, Step { feature, met: if goes { before.met } else { 0.0 }, share }, features);
            self.visit(child, features);
        }
        if known.is_some() {
            self.set(place, before, features);
        }
    }

    /// Sets a step, and the products that it is part of.
    fn set(&mut self, place: usize, step: Step, features: usize) {
        self.steps[place] = step;
        for (factor, t) in self.factors[place].iter_mut().zip(self.points) {
            *factor = t * step.met + (1.0 - t) * step.share;
        }
        for place in place..features {
            let (product, factors) = (self.products[place], self.factors[place]);
            self.products[place + 1] = std::array::from_fn(|q| product[q] * factors[q]);
        }
    }

    /// Adds what a leaf gives each feature on the way to it.
    fn add(&mut self, length: f64, features: usize) {
        let mut after = [length; Q];
        for place in (0..features).rev() {
            let (step, before, factors) = (self.steps[place], self.products[place], self.factors[place]);
            let integral: f64 = (0..Q).map(|q| before[q] * after[q]).sum();
            self.contributions[usize::from(step.feature)] += (step.met - step.share) * integral;
            after = std::array::from_fn(|q| after[q] * factors[q]);
        }
    }
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
            let Node::Split(Split { feature, threshold }) = tree.nodes()[node] else { return tree.length(node) };
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
        use crate::trained::Rows;
        let mut random = super::super::random::Random::new(7);
        // Few features lie on each way several times, many once; deep trees take the finer rule.
        for (features, max_samples) in [(2, 64), (5, 256), (9, 2000)] {
            let rows: Vec<f64> = (0..2000 * features).map(|_| random.normal()).collect();
            let parameters = Parameters { trees: 1, max_samples, ..Parameters::default() };
            let forest = Forest::fit(Rows::new(&rows, features), &parameters).unwrap();
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
