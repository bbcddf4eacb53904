//! The component that exports `qualm:detector/detection`, `details` and `siblings`: `qualm-core` behind the contract.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

use std::cell::RefCell;

use exports::qualm::detector::{details, detection, siblings};
use qualm_contract::{Batch, Wanted};

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

/// A detector as the contract's resource. The component model never makes concurrent calls.
struct Detector(RefCell<Box<dyn qualm_contract::Detector>>);

impl detection::Guest for Component {
    type Detector = Detector;
}

impl detection::GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<detection::Detector, detection::Error> {
        Ok(detection::Detector::new(Self(RefCell::new(qualm_core::open(&model)?))))
    }

    fn describe(&self) -> detection::Description {
        let qualm_contract::Description { kind, version, features, warm_up, scale } = self.0.borrow().describe();
        detection::Description { kind, version, features, warm_up, scale }
    }

    fn observe(&self, batch: detection::Observations, explain: bool) -> Result<detection::Verdicts, detection::Error> {
        let wanted = Wanted { contributions: explain, bands: false };
        let qualm_contract::Verdicts { scores, contributions, .. } = self.score_observations(&batch, wanted)?;
        Ok(detection::Verdicts { scores, contributions })
    }

    fn forget(&self, series: Vec<u32>) {
        self.0.borrow_mut().forget_series(&series).expect("what is built in can always forget");
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        self.0.borrow_mut().save_series(&series).expect("what is built in can always save")
    }

    fn restore(&self, state: Vec<u8>, series: Vec<Option<u32>>) -> Result<(), detection::Error> {
        Ok(self.0.borrow_mut().restore_series(&state, &series)?)
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
        let qualm_contract::Verdicts { scores, contributions, reasons, mut bands } =
            of.get::<Detector>().score_observations(&batch, wanted)?;
        // A detector without bands gets unknown ones.
        bands.resize(if wanted.bands { scores.len() } else { 0 }, qualm_contract::Band::UNKNOWN);
        Ok(details::Judgement {
            verdicts: detection::Verdicts { scores, contributions },
            reasons: reasons.into_iter().map(reason).collect(),
            bands: bands.into_iter().map(band).collect(),
        })
    }
}

impl siblings::Guest for Component {
    fn relate(of: detection::DetectorBorrow<'_>, series: Vec<u32>, groups: Vec<u64>) {
        of.get::<Detector>().0.borrow_mut().relate_series(&series, &groups);
    }
}

impl Detector {
    fn score_observations(
        &self,
        batch: &detection::Observations,
        wanted: Wanted,
    ) -> Result<qualm_contract::Verdicts, detection::Error> {
        let detection::Observations { series, timestamps, values } = batch;
        Ok(self.0.borrow_mut().verdicts_of(Batch { series, times: timestamps, values }, wanted)?)
    }
}

/// The reason as a type of the bindings.
fn reason(reason: qualm_contract::Reason) -> details::Reason {
    match reason {
        qualm_contract::Reason::None => details::Reason::None,
        qualm_contract::Reason::OutsideBand => details::Reason::OutsideBand,
        qualm_contract::Reason::LevelShift => details::Reason::LevelShift,
        qualm_contract::Reason::Stuck => details::Reason::Stuck,
        qualm_contract::Reason::Novel => details::Reason::Novel,
        qualm_contract::Reason::Rate => details::Reason::Rate,
        qualm_contract::Reason::Variance => details::Reason::Variance,
    }
}

/// The band as a type of the bindings.
fn band(band: qualm_contract::Band) -> details::Band {
    let qualm_contract::Band { expected, lower, upper } = band;
    details::Band { expected, lower, upper }
}

impl From<qualm_contract::Error> for detection::Error {
    fn from(error: qualm_contract::Error) -> Self {
        match error {
            qualm_contract::Error::BadModel(why) => Self::BadModel(why),
            qualm_contract::Error::BadShape(why) => Self::BadShape(why),
            qualm_contract::Error::BadState(why) => Self::BadState(why),
            other => Self::Internal(other.to_string()),
        }
    }
}

export!(Component);
