//! How often values occurred, in training and now.

use maud::{Markup, html};
use qualm_drift::Distribution;

use super::super::html::paragraph;
use super::super::plot::{Plot, Tick, rectangle};
use super::{axis_around, is_single};
use crate::drift::words::tick_texts;
use crate::evaluate::format::percent;

/// Bars of a distribution.
const BARS: usize = 30;

/// The share of values that may lie beyond either end of the axis, which else would leave a single bar for the rest.
const BEYOND: f64 = 0.005;

/// Two histograms over the same bars: how much of the rows each bar has.
pub(super) fn plot(title: &str, then: &Distribution, live: &[f64]) -> Markup {
    let mut sorted = live.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(bars) = Bars::over([&then.quantiles, &sorted]) else {
        return paragraph("There are no values.");
    };
    let (before, now) = (bars.shares(&then.quantiles), bars.shares(&sorted));
    let most = before.iter().chain(&now).copied().fold(0.0, f64::max).max(1e-9);
    let drawing = html! {
        (drawn("then", &before, most, [0.02, 0.98]))
        (drawn("ordinary", &now, most, [0.25, 0.75]))
    };
    Plot {
        title: title.to_owned(),
        class: "low range",
        drawing,
        across: bars.ticks(),
        up: vec![Tick { at: 1.0, text: percent(Some(most)) }],
        up_name: "share of rows",
        ..Plot::default()
    }
    .html()
}

/// Bars of equal width; the first and the last also have what lies beyond.
struct Bars {
    low: f64,
    high: f64,
    /// Whether there are values below the lowest end, and above the highest.
    beyond: [bool; 2],
}

impl Bars {
    /// Over most of the values, which are sorted; `None` where there are none.
    fn over(sorted: [&[f64]; 2]) -> Option<Self> {
        let ends = |beyond: f64| {
            let of_each = sorted.iter().filter_map(|of| quantile(of, beyond).zip(quantile(of, 1.0 - beyond)));
            of_each.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
        };
        let (lowest, highest) = ends(0.0)?;
        let most = ends(BEYOND)?;
        // Where nearly all are the same, the rest is what there is to see.
        let (low, high) = if is_single(most.0, most.1) { (lowest, highest) } else { most };
        let (low, high) = axis_around(low, high);
        Some(Self { low, high, beyond: [lowest < low, highest > high] })
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / BARS as f64
    }

    fn shares(&self, values: &[f64]) -> [f64; BARS] {
        let mut shares = [0.0; BARS];
        for value in values {
            let bar = ((value - self.low) / self.width()).floor().clamp(0.0, (BARS - 1) as f64) as usize;
            shares[bar] += 1.0 / values.len() as f64;
        }
        shares
    }

    /// The ends and the middle; an end whose bar has what lies beyond is called by the limit of that bar.
    fn ticks(&self) -> Vec<Tick> {
        let [below, above] = self.beyond;
        let low = if below { self.low + self.width() } else { self.low };
        let high = if above { self.high - self.width() } else { self.high };
        let middle = f64::midpoint(self.low, self.high);
        // What rounding leaves of 0.
        let clean = |value: f64| if value.abs() < (self.high - self.low) * 1e-9 { 0.0 } else { value };
        let texts = tick_texts(&[low, middle, high].map(clean));
        let signs = [if below { "≤ " } else { "" }, "", if above { "≥ " } else { "" }];
        let tick = |(at, (sign, text)): (f64, (&str, String))| Tick { at, text: format!("{sign}{text}") };
        [0.0, 0.5, 1.0].into_iter().zip(signs.into_iter().zip(texts)).map(tick).collect()
    }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get(((sorted.len().max(1) - 1) as f64 * share).round() as usize).copied()
}

/// One histogram; `within` is which part of its place a bar fills.
fn drawn(class: &str, shares: &[f64; BARS], most: f64, within: [f64; 2]) -> Markup {
    let bar = |at: usize, share: f64| {
        let [left, right] = within.map(|within| (at as f64 + within) / BARS as f64);
        rectangle(class, [left, 0.0], [right, share / most], &Markup::default())
    };
    html! {
        @for (at, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            (bar(at, *share))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(then: &[f64], live: &[f64]) -> Vec<String> {
        let sorted = [then, live].map(|values| {
            let mut sorted = values.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        });
        let bars = Bars::over([&sorted[0], &sorted[1]]).unwrap();
        bars.ticks().into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn a_constant_is_in_the_middle_of_a_narrow_axis() {
        assert_eq!(texts(&[0.0; 50], &[0.0; 50]), ["0", "0.5", "1"]);
        assert_eq!(texts(&[40.0; 50], &[]), ["36", "40", "44"]);
        let bars = Bars::over([&[40.0; 50], &[]]).unwrap();
        assert_eq!(bars.shares(&[40.0; 50])[BARS / 2].to_bits(), (0..50).fold(0.0, |sum, _| sum + 0.02_f64).to_bits());
        let mut mostly = vec![0.0; 1000];
        mostly[7] = 0.02;
        assert_eq!(texts(&[0.0; 50], &mostly), ["0", "0.01", "0.02"]);
    }

    #[test]
    fn values_beyond_the_axis_are_said() {
        let ramp: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(texts(&ramp, &[]), ["≤ 38", "500", "≥ 962"]);
        let few: Vec<f64> = (0..=30).map(f64::from).collect();
        assert_eq!(texts(&few, &few), ["0", "15", "30"]);
        let shares = Bars { low: 0.0, high: 30.0, beyond: [true; 2] }.shares(&[-7.0, 0.5, 31.0, 900.0]);
        assert_eq!([shares[0], shares[BARS - 1]].map(f64::to_bits), [0.5_f64.to_bits(); 2]);
    }

    #[test]
    fn ticks_are_as_precise_as_the_axis_needs() {
        let near: Vec<f64> = (0..=30).map(|at| 100_000.0 + f64::from(at) / 10.0).collect();
        assert_eq!(texts(&near, &[]), ["100000", "100001.5", "100003"]);
        let around: Vec<f64> = (0..=30).map(|at| f64::from(at) * 0.1 - 1.5).collect();
        assert_eq!(texts(&around, &[]), ["-1.5", "0", "1.5"]);
    }

    #[test]
    fn without_values_there_is_no_drawing() {
        let empty = Distribution::new(std::iter::empty());
        assert!(plot("", &empty, &[]).into_string().contains("no values"));
        assert!(plot("", &empty, &[1.0]).into_string().contains("<svg"));
    }
}
