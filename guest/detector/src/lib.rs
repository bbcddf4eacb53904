//! The component that exports `qualm:detector/detection`, `details` and `siblings`: `qualm-core` behind the contract, and nothing
//! else.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

use std::cell::RefCell;

use exports::qualm::detector::{details, detection, siblings};
use qualm_core::{Batch, Wanted};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package qualm:built-in;
        world built-in {
            include qualm:detector/detailed-plugin@0.1.2;
            include qualm:detector/related-plugin@0.1.2;
        }
    ",
    world: "qualm:built-in/built-in",
    generate_all,
});

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
        let wanted = Wanted { contributions: explain, bands: false };
        let qualm_core::Verdicts { scores, contributions, .. } = self.observe_wanted(&batch, wanted)?;
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

impl details::Guest for Component {
    fn observe(
        of: detection::DetectorBorrow<'_>,
        batch: detection::Observations,
        wanted: details::Wanted,
    ) -> Result<details::Judgement, detection::Error> {
        let details::Wanted { contributions, bands } = wanted;
        let wanted = Wanted { contributions, bands };
        let qualm_core::Verdicts { scores, contributions, reasons, mut bands } =
            of.get::<Detector>().observe_wanted(&batch, wanted)?;
        // A detector that knows none has a band of which nothing is known.
        bands.resize(if wanted.bands { scores.len() } else { 0 }, qualm_core::Band::UNKNOWN);
        Ok(details::Judgement {
            verdicts: detection::Verdicts { scores, contributions },
            reasons: reasons.into_iter().map(reason).collect(),
            bands: bands.into_iter().map(band).collect(),
        })
    }
}

impl siblings::Guest for Component {
    fn relate(of: detection::DetectorBorrow<'_>, series: Vec<u32>, groups: Vec<u64>) {
        of.get::<Detector>().0.borrow_mut().relate(&series, &groups);
    }
}

impl Detector {
    fn observe_wanted(
        &self,
        batch: &detection::Observations,
        wanted: Wanted,
    ) -> Result<qualm_core::Verdicts, detection::Error> {
        let detection::Observations { series, timestamps, values } = batch;
        Ok(self.0.borrow_mut().observe(Batch { series, times: timestamps, values }, wanted)?)
    }
}

/// As the contract has it.
fn reason(reason: qualm_core::Reason) -> details::Reason {
    match reason {
        qualm_core::Reason::None => details::Reason::None,
        qualm_core::Reason::OutsideBand => details::Reason::OutsideBand,
        qualm_core::Reason::LevelShift => details::Reason::LevelShift,
        qualm_core::Reason::Stuck => details::Reason::Stuck,
        qualm_core::Reason::Novel => details::Reason::Novel,
        qualm_core::Reason::Rate => details::Reason::Rate,
        qualm_core::Reason::Variance => details::Reason::Variance,
    }
}

/// As the contract has it.
fn band(band: qualm_core::Band) -> details::Band {
    let qualm_core::Band { expected, lower, upper } = band;
    details::Band { expected, lower, upper }
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
