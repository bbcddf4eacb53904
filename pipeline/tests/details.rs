//! Why a row is an anomaly, and what would have been ordinary: where either stands, and whose it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use qualm_contract::{Band, Batch, BatchScorer, Error, Reason, Verdicts, Wanted};
use qualm_pipeline::glob::Globs;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};

/// Expects 100 of everything, and takes what is ten off for ordinary. Has no score for what is negative.
struct Hundred;

impl BatchScorer for Hundred {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let score = |value: &f64| if *value < 0.0 { f64::NAN } else { (value - 100.0).abs() / 10.0 };
        verdicts.scores.extend(batch.values.iter().map(score));
        let reason = |score: &f64| if *score > 0.5 { Reason::OutsideBand } else { Reason::None };
        verdicts.reasons.extend(verdicts.scores.iter().map(reason));
        if wanted.bands {
            let band =
                |value: &f64| Band { expected: 100.0, lower: 90.0, upper: if *value < 2.0 { f64::NAN } else { 110.0 } };
            verdicts.bands.extend(batch.values.iter().map(band));
        }
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

fn fields(include: &str) -> Lane {
    let include_fields = Globs::new([include]).unwrap();
    Lane::new(Selector { include_fields, ..Selector::default() }, Limits::default())
}

fn run(lanes: Vec<Lane>, input: &str) -> String {
    let mut scorers: Vec<_> = lanes.iter().map(|_| Hundred).collect();
    let mut pipeline = Pipeline::new(lanes, 7);
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    String::from_utf8(pipeline.run(input.len(), 0, &mut scorers).to_vec()).unwrap()
}

const BAND: &str = ",anomaly_expected=100,anomaly_lower=90,anomaly_upper=110";

#[test]
fn one_field_has_its_band_on_each_row_that_is_scored() {
    assert_eq!(
        run(vec![fields("*").show_bands(true)], "m a=101 1\nm a=-1 2\nm a=130 3\nm a=106 4\nm a=1 5\n"),
        format!(
            "m a=101,anomaly_score=0.1,is_anomaly=0i{BAND} 1\n\
             m a=-1 2\n\
             m a=130,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"a\",anomaly_reason=\"outside_band\"{BAND} 3\n\
             m a=106,anomaly_score=0.6,is_anomaly=1i,anomaly_cause=\"a\",anomaly_reason=\"outside_band\"{BAND} 4\n\
             m a=1,anomaly_score=9.9,is_anomaly=1i,anomaly_cause=\"a\",anomaly_reason=\"outside_band\",\
             anomaly_expected=100,anomaly_lower=90 5\n"
        )
    );
}

#[test]
fn of_several_fields_the_cause_has_its_band() {
    let input = "m a=101,b=102 1\nm a=130,b=108 2\nm a=-1,b=101 3\n";
    let band = BAND;
    let expected = |band: &str| {
        format!(
            "m a=101,b=102,anomaly_score=0.2,is_anomaly=0i 1\n\
             m a=130,b=108,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"a\",anomaly_reason=\"outside_band\"{band} 2\n\
             m a=-1,b=101,anomaly_score=0.1,is_anomaly=0i 3\n"
        )
    };
    assert_eq!(run(vec![fields("*").show_bands(true)], input), expected(band));
    assert_eq!(run(vec![fields("*")], input), expected(""), "nobody asked for it");
}

/// Of two detectors, one field of one has a band: each row shows it, whichever field is the cause.
#[test]
fn the_only_field_with_a_band_has_it_always() {
    let lanes = vec![fields("a").show_bands(true), fields("b")];
    assert_eq!(
        run(lanes, "m a=101,b=130 1\nm b=101 2\n"),
        format!(
            "m a=101,b=130,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"b\",anomaly_reason=\"outside_band\"{BAND} 1\n\
             m b=101,anomaly_score=0.1,is_anomaly=0i 2\n"
        )
    );
}

#[test]
fn an_anomaly_that_is_not_reported_has_no_reason() {
    let lane = fields("*").suppress(Suppression { expected_range: Some([0.0, 200.0]), ..Suppression::default() });
    assert_eq!(run(vec![lane], "m a=130 1\n"), "m a=130,anomaly_score=3,is_anomaly=0i 1\n");
}

#[test]
fn the_event_of_a_vector_of_one_value_has_both() {
    let feature = |name: &str| Feature {
        name: name.to_owned(),
        measurement: "m".to_owned(),
        field: name.to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let lane = |names: &[&str]| {
        let features = names.iter().map(|name| feature(name)).collect();
        let shape = Shape { features, entity: Vec::new(), interval: 0 };
        Lane::vectors("v", shape, Selector::default(), Limits::default()).show_bands(true)
    };
    assert_eq!(
        run(vec![lane(&["a"])], "m a=130 1\n"),
        "m a=130 1\nanomaly,detector=v score=3,is_anomaly=1i,reason=\"outside_band\",expected=100,lower=90,upper=110 1\n"
    );
}

#[test]
fn what_has_a_band_was_scored_upstream() {
    let line = "m a=130,anomaly_upper=5 1\n";
    assert_eq!(run(vec![fields("*")], line), line);
}
