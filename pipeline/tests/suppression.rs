//! Which rows are anomalies: the score stands in the line as it is, whatever is made of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::suppress::{Direction, Suppression};
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

/// Expects 100 of everything; contributes the deviation where explanations are wanted.
struct Hundred;

impl BatchScorer for Hundred {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend(batch.values.iter().step_by(batch.features()).map(|value| (value - 100.0).abs() / 10.0));
        if wanted.contributions {
            verdicts.contributions.extend(batch.values.iter().map(|value| value - 100.0));
        }
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

fn run(lane: Lane, input: &str) -> String {
    let mut pipeline = Pipeline::new(vec![lane], 7);
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    String::from_utf8(pipeline.run(input.len(), 0, &mut [Hundred]).to_vec()).unwrap()
}

#[test]
fn the_verdict_follows_the_incident_to_its_end() {
    let input = "m a=100,b=101 1\nm a=130,b=108 2\nm a=107,b=109 3\nm b=107 4\nm a=108,b=120 5\nm a=101,b=107 6\n\
                 m a=101,b=101 7\n";
    let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 7);
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    let out = String::from_utf8(pipeline.run(input.len(), 0, &mut [Hundred]).to_vec()).unwrap();
    assert_eq!(
        out,
        "m a=100,b=101,anomaly_score=0.1,is_anomaly=0i 1\n\
         m a=130,b=108,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"a\" 2\n\
         m a=107,b=109,anomaly_score=0.9,is_anomaly=1i,anomaly_cause=\"a\" 3\n\
         m b=107,anomaly_score=0.7,is_anomaly=0i 4\n\
         m a=108,b=120,anomaly_score=2,is_anomaly=1i,anomaly_cause=\"b\" 5\n\
         m a=101,b=107,anomaly_score=0.7,is_anomaly=1i,anomaly_cause=\"b\" 6\n\
         m a=101,b=101,anomaly_score=0.1,is_anomaly=0i 7\n"
    );
    let counts = pipeline.counts();
    assert_eq!((counts.anomalous, counts.incidents), (4, 2), "{counts:?}");
    let reports: Vec<_> =
        pipeline.verdicts().filter(|row| row.reports).map(|row| (row.key.to_vec(), row.time)).collect();
    assert_eq!(reports, [(b"a".to_vec(), 2), (b"b".to_vec(), 5)]);
}

#[test]
fn vectors_gauge_and_tag_follow_it_too() {
    for (style, marks) in [
        (VerdictStyle::Gauges, ["\"gauge\":{\"value\":0}", "\"gauge\":{\"value\":1}"]),
        (VerdictStyle::Tags, ["\"is_anomaly\":\"0\"", "\"is_anomaly\":\"1\""]),
    ] {
        let mut pipeline =
            Pipeline::of(VectorEvents::new(style), vec![Lane::new(Selector::default(), Limits::default())], 7);
        pipeline.format_mut().begin_body(b"{");
        let event = |value| {
            format!("{{\"metric\":{{\"name\":\"m\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{value}.0}}}}}}\n")
        };
        let input: String = [101, 130, 107, 107, 101].map(event).concat();
        pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
        let out = String::from_utf8(pipeline.run(input.len(), 0, &mut [Hundred]).to_vec()).unwrap();
        let verdicts = out.lines().filter(|line| line.contains("is_anomaly"));
        let said: Vec<_> = verdicts.map(|line| marks.map(|mark| line.contains(mark))).collect();
        let (no, yes) = ([true, false], [false, true]);
        assert_eq!(said, [no, yes, yes, yes, no], "{out}");
    }
}

#[test]
fn the_score_stands_and_the_cause_is_among_what_is_reported() {
    let input = "m a=70,b=120 1\nm a=180,b=20 2\nm a=20,b=101 3\n";
    let with = |rule| run(Lane::new(Selector::default(), Limits::default()).suppress(rule), input);
    let line = |a: &str, score: &str, verdict: &str| format!("m {a},anomaly_score={score},is_anomaly={verdict}\n");
    let every = with(Suppression::default());
    assert_eq!(
        every,
        line("a=70,b=120", "3", "1i,anomaly_cause=\"a\" 1")
            + &line("a=180,b=20", "8", "1i,anomaly_cause=\"a\" 2")
            + &line("a=20,b=101", "8", "1i,anomaly_cause=\"a\" 3")
    );
    assert_eq!(
        with(Suppression { direction: Direction::Above, ..Suppression::default() }),
        line("a=70,b=120", "3", "1i,anomaly_cause=\"b\" 1")
            + &line("a=180,b=20", "8", "1i,anomaly_cause=\"a\" 2")
            + &line("a=20,b=101", "8", "0i 3")
    );
    assert_eq!(
        with(Suppression { min_deviation: 50.0, direction: Direction::Below, ..Suppression::default() }),
        line("a=70,b=120", "3", "0i 1")
            + &line("a=180,b=20", "8", "1i,anomaly_cause=\"b\" 2")
            + &line("a=20,b=101", "8", "1i,anomaly_cause=\"a\" 3")
    );
    assert_eq!(
        with(Suppression { expected_range: Some([0.0, 150.0]), ..Suppression::default() }),
        line("a=70,b=120", "3", "0i 1")
            + &line("a=180,b=20", "8", "1i,anomaly_cause=\"a\" 2")
            + &line("a=20,b=101", "8", "0i 3")
    );
}

#[test]
fn what_is_about_one_value_says_nothing_of_several() {
    let feature = |field: &str| Feature {
        name: field.to_owned(),
        measurement: "m".to_owned(),
        field: field.to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let shape = Shape { features: vec![feature("a"), feature("b")], entity: Vec::new(), interval: 0 };
    let rule = Suppression { direction: Direction::Above, expected_range: Some([0.0, 1e9]), ..Suppression::default() };
    let lane = Lane::vectors("v", shape, Selector::default(), Limits::default()).suppress(rule);
    assert!(run(lane, "m a=20,b=20 1\n").contains("score=8,is_anomaly=1i"));
}

#[test]
fn an_event_of_a_vector_follows_its_incident() {
    let feature = Feature {
        name: "a".to_owned(),
        measurement: "m".to_owned(),
        field: "a".to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let shape = Shape { features: vec![feature], entity: Vec::new(), interval: 0 };
    let rule = Suppression { sustained: 2, of: 3, ..Suppression::default() };
    let lane = Lane::vectors("v", shape, Selector::default(), Limits::default()).suppress(rule);
    let out = run(lane, "m a=120 1\nm a=107 2\nm a=107 3\nm a=101 4\nm a=107 5\n");
    let events = out.lines().filter(|line| line.starts_with("anomaly,"));
    let said: Vec<_> = events.map(|line| line.contains("is_anomaly=1i")).collect();
    assert_eq!(said, [false, true, true, false, false], "{out}");
}
