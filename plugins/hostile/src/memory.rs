//! Memory: up to the limit, and beyond.

use crate::attack::{Attack, Call, In};

/// Bytes of a page of memory in WebAssembly.
const PAGE: usize = 64 << 10;

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    match action {
        "memory" => Some(Box::new(In { call, action: hoard })),
        "memory-to-the-limit" => Some(Box::new(In { call, action: grow })),
        "much-state" => Some(Box::new(MuchState)),
        _ => None,
    }
}

/// Allocates memory until that fails, and traps.
fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// Allocates and uses all memory, then continues. WebAssembly never releases memory.
fn grow() {
    let mut all = Vec::with_capacity(1 << 16);
    loop {
        let mut page: Vec<u8> = Vec::new();
        if page.try_reserve_exact(PAGE).is_err() {
            return;
        }
        page.resize(PAGE, 1);
        all.push(std::hint::black_box(page));
    }
}

/// Saves a state of many MiB, even for few series.
struct MuchState;

impl Attack for MuchState {
    fn state(&self, _: Vec<u8>) -> Vec<u8> {
        vec![1; 10 << 20]
    }
}
