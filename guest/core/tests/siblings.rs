//! Pods that come and go: what the untrained detector makes of a new series that has siblings.

use qualm_contract::{Batch, BatchScorer, Detector, Wanted};
use qualm_core::streaming::{Parameters, Prior, Streaming};

use noise::Noise;

mod noise;

const STEP: i64 = 10_000_000_000;
const GROUP: u64 = 0xfeed_0000_0000_0001;

/// A detector, a clock and a source of noise.
struct World {
    detector: Streaming,
    noise: Noise,
    row: i64,
}

impl World {
    fn new(prior: Prior) -> Self {
        let detector = Streaming::new(Parameters { prior, ..Parameters::default() });
        Self { detector, noise: Noise(7), row: 0 }
    }

    fn score(&mut self, series: u32, value: f64) -> f64 {
        self.row += 1;
        let batch = Batch { series: &[series], times: &[self.row * STEP], values: &[value] };
        self.detector.verdicts_of(batch, Wanted::SCORES).expect("it fits").scores[0]
    }

    /// A pod with a level of its own that lives for a quarter of an hour: the scores of its rows.
    fn pod(&mut self, series: u32) -> Vec<f64> {
        let level = 50.0 * libm::exp(0.5 * self.noise.gaussian());
        self.detector.relate_series(&[series], &[GROUP]);
        let value = |noise: &mut Noise| level * (1.0 + 0.1 * noise.gaussian());
        (0..90)
            .map(|_| {
                let value = value(&mut self.noise);
                self.score(series, value)
            })
            .collect()
    }

    /// A pod that falls to nothing in this row of its life.
    fn falls(&mut self, series: u32, at: usize) -> Vec<f64> {
        self.detector.relate_series(&[series], &[GROUP]);
        (0..at + 5)
            .map(|row| {
                let value = if row < at { 30.0 * (1.0 + 0.1 * self.noise.gaussian()) } else { 0.0 };
                self.score(series, value)
            })
            .collect()
    }
}

fn first_scored(scores: &[f64]) -> Option<usize> {
    scores.iter().position(|score| !score.is_nan())
}

#[test]
fn a_pod_is_scored_from_its_eleventh_row_though_those_before_are_forgotten() {
    let mut world = World::new(Prior::Siblings);
    for pod in 0..20 {
        let scores = world.pod(0);
        assert!(pod < 3 || first_scored(&scores) == Some(10), "{pod}: {scores:?}");
        assert!(scores.iter().all(|score| score.is_nan() || *score <= 1.0), "{pod}: {scores:?}");
        world.detector.forget_series(&[0]).expect("no error");
    }
    let scores = world.falls(5, 12);
    assert!(scores[10] <= 1.0 && scores[12..].iter().any(|score| *score > 1.0), "{scores:?}");
}

#[test]
fn without_siblings_nothing_is_scored_so_early() {
    let mut alone = World::new(Prior::Siblings);
    assert_eq!(first_scored(&alone.pod(0)), None);
    alone.detector.relate_series(&[1], &[GROUP + 1]);
    assert_eq!(first_scored(&(0..90).map(|_| alone.score(1, 5.0)).collect::<Vec<_>>()), None, "another group's");
    let mut deaf = World::new(Prior::None);
    for _ in 0..20 {
        assert_eq!(first_scored(&deaf.pod(0)), None);
        deaf.detector.forget_series(&[0]).expect("no error");
    }
}

#[test]
fn who_has_a_past_keeps_it() {
    let (mut with_group, mut without_group) = (World::new(Prior::Siblings), World::new(Prior::Siblings));
    for world in [&mut with_group, &mut without_group] {
        (0..10).for_each(|pod| _ = world.pod(pod));
        (0..60).for_each(|at| _ = world.score(77, f64::from(at % 7)));
    }
    with_group.detector.relate_series(&[77], &[GROUP]);
    for at in 0..400 {
        let value = if at == 300 { 50.0 } else { f64::from(at % 7) };
        assert_eq!(with_group.score(77, value).to_bits(), without_group.score(77, value).to_bits(), "{at}");
    }
}

