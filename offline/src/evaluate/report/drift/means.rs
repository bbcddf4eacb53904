//! A column's mean, window after window.

use maud::{Markup, html};
use qualm_drift::{Distribution, QUANTILES};

use super::super::plot::{Plot, Tick, line, path, rectangle, stroke};
use super::super::series::Axis;
use super::{axis_around, times};
use crate::drift::Moment;
use crate::drift::words::tick_texts;

/// The means of a column, and what was usual in training; nothing where there are no two windows.
pub(super) fn plot(title: &str, then: &Distribution, timeline: &[Moment], column: usize) -> Markup {
    let Some(usual) = usual(then).filter(|_| timeline.len() > 1) else { return Markup::default() };
    let means = || timeline.iter().map(|moment| moment.columns[column].mean);
    let [low, high] = ends(means().flatten().chain(usual).chain([then.mean]));
    let room = (high - low) * 0.05;
    let at = |value: f64| (value - low + room) / (high - low + 2.0 * room);
    let times = times(timeline);
    let axis = Axis::of(&times);
    let points = means().enumerate().map(|(row, mean)| mean.map(|mean| (axis.at(row), at(mean))));
    // A band of a single value is visible as well.
    let [bottom, top] = [at(usual[0]) - 0.01, at(usual[1]) + 0.01];
    let drawing = html! {
        (rectangle("usual", [0.0, bottom], [1.0, top], &Markup::default()))
        (line("threshold", 0.0, at(then.mean), 1.0, at(then.mean)))
        (stroke("ordinary", &path(points)))
    };
    let ticks = [low, high].into_iter().zip(tick_texts(&[low, high]));
    Plot {
        title: title.to_owned(),
        class: "scores",
        drawing,
        across: axis.ticks(),
        up: ticks.map(|(value, text)| Tick { at: at(value), text }).collect(),
        up_name: "mean",
        ..Plot::default()
    }
    .html()
}

/// The 5 % and the 95 % quantile of training; `None` without values.
fn usual(then: &Distribution) -> Option<[f64; 2]> {
    let quantile = |percent: usize| then.quantiles.get((QUANTILES - 1) * percent / 100).copied();
    Some([quantile(5)?, quantile(95)?])
}

/// The ends of an axis for these values.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    axis_around(low, high).into()
}

#[cfg(test)]
mod tests {
    use qualm_drift::State;

    use super::*;
    use crate::drift::ColumnMoment;

    fn timeline(means: &[f64]) -> Vec<Moment> {
        let column = |mean: f64| ColumnMoment { mean: Some(mean), votes: 0, drifts: false, besides: None };
        let moment = |(at, mean): (usize, &f64)| Moment {
            time: at as i64,
            state: State::None,
            columns: vec![column(*mean)],
            alarm_rate: None,
            alarms_drift: false,
        };
        means.iter().enumerate().map(moment).collect()
    }

    #[test]
    fn what_is_usual_is_never_beyond_the_values() {
        // Most are 0: the mean without the deviation would be negative.
        let then = Distribution::new((0..1000).map(|row| if row < 900 { 0.0 } else { 1.0 }));
        assert_eq!(usual(&then), Some([0.0, 1.0]));
        let html = plot("t", &then, &timeline(&[0.1, 0.2]), 0).into_string();
        assert!(html.contains(">0</span>") && html.contains(">1</span>") && !html.contains(">-"), "{html}");
    }

    #[test]
    fn a_constant_has_an_axis() {
        let then = Distribution::new([40.0; 50].into_iter());
        let html = plot("t", &then, &timeline(&[40.0, 40.0]), 0).into_string();
        assert!(html.contains(">36</span>") && html.contains(">44</span>"), "{html}");
        assert!(plot("t", &then, &timeline(&[40.0]), 0).into_string().is_empty());
    }
}
