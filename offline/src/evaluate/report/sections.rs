//! The parts of the page, from what matters most to where it comes from.

use std::fmt::Write as _;

use super::Page;
use super::html::{bar, card, escape, section, table};
use super::plot::{Plot, Tick, line, path, rectangle, unit_ticks};
use super::series;
use crate::evaluate::evaluation::{Alarm, Cause, Evaluation, Feature, Labelled};
use crate::evaluate::events::Events;
use crate::evaluate::metrics::share;
use crate::evaluate::robustness::Effect;
use crate::evaluate::summary::Summary;
use crate::evaluate::words::{NONE, count, figure, lasted, number, percent, seconds, thousands};

/// Points of a curve that are drawn at most, about: what lies closer is not to be seen.
const POINTS: f64 = 500.0;
/// Alarms that are listed at most.
const ALARMS: usize = 10;
/// Features that are listed at most.
const FEATURES: usize = 25;

/// The figures that matter most, as cards.
pub(super) fn headline(page: &Page<'_>) -> String {
    let Evaluation { summary, labelled, injected, .. } = page.evaluation;
    let mut cards = Vec::new();
    if let Some(Labelled { events, figures, .. }) = labelled {
        cards.push(card(&format!("{} of {}", events.found, events.events), "incidents found"));
        cards.push(card(&format!("{} of {}", events.right, events.alarms), "alarms that were right"));
        let delay = events.delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds));
        cards.push(card(&delay, "until an incident was found (median)"));
        cards.push(card(&figure(figures.auc_pr), "AUC-PR: how well scores rank rows, 1 being perfect"));
    }
    if let Some(injected) = injected {
        cards.push(card(&figure(injected.figures.auc_pr), "AUC-PR on anomalies put in, 1 being perfect"));
    }
    let per_day = summary.alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2));
    cards.push(card(&per_day, "alarms a day"));
    cards.push(card(&percent(summary.alarm_rate), "of rows alarm"));
    if labelled.is_none() {
        let longest = summary.longest.map(|longest| lasted(longest.rows, longest.seconds));
        let longest = longest.unwrap_or_else(|| NONE.to_owned());
        cards.push(card(&longest, "was the longest alarm"));
    }
    cards.push(card(&percent(share(summary.rows - summary.unscored, summary.rows)), "of rows have a score"));
    format!("<section>\n<div class=\"cards\">\n{}</div>\n</section>\n", cards.concat())
}

/// The scores over time.
pub(super) fn over_time(page: &Page<'_>) -> String {
    let Page { evaluation, labels, .. } = page;
    let mut meaning =
        "A score of 0 is ordinary, 1 is the threshold (dashed), and what is above is an alarm. Above the \
                       threshold each step is ten times the last."
            .to_owned();
    if evaluation.entities > 1 {
        meaning +=
            " All entities share the plot: where they differ, the line is a band from the least score to the largest.";
    }
    let mut key = "<i class=\"score\"></i>ordinary<i class=\"alarm\"></i>alarm".to_owned();
    if labels.is_some() {
        key += "<i class=\"soft\"></i>labelled as an incident";
    }
    let plot = series::plot(page.table, &evaluation.scores, *labels).html();
    section("Scores over time", &meaning, &format!("{plot}<p class=\"key\">{key}</p>\n"))
}

