//! How many features drifted, and when.

use maud::{Markup, html};
use qualm_bundle::duration::friendly;
use qualm_drift::State;

use super::super::html::{caption, paragraph, section};
use super::super::plot::{Plot, Tick, path, rectangle, stroke};
use super::super::series::Axis;
use super::times;
use crate::drift::{Moment, Outcome};

/// How many features drift, at the end of each window.
pub(super) fn section_html(outcome: &Outcome) -> Markup {
    let Outcome { timeline, reference, .. } = outcome;
    if timeline.len() < 2 {
        let window = friendly(reference.window);
        let text =
            format!("The rows do not last for long enough: they have less than two ends of windows of {window}.");
        return section("Over time", "", paragraph(&text));
    }
    let content = html! {
        (plot(timeline))
        (caption(html! { i.score {} "features that drift" i.missed {} "drift of anything is reported" }))
        (others(outcome))
    };
    section("Over time", meaning(outcome), content)
}

fn meaning(outcome: &Outcome) -> String {
    let (window, rules) = (friendly(outcome.reference.window), &outcome.rules);
    format!(
        "Each point is the end of a window of {window} of the newest rows, which are compared with training. Windows overlap: \
         eight end in the length of one. A feature drifts once {} of 5 tests voted for it at {} ends of windows in a row, or \
         once its share of missing values, or of values that training hardly had, was off for as long. Times are UTC.",
        rules.consensus, rules.sustained
    )
}

/// When the scores and the alarm rate drifted, which the plot does not show.
fn others(outcome: &Outcome) -> Markup {
    let scores = outcome.report.features.len();
    let when = [("The scores", outcome.in_windows(scores).sustained), ("The alarm rate", outcome.alarms_in_windows())];
    let sentences: Vec<String> = when
        .into_iter()
        .filter_map(|(what, sustained)| Some(format!("{what} drifted {}.", outcome.when(&sustained?))))
        .collect();
    html! {
        @if !sentences.is_empty() { p { (sentences.join(" ")) } }
    }
}

fn plot(timeline: &[Moment]) -> Markup {
    let times = times(timeline);
    let axis = Axis::of(&times);
    let most = timeline.iter().map(Moment::features_drifting).max().unwrap_or(0);
    let (top, up) = ticks(most);
    let points = timeline
        .iter()
        .enumerate()
        .map(|(at, moment)| Some((axis.at(at), moment.features_drifting() as f64 / top as f64)));
    let drawing = html! {
        @for (from, until) in spans(timeline) {
            (rectangle("missed", [axis.at(from), 0.0], [axis.at(until), 1.0], &Markup::default()))
        }
        (stroke("ordinary", &path(points)))
    };
    Plot {
        title: "Features that drift, over time".to_owned(),
        class: "low",
        drawing,
        across: axis.ticks(),
        up,
        up_name: "features that drift",
        ..Plot::default()
    }
    .html()
}

/// The upper end of an axis for whole numbers up to `most`, and its ticks, which are whole numbers.
fn ticks(most: usize) -> (usize, Vec<Tick>) {
    let powers = (0..).map(|power| 10_usize.saturating_pow(power));
    let mut steps = powers.flat_map(|power| [1, 2, 5].map(|step| power.saturating_mul(step)));
    let step = steps.find(|step| most.div_ceil(*step) <= 4).unwrap_or(usize::MAX);
    let parts = most.div_ceil(step).max(2);
    let tick = |part: usize| Tick { at: part as f64 / parts as f64, text: (part * step).to_string() };
    (parts * step, (0..=parts).map(tick).collect())
}

/// The spans of moments with sustained drift, each from the moment before the first.
fn spans(timeline: &[Moment]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, _) in timeline.iter().enumerate().skip(1).filter(|(_, moment)| moment.state == State::Drifting) {
        match spans.last_mut() {
            Some((_, until)) if *until == at - 1 => *until = at,
            _ => spans.push((at - 1, at)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_counts_stand_at_what_they_say() {
        for most in (0..500).chain([12_345]) {
            let (top, ticks) = ticks(most);
            assert!(top >= most && top >= 2 && ticks.len() <= 5, "{most}");
            for tick in ticks {
                let says: usize = tick.text.parse().unwrap();
                assert!((tick.at * top as f64 - says as f64).abs() < 1e-9, "{most}: {tick:?}");
            }
        }
        let texts = |most| ticks(most).1.into_iter().map(|tick| tick.text).collect::<Vec<_>>();
        assert_eq!(texts(5), ["0", "2", "4", "6"]);
        assert_eq!(texts(22), ["0", "10", "20", "30"]);
        assert_eq!(texts(0), ["0", "1", "2"]);
    }
}
