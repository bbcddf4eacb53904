//! Endless recursion.

use crate::attack::{Attack, Call, In};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    (action == "stack").then(|| Box::new(In { call, action: overflow }) as Box<dyn Attack>)
}

fn overflow() {
    std::hint::black_box(descend(0));
}

#[expect(unconditional_recursion, reason = "the attack")]
fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    descend(depth + 1).wrapping_add(frame[(depth % 64) as usize])
}
