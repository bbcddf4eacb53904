//! A tree: its nodes in preorder, so that its shape needs no links.

use super::path;

/// The most splits above a leaf. scikit-learn stops at ⌈log₂ `max_samples`⌉.
pub(crate) const MAX_TREE_DEPTH: usize = 32;

/// A node, as it is written and grown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node<S> {
    /// The left subtree follows upon it, then the right one.
    Split(S),
    /// How many rows of the sample came here.
    Leaf(u32),
}

/// Why nodes are no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("a tree in it is more than {MAX_TREE_DEPTH} splits deep")]
    Depth,
    #[error("a tree in it has more than 2³² rows")]
    Rows,
    #[error("its last tree is not complete")]
    Incomplete,
}

/// An axis-parallel split: rows with x\[`feature`\] ≤ `threshold` go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    pub(crate) feature: u16,
    pub(crate) threshold: f32,
}

/// A tree whose splits are of the kind `S`: nodes in preorder, so that a split's left child is the node after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree<S> {
    nodes: Vec<Node<S>>,
    /// Of each split the right child; of each leaf 0.
    right: Vec<u32>,
    /// How many rows of the sample came to each node.
    counts: Vec<u32>,
    /// The path length that is expected of the sample's rows that came to each node.
    expected: Vec<f64>,
    /// The most splits above a leaf.
    depth: usize,
}

impl<S: Copy> Tree<S> {
    /// Reads nodes in preorder until a tree is complete; `None` without nodes.
    ///
    /// # Errors
    ///
    /// If the nodes end too early, are too deep, or hold too many rows.
    pub(crate) fn take(nodes: &mut impl Iterator<Item = Node<S>>) -> Result<Option<Self>, TreeError> {
        let (nodes_taken, right, counts, expected) = Default::default();
        let mut tree = Self { nodes: nodes_taken, right, counts, expected, depth: 0 };
        // The splits above, and whether the left subtree of each is complete.
        let mut above: Vec<(usize, bool)> = Vec::new();
        for node in nodes {
            let at = tree.nodes.len();
            tree.nodes.push(node);
            tree.right.push(0);
            let Node::Leaf(count) = node else {
                if above.len() == MAX_TREE_DEPTH {
                    return Err(TreeError::Depth);
                }
                tree.counts.push(0);
                tree.expected.push(0.0);
                above.push((at, false));
                continue;
            };
            tree.counts.push(count);
            // The splits above it, and the expected ones that were not grown.
            tree.expected.push(above.len() as f64 + path::average(count));
            tree.depth = tree.depth.max(above.len());
            if tree.close(&mut above)? {
                return Ok(Some(tree));
            }
        }
        if tree.nodes.is_empty() { Ok(None) } else { Err(TreeError::Incomplete) }
    }

    /// Sums up all subtrees that end with the last node. Whether that is the whole tree.
    fn close(&mut self, above: &mut Vec<(usize, bool)>) -> Result<bool, TreeError> {
        let next = self.nodes.len() as u32;
        let mut count = self.counts[next as usize - 1];
        while let Some((split, left_is_complete)) = above.last_mut() {
            let split = *split;
            count = self.counts[split].checked_add(count).ok_or(TreeError::Rows)?;
            self.counts[split] = count;
            if !*left_is_complete {
                *left_is_complete = true;
                self.right[split] = next;
                return Ok(false);
            }
            let [left, right] = self.children(split);
            // Without rows, both children are equally likely.
            let share = if count == 0 { 0.5 } else { f64::from(self.counts[left]) / f64::from(count) };
            self.expected[split] = share * self.expected[left] + (1.0 - share) * self.expected[right];
            above.pop();
        }
        Ok(true)
    }

    /// The nodes in preorder.
    pub(crate) fn nodes(&self) -> &[Node<S>] {
        &self.nodes
    }

    /// The children of a split, left and right.
    pub(crate) fn children(&self, split: usize) -> [usize; 2] {
        [split + 1, self.right[split] as usize]
    }

    /// How many rows of the sample came to a node.
    pub(crate) fn count(&self, node: usize) -> u32 {
        self.counts[node]
    }

    /// The path length that is expected of the sample's rows that came to a node; of a leaf, its path length.
    pub(crate) fn expected(&self, node: usize) -> f64 {
        self.expected[node]
    }

    /// The most splits above a leaf.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: Node<()> = Node::Split(());

    fn take(nodes: &[Node<()>]) -> Result<Option<Tree<()>>, TreeError> {
        Tree::take(&mut nodes.iter().copied())
    }

    #[test]
    fn links_and_counts_follow_from_the_order() {
        let tree = take(&[SPLIT, SPLIT, Node::Leaf(1), Node::Leaf(2), SPLIT, Node::Leaf(4), Node::Leaf(8)]).unwrap();
        let tree = tree.unwrap();
        assert_eq!([0, 1, 4].map(|split| tree.children(split)), [[1, 4], [2, 3], [5, 6]]);
        assert_eq!(tree.counts, [15, 3, 1, 2, 12, 4, 8]);
        let expected = [2, 3].map(|leaf| tree.expected(leaf).to_bits());
        assert_eq!(expected, [2.0_f64, 3.0].map(f64::to_bits));
        assert!((tree.expected(1) - 8.0 / 3.0).abs() < 1e-15);
        assert_eq!(tree.depth(), 2);
    }

    #[test]
    fn trees_follow_upon_one_another() {
        let nodes = [Node::Leaf(3), SPLIT, Node::Leaf(1), Node::Leaf(1)];
        let mut nodes = nodes.into_iter();
        let mut count = || Tree::take(&mut nodes).unwrap().map(|tree| tree.nodes.len());
        assert_eq!([count(), count(), count()], [Some(1), Some(3), None]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert!(take(&[SPLIT, Node::Leaf(1)]).unwrap_err().to_string().contains("not complete"));
        assert!(take(&[SPLIT; MAX_TREE_DEPTH + 1]).unwrap_err().to_string().contains("deep"));
        assert!(take(&[SPLIT, Node::Leaf(u32::MAX), Node::Leaf(1)]).unwrap_err().to_string().contains("rows"));
    }
}
