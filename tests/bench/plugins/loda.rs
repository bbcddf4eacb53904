//! LODA as a plugin, as the same component built in, and compiled with this program.

use std::hint::black_box;

use qualm_contract::{Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Guest};

use crate::guests::{LIMITS, Shop};
use crate::rows::Vectors;
use crate::{BATCHES, Effort, by_turns, median};

#[expect(dead_code, unreachable_pub, clippy::pedantic, reason = "it is not ours")]
#[path = "../../../plugins/loda/src/loda.rs"]
mod native;

/// What a plugin may cost, compared with what is built in.
const MAX_RATIO: f64 = 1.1;

pub(crate) fn measure(shop: &Shop, effort: Effort) {
    let plugin = shop.plugin("loda");
    let built_in =
        DetectorSpec::new(&shop.sandbox(), &plugin.bytes(), plugin.model.clone(), LIMITS).expect("it is good");
    let model: native::Model = postcard::from_bytes(&plugin.model).expect("it is a model");
    println!(
        "| rows a call | LODA as a plugin | the same component built in | ratio | wanted | natively | plugin / native |"
    );
    println!("|---|---|---|---|---|---|---|");
    for rows in BATCHES {
        let batches = Vectors::new(effort.rows).batches(rows);
        let (mut guest, mut trusted) = (plugin.start(), Guest::start(&built_in).expect("it starts"));
        let turns = by_turns(
            effort.turns,
            effort.rows,
            [&mut || score(&mut guest, &batches), &mut || score(&mut trusted, &batches), &mut || {
                natively(&model, &batches);
            }],
        );
        let [ours, built_in, native] = [0, 1, 2].map(|at| median(&turns, |turn| turn[at]));
        let (ratio, slower) = (median(&turns, |turn| turn[0] / turn[1]), median(&turns, |turn| turn[0] / turn[2]));
        let met = if ratio <= MAX_RATIO { "met" } else { "MISSED" };
        println!(
            "| {rows} | {ours:.0} ns a row | {built_in:.0} ns | {ratio:.2} | ≤ {MAX_RATIO}: {met} | {native:.0} ns | {slower:.2} |"
        );
    }
}

pub(crate) fn score(guest: &mut Guest, batches: &[Rows]) {
    let mut verdicts = Verdicts::default();
    for batch in batches {
        verdicts.clear();
        guest.score_batch(batch.batch(), Wanted::SCORES, &mut verdicts).expect("it scores");
        black_box(&verdicts);
    }
}

fn natively(model: &native::Model, batches: &[Rows]) {
    let mut scores = Vec::new();
    for batch in batches {
        scores.clear();
        scores.extend(batch.values.chunks_exact(model.features).map(|row| model.score(row)));
        black_box(&scores);
    }
}
