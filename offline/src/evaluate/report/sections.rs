//! The short sections of the page.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::Page;
use super::html::{Cell, bar, caption, card, cards, section, table};
use super::plot::{Plot, Tick, line, rectangle};
use super::series;
use crate::evaluate::evaluation::{Evaluation, Labelled};
use crate::evaluate::format::{NONE, count, figure, lasted, number, percent, seconds};
use crate::evaluate::metrics::share;
use crate::evaluate::networks;
use crate::evaluate::robustness::Effect;
use crate::evaluate::summary::Summary;

/// The figures that matter most, as cards.
pub(super) fn headline(page: &Page<'_>) -> Markup {
    let Evaluation { summary, labelled, injected, .. } = page.evaluation;
    let mut all = Vec::new();
    if let Some(Labelled { events, figures, .. }) = labelled {
        all.push(card(format!("{} of {}", events.found, events.events), "incidents found"));
        all.push(card(format!("{} of {}", events.right, events.alarms), "alarms that were right"));
        let delay = events.delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds));
        all.push(card(delay, "until an incident was found (median)"));
        all.push(card(figure(figures.auc_pr), "AUC-PR: how well scores rank rows, 1 being perfect"));
    }
    if let Some(injected) = injected {
        all.push(card(figure(injected.figures.auc_pr), "AUC-PR on anomalies put in, 1 being perfect"));
    }
    let per_day = summary.alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2));
    all.push(card(per_day, "alarms a day"));
    all.push(card(percent(summary.alarm_rate), "of rows alarm"));
    if labelled.is_none() {
        let longest = summary.longest.map(|longest| lasted(longest.rows, longest.seconds));
        let longest = longest.unwrap_or_else(|| NONE.to_owned());
        all.push(card(longest, "was the longest alarm"));
    }
    all.push(card(percent(share(summary.rows - summary.unscored, summary.rows)), "of rows have a score"));
    cards(&all)
}

/// The scores over time.
pub(super) fn over_time(page: &Page<'_>) -> Markup {
    let Page { evaluation, labels, .. } = page;
    let mut meaning =
        "A score of 0 is ordinary, 1 is the threshold (dashed), and what is above is an alarm. Above the \
                       threshold each step is ten times the last."
            .to_owned();
    if evaluation.entities > 1 {
        meaning +=
            " All entities share the plot: where they differ, the line is a band from the least score to the largest.";
    }
    let content = html! {
        (series::plot(page.table, &evaluation.scores, *labels).html())
        (key_of_scores(labels.map(|_| "soft")))
    };
    section("Scores over time", meaning, content)
}

/// The legend; `labelled` is the colour of labelled rows, if there are any.
fn key_of_scores(labelled: Option<&str>) -> Markup {
    caption(html! {
        i.score {} "ordinary" i.alarm {} "alarm"
        @if let Some(colour) = labelled {
            i.(colour) {} "labelled as an incident"
        }
    })
}

/// How many injected anomalies were found.
pub(super) fn injected(page: &Page<'_>) -> Markup {
    let Some(injected) = &page.evaluation.injected else { return Markup::default() };
    let rows = injected.kinds.iter().map(|found| {
        let share = share(found.found, found.injected).unwrap_or(0.0);
        vec![found.kind.name().into(), bar(share, "", format!("{} of {}", found.found, found.injected)).into()]
    });
    let meaning = format!(
        "There are no labels, so anomalies of these shapes were put into a copy of the rows, in one to three features each \
         (a broken correlation in up to half), and scored. AUC-PR {}, ROC-AUC {}. Good to compare two models by on the same \
         rows; no promise of what either will find. What is anomalous in the rows by itself counts as a false alarm here.",
        figure(injected.figures.auc_pr),
        figure(injected.figures.roc_auc)
    );
    section("Anomalies put in", meaning, table("short", &["Shape", "Found (any row of it alarms)"], rows))
}

/// The networks of an ensemble, together and each alone.
pub(super) fn networks(page: &Page<'_>) -> Markup {
    let (heads, rows) = networks::table(page.evaluation);
    if rows.is_empty() {
        return Markup::default();
    }
    let meaning = "What each network of this model would report by itself, at a threshold of its own, on the same rows. A \
                   network that does as well alone is cheaper; together they should not do worse than the best.";
    let rows = rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect());
    section("Networks", meaning, table("short", &heads, rows))
}

