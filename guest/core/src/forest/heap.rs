//! Evaluation of a forest: without branches that depend on data, many rows at a time.
//!
//! The first eight levels of a tree, which is all of it for samples of up to 256 rows, are a heap: the children of node i
//! are 2i and 2i+1, and all exits below a higher leaf have its path length. So each walk is eight equal steps, and [`LANES`]
//! walks are interleaved, so that their memory accesses overlap. Nodes below the heap are walked one by one.
//!
//! If there are enough rows, many rows walk through one tree, and their first three steps need no look-ups: all seven splits
//! are compared with all rows at once, and masks select the results, which compilers turn into vector instructions, in
//! WebAssembly as well. A single row, and the few that remain, walk through many trees at once.
//!
//! Values are compared as integers of the same order (see [`key`]). Measured against it: codes of 16 bits instead of values
//! are no quicker once the time to look them up is counted; a split's feature and threshold side by side, or the first
//! four steps by masks, are slower by a twentieth for many rows.

use std::array;

use ndarray::ArrayView2;

use super::tree::{Node, Split, Tree};
use crate::linalg::as_numbers;
use crate::trained::MAX_FEATURES;

const _: () = assert!(MAX_FEATURES.is_power_of_two());

/// Levels of splits in a heap, and how many of them are compared at once.
const LEVELS: u32 = 8;
const TOP_LEVELS: u32 = 3;
/// Exits of a heap: one more than its splits, whose number 0 is not in use.
const EXITS: usize = 1 << LEVELS;
/// Walks that are interleaved: of as many rows through a tree, or of a row through as many trees.
const LANES: usize = 16;
/// With fewer rows it is faster to let each one walk through many trees.
const MIN_GROUP_ROWS: usize = 10;
/// Rows that are walked through a tree before the next, in groups of `LANES`: they and the tree stay in the first-level
/// cache.
const BLOCK: usize = 4 * LANES;

/// Keys of `LANES` rows, for one feature.
type Lanes = [i32; LANES];

/// The trees of a forest, laid out to be walked.
#[derive(Debug)]
pub(crate) enum Heaps {
    /// For up to 256 features.
    Narrow(Vec<Heap<u8>>),
    /// For more.
    Wide(Vec<Heap<u16>>),
}

/// A tree whose splits name their feature by an `I`.
#[derive(Debug)]
pub(crate) struct Heap<I> {
    features: [I; EXITS],
    thresholds: [i32; EXITS],
    /// Path length at each exit; if there are nodes below, minus the index in `deep`.
    lengths: [f64; EXITS],
    /// Nodes below the heap, by the tree's own numbers; may be empty.
    deep: Vec<DeepNode>,
}

/// A node below the heap: rows whose key is at most the threshold go to the node after it, others to `right`.
#[derive(Debug, Clone, Copy)]
enum DeepNode {
    Split { feature: u16, threshold: i32, right: u32 },
    Leaf(f64),
}

impl Heaps {
    pub(crate) fn new(trees: &[Tree<Split>], features: usize) -> Self {
        if features <= 256 {
            Self::Narrow(trees.iter().map(|tree| Heap::new(tree, |feature| feature as u8)).collect())
        } else {
            Self::Wide(trees.iter().map(|tree| Heap::new(tree, |feature| feature)).collect())
        }
    }

    /// Appends for each row its path lengths, summed over the trees in their order.
    pub(crate) fn lengths(&self, rows: ArrayView2<'_, f64>, sums: &mut Vec<f64>) {
        let (features, rows) = (rows.ncols(), as_numbers(rows));
        match self {
            Self::Narrow(heaps) => lengths::<u8, 256>(heaps, rows, features, sums),
            Self::Wide(heaps) => lengths::<u16, MAX_FEATURES>(heaps, rows, features, sums),
        }
    }
}

/// `N` is the most features that an `I` names, a power of two: buffers hold so many features of a row or group, so that no
/// access needs a bounds check.
fn lengths<I: Copy + Into<usize>, const N: usize>(
    heaps: &[Heap<I>],
    rows: &[f64],
    features: usize,
    sums: &mut Vec<f64>,
) {
    let count = rows.len() / features;
    let few = if count % LANES < MIN_GROUP_ROWS { count % LANES } else { 0 };
    let (many, few) = rows.split_at((count - few) * features);
    if !many.is_empty() {
        by_groups::<I, N>(heaps, many, features, sums);
    }
    if !few.is_empty() {
        one_by_one::<I, N>(heaps, few, features, sums);
    }
}

