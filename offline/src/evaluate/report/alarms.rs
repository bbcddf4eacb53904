//! The alarms with the largest scores.

use super::Page;
use super::html::{bar, escape, section, table};
use crate::evaluate::evaluation::{Alarm, Cause, Evaluation};
use crate::evaluate::words::{count, lasted, number};

/// Alarms that are listed at most.
const ALARMS: usize = 10;
/// Features that are named for each at most.
const CAUSES: usize = 3;

/// The alarms with the largest scores.
pub(super) fn section_of(page: &Page<'_>) -> String {
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
            " Why: the features that contributed most to its largest score, and their values then."
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

/// What contributed most to a score. The first has the longest bar.
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
    format!("<div class=\"causes\">{}</div>", causes.iter().take(CAUSES).map(cause).collect::<String>())
}
