//! The same detector twice: compiled with this program, and as the component in its sandbox.

use std::hint::black_box;
use std::time::Duration;

use qualm_contract::Verdicts;
use qualm_contract::{Detector, Wanted};
use qualm_core::streaming::Parameters;
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Sandbox};

/// What it takes to start the component. A deadline that no busy machine makes it miss: a figure is wanted, however late.
pub(crate) fn spec() -> DetectorSpec {
    let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
    let model = Parameters::default().to_model();
    DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).expect("it compiles")
}

/// The component, as the pipeline calls it.
pub(crate) fn component() -> Guest {
    Guest::start(&spec()).expect("it starts")
}

/// The same code without a sandbox.
pub(crate) fn native() -> Box<dyn Detector> {
    qualm_core::open(&Parameters::default().to_model()).expect("the model is good")
}

/// Scores a batch natively.
pub(crate) fn observe_native(detector: &mut dyn Detector, rows: &Rows) {
    let batch = rows.batch();
    black_box(detector.verdicts_of(batch, Wanted::SCORES).expect("the batch is good").scores);
}

/// Scores a batch in the component.
pub(crate) fn observe_component(guest: &mut Guest, rows: &Rows, verdicts: &mut Verdicts) {
    verdicts.clear();
    guest.score_batch(rows.batch(), rows.wanted(), verdicts).expect("it works");
    black_box(verdicts);
}
