//! Memory: to the limit, and beyond.

use crate::attack::{Attack, Call, In};

/// What WebAssembly counts memory in.
const PAGE: usize = 64 << 10;

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, deed) = Call::of(name);
    match deed {
        "memory" => Some(Box::new(In { call, deed: hoard })),
        "memory-to-the-limit" => Some(Box::new(In { call, deed: grow })),
        "much-state" => Some(Box::new(MuchState)),
        _ => None,
    }
}

/// Takes memory until it is refused, and breaks down.
fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// Takes all that it is given, uses it, and goes on as if nothing was: WebAssembly gives no memory back.
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

/// Has a state of many MiB, however few series it is of.
struct MuchState;

impl Attack for MuchState {
    fn state(&self, _: Vec<u8>) -> Vec<u8> {
        vec![1; 10 << 20]
    }
}
