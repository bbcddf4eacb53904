//! Line protocol with every feature and oddity of the format.

use std::fmt::Write as _;

/// Every oddity that Telegraf's parser accepts, each line with a timestamp of its own.
pub const ODDITIES: &[u8] = include_bytes!("../fixtures/oddities.lp");

/// Lines without a timestamp.
pub const NO_TIMESTAMP: &[u8] = include_bytes!("../fixtures/no-timestamp.lp");

/// Lines that Telegraf's parser refuses, with valid ones (`resync`) among them at which it must resume.
pub const MALFORMED: &[u8] = include_bytes!("../fixtures/malformed.lp");

/// A string that is never closed and contains all that follows; no final newline.
pub const UNTERMINATED: &[u8] = include_bytes!("../fixtures/unterminated.lp");

/// The timestamp of most lines of the fixtures.
const START: u64 = 1_700_000_000_000_000_000;

/// Ten seconds: a usual interval of metrics.
const STEP: u64 = 10_000_000_000;

/// The fixture `rounds` times over, each round ten seconds later, so that a detector warms up on it.
#[must_use]
pub fn rounds(fixture: &[u8], rounds: u64) -> Vec<u8> {
    let start = START.to_string();
    let mut all = Vec::with_capacity(fixture.len() * rounds as usize);
    for round in 0..rounds {
        let mut rest = fixture;
        while let Some(at) = rest.windows(start.len()).position(|window| window == start.as_bytes()) {
            all.extend_from_slice(&rest[..at]);
            all.extend_from_slice(time_of_round(round).as_bytes());
            rest = &rest[at + start.len()..];
        }
        all.extend_from_slice(rest);
    }
    all
}

/// The timestamp of a round's lines.
#[must_use]
pub fn time_of_round(round: u64) -> String {
    (START + round * STEP).to_string()
}

/// Lines too long for any fixed buffer: a string beyond 64 KiB, one beyond 1 MiB with raw newlines in it,
/// and one with five thousand fields.
#[must_use]
pub fn long_lines() -> Vec<u8> {
    let string = "0123456789abcdef".repeat(5_000);
    let text = "a line\n".repeat(200_000);
    let fields: Vec<String> = (0..5_000).map(|n| format!("field_{n}={n}.5")).collect();
    format!(
        "long_string message=\"{string}\",value=1.5 {START}\n\
         long_text message=\"{text}\",value=1.5 {START}\n\
         long_fields {} {START}\n\
         long_tag,tag={string} value=1.5 {START}\n",
        fields.join(",")
    )
    .into_bytes()
}

/// Appends an ordinary history of `length` lines, ten seconds apart, and a line with a spike in the field `value`.
/// Returns the time of that line.
pub fn spike(history: &mut String, length: u64) -> u64 {
    let mut line = |n: u64, value: f64| {
        let at = START + n * STEP;
        writeln!(history, "load,host=web-1 value={value},steady={} {at}", noise(n + 1))
            .expect("text can be appended to");
        at
    };
    for n in 0..length {
        line(n, noise(n));
    }
    line(length, 100_000.0)
}

/// Pseudorandom values between 50 and 60, the same in every run.
#[must_use]
pub fn noise(n: u64) -> f64 {
    50.0 + (n.wrapping_mul(7_919) % 101) as f64 / 10.0
}
