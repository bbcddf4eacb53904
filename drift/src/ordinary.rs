//! Which differences are ordinary: those that windows of training rows have from all of them.
//!
//! Metrics are autocorrelated and have daily seasons: any window of them differs from any other, significantly so by tests that
//! take rows for independent. How much is measured with the very windows and tests that live rows have.

use std::time::Duration;

use crate::alarms::Alarms;
use crate::evidence::Evidence;
use crate::reference::{Distribution, Effects, Ordinary, Reference};
use crate::sample::nearest_rank;
use crate::window::{BLOCKS, Window};

/// How many windows the rows must last for, at least.
const LEAST_WINDOWS: f64 = 2.0;

/// The share of windows whose differences are ordinary. Not all: a history has incidents and changes of its own, and one such window
/// would hide all that comes later.
const USUAL: f64 = 0.9;

/// Finds what is ordinary of a reference's own rows, whose lengths fit. All is 0 where they are too short.
///
/// A window is a part of what it is compared with, and so is nearer to it than one of other rows would be. For a mean, with `w`
/// the window's part of the rows, the variance of the difference is in proportion to `1 − w` instead of `1 + w`; effects are
/// corrected as if they were such a difference.
pub(crate) fn find(reference: &mut Reference, times: &[i64], values: &[f64], scores: &[f64], length: Duration) {
    let features = reference.features.len();
    let mut window = Window::new(reference, length);
    let mut evidence = Evidence::new(reference);
    let mut effects = vec![Vec::<Effects>::new(); features + 1];
    let (mut median, mut p95, mut alarm_rate) = (Vec::new(), Vec::new(), 0.0_f64);
    let (mut blocks, mut alarms) = (0_usize, Alarms::default());
    for (row, (time, score)) in times.iter().zip(scores).enumerate() {
        window.observe(*time, &values[row * features..(row + 1) * features], *score, |window| {
            blocks += 1;
            alarms = Alarms::sum(&[alarms, window.newest_alarms()]);
            if window.is_full() {
                evidence.of_window(reference, window);
                let found = evidence.columns.iter().map(|(_, compared)| &compared.effects);
                effects.iter_mut().zip(found).for_each(|(effects, found)| effects.push(*found));
                let Reference { score, .. } = &*reference;
                median.push(evidence.median.shift(score, score.median()));
                p95.push(evidence.p95.shift(score, score.p95()));
                alarm_rate = alarm_rate.max(Alarms::calm(&evidence.alarms).rate());
            }
        });
    }
    let burst = Alarms::sum(&[alarms, window.newest_alarms()]).burst();
    // The last block lacks no more than its last row.
    let windows = (blocks + 1) as f64 / BLOCKS as f64;
    if windows < LEAST_WINDOWS {
        reference.ordinary = Ordinary { burst, ..Ordinary::default() };
        return;
    }
    let correction = ((windows + 1.0) / (windows - 1.0)).sqrt();
    for (distribution, effects) in columns(reference).zip(&effects) {
        distribution.ordinary = corrected(&usual(effects), correction);
    }
    let [median, p95] = [median, p95].map(|shifts| most(shifts.into_iter()) * correction);
    reference.ordinary = Ordinary { median, p95, alarm_rate, burst };
}

fn columns(reference: &mut Reference) -> impl Iterator<Item = &mut Distribution> {
    reference.features.iter_mut().chain([&mut reference.score])
}

/// What most windows had at most, each effect by itself.
fn usual(windows: &[Effects]) -> Effects {
    let of = |effect: fn(&Effects) -> f64| most(windows.iter().map(effect));
    Effects {
        ks: of(|effects| effects.ks),
        stability_index: of(|effects| effects.stability_index),
        wasserstein: of(|effects| effects.wasserstein),
        jensen_shannon: of(|effects| effects.jensen_shannon),
        chi_square: of(|effects| effects.chi_square),
        missing: of(|effects| effects.missing),
    }
}

/// The quantile [`USUAL`] of effects; 0 without any.
fn most(effects: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = effects.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    nearest_rank(&sorted, USUAL).unwrap_or(0.0)
}

/// The stability index grows as the square of the others do.
fn corrected(effects: &Effects, by: f64) -> Effects {
    Effects {
        ks: (effects.ks * by).min(1.0),
        stability_index: effects.stability_index * by * by,
        wasserstein: effects.wasserstein * by,
        jensen_shannon: (effects.jensen_shannon * by).min(1.0),
        chi_square: effects.chi_square * by,
        missing: (effects.missing * by).min(1.0),
    }
}
