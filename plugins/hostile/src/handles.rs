//! Endless resources: each detector that is created and never dropped is a handle that the host keeps.

use crate::attack::{Attack, Call, In};
use crate::{Detector, detection};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    (action == "handles").then(|| Box::new(In { call, action: make }) as Box<dyn Attack>)
}

fn make() {
    loop {
        let detector = Detector { attack: None, batches_before_attack: 0.into() };
        std::mem::forget(detection::Detector::new(detector));
    }
}
