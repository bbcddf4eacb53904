//! The score of the Numenta Anomaly Benchmark, as published: 0 is to be silent, 100 to be perfect.

use std::collections::HashMap;

use crate::data::{Series, Set};
use crate::events::runs;

/// What a window that is missed and a row outside of windows cost: standard, low FP, low FN.
const PROFILES: [(f64, f64); 3] = [(1.0, 0.11), (1.0, 0.22), (2.0, 0.11)];

/// A stream's rows after its probation, as the benchmark weighs them.
struct Stream {
    windows: usize,
    /// The row, its window, and what an alarm there is worth: the earlier in a window the more, and outside of windows
    /// less than nothing.
    rows: Vec<(usize, Option<usize>, f64)>,
}

impl Stream {
    fn new(labels: &[bool]) -> Self {
        let windows = runs(labels);
        let probation = (labels.len() * 15 / 100).min(750);
        let weighed = |row: usize| {
            let at = windows.partition_point(|(_, last)| *last < row);
            if let Some((first, last)) = windows.get(at).filter(|(first, _)| *first <= row) {
                let place = (last - row + 1) as f64 / (last - first + 1) as f64;
                return (row, Some(at), sigmoid(-place) / sigmoid(-1.0));
            }
            let after = at.checked_sub(1).map(|before| windows[before]);
            (row, None, after.map_or(-1.0, |(first, last)| sigmoid((row - last) as f64 / (last - first) as f64)))
        };
        Self { rows: (probation..labels.len()).map(weighed).collect(), windows: windows.len() }
    }
}

/// A row of one of several streams.
struct Row {
    score: f64,
    /// The numbers of the stream and of its window.
    window: Option<(usize, usize)>,
    weight: f64,
}

/// The folder that a stream is in.
pub(crate) fn group(series: &Series) -> &str {
    series.name.split('/').next().unwrap_or_default()
}

fn sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * y).exp()) - 1.0 }
}

/// The scores, in the three profiles, of the wanted streams of a set, given the scores of all rows.
pub(crate) fn of(set: &Set, scores: &[Vec<f64>], wanted: impl Fn(&Series) -> bool) -> [f64; 3] {
    let all = set.series.iter().zip(scores).filter(|(series, _)| wanted(series));
    let streams: Vec<_> = all.map(|(series, scores)| (Stream::new(&series.labels), scores.as_slice())).collect();
    score(&streams.iter().map(|(stream, scores)| (stream, *scores)).collect::<Vec<_>>())
}

/// Each profile's at the one threshold for all streams that is best.
fn score(streams: &[(&Stream, &[f64])]) -> [f64; 3] {
    let mut rows = Vec::new();
    for (number, (stream, scores)) in streams.iter().enumerate() {
        rows.extend(stream.rows.iter().map(|(row, window, weight)| Row {
            score: scores[*row],
            window: window.map(|window| (number, window)),
            weight: *weight,
        }));
    }
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    let windows = streams.iter().map(|(stream, _)| stream.windows).sum::<usize>() as f64;
    PROFILES.map(|(missed, outside)| 100.0 * best(&rows, missed, outside) / (windows * (1.0 + missed)))
}

/// The most that alarms win over silence: each window's earliest counts, and every one outside.
fn best(rows: &[Row], missed: f64, outside: f64) -> f64 {
    let mut found: HashMap<(usize, usize), f64> = HashMap::new();
    let (mut won, mut most) = (0.0, 0.0);
    for alike in rows.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        if !alike[0].score.is_finite() {
            break;
        }
        for Row { window, weight, .. } in alike {
            let Some(window) = window else {
                won += outside * weight;
                continue;
            };
            let before = found.get(window).copied();
            if before.is_none_or(|before| before < *weight) {
                won += before.map_or(missed + weight, |before| weight - before);
                found.insert(*window, *weight);
            }
        }
        most = f64::max(most, won);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<bool> {
        let mut labels = vec![false; 2000];
        labels[500..600].fill(true);
        labels[1200..1400].fill(true);
        labels
    }

    #[test]
    fn each_window_hit_at_its_first_row_is_perfect() {
        let stream = Stream::new(&labels());
        let mut scores = vec![0.0; 2000];
        (scores[500], scores[1200]) = (2.0, 2.0);
        for score in score(&[(&stream, &scores), (&stream, &scores)]) {
            assert!((score - 100.0).abs() < 1e-9, "{score}");
        }
    }

    #[test]
    fn silence_is_nothing() {
        let stream = Stream::new(&labels());
        assert!(score(&[(&stream, &[f64::NEG_INFINITY; 2000])]).iter().all(|score| *score == 0.0));
        // Neither is an alarm that is always on, which no threshold makes better than silence.
        let wide = Stream { windows: 1, rows: vec![(0, None, -1.0); 50] };
        assert!(score(&[(&wide, &[1.0])]).iter().all(|score| *score == 0.0));
    }

    #[test]
    fn alarms_outside_and_late_ones_cost() {
        let stream = Stream::new(&labels());
        let mut scores = vec![0.0; 2000];
        (scores[550], scores[1200]) = (2.0, 2.0);
        let late = score(&[(&stream, &scores)])[0];
        scores[1000] = 2.0;
        let [standard, low_fp, _] = score(&[(&stream, &scores)]);
        assert!(low_fp < standard && standard < late && late < 100.0, "{low_fp} {standard} {late}");
        assert!((late - standard - 100.0 * 0.11 / 4.0).abs() < 1e-3);
    }

    #[test]
    fn probation_does_not_count() {
        let mut early = vec![false; 2000];
        early[100..150].fill(true);
        let mut scores = vec![0.0; 2000];
        scores[100] = 2.0;
        assert!(score(&[(&Stream::new(&early), &scores)]).iter().all(|score| *score == 0.0));
    }
}