// Neither function is inlined: together they would spill registers.
#[inline(never)]
fn by_groups<I: Copy + Into<usize>, const N: usize>(
    heaps: &[Heap<I>],
    rows: &[f64],
    features: usize,
    sums: &mut Vec<f64>,
) {
    let groups = BLOCK.min(rows.len() / features).div_ceil(LANES);
    // Group after group; in each, feature after feature.
    let mut keys = vec![[0; LANES]; groups * features + N];
    for rows in rows.chunks(BLOCK * features) {
        for (at, row) in rows.chunks_exact(features).enumerate() {
            let group = &mut keys[at / LANES * features..];
            group.iter_mut().zip(row).for_each(|(lanes, value)| lanes[at % LANES] = key(*value as f32));
        }
        let count = rows.len() / features;
        let mut block = [[0.0; LANES]; BLOCK / LANES];
        for heap in heaps {
            for (group, sums) in block[..count.div_ceil(LANES)].iter_mut().enumerate() {
                if let Some(rows) = keys[group * features..].first_chunk::<N>() {
                    heap.add(rows, sums);
                }
            }
        }
        sums.extend_from_slice(&block.as_flattened()[..count]);
    }
}

#[inline(never)]
fn one_by_one<I: Copy + Into<usize>, const N: usize>(
    heaps: &[Heap<I>],
    rows: &[f64],
    features: usize,
    sums: &mut Vec<f64>,
) {
    let mut keys = [0; N];
    let (many, few) = heaps.as_chunks::<LANES>();
    for row in rows.chunks_exact(features) {
        keys.iter_mut().zip(row).for_each(|(to, value)| *to = key(*value as f32));
        let sum = many.iter().fold(0.0, |sum, heaps| side_by_side(heaps, &keys, sum));
        sums.push(few.iter().fold(sum, |sum, heap| side_by_side(array::from_ref(heap), &keys, sum)));
    }
}

/// Adds the path lengths of one row in some trees to a sum.
#[inline]
fn side_by_side<I: Copy + Into<usize>, const N: usize, const TREES: usize>(
    heaps: &[Heap<I>; TREES],
    keys: &[i32; N],
    sum: f64,
) -> f64 {
    let key = |feature: usize| keys[feature % N];
    let mut ways = [1; TREES];
    for _ in 0..LEVELS {
        for (at, heap) in ways.iter_mut().zip(heaps) {
            *at = heap.step(*at, key);
        }
    }
    let mut lengths: [f64; TREES] = array::from_fn(|tree| heaps[tree].lengths[ways[tree] % EXITS]);
    for (length, heap) in lengths.iter_mut().zip(heaps) {
        if *length < 0.0 {
            *length = heap.descend(*length, key);
        }
    }
    lengths.into_iter().fold(sum, |sum, length| sum + length)
}

impl<I: Copy + Into<usize>> Heap<I> {
    /// Adds the path lengths of a group of rows to their sums.
    #[inline]
    fn add<const N: usize>(&self, rows: &[Lanes; N], sums: &mut [f64; LANES]) {
        let mut ways = self.top(rows);
        for _ in TOP_LEVELS..LEVELS {
            for (lane, at) in ways.iter_mut().enumerate() {
                *at = self.step(*at, |feature| rows[feature % N][lane]);
            }
        }
        for ((lane, way), sum) in ways.into_iter().enumerate().zip(sums) {
            let length = self.lengths[way % EXITS];
            *sum += if self.deep.is_empty() { length } else { self.descend(length, |feature| rows[feature % N][lane]) };
        }
    }

    /// The nodes at which rows are after the first three steps: 8 to 15.
    #[inline]
    fn top<const N: usize>(&self, rows: &[Lanes; N]) -> [usize; LANES] {
        let columns: [&Lanes; 1 << TOP_LEVELS] = array::from_fn(|node| self.column(node, rows));
        let mut nodes = [0_i32; LANES];
        for (lane, node) in nodes.iter_mut().enumerate() {
            // A mask is -1 for right and 0 for left.
            let right = |node: usize| -i32::from(self.thresholds[node] < columns[node][lane]);
            let pick = |mask: i32, left: i32, right: i32| (left & !mask) | (right & mask);
            let first = right(1);
            let second = pick(first, right(2), right(3));
            let third = pick(first, pick(second, right(4), right(5)), pick(second, right(6), right(7)));
            *node = 8 - 4 * first - 2 * second - third;
        }
        nodes.map(|node| node as usize % (2 << TOP_LEVELS))
    }

    /// From a node to one of its children. An exit has a number of 256 or more, less 256 is its place.
    #[inline]
    fn step(&self, at: usize, key: impl Fn(usize) -> i32) -> usize {
        let at = at % EXITS;
        2 * at + usize::from(self.thresholds[at] < key(self.features[at].into()))
    }