/// The alarms with the largest scores.
pub(super) fn alarms(page: &Page<'_>) -> String {
    let Evaluation { alarms, summary, entities, .. } = page.evaluation;
    let alarms = &alarms[..alarms.len().min(ALARMS)];
    if alarms.is_empty() {
        return section("Alarms", "", "<p>No row is above the threshold.</p>\n");
    }
    let has_labels = page.labels.is_some();
    let has_causes = alarms.iter().any(|alarm| !alarm.causes.is_empty());
    let mut heads = vec!["When"];
    heads.extend((*entities > 1).then_some("Of what"));
    heads.extend(["Largest score", "Lasted"]);
    heads.extend(has_labels.then_some("Incident?"));
    heads.extend(has_causes.then_some("Why"));
    let row = |alarm: &Alarm| {
        let time = (alarm.to.as_nanosecond() - alarm.from.as_nanosecond()) as f64 / 1e9;
        let lasted = lasted(alarm.rows as u64, time);
        let mut cells = vec![clock(alarm.from)];
        cells.extend((*entities > 1).then(|| format!("<span class=\"name\">{}</span>", escape(&alarm.entity))));
        cells.push(number(alarm.score, 3));
        cells.push(format!("{lasted}<small>{}</small>", count(alarm.rows as u64, "row", "rows")));
        cells.extend(alarm.labelled.map(|labelled| {
            let (class, text) = if labelled { ("good", "yes") } else { ("bad", "no") };
            format!("<span class=\"{class}\">{text}</span>")
        }));
        cells.extend(has_causes.then(|| why(&alarm.causes)));
        cells
    };
    let shown = if (alarms.len() as u64) < summary.alarms {
        format!("The {} with the largest scores, of {}.", alarms.len(), count(summary.alarms, "alarm", "alarms"))
    } else {
        format!("All {}.", count(summary.alarms, "alarm", "alarms"))
    };
    let meaning = format!(
        "An alarm is a run of rows above the threshold. {shown}{}",
        if has_causes {
            " Why: the features that contributed most to its largest score, each with its share, and its value then."
        } else {
            ""
        }
    );
    section("Alarms", &meaning, &table("stacked", &heads, alarms.iter().map(row)))
}

/// A time on two lines, so that a table of times stays narrow.
fn clock(time: jiff::Timestamp) -> String {
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{}<small>{} UTC</small>", time.strftime("%Y-%m-%d"), time.strftime("%H:%M:%S"))
}

/// What contributed most to a score, with each one's share of what is listed.
fn why(causes: &[Cause]) -> String {
    let most = causes.iter().map(|cause| cause.contribution.abs()).fold(0.0, f64::max);
    let cause = |cause: &Cause| {
        let value = cause.value.map_or_else(|| "missing".to_owned(), |value| number(value, 3));
        let typical = cause.typical.map_or_else(String::new, |typical| format!(", commonly {}", number(typical, 3)));
        let name = escape(&cause.feature);
        bar(
            cause.contribution.abs() / most,
            "alarm",
            &format!("<span class=\"name\">{name}</span> = {value}{typical}<br/>"),
        )
    };
    format!("<div class=\"causes\">{}</div>", causes.iter().take(3).map(cause).collect::<String>())
}

/// Confusion, and curves over all thresholds.
pub(super) fn against_labels(page: &Page<'_>) -> String {
    let Some(labelled) = &page.evaluation.labelled else { return String::new() };
    let Labelled { events, figures, best, .. } = labelled;
    let verdict = if labelled.anomalous == 0 {
        "No row is labelled as an incident, so nothing can be found; each alarm is a false one.".to_owned()
    } else {
        in_words(events)
    };
    let unscored = if labelled.unscored > 0 {
        let rows = count(labelled.unscored, "labelled row has", "labelled rows have");
        format!(" {rows} no score, and count as not found.")
    } else {
        String::new()
    };
    let best = best.map_or_else(String::new, |best| {
        format!(
            " Who knew the labels could set the threshold to {} for an F1 of {}; that is a bound, not a promise.",
            number(best.threshold, 3),
            figure(Some(best.f1))
        )
    });
    let rows = format!(
        "Each row counts for what it was called when it passed; that one row of an incident was found does not make its \
         other rows found. Precision {}, recall {}, F1 {}.{unscored}{best}",
        figure(figures.precision),
        figure(figures.recall),
        figure(figures.f1)
    );
    [
        section("Incidents", &verdict, &table_of_events(events)),
        section("Row by row", &rows, &confusion(labelled)),
        section(
            "At every threshold",
            "What a lower or a higher threshold would find, and at what price. The dot is the threshold of this model, the \
             dotted line is what scores that know nothing would do.",
            &format!("<div class=\"pair\">\n{}{}</div>\n", precision_recall(labelled), roc(labelled)),
        ),
    ]
    .concat()
}

fn in_words(events: &Events) -> String {
    let tolerance = if events.tolerance > 0 {
        format!(" An alarm may be {} early or late.", count(events.tolerance as u64, "row", "rows"))
    } else {
        String::new()
    };
    format!(
        "An incident is a run of labelled rows; it is found if any row in it alarms. An alarm is right if it touches an \
         incident.{tolerance}"
    )
}