#[test]
fn an_odd_sibling_does_not_spoil_the_others() {
    let mut world = World::new(Prior::Siblings);
    for pod in 0..12 {
        let _ = world.pod(pod);
        // It has six times the level, a hundred times the noise, and spikes all the time.
        world.detector.relate_series(&[100], &[GROUP]);
        for row in 0..90 {
            let value = 300.0 + 500.0 * world.noise.gaussian() + if row % 9 == 0 { 1e5 } else { 0.0 };
            let _ = world.score(100, value);
        }
        if pod % 3 == 2 {
            world.detector.forget_series(&[100]).expect("no error");
        }
    }
    let scores = world.falls(50, 40);
    assert_eq!(first_scored(&scores), Some(10));
    assert!(scores[..40].iter().all(|score| score.is_nan() || *score <= 1.0), "{scores:?}");
    assert!(scores[40..].iter().any(|score| *score > 1.0), "{scores:?}");
}

#[test]
fn what_siblings_count_is_known_to_be_a_counter_from_the_first_row() {
    let mut world = World::new(Prior::Siblings);
    let mut scores = Vec::new();
    for pod in 0..12 {
        world.detector.relate_series(&[pod], &[GROUP]);
        let mut count = 0.0;
        scores = (0..90)
            .map(|_| {
                count += (40.0 + 4.0 * world.noise.gaussian()).round();
                world.score(pod, count)
            })
            .collect();
    }
    // The first row has no rate.
    assert_eq!(first_scored(&scores), Some(11), "{scores:?}");
    assert!(scores[11..].iter().all(|score| *score <= 1.0), "{scores:?}");
}

/// Whenever it is saved, in whatever pieces, and whatever numbers series have afterwards: scores stay the same to the bit.
#[test]
fn a_detector_that_was_restored_goes_on_as_before() {
    let (mut world, mut restored) = (World::new(Prior::Siblings), World::new(Prior::Siblings));
    let (mut scored, mut shift) = (0, 0_u32);
    for round in 0..700_u32 {
        for slot in 0..6_u32 {
            let age = (round + 17 * slot) % 90;
            let series = slot;
            let value = f64::from(10 + 30 * slot) * (1.0 + 0.1 * world.noise.gaussian());
            // Two groups, one of which has nobody every now and then.
            let group = GROUP + u64::from(slot == 5);
            if age == 0 || round == 0 {
                for (world, series) in [(&mut world, series), (&mut restored, (series + shift) % 6)] {
                    world.detector.forget_series(&[series]).expect("no error");
                }
                if slot == 5 && round % 180 < 90 {
                    continue;
                }
                for (world, series) in [(&mut world, series), (&mut restored, (series + shift) % 6)] {
                    world.detector.relate_series(&[series], &[group]);
                }
            }
            let (one, other) = (world.score(series, value), restored.score((series + shift) % 6, value));
            assert_eq!(one.to_bits(), other.to_bits(), "round {round}, slot {slot}");
            scored += u32::from(!one.is_nan());
        }
        if round % 7 == 0 {
            let pieces = [vec![0, 1, 2], vec![3], vec![4, 5]]
                .map(|piece| (restored.detector.save_series(&piece).expect("no error"), piece));
            restored.detector = World::new(Prior::Siblings).detector;
            let by = round % 5;
            for (state, piece) in pieces {
                let numbers: Vec<_> = piece.iter().map(|series| Some((series + by) % 6)).collect();
                restored.detector.restore_series(&state, &numbers).expect("it was saved just now");
            }
            shift = (shift + by) % 6;
        }
    }
    assert!(scored > 2500, "{scored}");
}

#[test]
fn state_goes_from_a_detector_with_siblings_to_one_without_and_back() {
    let (mut with, mut without) = (World::new(Prior::Siblings), World::new(Prior::None));
    (0..10).for_each(|pod| _ = with.pod(pod));
    let state = with.detector.save_series(&[0, 1]).expect("no error");
    without.detector.restore_series(&state, &[Some(0), Some(1)]).expect("siblings are left out");
    let state = without.detector.save_series(&[0, 1]).expect("no error");
    with.detector.restore_series(&state, &[Some(0), Some(1)]).expect("there are none in it");
    let mut longer = with.detector.save_series(&[0, 1]).expect("no error");
    longer.push(0);
    assert!(with.detector.restore_series(&longer, &[Some(0), Some(1)]).is_err());
    assert!(without.detector.restore_series(&longer, &[Some(0), Some(1)]).is_err());
    for length in 0..longer.len() - 1 {
        assert!(with.detector.restore_series(&longer[..length], &[Some(0), Some(1)]).is_err() || length == state.len());
    }
}
