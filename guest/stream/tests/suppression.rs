//! Which anomalies are told: the score stands in the line as it is, whatever is made of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use qualm_stream::suppress::{Direction, Suppression};
use qualm_stream::vector::{Feature, Shape, Transform};
use qualm_stream::{Lane, Limits, Pipeline, Rows, Scorer, Selector, Verdicts};

/// Expects 100 of everything; tells how far off a value is where it is asked.
struct Hundred;

impl Scorer for Hundred {
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
        verdicts.scores.extend(rows.values.iter().step_by(rows.features()).map(|value| (value - 100.0).abs() / 10.0));
        if rows.explain {
            verdicts.contributions.extend(rows.values.iter().map(|value| value - 100.0));
        }
    }

    fn forget(&mut self, _: &[u32]) {}
}

fn run(lane: Lane, input: &str) -> String {
    let mut pipeline = Pipeline::new(vec![lane], 7);
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    String::from_utf8(pipeline.run(input.len(), 0, &mut [Hundred]).to_vec()).unwrap()
}

#[test]
fn the_score_stands_and_the_cause_is_among_what_is_told() {
    let input = "m a=70,b=120 1\nm a=180,b=20 2\nm a=20,b=101 3\n";
    let with = |rule| run(Lane::new(Selector::default(), Limits::default()).suppress(rule), input);
    let line = |a: &str, score: &str, told: &str| format!("m {a},anomaly_score={score},is_anomaly={told}\n");
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
