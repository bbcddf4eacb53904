//! Which differences are ordinary: those that windows of training rows have from all of them.
//!
//! Metrics are autocorrelated and have daily seasons: any window of them differs from any other, significantly so by tests that
//! take rows for independent. How much is measured with the very windows and tests that live rows have.

use std::time::Duration;

use crate::alarms::Alarms;
use crate::evidence::Evidence;
use crate::reference::{Distribution, Effects, Ordinary, Reference};
use crate::window::{BLOCKS, Window};

/// How many windows the rows must last for, at least.
const LEAST_WINDOWS: f64 = 2.0;

/// Finds what is ordinary of a reference's own rows, whose lengths fit. All is 0 where they are too short.
///
/// A window is a part of what it is compared with, and so is nearer to it than one of other rows would be. For a mean, with `w`
/// the window's part of the rows, the variance of the difference is in proportion to `1 − w` instead of `1 + w`; effects are
/// corrected as if they were such a difference.
pub(crate) fn find(reference: &mut Reference, times: &[i64], values: &[f64], scores: &[f64], length: Duration) {
    let features = reference.features.len();
    let mut window = Window::new(reference, length);
    let mut evidence = Evidence::new(reference);
    let mut largest = vec![Effects::default(); features + 1];
    let mut ordinary = Ordinary::default();
    let (mut blocks, mut alarms) = (0_usize, Alarms::default());
    for (row, (time, score)) in times.iter().zip(scores).enumerate() {
        window.observe(*time, &values[row * features..(row + 1) * features], *score, |window| {
            blocks += 1;
            alarms = Alarms::sum(&[alarms, window.newest_alarms()]);
            if window.is_full() {
                evidence.of_window(reference, window);
                let found = evidence.columns.iter().map(|(_, compared)| &compared.effects);
                largest.iter_mut().zip(found).for_each(|(largest, found)| raise(largest, found));
                let Reference { score, .. } = &*reference;
                ordinary.median = ordinary.median.max(evidence.median.shift(score, score.median()));
                ordinary.p95 = ordinary.p95.max(evidence.p95.shift(score, score.p95()));
                ordinary.alarm_rate = ordinary.alarm_rate.max(Alarms::calm(&evidence.alarms).rate());
            }
        });
    }
    ordinary.burst = Alarms::sum(&[alarms, window.newest_alarms()]).burst();
    // The last block lacks no more than its last row.
    let windows = (blocks + 1) as f64 / BLOCKS as f64;
    if windows < LEAST_WINDOWS {
        reference.ordinary = Ordinary { burst: ordinary.burst, ..Ordinary::default() };
        return;
    }
    let correction = ((windows + 1.0) / (windows - 1.0)).sqrt();
    for (distribution, largest) in columns(reference).zip(&largest) {
        distribution.ordinary = corrected(largest, correction);
    }
    let Ordinary { median, p95, alarm_rate, burst } = ordinary;
    reference.ordinary = Ordinary { median: median * correction, p95: p95 * correction, alarm_rate, burst };
}

fn columns(reference: &mut Reference) -> impl Iterator<Item = &mut Distribution> {
    reference.features.iter_mut().chain([&mut reference.score])
}

fn raise(largest: &mut Effects, found: &Effects) {
    let Effects { ks, stability_index, wasserstein, jensen_shannon, chi_square, missing } = largest;
    *ks = ks.max(found.ks);
    *stability_index = stability_index.max(found.stability_index);
    *wasserstein = wasserstein.max(found.wasserstein);
    *jensen_shannon = jensen_shannon.max(found.jensen_shannon);
    *chi_square = chi_square.max(found.chi_square);
    *missing = missing.max(found.missing);
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