/// The histogram of scores.
pub(super) fn histogram(page: &Page<'_>) -> Markup {
    let Evaluation { summary: Summary { histogram, quantiles, unscored, .. }, labelled, .. } = page.evaluation;
    let most = histogram.iter().copied().max().unwrap_or(0).max(9);
    let height = |rows: u64| (1.0 + rows as f64).log10() / (1.0 + most as f64).log10();
    let width = 1.0 / histogram.len() as f64;
    let bars = |class: &dyn Fn(usize) -> &'static str, rows: &[u64], (from, to): (f64, f64)| {
        let bar = |at: usize, rows: u64| {
            let [left, right] = [from, to].map(|within| (at as f64 + within) * width);
            rectangle(class(at), [left, 0.0], [right, height(rows)], &Markup::default())
        };
        html! {
            @for (at, rows) in rows.iter().enumerate().filter(|(_, rows)| **rows > 0) {
                (bar(at, *rows))
            }
        }
    };
    let side = |at: usize| if at < 10 { "ordinary" } else { "alarm" };
    let drawing = html! {
        (bars(&side, histogram, (0.04, 0.96)))
        @if let Some(labelled) = labelled {
            (bars(&|_| "real", &labelled.histogram, (0.3, 0.7)))
        }
        (line("threshold", 10.0 * width, 0.0, 10.0 * width, 1.0))
    };
    let tick = |at: f64, text: String| Tick { at, text };
    let powers = (0..20).map(|power| 10_u64.pow(power.min(19))).take_while(|rows| *rows <= most);
    let plot = Plot {
        title: "How many rows have which score".to_owned(),
        class: "low",
        drawing,
        across: (0..=4).map(|score| tick(f64::from(score) * 10.0 * width, score.to_string())).collect(),
        up: powers.map(|rows| tick(height(rows), short(rows))).collect(),
        across_name: "score; the last bar is all above 4",
        up_name: "rows, each step ten times the last",
    };
    let mut meaning = quantiles.map_or_else(
        || "No row has a score.".to_owned(),
        |[_, half, _, percent, thousandth, largest]| {
            format!(
                "Half of the scores are below {}, 99 % below {}, 99.9 % below {}; the largest is {}. A good threshold lies \
                 where few rows do.",
                number(half, 3),
                number(percent, 3),
                number(thousandth, 3),
                number(largest, 3)
            )
        },
    );
    if *unscored > 0 {
        let _infallible = write!(meaning, " {} no score.", count(*unscored, "row has", "rows have"));
    }
    let content = html! {
        (plot.html())
        (key_of_scores(labelled.as_ref().map(|_| "label")))
    };
    section("How scores are spread", meaning, content)
}

/// A power of ten, shortened: `10k` for 10 000.
fn short(power: u64) -> String {
    let (unit, name) = [(1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")]
        .into_iter()
        .find(|(unit, _)| power >= *unit)
        .unwrap_or((1, ""));
    format!("{}{name}", power / unit)
}

/// The effects of perturbations.
pub(super) fn robustness(page: &Page<'_>) -> Markup {
    let Evaluation { robustness, summary, labelled, .. } = page.evaluation;
    if robustness.is_empty() {
        return Markup::default();
    }
    let mut heads = vec!["What was done to the rows", "Verdicts that changed", "Rows that alarm", "Order kept"];
    heads.extend(labelled.as_ref().map(|_| ["AUC-PR", "F1"]).into_iter().flatten());
    let asis = |figure: Option<String>| figure.unwrap_or_else(|| NONE.to_owned());
    let mut rows: Vec<Vec<Cell>> =
        vec![vec!["nothing".into(), NONE.into(), percent(summary.alarm_rate).into(), NONE.into()]];
    if let Some(Labelled { figures, .. }) = labelled {
        rows[0].extend([figure(figures.auc_pr), figure(figures.f1)].map(Cell::from));
    }
    rows.extend(robustness.iter().map(|effect: &Effect| {
        let flipped = effect.flipped.unwrap_or(0.0);
        let mut cells = vec![
            effect.perturbation.as_str().into(),
            bar(flipped, if flipped >= 0.05 { "alarm" } else { "" }, percent(effect.flipped)).into(),
            percent(effect.alarm_rate).into(),
            asis(effect.rank_correlation.map(|correlation| format!("{correlation:.2}"))).into(),
        ];
        let labelled = effect.labelled.map(|it| [figure(it.auc_pr), figure(it.f1)]);
        cells.extend(labelled.into_iter().flatten().map(Cell::from));
        cells
    }));
    section(
        "When the data is not what it was",
        "The same rows, made worse on purpose and scored anew. A spread is how far a feature's values commonly lie apart. \
         Small noise and a few gaps should change few verdicts. A shift should change many: a system that has moved by two \
         spreads is another one, and the model should be trained anew. Order kept: 1 if rows rank as before (Spearman), 0 if \
         not at all.",
        table("", &heads, rows.into_iter()),
    )
}
