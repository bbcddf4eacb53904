//! Events that are hit, and at the price of how many false episodes: `score.py events`, to the last digit.

use serde::Serialize;

/// False rows with fewer than so many between them are one episode.
const GAP: usize = 10;
/// An episode counts again after so many rows.
const LONG: usize = 100;
/// The first rows of a series, which count nowhere.
const WARM_UP: usize = 100;
/// Above 1.
pub(crate) const ALARM: f64 = 1.0_f64.next_up();
/// False episodes an ordinary row at which events are counted again.
const BUDGETS: [f64; 2] = [1e-3, 1e-4];

/// What is true of a series.
pub(crate) struct Truth {
    /// The first and the last row of each event that counts; the tolerance is in it.
    pub(crate) events: Vec<(usize, usize)>,
    /// Which rows are in no event.
    pub(crate) ordinary: Vec<bool>,
    /// How long the ordinary rows are.
    days: f64,
}

impl Truth {
    /// Rows are `step` seconds apart; reports up to `tolerance` rows after an event still hit it.
    pub(crate) fn new(labels: &[bool], step: f64, tolerance: usize) -> Self {
        let mut events = runs(labels);
        let mut limit = labels.len();
        for (first, last) in events.iter_mut().rev() {
            *last = (*last + tolerance).min(limit - 1);
            limit = *first;
        }
        let mut ordinary = vec![true; labels.len()];
        for (first, last) in &events {
            ordinary[*first..=*last].fill(false);
        }
        ordinary[..WARM_UP.min(labels.len())].fill(false);
        events.retain(|(first, _)| *first >= WARM_UP);
        let days = count(&ordinary) as f64 * step / 86_400.0;
        Self { events, ordinary, days }
    }
}

/// The first and the last row of each labelled run.
pub(crate) fn runs(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let runs = labels.chunk_by(PartialEq::eq).map(|run| {
        at += run.len();
        (run[0], (at - run.len(), at - 1))
    });
    runs.filter(|(labelled, _)| *labelled).map(|(_, run)| run).collect()
}

fn count(rows: &[bool]) -> usize {
    rows.iter().filter(|row| **row).count()
}

/// The scores of a series' rows, and what is true of it.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) truth: &'a Truth,
    pub(crate) scores: &'a [f64],
}

/// What a set comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// The share of events with a row in alarm.
    pub(crate) hit: f64,
    /// False episodes a series and day.
    pub(crate) false_day: f64,
    /// The share of events hit at the lowest threshold with one false episode in 1,000 ordinary rows at most.
    pub(crate) recall_1000: f64,
    /// In 10,000.
    pub(crate) recall_10000: f64,
}

impl Figures {
    pub(crate) fn of(series: &[Judged<'_>]) -> Self {
        let false_of = |one: &Judged<'_>| {
            let rows = one.truth.ordinary.iter().zip(one.scores).enumerate();
            episodes(rows.filter(|(_, (ordinary, score))| **ordinary && **score >= ALARM).map(|(row, _)| row))
        };
        let days: f64 = series.iter().map(|one| one.truth.days).sum();
        let [recall_1000, recall_10000] = thresholds(series).map(|at| recall(series, at));
        let false_day = series.iter().map(false_of).sum::<usize>() as f64 / days;
        Self { hit: recall(series, ALARM), false_day, recall_1000, recall_10000 }
    }

    /// The mean of sets.
    pub(crate) fn mean(sets: &[Self]) -> Self {
        let mean = |figure: fn(&Self) -> f64| sets.iter().map(figure).sum::<f64>() / sets.len() as f64;
        Self {
            hit: mean(|of| of.hit),
            false_day: mean(|of| of.false_day),
            recall_1000: mean(|of| of.recall_1000),
            recall_10000: mean(|of| of.recall_10000),
        }
    }
}

