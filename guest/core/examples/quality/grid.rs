//! The search that `quality nested` chooses constants by: a few of them, around the shipped ones, over a whole grid.

use qualm_core::streaming::Tuning;
use serde::Serialize;

use crate::Failure;
use crate::data::{HARD, NAB, Set, each};
use crate::events::Figures;
use crate::nab::{self, group};
use crate::score::Scores;

const SLACK: [f64; 3] = [0.8, 1.1, 1.4];
const NOVELTY: [f64; 3] = [1.0, 1.2, 1.4];
const SCALE_LIMIT: [f64; 3] = [1.75, 2.5, 4.0];
const BY_TIME: [f64; 3] = [0.3, 0.5, 0.7];
/// The number of the novelty check.
const NOVELTY_CHECK: usize = 3;

/// False episodes a series and day that cost nothing, and what each more of them costs.
const FREE: f64 = 0.1;
const COST: f64 = 2.0;

/// The constants that are searched, by the names that `tests/quality/nested.json` has.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Constants {
    slack: f64,
    novelty: f64,
    scale_limit: f64,
    by_time: f64,
}

/// What constants come to.
pub(crate) struct Point {
    pub(crate) tuning: Tuning,
    /// Of each set.
    pub(crate) figures: Vec<Figures>,
    pub(crate) nab: [f64; 3],
    /// NAB's standard score without each of the groups.
    nab_without: Vec<f64>,
}

impl Point {
    fn measure(tuning: Tuning, sets: &[Set], groups: &[&str]) -> Result<Self, Failure> {
        let mut point = Self { tuning, figures: Vec::new(), nab: [f64::NAN; 3], nab_without: Vec::new() };
        for set in sets {
            let scores = Scores::of(set, tuning)?;
            point.figures.push(scores.figures(set));
            if set.name == NAB {
                point.nab = nab::of(set, &scores.rows, |_| true);
                let without = |one: &&str| nab::of(set, &scores.rows, |series| group(series) != *one)[0];
                point.nab_without = groups.iter().map(without).collect();
            }
        }
        Ok(point)
    }

    pub(crate) fn constants(&self) -> Constants {
        let Tuning { threshold_offset, check_weights, scale_clip, threshold_per_log_step, .. } = self.tuning;
        Constants {
            slack: threshold_offset,
            novelty: check_weights[NOVELTY_CHECK],
            scale_limit: scale_clip,
            by_time: threshold_per_log_step,
        }
    }
}

/// All points of the grid, the shipped one first.
pub(crate) struct Grid<'a> {
    sets: &'a [Set],
    points: Vec<Point>,
}

impl<'a> Grid<'a> {
    pub(crate) fn measure(sets: &'a [Set], groups: &[&str]) -> Result<Self, Failure> {
        Ok(Self { sets, points: each(&tunings(), |tuning| Point::measure(*tuning, sets, groups))? })
    }

    pub(crate) fn shipped(&self) -> &Point {
        &self.points[0]
    }

    /// The best for all sets but the one left out.
    pub(crate) fn best(&self, left_out: Option<&str>) -> &Point {
        self.first_of_best(|point| self.objective(point, left_out))
    }

    /// The best for NAB's standard score, without the group left out, and all other sets together.
    pub(crate) fn best_by_nab(&self, left_out: Option<usize>) -> &Point {
        self.first_of_best(|point| {
            let standard = left_out.map_or(point.nab[0], |group| point.nab_without[group]);
            self.objective(point, Some(NAB)) + standard / 100.0
        })
    }

    /// What is to be as large as possible: the mean over all sets but the one left out.
    pub(crate) fn objective(&self, point: &Point, left_out: Option<&str>) -> f64 {
        let others = self.sets.iter().zip(&point.figures).filter(|(set, _)| Some(set.name.as_str()) != left_out);
        let worths: Vec<f64> = others.map(|(set, figures)| worth(&set.name, figures)).collect();
        worths.iter().sum::<f64>() / worths.len() as f64
    }

    fn first_of_best(&self, objective: impl Fn(&Point) -> f64) -> &Point {
        let mut best = self.shipped();
        for point in &self.points {
            if objective(point) > objective(best) {
                best = point;
            }
        }
        best
    }
}

fn worth(set: &str, of: &Figures) -> f64 {
    let cost = if set == HARD { 0.0 } else { COST * (of.false_day - FREE).max(0.0) };
    of.hit + of.recall_1000 + of.recall_10000 - cost
}

/// The shipped constants, which are chosen where others are not better, and the grid.
fn tunings() -> Vec<Tuning> {
    let mut tunings = vec![Tuning::SHIPPED];
    for threshold_offset in SLACK {
        for novelty in NOVELTY {
            for scale_clip in SCALE_LIMIT {
                for threshold_per_log_step in BY_TIME {
                    let mut tuning = Tuning { threshold_offset, scale_clip, threshold_per_log_step, ..Tuning::SHIPPED };
                    tuning.check_weights[NOVELTY_CHECK] = novelty;
                    tunings.push(tuning);
                }
            }
        }
    }
    tunings
}
