//! Plots of Unicode blocks: scores over time, with spans of time below.

/// The score at the upper edge; larger ones are drawn up to it.
pub(super) const TOP_SCORE: f64 = 4.0;

/// The height in lines of text.
pub(super) const ROWS: usize = 8;

/// The line of text, counted from the top, whose upper edge is the threshold.
pub(super) const THRESHOLD: usize = ROWS - ROWS / TOP_SCORE as usize;

/// Heights of a bar within a line of text.
const STEPS: usize = 8;
const BLOCKS: [char; STEPS + 1] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The column of the item at `at` of `total` in a plot of this width.
pub(super) fn column(at: usize, total: usize, width: usize) -> usize {
    (at * width / total.max(1)).min(width.saturating_sub(1))
}

/// The largest score of each column; `None` where nothing in it was scored.
pub(super) fn columns(scores: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let mut out = vec![None; width];
    for (at, score) in scores.iter().enumerate().filter_map(|(at, score)| score.map(|score| (at, score))) {
        let largest = &mut out[column(at, scores.len(), width)];
        *largest = Some(largest.map_or(score, |largest: f64| largest.max(score)));
    }
    out
}

/// A bar for each column, as lines of text from the top, with the threshold where no bar hides it.
pub(super) fn bars(columns: &[Option<f64>]) -> Vec<String> {
    let heights: Vec<usize> = columns.iter().map(|score| score.map_or(0, height)).collect();
    let row = |row: usize| {
        let below = (ROWS - 1 - row) * STEPS;
        let cell = |height: &usize| match height.saturating_sub(below).min(STEPS) {
            0 if row == THRESHOLD => '▔',
            steps => BLOCKS[steps],
        };
        heights.iter().map(cell).collect()
    };
    (0..ROWS).map(row).collect()
}

/// A score's bar in steps, at least one; above the threshold's line if and only if the score is above the threshold.
fn height(score: f64) -> usize {
    let exact = score / TOP_SCORE * (ROWS * STEPS) as f64;
    let steps = if score > 1.0 { exact.ceil() } else { exact.floor() };
    (steps as usize).clamp(1, ROWS * STEPS)
}

/// The index of the span (first and last item) in each column. Each span has at least one column.
pub(super) fn strip(spans: &[(usize, usize)], total: usize, width: usize) -> Vec<Option<usize>> {
    let mut out = vec![None; width];
    for (number, &(first, last)) in spans.iter().enumerate() {
        out[column(first, total, width)..=column(last, total, width)].fill(Some(number));
    }
    out
}

/// An axis with a tick at each of these items, and the labels below it that there is room for.
pub(super) fn axis(ticks: &[(usize, String)], total: usize, width: usize) -> (String, String) {
    let mut line = vec!['─'; width];
    let mut names = String::new();
    for (at, name) in ticks {
        let at = column(*at, total, width);
        line[at] = '┬';
        let used = names.chars().count();
        if (used == 0 || used < at) && at + name.chars().count() <= width {
            names.extend(std::iter::repeat_n(' ', at - used));
            names.push_str(name);
        }
    }
    (line.into_iter().collect(), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_has_the_largest_score_in_it() {
        let scores = [None, Some(0.5), Some(2.0), Some(1.0), None, None];
        assert_eq!(columns(&scores, 3), [Some(0.5), Some(2.0), None]);
        assert_eq!(columns(&scores, 1), [Some(2.0)]);
        assert_eq!(columns(&scores[..2], 4), [None, None, Some(0.5), None], "wider than there are scores");
    }

    #[test]
    fn bars_are_as_high_as_their_scores() {
        let columns = [None, Some(0.0), Some(0.5), Some(1.0), Some(1.001), Some(2.25), Some(4.0), Some(1e6)];
        assert_eq!(
            bars(&columns),
            ["      ██", "      ██", "      ██", "     ▄██", "     ███", "    ▁███", "▔▔▔█████", " ▁██████",]
        );
    }

    #[test]
    fn a_bar_crosses_the_threshold_only_where_its_score_does() {
        let threshold = (ROWS - THRESHOLD) * STEPS;
        for thousandths in 0..5000 {
            let score = f64::from(thousandths) / 1e3;
            assert_eq!(height(score) > threshold, score > 1.0, "{score}");
        }
    }

    #[test]
    fn spans_cover_their_columns_and_at_least_one() {
        assert_eq!(strip(&[(0, 4), (9, 9)], 10, 5), [Some(0), Some(0), Some(0), None, Some(1)]);
        assert_eq!(strip(&[(3, 3)], 1000, 4), [Some(0), None, None, None]);
    }

    #[test]
    fn an_axis_labels_the_ticks_that_it_has_room_for() {
        let ticks = [(0, "day 1".to_owned()), (4, "x".to_owned()), (8, "noon".to_owned()), (15, "day 2".to_owned())];
        let (line, names) = axis(&ticks, 16, 16);
        assert_eq!(line, "┬───┬───┬──────┬");
        assert_eq!(names, "day 1   noon");
    }
}