fn table_of_events(events: &Events) -> String {
    let delay = events.delay.map_or_else(
        || NONE.to_owned(),
        |delay| {
            format!(
                "{}, {} {}",
                seconds(delay.seconds),
                number(delay.rows, 3),
                if delay.rows.to_bits() == 1.0_f64.to_bits() { "row" } else { "rows" }
            )
        },
    );
    let found = format!("{} <small>{} of {}</small>", percent(events.recall), events.found, events.events);
    let right = format!("{} <small>{} of {}</small>", percent(events.precision), events.right, events.alarms);
    let rows = [
        vec!["Incidents found".to_owned(), found],
        vec!["Alarms that were right".to_owned(), right],
        vec!["Both in one (F1)".to_owned(), figure(events.f1)],
        vec!["From an incident's start to its first alarm, median".to_owned(), delay],
    ];
    table("short", &["", ""], rows.into_iter())
}

fn confusion(labelled: &Labelled) -> String {
    let it = labelled.confusion;
    let cell = |rows: u64, class: &str, what: &str| format!("<b class=\"{class}\">{}</b>{what}", thousands(rows));
    let rows = [
        vec![
            "labelled".to_owned(),
            cell(it.true_positives, "good", "found"),
            cell(it.false_negatives, "bad", "not found"),
        ],
        vec![
            "ordinary".to_owned(),
            cell(it.false_positives, "bad", "false alarms"),
            cell(it.true_negatives, "good", "left alone"),
        ],
    ];
    table("confusion", &["rows that are", "called anomalous", "called ordinary"], rows.into_iter())
}

fn precision_recall(labelled: &Labelled) -> String {
    // Between two thresholds the area is that of the later's precision: steps, as its sum is made of.
    let mut steps = Vec::new();
    let mut before = 0.0;
    for (recall, precision) in sparse(labelled.ranking.precision_recall()) {
        steps.extend([Some((before, precision)), Some((recall, precision))]);
        before = recall;
    }
    let confusion = labelled.confusion;
    let chance = share(labelled.anomalous, confusion.true_negatives + confusion.false_positives + labelled.anomalous);
    let chance = chance.map_or_else(String::new, |chance| line("chance", 0.0, chance, 1.0, chance));
    let here = labelled.figures.recall.zip(labelled.figures.precision);
    let plot = Plot {
        title: "Precision and recall at every threshold".to_owned(),
        class: "square",
        drawing: format!("{chance}<path class=\"ordinary\" d=\"{}\"/>{}", path(steps.into_iter()), dot(here)),
        across: unit_ticks(),
        up: unit_ticks(),
        across_name: "recall: share of labelled rows found",
        up_name: "precision: share of alarming rows that are labelled",
    };
    format!("<div><h3>Precision and recall: AUC-PR {}</h3>\n{}</div>\n", figure(labelled.figures.auc_pr), plot.html())
}

fn roc(labelled: &Labelled) -> String {
    let points = sparse(labelled.ranking.roc()).into_iter().map(Some);
    let confusion = labelled.confusion;
    let false_alarms = share(confusion.false_positives, confusion.false_positives + confusion.true_negatives);
    let plot = Plot {
        title: "Rows found and false alarms at every threshold".to_owned(),
        class: "square",
        drawing: format!(
            "{}<path class=\"ordinary\" d=\"{}\"/>{}",
            line("chance", 0.0, 0.0, 1.0, 1.0),
            path(points),
            dot(false_alarms.zip(labelled.figures.recall))
        ),
        across: unit_ticks(),
        up: unit_ticks(),
        across_name: "share of ordinary rows that alarm",
        up_name: "share of labelled rows found",
    };
    format!("<div><h3>Found and false: ROC-AUC {}</h3>\n{}</div>\n", figure(labelled.figures.roc_auc), plot.html())
}

fn dot(at: Option<(f64, f64)>) -> String {
    at.map_or_else(String::new, |at| format!("<path class=\"here\" d=\"{}\"/>", path([Some(at)].into_iter())))
}

/// Points of a curve without those that would lie on another.
fn sparse(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    let last = points.len().saturating_sub(1);
    for (at, point) in points.into_iter().enumerate() {
        let far = |last: &(f64, f64)| (point.0 - last.0).abs().max((point.1 - last.1).abs()) > 1.0 / POINTS;
        if at == last || out.last().is_none_or(far) {
            out.push(point);
        }
    }
    out
}