    /// The keys of the feature by which a node splits.
    #[inline]
    fn column<'a, const N: usize>(&self, node: usize, rows: &'a [Lanes; N]) -> &'a Lanes {
        let feature: usize = self.features[node].into();
        &rows[feature % N]
    }

    /// The path length: `length`, or that of a leaf below the heap.
    #[cold]
    fn descend(&self, length: f64, key: impl Fn(usize) -> i32) -> f64 {
        if length >= 0.0 {
            return length;
        }
        let mut at = -length as usize;
        loop {
            match self.deep[at] {
                DeepNode::Leaf(length) => return length,
                DeepNode::Split { feature, threshold, right } => {
                    at = if key(feature.into()) <= threshold { at + 1 } else { right as usize };
                }
            }
        }
    }
}

impl<I: Copy + Default> Heap<I> {
    fn new(tree: &Tree<Split>, name: impl Fn(u16) -> I) -> Self {
        let mut heap = Self {
            features: [I::default(); EXITS],
            thresholds: [i32::MAX; EXITS],
            lengths: [0.0; EXITS],
            deep: Vec::new(),
        };
        let mut above = vec![(0, 1)];
        while let Some((node, place)) = above.pop() {
            match tree.nodes()[node] {
                Node::Split(Split { feature, threshold }) if place < EXITS => {
                    heap.features[place] = name(feature);
                    heap.thresholds[place] = key(threshold);
                    let [left, right] = tree.children(node);
                    above.extend([(left, 2 * place), (right, 2 * place + 1)]);
                }
                Node::Split(_) => heap.lengths[place - EXITS] = -(node as f64),
                Node::Leaf(_) => heap.lengths[ways(place)].fill(tree.expected(node)),
            }
        }
        if tree.depth() > LEVELS as usize {
            heap.deep = (0..tree.nodes().len()).map(|node| DeepNode::new(tree, node)).collect();
        }
        heap
    }
}

impl DeepNode {
    fn new(tree: &Tree<Split>, node: usize) -> Self {
        match tree.nodes()[node] {
            Node::Leaf(_) => Self::Leaf(tree.expected(node)),
            Node::Split(Split { feature, threshold }) => {
                Self::Split { feature, threshold: key(threshold), right: tree.children(node)[1] as u32 }
            }
        }
    }
}

/// The exits below a node of the heap.
fn ways(place: usize) -> std::ops::Range<usize> {
    let level = place.ilog2();
    let width = EXITS >> level;
    let first = (place - (1 << level)) * width;
    first..first + width
}

/// An integer for a number, in the same order; both zeros have the same.
fn key(x: f32) -> i32 {
    let bits = (x + 0.0).to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::super::{Forest, Parameters};
    use super::*;
    use crate::linalg::as_matrix;

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        let numbers = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        assert!(numbers.map(key).is_sorted_by(|a, b| a < b));
        assert_eq!(key(-0.0), key(0.0));
    }

    /// A walk as it is described.
    fn length(tree: &Tree<Split>, row: &[f64]) -> f64 {
        let mut at = 0;
        while let Node::Split(Split { feature, threshold }) = tree.nodes()[at] {
            at = tree.children(at)[usize::from(row[usize::from(feature)] as f32 > threshold)];
        }
        tree.expected(at)
    }

    #[test]
    fn every_row_comes_to_its_leaf() {
        let mut random = Random::new(5);
        // Some of few values, so that many are on a threshold's very value.
        let mut value = || if random.below(2) == 0 { random.normal() } else { random.below(3) as f64 - 1.0 };
        for features in [1, 2, 5, 255, 256, 257, 1000] {
            let rows: Vec<f64> = (0..700 * features).map(|_| value()).collect();
            for max_samples in [1, 2, 5, 256, 700] {
                let parameters = Parameters { trees: LANES as u32 + 3, max_samples, ..Parameters::default() };
                let forest = Forest::fit(as_matrix(&rows, features), &parameters).unwrap();
                let sum = |row| forest.trees.iter().map(|tree| length(tree, row)).sum::<f64>();
                let expected: Vec<f64> = rows.chunks(features).map(sum).collect();
                for count in
                    [0, 1, 3, MIN_GROUP_ROWS - 1, MIN_GROUP_ROWS, LANES, LANES + 1, BLOCK, BLOCK + LANES - 1, 700]
                {
                    let mut sums = vec![0.5];
                    forest.heaps.lengths(as_matrix(&rows[..count * features], features), &mut sums);
                    assert_eq!(
                        sums[1..],
                        expected[..count],
                        "{features} features, {max_samples} samples, {count} rows"
                    );
                }
            }
        }
    }
}
