//! Which series are siblings: those of one field of one measurement, whatever their tags.

use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};

/// Takes note of the group of each row.
#[derive(Default)]
struct Groups(Vec<u64>);

impl BatchScorer for Groups {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 0.0);
        Ok(())
    }

    fn relate_series(&mut self, _: &[u32], groups: &[u64]) {
        self.0.extend(groups);
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

fn groups(lane: Lane, seed: u64, input: &str) -> Vec<u64> {
    let mut scorers = [Groups::default()];
    let mut pipeline = Pipeline::new(vec![lane], seed);
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    pipeline.run(input.len(), 0, &mut scorers);
    let [Groups(groups)] = scorers;
    groups
}

const LINES: &str = "cpu,pod=a user=1,sys=2 1\ncpu,pod=b,host=x user=3 1\nmem,pod=a user=4 1\ncpu user=5 1\n";

fn fields() -> Lane {
    Lane::new(Selector::default(), Limits::default())
}

#[test]
fn series_of_one_field_of_one_measurement_are_siblings() {
    let groups = groups(fields().relate(true), 7, LINES);
    let [user, sys, of_b, mem, bare] = groups[..] else { panic!("{groups:?}") };
    assert!(user == of_b && user == bare, "{groups:?}");
    assert!(user != sys && user != mem && sys != mem, "{groups:?}");
}

#[test]
fn groups_are_the_same_after_a_restart_and_others_for_others() {
    let of = |seed| groups(fields().relate(true), seed, LINES);
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn a_detector_without_siblings_gets_no_groups() {
    assert_eq!(groups(fields(), 7, LINES), []);
    assert_eq!(groups(fields().relate(false), 7, LINES), []);
}

#[test]
fn entities_whose_vectors_are_joined_are_siblings() {
    let feature = Feature {
        name: "user".to_owned(),
        measurement: "cpu".to_owned(),
        field: "user".to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let shape = Shape { features: vec![feature], entity: vec!["pod".to_owned()], interval: 0 };
    let lane = Lane::vectors("v", shape, Selector::default(), Limits::default()).relate(true);
    assert_eq!(groups(lane, 7, "cpu,pod=a user=1 1\ncpu,pod=b user=1 1\n"), [0, 0]);
}
