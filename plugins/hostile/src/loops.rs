//! Endless loops, in every call; and long ones, for every row.

use crate::attack::{Attack, Call, In};
use crate::detection::Verdicts;

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    let action: fn() = match action {
        "loop" => spin,
        // Each iteration is one operation on all memory.
        "fill" => fill,
        "slow" => return Some(Box::new(Slow)),
        _ => return None,
    };
    Some(Box::new(In { call, action }))
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn fill() {
    let mut large = vec![0_u8; 24 << 20];
    loop {
        let byte = std::hint::black_box(1);
        std::hint::black_box(&mut large).fill(byte);
    }
}

/// Slow for every row: only calls with many rows exceed the deadline.
struct Slow;

impl Attack for Slow {
    fn verdicts(&self, honest: Verdicts) -> Verdicts {
        (0..honest.scores.len() as u64 * 100_000).for_each(|turn| _ = std::hint::black_box(turn));
        honest
    }
}
