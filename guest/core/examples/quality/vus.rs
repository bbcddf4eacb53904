//! How well scores rank the rows of events: VUS-PR (Paparrizos et al., VLDB 2022), as TSB-AD works it out in
//! `RangeAUC_volume_opt`, to the last digits. There each threshold passes over all rows; here rows are sorted once.

use crate::data::Set;
use crate::events::runs;

/// Thresholds of a curve.
const THRESHOLDS: usize = 250;

/// The mean over a set's series, given each row's score.
pub(crate) fn of(set: &Set, scores: &[Vec<f64>]) -> f64 {
    let ranked = set.series.iter().zip(scores).filter_map(|(one, scores)| vus_pr(&one.labels, scores, one.window));
    let ranked: Vec<f64> = ranked.collect();
    ranked.iter().sum::<f64>() / ranked.len() as f64
}

/// The volume under the surface of precision and recall, over buffers of 0 to `window` rows around events. `None` where
/// there is no event.
fn vus_pr(labels: &[bool], scores: &[f64], window: usize) -> Option<f64> {
    let events = runs(labels);
    if events.is_empty() {
        return None;
    }
    let curve = Curve::new(scores);
    let areas = (0..=window).map(|window| curve.area(labels, &events, window));
    Some(areas.sum::<f64>() / (window + 1) as f64)
}

/// The rows that are beyond each threshold.
struct Curve {
    /// The first threshold that a row reaches, by row.
    reached: Vec<usize>,
    /// Rows that reach each threshold.
    counts: Vec<usize>,
}

impl Curve {
    fn new(scores: &[f64]) -> Self {
        let finite = scores.iter().copied().filter(|score| score.is_finite());
        let low = finite.reduce(f64::min).unwrap_or(0.0);
        let scores: Vec<f64> = scores.iter().map(|&score| if score.is_finite() { score } else { low }).collect();
        let mut sorted = scores.clone();
        sorted.sort_by(|one, other| other.total_cmp(one));
        let step = (scores.len() - 1) as f64 / (THRESHOLDS - 1) as f64;
        let last = scores.len() - 1;
        let thresholds: Vec<f64> = (0..THRESHOLDS).map(|at| sorted[((at as f64 * step) as usize).min(last)]).collect();
        let counts = thresholds.iter().map(|least| sorted.partition_point(|score| score >= least)).collect();
        let reached = scores.iter().map(|score| thresholds.partition_point(|least| least > score)).collect();
        Self { reached, counts }
    }

    /// The area under the curve where each event has so wide a buffer.
    fn area(&self, labels: &[bool], events: &[(usize, usize)], window: usize) -> f64 {
        let buffers = buffers(labels, events, window);
        // What each threshold adds: labelled rows, rows of buffers by their weight, and whole events.
        let mut labelled = [0.0; THRESHOLDS];
        let mut buffered = [0.0; THRESHOLDS];
        let mut existing = [0.0; THRESHOLDS];
        for (row, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
            labelled[self.reached[row]] += 1.0;
        }
        for &(row, weight) in &buffers {
            buffered[self.reached[row]] += weight;
        }
        let segments = segments(events, window, labels.len());
        for &(first, last) in &segments {
            let earliest = self.reached[first..=last].iter().min().copied().unwrap_or(0); // none is empty
            existing[earliest] += 1.0 / segments.len() as f64;
        }
        let positives = labels.iter().filter(|label| **label).count() as f64;
        let (mut inside, mut around, mut existence) = (0.0, 0.0, 0.0);
        let (mut area, mut before) = (0.0, 0.0);
        for at in 0..THRESHOLDS {
            inside += labelled[at];
            around += buffered[at];
            existence += existing[at];
            let found = inside + around;
            // Half of the buffer's rows count, those that are reached.
            let recall = (found / (positives + 0.5 * around)).min(1.0) * existence;
            area += (recall - before) * found / self.counts[at] as f64;
            before = recall;
        }
        area
    }
}

/// The rows around events, and what each counts.
fn buffers(labels: &[bool], events: &[(usize, usize)], window: usize) -> Vec<(usize, f64)> {
    let half = window / 2;
    let weight = |rows: usize| (1.0 - rows as f64 / window as f64).sqrt();
    let mut weights: Vec<(usize, f64)> = Vec::new();
    for &(first, last) in events {
        weights.extend((last + 1..(last + half + 1).min(labels.len())).map(|row| (row, weight(row - last))));
        weights.extend((first.saturating_sub(half)..first).map(|row| (row, weight(first - row))));
    }
    weights.retain(|(row, _)| !labels[*row]);
    weights.sort_by_key(|(row, _)| *row);
    // Where buffers overlap both count.
    let overlapping = weights.chunk_by(|one, other| one.0 == other.0);
    overlapping.map(|same| (same[0].0, same.iter().map(|(_, weight)| weight).sum::<f64>().min(1.0))).collect()
}

/// Events with their buffers, those that touch as one.
fn segments(events: &[(usize, usize)], window: usize, rows: usize) -> Vec<(usize, usize)> {
    let half = window / 2;
    let mut segments: Vec<(usize, usize)> = Vec::new();
    for &(first, last) in events {
        let (from, to) = (first.saturating_sub(half), (last + half).min(rows - 1));
        match segments.last_mut() {
            Some(before) if before.1 >= from => before.1 = to,
            _ => segments.push((from, to)),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_tsb_ad_has_it() {
        // `generate_curve(label, score, window, "opt", 250)[-1]` of TSB-AD 1.5.
        type Case<'a> = (usize, &'a [(usize, usize)], usize, f64);
        let cases: [Case<'_>; 2] = [
            (2000, &[(0, 4), (300, 340), (355, 360), (1500, 1500), (1990, 1999)], 40, 0.332_555_752_888_220_76),
            (700, &[(100, 180), (400, 402)], 7, 0.377_063_691_645_619_87),
        ];
        for (rows, events, window, expected) in cases {
            let mut labels = vec![false; rows];
            for (first, last) in events {
                labels[*first..=*last].fill(true);
            }
            let score = |row: usize| (row * 7919 % 1009 / 8) as f64 + if labels[row] { 40.0 } else { 0.0 };
            let scores: Vec<f64> = (0..rows).map(score).collect();
            let found = vus_pr(&labels, &scores, window).unwrap();
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
    }
}
