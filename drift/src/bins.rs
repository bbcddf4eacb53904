//! Bins of about as many values each, in which a value that is frequent has one of its own.

use crate::reference::MAX_BINS;

/// By how much of itself a value may differ through rounding.
pub(crate) const ROUNDING: f64 = 1e-9;

/// The bin of a value: how many edges are not above it.
pub(crate) fn bin(edges: &[f64], value: f64) -> usize {
    edges.iter().map(|edge| usize::from(*edge <= value)).sum()
}

/// The edges for these values, which are sorted and finite: strictly ascending, fewer than [`MAX_BINS`].
///
/// From the lowest value on, a bin ends where it has a tenth of the values. One value that a tenth have lies between two edges
/// of its own, which are as far off as rounding may move it: so a constant has a bin below and one above, both empty. Then
/// bins are merged until there are few enough.
pub(crate) fn edges(sorted: &[f64]) -> Vec<f64> {
    let tenth = sorted.len() as f64 / MAX_BINS as f64;
    // Each bin's lower edge and count; the first has none.
    let mut bins = vec![(f64::NEG_INFINITY, 0)];
    let mut rest = sorted;
    while let Some(&value) = rest.first() {
        let (same, above) = rest.split_at(rest.partition_point(|other| *other <= value));
        let (low, count) = bins[bins.len() - 1];
        if same.len() as f64 >= tenth {
            let (below, beyond) = around(value);
            // What lies below or above another value of the same bin would be no limit between them.
            let start = if same.as_ptr() == sorted.as_ptr() { below } else { below.max(previous(sorted, rest)) };
            if start > low {
                bins.push((start, 0));
            }
            let own = bins.len() - 1;
            bins[own].1 += same.len();
            bins.push((above.first().map_or(beyond, |next| beyond.min(*next)), 0));
        } else if count as f64 >= tenth {
            bins.push((value, same.len()));
        } else {
            let last = bins.len() - 1;
            bins[last].1 += same.len();
        }
        rest = above;
    }
    while bins.len() > MAX_BINS {
        merge_one(&mut bins);
    }
    bins.into_iter().skip(1).map(|(low, _)| low).filter(|low| low.is_finite()).collect()
}

/// The double above the last value before `rest`.
fn previous(sorted: &[f64], rest: &[f64]) -> f64 {
    let before = sorted.len() - rest.len();
    before.checked_sub(1).map_or(f64::NEG_INFINITY, |at| sorted[at].next_up())
}

/// Where rounding may move a value, and the next double above that.
fn around(value: f64) -> (f64, f64) {
    let rounding = value.abs() * ROUNDING;
    ((value - rounding).min(value), (value + rounding).next_up())
}

/// Merges two neighbours: where one of them has the fewest values, and of those in the middle, so that what lies below and
/// above all values is merged last.
fn merge_one(bins: &mut Vec<(f64, usize)>) {
    let middle = bins.len() / 2;
    let cost = |at: &usize| (bins[*at - 1].1.min(bins[*at].1), at.abs_diff(middle));
    if let Some(at) = (1..bins.len()).min_by_key(cost) {
        let (_, count) = bins.remove(at);
        bins[at - 1].1 += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = edges(&sorted);
        assert!(edges.len() < MAX_BINS && edges.is_sorted_by(|low, high| low < high), "{edges:?}");
        let mut counts = vec![0; edges.len() + 1];
        for value in values {
            counts[bin(&edges, *value)] += 1;
        }
        (edges, counts)
    }

    #[test]
    fn values_that_differ_have_bins_of_a_tenth() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(counts(&values).1, [100; 10]);
        let (edges, counts) = counts(&(0..1003).map(f64::from).collect::<Vec<_>>());
        assert_eq!((edges.len(), counts[0], counts[9]), (9, 101, 94));
    }

    #[test]
    fn a_constant_has_empty_bins_on_both_sides() {
        for value in [0.0, 1.0, -7.5, 1e300, -1e-300, f64::MAX, f64::MIN] {
            let (edges, counts) = counts(&[value; 100]);
            if value.abs() < f64::MAX {
                assert_eq!(counts, [0, 100, 0], "{value}");
            }
            assert_eq!(counts[bin(&edges, value)], 100);
            assert_eq!(bin(&edges, value + value.abs() * 1e-12), bin(&edges, value));
        }
        let (edges, _) = counts(&[5.0; 100]);
        assert_eq!((bin(&edges, 4.99), bin(&edges, 5.01)), (0, 2));
    }

    #[test]
    fn a_frequent_value_has_its_own_bin() {
        // Half zeros, the rest spread.
        let values: Vec<f64> = (0..500).map(|_| 0.0).chain((1..=500).map(f64::from)).collect();
        let (edges, counts) = counts(&values);
        let zeros = bin(&edges, 0.0);
        assert_eq!((counts[zeros], bin(&edges, -1.0), bin(&edges, 0.5)), (500, zeros - 1, zeros + 1));
        assert!(counts.len() >= 7, "{counts:?}");
    }

    #[test]
    fn few_values_have_a_bin_each() {
        let values: Vec<f64> = [0.0, 1.0, 3.0].into_iter().flat_map(|value| [value; 50]).collect();
        let (edges, found) = counts(&values);
        assert_eq!(found.iter().filter(|count| **count == 50).count(), 3, "{found:?}");
        assert_ne!(bin(&edges, 2.0), bin(&edges, 1.0));
        // Nine frequent ones do not all have room, and none share a bin.
        let many: Vec<f64> = (0..9).flat_map(|value| [f64::from(value); 50]).collect();
        assert_eq!(counts(&many).1.iter().filter(|count| **count == 50).count(), 9);
    }

    #[test]
    fn any_sizes_and_neighbours_do() {
        for size in 0..40_u32 {
            counts(&(0..size).map(|at| f64::from(at * at % 7)).collect::<Vec<_>>());
            counts(&(0..size).map(|at| f64::from_bits(1.0_f64.to_bits() + u64::from(at % 11))).collect::<Vec<_>>());
            counts(&(0..size).map(|at| -1e308 + f64::from(at) * 5e307).filter(|v| v.is_finite()).collect::<Vec<_>>());
        }
    }
}
