//! `quality ablation`: what each part of the detector adds.

use std::path::Path;

use qualm_core::streaming::Tuning;
use serde::Serialize;

use crate::data::{HARD, NAB, REAL, SCENARIOS, each, load};
use crate::events::Figures;
use crate::score::Scores;
use crate::table::{FIGURES, cells, profiles};
use crate::{Failure, nab};

/// The checks, in the order of `Tuning::check_weights`.
const CHECKS: [&str; 5] = ["mean of 4 rows", "mean of 32 rows", "jump", "novelty", "the same value again"];

/// The content of `tests/quality/ablation.json`.
#[derive(Serialize)]
pub(crate) struct Ablation {
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    without: String,
    #[serde(flatten)]
    figures: Figures,
}

/// The names of omitted parts, and the constants without them.
fn variants() -> Vec<(&'static str, Tuning)> {
    let mut variants = vec![("nothing", Tuning::SHIPPED)];
    for (check, name) in CHECKS.into_iter().enumerate() {
        let mut tuning = Tuning::SHIPPED;
        tuning.check_weights[check] = 0.0;
        variants.push((name, tuning));
    }
    // More days than any series has: no season is ever used.
    variants.push(("season", Tuning { season_days: 250, ..Tuning::SHIPPED }));
    variants.push(("learned bar", Tuning { report_threshold_step: 0.0, ..Tuning::SHIPPED }));
    variants.push(("caution with new series", Tuning { early_threshold_share: 0.0, ..Tuning::SHIPPED }));
    variants.push(("worth of time between rows", Tuning { threshold_per_log_step: 0.0, ..Tuning::SHIPPED }));
    variants
}

/// Measures the scenarios, and the mean of the other sets.
pub(crate) fn measure(folder: &Path) -> Result<Ablation, Failure> {
    let generated = load(folder, [SCENARIOS])?.remove(0);
    let real = load(folder, REAL)?;
    let variants = variants();
    let found = each(&variants, |(_, tuning)| {
        let mut by_nab = [f64::NAN; 3];
        let mut figures = Vec::new();
        for set in &real {
            let scores = Scores::of(set, *tuning)?;
            if set.name == NAB {
                by_nab = nab::of(set, &scores.rows, |_| true);
            }
            figures.push(scores.figures(set));
        }
        let apart = REAL.iter().zip(&figures).filter(|(name, _)| **name != HARD).map(|(_, of)| *of);
        let apart = Figures::mean(&apart.collect::<Vec<_>>()).false_day;
        Ok((Scores::of(&generated, *tuning)?.figures(&generated), Figures::mean(&figures), apart, by_nab))
    })?;

    println!("{:<28}{FIGURES}", format!("{SCENARIOS}, without"));
    for ((without, _), (scenarios, ..)) in variants.iter().zip(&found) {
        println!("{without:<28}{}", cells(scenarios));
    }
    println!("\n{:<28}{FIGURES}  false/day without {HARD}  NAB", "seven sets, without");
    for ((without, _), (_, mean, apart, by_nab)) in variants.iter().zip(&found) {
        println!("{without:<28}{}{apart:>25.3}  {}", cells(mean), profiles(*by_nab));
    }
    let part = |without: &str, on: &str, figures| Part { without: format!("{without}, on {on}"), figures };
    let scenarios = variants.iter().zip(&found).map(|((without, _), (of, ..))| part(without, SCENARIOS, *of));
    let mean = variants.iter().zip(&found).map(|((without, _), (_, of, ..))| part(without, "the seven sets", *of));
    Ok(Ablation { parts: scenarios.chain(mean).collect() })
}
