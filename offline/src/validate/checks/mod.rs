//! The six checks. Each reports what is wrong, where, and what to do.

mod duplicates;
mod missing;
mod outliers;
mod ranges;
mod schema;
mod statistics;

use super::data::Data;
use super::options::Limits;
use super::profile::Profile;
use super::report::Finding;
use super::timing::SeriesTiming;

/// Runs all checks.
pub(super) fn all(data: &Data, columns: &[Profile], timings: &[SeriesTiming], limits: &Limits) -> Vec<Finding> {
    let mut findings = Vec::new();
    schema::check(data, columns, &mut findings);
    missing::check(columns, limits, &mut findings);
    duplicates::check(data, timings, &mut findings);
    statistics::timings(timings, limits, &mut findings);
    for column in columns {
        ranges::check(column, &mut findings);
        outliers::check(column, limits, &mut findings);
        statistics::column(column, &mut findings);
    }
    findings
}

/// A share in percent, with more digits for smaller ones.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 10.0 => format!("{percent:.0} %"),
        percent if percent >= 0.1 => format!("{percent:.1} %"),
        percent => format!("{percent:.2} %"),
    }
}

/// A number with few digits.
fn short(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 && size < 1e15 {
        format!("{number}")
    } else if (1e-3..1e6).contains(&size) {
        let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
        format!("{number:.digits$}")
    } else {
        format!("{number:.3e}")
    }
}

/// `once`, `twice`, `3 times`.
fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// ` in line 7`, if the line is known.
fn in_line(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}
