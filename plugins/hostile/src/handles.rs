//! Resources without end: each detector that is made, and never dropped, is a handle that the host keeps.

use crate::attack::{Attack, Call, In};
use crate::{Detector, detection};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, deed) = Call::of(name);
    (deed == "handles").then(|| Box::new(In { call, deed: make }) as Box<dyn Attack>)
}

fn make() {
    loop {
        let detector = Detector { attack: None, patience: 0.into() };
        std::mem::forget(detection::Detector::new(detector));
    }
}
