//! Loops without end, in every call.

use crate::attack::{Attack, Call, In};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, deed) = Call::of(name);
    let deed: fn() = match deed {
        "loop" => spin,
        // Each turn is one operation on as much memory as may be had.
        "fill" => fill,
        _ => return None,
    };
    Some(Box::new(In { call, deed }))
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
