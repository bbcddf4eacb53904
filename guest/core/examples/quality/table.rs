//! `quality table`: what each set comes to, with the constants as shipped or as given.

use std::path::Path;

use qualm_core::streaming::Tuning;

use crate::data::{HARD, NAB, OTHERS, RANKED, REAL, SCENARIOS, Set, each, load};
use crate::events::Figures;
use crate::score::Scores;
use crate::{Failure, nab, tuning, vus};

/// Prints a row for each set, and the means of those that are not generated.
pub(crate) fn print(folder: &Path, rest: &[String]) -> Result<(), Failure> {
    let mut constants = Tuning::SHIPPED;
    let mut names: Vec<&str> = Vec::new();
    for argument in rest {
        if argument.contains('=') {
            tuning::set(&mut constants, argument)?;
        } else {
            names.push(argument);
        }
    }
    if names.is_empty() {
        names = [SCENARIOS].into_iter().chain(REAL).chain(OTHERS).collect();
    }
    println!(
        "{:<22}{:>7}{:>7}{FIGURES}{:>12}  NAB, or VUS-PR by maximum / mean",
        "set", "series", "events", "above, 1e-4"
    );
    let rows = each(&names, |name| {
        let set = load(folder, [*name])?.remove(0);
        Ok(row(&set, &Scores::of(&set, constants)?))
    })?;
    for (row, _) in &rows {
        println!("{row}");
    }
    let of = |wanted: fn(&str) -> bool| {
        let rows = names.iter().zip(&rows).filter(|(name, _)| REAL.contains(name) && wanted(name));
        rows.map(|(_, (_, figures))| *figures).collect::<Vec<_>>()
    };
    let real = of(|_| true);
    if real.len() == REAL.len() {
        println!("{:<36}{}", "mean of the seven", cells(&Figures::mean(&real)));
        println!("{:<36}{}", format!("mean without {HARD}"), cells(&Figures::mean(&of(|name| name != HARD))));
    }
    Ok(())
}

/// The heads of [`cells`].
pub(crate) const FIGURES: &str = "     hit  false/day  at 1/1,000  at 1/10,000";

pub(crate) fn cells(of: &Figures) -> String {
    format!("{:>8.3}{:>11.3}{:>12.3}{:>13.3}", of.hit, of.false_day, of.recall_1000, of.recall_10000)
}

/// Standard / low FP / low FN.
pub(crate) fn profiles([standard, low_fp, low_fn]: [f64; 3]) -> String {
    format!("{standard:.1} / {low_fp:.1} / {low_fn:.1}")
}

fn row(set: &Set, scores: &Scores) -> (String, Figures) {
    let figures = scores.figures(set);
    let events: usize = set.series.iter().map(|one| one.truth.events.len()).sum();
    let other = match set.name.as_str() {
        NAB => profiles(nab::of(set, &scores.rows, |_| true)),
        name if RANKED.contains(&name) => {
            format!("{:.3} / {:.3}", vus::of(set, &scores.rows), vus::of(set, &scores.means))
        }
        _ => String::new(),
    };
    let (name, series, above) = (&set.name, set.series.len(), 1e4 * scores.alarm_rate());
    let row = format!("{name:<22}{series:>7}{events:>7}{}{above:>12.2}  {other}", cells(&figures));
    (row.trim_end().to_owned(), figures)
}
