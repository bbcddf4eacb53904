//! The component that exports `qualm:detector/detection`: `qualm-core` behind the contract, and nothing else.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

use std::cell::RefCell;

use exports::qualm::detector::detection;
use qualm_core::Batch;

wit_bindgen::generate!({ path: "../../wit", world: "plugin" });

struct Component;

/// A detector as the contract's resource. The component model never calls it from two sides at once.
struct Detector(RefCell<Box<dyn qualm_core::Detector>>);

impl detection::Guest for Component {
    type Detector = Detector;
}

impl detection::GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<detection::Detector, detection::Error> {
        Ok(detection::Detector::new(Self(RefCell::new(qualm_core::open(&model)?))))
    }

    fn describe(&self) -> detection::Description {
        let qualm_core::Description { kind, version, features, warm_up, scale } = self.0.borrow().describe();
        detection::Description { kind, version, features, warm_up, scale }
    }

    fn observe(&self, batch: detection::Observations, explain: bool) -> Result<detection::Verdicts, detection::Error> {
        let detection::Observations { series, timestamps, values } = &batch;
        let batch = Batch { series, times: timestamps, values };
        let qualm_core::Verdicts { scores, contributions } = self.0.borrow_mut().observe(batch, explain)?;
        Ok(detection::Verdicts { scores, contributions })
    }

    fn forget(&self, series: Vec<u32>) {
        self.0.borrow_mut().forget(&series);
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        self.0.borrow().save(&series)
    }

    fn restore(&self, state: Vec<u8>, series: Vec<Option<u32>>) -> Result<(), detection::Error> {
        Ok(self.0.borrow_mut().restore(&state, &series)?)
    }
}

impl From<qualm_core::Error> for detection::Error {
    fn from(error: qualm_core::Error) -> Self {
        match error {
            qualm_core::Error::BadModel(why) => Self::BadModel(why),
            qualm_core::Error::BadShape(why) => Self::BadShape(why),
            qualm_core::Error::BadState(why) => Self::BadState(why),
            qualm_core::Error::Internal(why) => Self::Internal(why),
        }
    }
}

export!(Component);
