//! Forests of scikit-learn's give its scores, and the Shapley values of the shap package; see
//! `fixtures/sklearn_forest.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use qualm_core::forest::Forest;
use qualm_core::forest::import::{Parts, TreeParts};
use qualm_core::linalg::as_matrix;
use qualm_core::model::Writer;
use qualm_core::trained::Kernel;
use qualm_core::trained::prepare::Preparation;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    forest: Exported,
    rows: Vec<Vec<f64>>,
    score_samples: Vec<f64>,
    expected_value: f64,
    shap_values: Vec<Vec<f64>>,
}

/// What `examples/sklearn/export.py` writes.
#[derive(Deserialize)]
struct Exported {
    features: Vec<String>,
    scaler: Option<Scaler>,
    fill: Vec<f64>,
    max_samples: u32,
    trees: Vec<Tree>,
}

#[derive(Deserialize)]
struct Scaler {
    center: Vec<f64>,
    scale: Vec<f64>,
}

#[derive(Deserialize)]
struct Tree {
    children_left: Vec<i64>,
    children_right: Vec<i64>,
    feature: Vec<i64>,
    threshold: Vec<f64>,
    n_node_samples: Vec<u32>,
    features: Vec<u32>,
}

impl From<Tree> for TreeParts {
    fn from(tree: Tree) -> Self {
        let Tree { children_left, children_right, feature, threshold, n_node_samples, features } = tree;
        Self { children_left, children_right, feature, threshold, n_node_samples, features }
    }
}

fn cases() -> BTreeMap<String, Case> {
    let mut cases = include_bytes!("fixtures/sklearn_forest.json").as_slice();
    serde_json::from_reader(&mut cases).unwrap()
}

fn prepared(forest: &Exported, rows: &[Vec<f64>]) -> Vec<f64> {
    let features = forest.features.len();
    let none = || Scaler { center: vec![0.0; features], scale: vec![1.0; features] };
    let Scaler { center, scale } =
        forest.scaler.as_ref().map_or_else(none, |s| Scaler { center: s.center.clone(), scale: s.scale.clone() });
    let preparation = Preparation::from_parts(forest.fill.clone(), center, scale).unwrap();
    let mut prepared = Vec::new();
    for row in rows {
        preparation.prepare(row, &mut prepared);
    }
    prepared
}

fn parts(forest: Exported) -> Parts {
    let trees = forest.trees.into_iter().map(TreeParts::from).collect();
    Parts { features: forest.features.len(), max_samples: forest.max_samples, trees }
}

#[test]
fn scores_and_contributions_are_theirs() {
    for (name, case) in cases() {
        let rows = prepared(&case.forest, &case.rows);
        let features = case.forest.features.len();
        let mut forest = Forest::from_parts(&parts(case.forest)).unwrap();
        let mut raw = Vec::new();
        forest.score_rows(as_matrix(&rows, features), &mut raw);
        assert_eq!(raw.len(), case.rows.len());
        for (ours, theirs) in raw.iter().zip(&case.score_samples) {
            assert!((ours + theirs).abs() < 1e-12, "{name}: {ours} is not {}", -theirs);
        }
        assert!((forest.base() - case.expected_value).abs() < 1e-9, "{name}");
        let mut ours = vec![f64::NAN; features];
        for (row, theirs) in rows.chunks(features).zip(&case.shap_values) {
            forest.explain_row(row, &mut ours);
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours + theirs).abs() < 1e-6, "{name}: {ours} is not {}", -theirs);
            }
        }
    }
}

#[test]
fn a_row_scores_the_same_whatever_rows_are_beside_it() {
    for (name, case) in cases() {
        let rows = prepared(&case.forest, &case.rows);
        let features = case.forest.features.len();
        let mut forest = Forest::from_parts(&parts(case.forest)).unwrap();
        let mut score = |rows: &[f64]| {
            let mut raw = Vec::new();
            forest.score_rows(as_matrix(rows, features), &mut raw);
            raw
        };
        let alone: Vec<f64> = rows.chunks(features).flat_map(&mut score).collect();
        for count in 1..100 {
            let many: Vec<f64> = rows.iter().copied().cycle().take(count * features).collect();
            let expected: Vec<f64> = alone.iter().copied().cycle().take(count).collect();
            assert_eq!(score(&many), expected, "{name}, {count} rows");
        }
    }
}

#[test]
fn what_is_no_forest_is_refused() {
    type Spoil = fn(&mut TreeParts);
    let spoils: [(Spoil, &str); 12] = [
        (|tree| tree.children_left[0] = 0, "twice"),
        (|tree| tree.children_left[0] = tree.children_right[0], "twice"),
        (|tree| tree.children_right[0] = 9999, "[1, 9999], which are no nodes"),
        (|tree| tree.children_right[0] = -1, "[1, -1], which are no nodes"),
        (|tree| tree.children_left[0] = i64::MIN, "no nodes"),
        (|tree| (tree.children_left[0], tree.children_right[0]) = (-1, -1), "nodes that nothing leads to"),
        (|tree| tree.feature[0] = -2, "feature -2"),
        (|tree| tree.features[0] = 5, "which there is not"),
        (|tree| tree.threshold[0] = f64::NAN, "threshold NaN"),
        (|tree| tree.threshold.truncate(1), "different lengths"),
        (|tree| tree.n_node_samples[1] += 1, "not those of its children"),
        (|tree| *tree = TreeParts::default(), "has no nodes"),
    ];
    let good = parts(cases().remove("standard").unwrap().forest);
    for (spoil, what) in spoils {
        let mut parts = good.clone();
        parts.trees.iter_mut().for_each(spoil);
        let error = Forest::from_parts(&parts).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("its tree 0"), "{error}, not {what}");
    }
    assert!(Forest::from_parts(&Parts { trees: Vec::new(), ..good.clone() }).is_err());
    assert!(Forest::from_parts(&Parts { features: 0, ..good.clone() }).is_err());
    // A chain, as deep as its nodes.
    let count = 101;
    let chain = TreeParts {
        children_left: (0..count).map(|at| if at % 2 == 0 && at + 1 < count { at + 1 } else { -1 }).collect(),
        children_right: (0..count).map(|at| if at % 2 == 0 && at + 1 < count { at + 2 } else { -1 }).collect(),
        feature: vec![0; 101],
        threshold: vec![0.0; 101],
        n_node_samples: vec![1; 101],
        features: vec![0],
    };
    let error = Forest::from_parts(&Parts { trees: vec![chain], ..good }).unwrap_err().to_string();
    assert!(error.contains("deep"), "{error}");
}

#[test]
fn they_are_written_small() {
    let parts = parts(cases().remove("standard").unwrap().forest);
    let nodes: usize = parts.trees.iter().map(|tree| tree.feature.len()).sum();
    let mut model = Writer::default();
    Forest::from_parts(&parts).unwrap().write_model(&mut model);
    assert!(model.finish().len() < 8 * nodes + 1000);
}
