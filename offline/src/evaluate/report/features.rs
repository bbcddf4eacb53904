//! The share of alarms and the drift of each feature.

use std::fmt::Write as _;

use maud::Markup;

use super::Page;
use super::html::{Cell, bar, name, section, table};
use crate::evaluate::evaluation::Feature;
use crate::evaluate::format::{NONE, number, percent};

/// How many features are listed.
const MAX_FEATURES: usize = 25;

/// The share of alarms and the drift of each feature.
pub(super) fn section_html(page: &Page<'_>) -> Markup {
    let mut features: Vec<&Feature> = page.evaluation.features.iter().collect();
    let has_shares = features.iter().any(|feature| feature.share.is_some());
    let has_drift = features.iter().any(|feature| feature.drift.is_some());
    if !has_shares && !has_drift {
        return Markup::default();
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
    let rows = features.iter().take(MAX_FEATURES).map(|feature| {
        let mut cells: Vec<Cell> = vec![name(&feature.name).into()];
        let share = || bar(feature.share.unwrap_or(0.0) / most, "alarm", percent(feature.share)).into();
        cells.extend(has_shares.then(share));
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
    if features.len() > MAX_FEATURES {
        let _infallible = write!(meaning, "The first {MAX_FEATURES} of {}.", features.len());
    }
    section("Features", meaning.trim_end(), table("", &heads, rows))
}

fn drift(feature: &Feature) -> [Cell; 4] {
    let Some(drift) = &feature.drift else { return [NONE; 4].map(Cell::from) };
    let now = drift.now.map_or_else(|| NONE.to_owned(), |now| number(now, 3));
    let shift = match drift.shift {
        Some(shift) => {
            let sign = if shift > 0.0 { "+" } else { "" };
            let class = if shift.abs() >= 1.0 { "alarm" } else { "" };
            // Four deviations fill the bar.
            bar(shift.abs() / 4.0, class, format!("{sign}{}", number(shift, 2))).into()
        }
        None if drift.now.is_none() => "no value".into(),
        None => bar(1.0, "alarm", "did not vary").into(),
    };
    let missing = format!("{} → {}", percent(Some(drift.missing_then)), percent(drift.missing_now));
    let moved = format!("{} → {now}", number(drift.then, 3));
    [shift, moved.into(), percent(drift.outside).into(), missing.into()]
}