/// What was found of anomalies put in.
pub(super) fn injected(page: &Page<'_>) -> String {
    let Some(injected) = &page.evaluation.injected else { return String::new() };
    let rows = injected.kinds.iter().map(|found| {
        let share = share(found.found, found.injected).unwrap_or(0.0);
        vec![found.kind.name().to_owned(), bar(share, "", &format!("{} of {}", found.found, found.injected))]
    });
    let meaning = format!(
        "There are no labels, so anomalies of these shapes were put into a copy of the rows, in one to three features each \
         (a broken correlation in up to half), and scored. AUC-PR {}, ROC-AUC {}. Good to compare two models by on the same \
         rows; no promise of what either will find. What is anomalous in the rows by itself counts as a false alarm here.",
        figure(injected.figures.auc_pr),
        figure(injected.figures.roc_auc)
    );
    section("Anomalies put in", &meaning, &table("short", &["Shape", "Found (any row of it alarms)"], rows))
}

/// How many rows have which score.
pub(super) fn histogram(page: &Page<'_>) -> String {
    let Evaluation { summary: Summary { histogram, quantiles, unscored, .. }, labelled, .. } = page.evaluation;
    let most = histogram.iter().copied().max().unwrap_or(0).max(9);
    let height = |rows: u64| (1.0 + rows as f64).log10() / (1.0 + most as f64).log10();
    let width = 1.0 / histogram.len() as f64;
    let bars = |class: &dyn Fn(usize) -> &'static str, rows: &[u64], (from, to): (f64, f64)| -> String {
        let filled = rows.iter().enumerate().filter(|(_, rows)| **rows > 0);
        let bar = |(at, rows): (usize, &u64)| {
            rectangle(class(at), (at as f64 + from) * width, 0.0, (at as f64 + to) * width, height(*rows))
        };
        filled.map(bar).collect()
    };
    let side = |at: usize| if at < 10 { "ordinary" } else { "alarm" };
    let real = labelled.as_ref().map_or_else(String::new, |it| bars(&|_| "real", &it.histogram, (0.3, 0.7)));
    let drawing = format!(
        "{}{real}{}",
        bars(&side, histogram, (0.04, 0.96)),
        line("threshold", 10.0 * width, 0.0, 10.0 * width, 1.0)
    );
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
    let mut key = "<i class=\"score\"></i>ordinary<i class=\"alarm\"></i>alarm".to_owned();
    if labelled.is_some() {
        key += "<i class=\"label\"></i>labelled as an incident";
    }
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
    section("How scores are spread", &meaning, &format!("{}<p class=\"key\">{key}</p>\n", plot.html()))
}

