//! The alarms with the largest scores.

use maud::{Markup, html};

use super::Page;
use super::html::{Cell, bar, name, paragraph, section, table};
use crate::evaluate::evaluation::{Alarm, Cause, Evaluation};
use crate::evaluate::format::{count, lasted, number};

/// How many alarms are listed.
const MAX_ALARMS: usize = 10;
/// How many features are named for each.
const MAX_CAUSES: usize = 3;

/// The alarms with the largest scores.
pub(super) fn section_html(page: &Page<'_>) -> Markup {
    let Evaluation { alarms, summary, entities, .. } = page.evaluation;
    let alarms = &alarms[..alarms.len().min(MAX_ALARMS)];
    if alarms.is_empty() {
        return section("Alarms", "", paragraph("No row is above the threshold."));
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
        let mut cells: Vec<Cell> = vec![clock(alarm.from).into()];
        cells.extend((*entities > 1).then(|| name(&alarm.entity).into()));
        cells.push(number(alarm.score, 3).into());
        cells.push(html! { (lasted) small { (count(alarm.rows as u64, "row", "rows")) } }.into());
        cells.extend(alarm.labelled.map(|labelled| {
            let (class, text) = if labelled { ("good", "yes") } else { ("bad", "no") };
            html! { span class=(class) { (text) } }.into()
        }));
        cells.extend(has_causes.then(|| Cell::wide(why(&alarm.causes))));
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
            " Why: the features that contributed most to its largest score, and their values then."
        } else {
            ""
        }
    );
    section("Alarms", meaning, table("stacked", &heads, alarms.iter().map(row)))
}

/// A time on two lines, so that a table of times stays narrow.
fn clock(time: jiff::Timestamp) -> Markup {
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    let [day, second] = ["%Y-%m-%d", "%H:%M:%S UTC"].map(|format| time.strftime(format).to_string());
    html! { (day) small { (second) } }
}

/// The largest contributions to a score, with bars relative to the largest.
fn why(causes: &[Cause]) -> Markup {
    let most = causes.iter().map(|cause| cause.contribution.abs()).fold(0.0, f64::max);
    let line = |cause: &Cause| {
        let value = cause.value.map_or_else(|| "missing".to_owned(), |value| number(value, 3));
        let typical = cause.typical.map_or_else(String::new, |typical| format!(", commonly {}", number(typical, 3)));
        html! { (name(&cause.feature)) " = " (value) (typical) br; }
    };
    html! {
        div.causes {
            @for cause in causes.iter().take(MAX_CAUSES) {
                (bar(cause.contribution.abs() / most, "alarm", line(cause)))
            }
        }
    }
}
