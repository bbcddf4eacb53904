//! Traps, in every call and at random.

use crate::attack::{Attack, Call, In};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    match action {
        "trap" => Some(Box::new(In { call, action: trap })),
        "trap-at-random" => Some(Box::new(AtRandom)),
        _ => None,
    }
}

fn trap() {
    panic!("on request")
}

struct AtRandom;

impl Attack for AtRandom {
    fn act(&self, call: Call) {
        if let Call::Observe { time } = call
            && ((time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).is_multiple_of(8)
        {
            trap();
        }
    }
}
