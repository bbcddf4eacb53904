//! Prints what each attack of `command/tests/hostile/` does to a pipeline: the Markdown table of `docs/hostile.md`.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/attacks.rs"]
mod attacks;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/components.rs"]
mod components;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/support.rs"]
mod support;

use attacks::{ALL, Attack, Expected};
use support::{LIMITS, Outcome, calm, pipeline, try_start};

fn main() {
    let calm = calm();
    let limit = LIMITS.memory >> 20;
    println!(
        "| attack | what the pipeline does | longest batch, of {} ms | memory, of {limit} MiB | counter |\n|---|---|---|---|---|",
        LIMITS.deadline.as_millis()
    );
    for attack in ALL.iter().copied().flatten() {
        println!("| {} | {}", attack.name, row(attack, &calm));
    }
}

fn row(attack: &Attack, calm: &Outcome) -> String {
    let spec = match try_start(attack) {
        Ok(spec) => spec,
        Err(why) => {
            let reason = why.split(['(', ',', ';']).next().unwrap_or_default().trim();
            return match attack.expected {
                Expected::NotCompiled(_) => {
                    format!("refuses it before it is compiled: {reason} | – | – | `qualm_models_refused_total` |")
                }
                _ => format!("refuses it when it is tried out: {reason} | – | – | `qualm_models_refused_total` |"),
            };
        }
    };
    let Outcome { health, healthy_scores, longest_batch, .. } = pipeline(spec);
    assert!(healthy_scores == calm.healthy_scores, "{}: the healthy detector's scores", attack.name);
    let mut counters: Vec<_> = health.failures.iter().map(|(reason, count)| format!("`{reason}` {count}")).collect();
    if health.lines_dropped > 0 {
        counters.push(format!("log lines dropped {}", health.lines_dropped));
    }
    let effect = match attack.expected {
        Expected::Fails(_) => "its rows pass unscored, it is started anew, then left alone",
        _ => "goes on: it harms nobody",
    };
    let memory = health.memory as f64 / f64::from(1 << 20);
    format!("{effect} | {:.1} ms | {memory:.1} MiB | {} |", longest_batch.as_secs_f64() * 1e3, counters.join(", "))
}