/// A power of ten where there is little room: `10k` for 10 000.
fn short(power: u64) -> String {
    let (unit, name) = [(1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")]
        .into_iter()
        .find(|(unit, _)| power >= *unit)
        .unwrap_or((1, ""));
    format!("{}{name}", power / unit)
}

/// What each feature has to do with alarms, and how far it is from what it was in training.
pub(super) fn features(page: &Page<'_>) -> String {
    let mut features: Vec<&Feature> = page.evaluation.features.iter().collect();
    let has_shares = features.iter().any(|feature| feature.share.is_some());
    let has_drift = features.iter().any(|feature| feature.drift.is_some());
    if !has_shares && !has_drift {
        return String::new();
    }
    let shift = |feature: &Feature| feature.drift.map(|drift| drift.shift.unwrap_or(f64::INFINITY));
    let rank = |feature: &Feature| {
        let by_shift = shift(feature).map_or(0.0, f64::abs);
        if has_shares { (feature.share.unwrap_or(0.0), by_shift) } else { (by_shift, 0.0) }
    };
    features.sort_by(|one, other| {
        let (one, other) = (rank(one), rank(other));
        other.0.total_cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    let most = features.first().and_then(|feature| feature.share).unwrap_or(1.0);
    let mut heads = vec!["Feature"];
    heads.extend(has_shares.then_some("Share of alarms"));
    heads.extend(
        has_drift
            .then_some(["Mean moved by", "Mean then → now", "Outside", "Missing then → now"])
            .into_iter()
            .flatten(),
    );
    let rows = features.iter().take(FEATURES).map(|feature| {
        let mut cells = vec![format!("<span class=\"name\">{}</span>", escape(&feature.name))];
        cells.extend(has_shares.then(|| bar(feature.share.unwrap_or(0.0) / most, "alarm", &percent(feature.share))));
        if has_drift {
            cells.extend(drift(feature));
        }
        cells
    });
    let mut meaning = String::new();
    if has_shares {
        meaning += "Share of alarms: how much of the size of all contributions to alarming rows was this feature's. ";
    }
    if has_drift {
        meaning += "Mean moved by: in standard deviations of training; from about 1 on, the model looks at a system that is \
                    no longer the one that it learnt. Outside: the share of values beyond all of those in training. ";
    }
    if features.len() > FEATURES {
        let _infallible = write!(meaning, "The first {FEATURES} of {}.", features.len());
    }
    section("Features", meaning.trim_end(), &table("", &heads, rows))
}

fn drift(feature: &Feature) -> [String; 4] {
    let Some(drift) = &feature.drift else { return [NONE; 4].map(str::to_owned) };
    let now = drift.now.map_or_else(|| NONE.to_owned(), |now| number(now, 3));
    let shift = match drift.shift {
        Some(shift) => {
            let sign = if shift > 0.0 { "+" } else { "" };
            let class = if shift.abs() >= 1.0 { "alarm" } else { "" };
            // Four deviations fill the bar.
            bar(shift.abs() / 4.0, class, &format!("{sign}{}", number(shift, 2)))
        }
        None if drift.now.is_none() => "no value".to_owned(),
        None => bar(1.0, "alarm", "did not vary"),
    };
    let missing = format!("{} → {}", percent(Some(drift.missing_then)), percent(drift.missing_now));
    [shift, format!("{} → {now}", number(drift.then, 3)), percent(drift.outside), missing]
}

/// What perturbed rows do.
pub(super) fn robustness(page: &Page<'_>) -> String {
    let Evaluation { robustness, summary, labelled, .. } = page.evaluation;
    if robustness.is_empty() {
        return String::new();
    }
    let mut heads = vec!["What was done to the rows", "Verdicts that changed", "Rows that alarm", "Order kept"];
    heads.extend(labelled.as_ref().map(|_| ["AUC-PR", "F1"]).into_iter().flatten());
    let asis = |figure: Option<String>| figure.unwrap_or_else(|| NONE.to_owned());
    let mut rows = vec![vec!["nothing".to_owned(), NONE.to_owned(), percent(summary.alarm_rate), NONE.to_owned()]];
    if let Some(Labelled { figures, .. }) = labelled {
        rows[0].extend([figure(figures.auc_pr), figure(figures.f1)]);
    }
    rows.extend(robustness.iter().map(|effect: &Effect| {
        let flipped = effect.flipped.unwrap_or(0.0);
        let mut cells = vec![
            effect.perturbation.clone(),
            bar(flipped, if flipped >= 0.05 { "alarm" } else { "" }, &percent(effect.flipped)),
            percent(effect.alarm_rate),
            asis(effect.rank_correlation.map(|correlation| format!("{correlation:.2}"))),
        ];
        cells.extend(effect.labelled.map(|it| [figure(it.auc_pr), figure(it.f1)]).into_iter().flatten());
        cells
    }));
    section(
        "When the data is not what it was",
        "The same rows, made worse on purpose and scored anew. A spread is how far a feature's values commonly lie apart. \
         Small noise and a few gaps should change few verdicts. A shift should change many: a system that has moved by two \
         spreads is another one, and the model should be trained anew. Order kept: 1 if rows rank as before (Spearman), 0 if \
         not at all.",
        &table("", &heads, rows.into_iter()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_its_ends_and_no_more_points_than_can_be_seen() {
        let curve: Vec<(f64, f64)> = (0..=100_000).map(|at| (f64::from(at) / 1e5, f64::from(at) / 1e5)).collect();
        let drawn = sparse(curve.clone());
        assert!(drawn.len() <= 502 && drawn.first() == curve.first() && drawn.last() == curve.last());
        assert!(sparse(Vec::new()).is_empty());
    }
}
