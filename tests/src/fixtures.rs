//! Line protocol with everything in it that real line protocol has, and more of it than one would like.

use std::fmt::Write as _;

/// Every oddity that Telegraf's parser takes, each line with a timestamp of its own.
pub const ODDITIES: &[u8] = include_bytes!("../fixtures/oddities.lp");

/// Lines whose timestamp is absent.
pub const NO_TIMESTAMP: &[u8] = include_bytes!("../fixtures/no-timestamp.lp");

/// Lines that Telegraf's parser refuses, and among them good ones (`resync`) that it must find again afterwards.
pub const MALFORMED: &[u8] = include_bytes!("../fixtures/malformed.lp");

/// A string that is never closed and swallows what follows it; no final newline.
pub const UNTERMINATED: &[u8] = include_bytes!("../fixtures/unterminated.lp");

/// The timestamp that most lines of the fixtures carry.
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

/// The timestamp that the lines of a round carry.
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

/// Appends a calm history of `length` lines, one for every ten seconds, and a line whose field `value` leaps.
/// Returns the time of that line.
pub fn spike(history: &mut String, length: u64) -> u64 {
    let mut line = |n: u64, value: f64| {
        let at = START + n * STEP;
        writeln!(history, "load,host=web-1 value={value},steady={} {at}", wobble(n + 1))
            .expect("text can be appended to");
        at
    };
    for n in 0..length {
        line(n, wobble(n));
    }
    line(length, 100_000.0)
}

/// Values between 50 and 60 that look like noise and are the same in every run.
#[must_use]
pub fn wobble(n: u64) -> f64 {
    50.0 + (n.wrapping_mul(7_919) % 101) as f64 / 10.0
}
