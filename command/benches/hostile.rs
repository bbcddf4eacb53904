//! What each attack of `command/tests/hostile/` does to a pipeline: a Markdown table, to stand in `docs/hostile.md`.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/attacks.rs"]
mod attacks;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/components.rs"]
mod components;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hostile/support.rs"]
mod support;

use attacks::{ALL, Attack, End};
use support::{LIMITS, Outcome, calm, pipeline, trial};

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
    let spec = match trial(attack) {
        Ok(spec) => spec,
        Err(why) => {
            let told = why.split(['(', ',', ';']).next().unwrap_or_default().trim();
            return match attack.end {
                End::NotCompiled(_) => {
                    format!("refuses it before it is compiled: {told} | – | – | `qualm_models_refused_total` |")
                }
                _ => format!("refuses it when it is tried out: {told} | – | – | `qualm_models_refused_total` |"),
            };
        }
    };
    let Outcome { health, others, longest, .. } = pipeline(spec);
    assert!(others == calm.others, "{}: the other detector's scores", attack.name);
    let mut counters: Vec<_> = health.failures.iter().map(|(reason, count)| format!("`{reason}` {count}")).collect();
    if health.lines_dropped > 0 {
        counters.push(format!("log lines dropped {}", health.lines_dropped));
    }
    let does = match attack.end {
        End::Fails(_) => "its rows pass unscored, it is started anew, then left alone",
        _ => "goes on: it harms nobody",
    };
    let memory = health.memory as f64 / f64::from(1 << 20);
    format!("{does} | {:.1} ms | {memory:.1} MiB | {} |", longest.as_secs_f64() * 1e3, counters.join(", "))
}