/// The share of events with a row at or above the threshold.
fn recall(series: &[Judged<'_>], threshold: f64) -> f64 {
    let events = || series.iter().flat_map(|one| one.truth.events.iter().map(|event| (one.scores, *event)));
    let hit = events().filter(|(scores, (first, last))| scores[*first..=*last].iter().any(|score| *score >= threshold));
    hit.count() as f64 / events().count() as f64
}

/// How many episodes rows in alarm are.
fn episodes(rows: impl Iterator<Item = usize>) -> usize {
    let (mut counted, mut episode) = (0, None);
    for row in rows {
        episode = match episode {
            Some((first, last)) if row - last <= GAP => Some((first, row)),
            ended => {
                counted += ended.map_or(0, length);
                Some((row, row))
            }
        };
    }
    counted + episode.map_or(0, length)
}

/// What an episode counts.
fn length((first, last): (usize, usize)) -> usize {
    (last - first) / LONG + 1
}

/// The lowest threshold at which, and above which, false episodes keep within each budget.
fn thresholds(series: &[Judged<'_>]) -> [f64; 2] {
    let rows: usize = series.iter().map(|one| count(&one.truth.ordinary)).sum();
    let allowed = BUDGETS.map(|share| share * rows as f64);
    // The highest scores: below them there are too many rows for any budget, however they join.
    let mut highest = Vec::new();
    for (number, one) in series.iter().enumerate() {
        let ordinary = one.scores.iter().zip(&one.truth.ordinary).enumerate();
        let ordinary = ordinary.filter(|(_, (score, ordinary))| **ordinary && score.is_finite());
        highest.extend(ordinary.map(|(row, (score, _))| (*score, number, row)));
    }
    let most = (allowed[0] * LONG as f64) as usize + LONG;
    if most < highest.len() {
        highest.select_nth_unstable_by(most, |a, b| b.0.total_cmp(&a.0));
        highest.truncate(most);
    }
    highest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    allowed.map(|allowed| threshold(series, &highest, allowed))
}

fn threshold(series: &[Judged<'_>], highest: &[(f64, usize, usize)], allowed: f64) -> f64 {
    let mut joined: Vec<_> = series.iter().map(|one| Joined::new(one.scores.len())).collect();
    let (mut rows, mut counted) = (0, 0);
    for alike in highest.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        rows += alike.len();
        let too_many = rows as f64 / LONG as f64 > allowed;
        if !too_many {
            counted += alike.iter().map(|(_, number, row)| joined[*number].insert(*row)).sum::<isize>();
        }
        if too_many || counted as f64 > allowed {
            return alike[0].0.next_up();
        }
    }
    f64::MIN
}

/// The episodes of a series while ever more rows join them.
struct Joined {
    /// Rows in alarm, with a gap before the first and after the last.
    on: Vec<bool>,
    /// An episode's first row knows its last, and the other way round.
    partner: Vec<usize>,
}

impl Joined {
    fn new(rows: usize) -> Self {
        Self { on: vec![false; rows + 2 * GAP], partner: vec![0; rows] }
    }

    /// By how much another row changes the count.
    fn insert(&mut self, row: usize) -> isize {
        let left = self.on[row..row + GAP].iter().rposition(|on| *on).map(|at| row + at - GAP);
        let right = self.on[row + GAP + 1..=row + 2 * GAP].iter().position(|on| *on).map(|at| row + 1 + at);
        self.on[row + GAP] = true;
        if let (Some(left), Some(right)) = (left, right)
            && right - left <= GAP
        {
            return 0; // within an episode
        }
        let first = left.map_or(row, |left| self.partner[left]);
        let last = right.map_or(row, |right| self.partner[right]);
        (self.partner[first], self.partner[last]) = (last, first);
        let before = left.map_or(0, |left| length((first, left))) + right.map_or(0, |right| length((right, last)));
        length((first, last)).cast_signed() - before.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series of rows a minute whose events are given; scores of 2 in some rows.
    fn series(rows: usize, events: &[(usize, usize)], alarms: &[usize]) -> (Truth, Vec<f64>) {
        let mut labels = vec![false; rows];
        for (first, last) in events {
            labels[*first..=*last].fill(true);
        }
        let mut scores = vec![0.0; rows];
        for row in alarms {
            scores[*row] = 2.0;
        }
        (Truth::new(&labels, 60.0, 0), scores)
    }

    #[test]
    fn rows_within_ten_are_one_episode() {
        assert_eq!(episodes([].into_iter()), 0);
        assert_eq!(episodes([7].into_iter()), 1);
        assert_eq!(episodes([100, 110, 120].into_iter()), 1);
        assert_eq!(episodes([100, 111].into_iter()), 2);
    }

    #[test]
    fn long_episodes_count_again() {
        assert_eq!(episodes(0..100), 1);
        assert_eq!(episodes(0..=100), 2);
        assert_eq!(episodes((0..1000).step_by(10)), 10);
    }

    #[test]
    fn episodes_join_in_any_order() {
        let rows = [50, 300, 61, 55, 310, 320, 305, 49, 150, 140, 130, 120, 110, 100, 90, 80, 70, 400, 5, 15];
        let mut joined = Joined::new(500);
        let mut counted = 0;
        for upto in 1..=rows.len() {
            counted += joined.insert(rows[upto - 1]);
            let mut sorted = rows[..upto].to_vec();
            sorted.sort_unstable();
            assert_eq!(counted, episodes(sorted.into_iter()).cast_signed(), "{:?}", &rows[..upto]);
        }
    }

    #[test]
    fn figures_of_a_series_made_by_hand() {
        // The event within the warm-up counts nowhere. One of the others is hit; three episodes are false.
        let (truth, scores) =
            series(1540, &[(50, 59), (200, 219), (400, 419)], &[10, 55, 210, 230, 235, 300, 900, 905, 1000]);
        let figures = Figures::of(&[Judged { truth: &truth, scores: &scores }]);
        let days = f64::from(1540 - 100 - 40) / 1440.0;
        assert_eq!(figures.hit.to_bits(), 0.5_f64.to_bits());
        assert!((figures.false_day - 4.0 / days).abs() < 1e-12);
    }

    #[test]
    fn tolerance_ends_at_the_next_event() {
        let mut labels = vec![false; 300];
        labels[120..130].fill(true);
        labels[135..140].fill(true);
        let truth = Truth::new(&labels, 60.0, 10);
        assert_eq!(truth.events, [(120, 134), (135, 149)]);
        assert_eq!(count(&truth.ordinary), 200 - 30);
    }

    #[test]
    fn a_budget_allows_its_episodes_and_no_more() {
        // Of 2,000 ordinary rows two episodes are allowed at 1 in 1,000, and none at 1 in 10,000.
        let (truth, mut scores) = series(2110, &[(200, 209)], &[]);
        (scores[300], scores[301], scores[600], scores[900]) = (9.0, 8.0, 7.0, 6.0);
        let judged = [Judged { truth: &truth, scores: &scores }];
        assert_eq!(thresholds(&judged).map(f64::to_bits), [6.0_f64.next_up(), 9.0_f64.next_up()].map(f64::to_bits));
        scores[205] = 6.5;
        let figures = Figures::of(&[Judged { truth: &truth, scores: &scores }]);
        assert_eq!([figures.recall_1000.to_bits(), figures.recall_10000.to_bits()], [1.0, 0.0].map(f64::to_bits));
    }

    #[test]
    fn nothing_false_leaves_the_lowest_threshold() {
        let (truth, _) = series(300, &[(200, 209)], &[]);
        let scores = vec![f64::NEG_INFINITY; 300];
        assert_eq!(thresholds(&[Judged { truth: &truth, scores: &scores }])[0].to_bits(), f64::MIN.to_bits());
    }
}
