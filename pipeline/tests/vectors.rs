//! Vectors joined from the events in which their features arrive, and their verdicts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::glob::Globs;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};

const SECOND: i64 = 1_000_000_000;

/// Scores by the sum of what is there, over a hundred; each value is its own contribution.
#[derive(Default)]
struct Sum {
    seen: Vec<(u32, i64, Vec<f64>)>,
    forgotten: Vec<u32>,
}

impl BatchScorer for Sum {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        for (row, values) in batch.values.chunks_exact(batch.features()).enumerate() {
            self.seen.push((batch.series[row], batch.times[row], values.to_vec()));
            verdicts.scores.push(values.iter().filter(|value| !value.is_nan()).sum::<f64>().abs() / 100.0);
        }
        verdicts.contributions.extend(batch.values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }));
        Ok(())
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.forgotten.extend_from_slice(series);
        Ok(())
    }
}

fn feature(name: &str, measurement: &str, field: &str) -> Feature {
    let (name, measurement, field) = (name.to_owned(), measurement.to_owned(), field.to_owned());
    Feature { name, measurement, field, tags: Vec::new(), transform: Transform::None }
}

/// cpu, mem and the root disk of a host, every ten seconds.
fn shape() -> Shape {
    let root = vec![("path".to_owned(), Globs::new(["/"]).unwrap())];
    Shape {
        features: vec![
            feature("cpu", "cpu", "usage"),
            feature("mem", "mem", "used"),
            Feature { tags: root, ..feature("root disk", "disk", "used") },
        ],
        entity: vec!["host".to_owned()],
        interval: 10 * SECOND,
    }
}

fn pipeline(shape: Shape) -> Pipeline {
    Pipeline::new(vec![Lane::vectors("host vitals", shape, Selector::default(), Limits::default())], 7)
}

fn give(pipeline: &mut Pipeline, scorer: &mut Sum, input: &str) -> String {
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    String::from_utf8(pipeline.run(input.len(), 0, std::slice::from_mut(scorer)).to_vec()).unwrap()
}

#[test]
fn the_event_that_completes_a_vector_is_followed_by_its_verdict() {
    let (mut pipeline, mut sum) = (pipeline(shape()), Sum::default());
    let out = give(
        &mut pipeline,
        &mut sum,
        "cpu,host=a usage=10 1000000000000\n\
         disk,host=a,path=/home used=77 1000000000000\n\
         mem,host=a used=20i,total=64i 1001000000000\n\
         cpu,host=b usage=1 1000000000000\n\
         disk,host=a,path=/ used=5 1002000000000\n\
         swap,host=a used=9 1000000000000\n\
         mem,host=b used=60 1000000000000\n\
         disk,path=/,host=b used=61,inodes=1 1000000000000\n",
    );
    assert_eq!(
        out,
        "cpu,host=a usage=10 1000000000000\n\
         disk,host=a,path=/home used=77 1000000000000\n\
         mem,host=a used=20i,total=64i 1001000000000\n\
         cpu,host=b usage=1 1000000000000\n\
         disk,host=a,path=/ used=5 1002000000000\n\
         anomaly,host=a,detector=host\\ vitals score=0.35,is_anomaly=0i 1000000000000\n\
         swap,host=a used=9 1000000000000\n\
         mem,host=b used=60 1000000000000\n\
         disk,path=/,host=b used=61,inodes=1 1000000000000\n\
         anomaly,host=b,detector=host\\ vitals score=1.22,is_anomaly=1i,cause=\"root disk\",\
         contribution_root\\ disk=61.0000,contribution_mem=60.0000,contribution_cpu=1.0000 1000000000000\n"
    );
    assert_eq!(pipeline.lanes()[0].joined().vectors, 2);
    let counts = pipeline.counts();
    assert_eq!((counts.selected, counts.rows, counts.scored, counts.anomalous), (6, 2, 2, 1), "{counts:?}");
}

#[test]
fn what_is_missing_when_the_next_interval_begins_is_missing() {
    let (mut pipeline, mut sum) = (pipeline(shape()), Sum::default());
    let first = give(&mut pipeline, &mut sum, "cpu,host=a usage=10 1000000000000\ncpu,host=a usage=11 1010000000000\n");
    assert!(!first.contains("anomaly"), "the first interval may have begun before we did: {first}");
    let second = give(&mut pipeline, &mut sum, "cpu,host=a usage=12 1020000000000\n");
    assert_eq!(
        second,
        "cpu,host=a usage=12 1020000000000\n\
         anomaly,host=a,detector=host\\ vitals score=0.11,is_anomaly=0i 1010000000000\n"
    );
    assert!(sum.seen[0].2[1].is_nan() && sum.seen[0].2[2].is_nan());
    let joined = pipeline.lanes()[0].joined();
    assert_eq!((joined.vectors, joined.missing), (1, 2));
    // What comes late is not counted twice, and no vector is scored twice.
    let late = give(
        &mut pipeline,
        &mut sum,
        "mem,host=a used=1 1015000000000\nmem,host=a used=1 1020000000000\ndisk,host=a,path=/ used=1 1020000000000\n\
         cpu,host=a usage=99 1021000000000\n",
    );
    assert_eq!(late.matches("anomaly,").count(), 1);
    assert_eq!(sum.seen.last().unwrap().2, [12.0, 1.0, 1.0]);
    assert_eq!(pipeline.lanes()[0].joined().late, 2);
}

#[test]
fn rates_begin_with_the_second_value_and_survive_a_reset() {
    let shape = Shape {
        features: vec![
            Feature { transform: Transform::Rate, ..feature("received", "net", "bytes_recv") },
            Feature { transform: Transform::Delta, ..feature("change", "net", "bytes_recv") },
            feature("drops", "net", "drop_in"),
        ],
        entity: vec![],
        interval: 10 * SECOND,
    };
    let (mut pipeline, mut sum) = (pipeline(shape), Sum::default());
    for (at, bytes) in [1_000_u64, 1_100, 50, 18_446_744_073_709_551_615].into_iter().enumerate() {
        give(&mut pipeline, &mut sum, &format!("net bytes_recv={bytes}u,drop_in=1i {}000000000\n", 1000 + 10 * at));
    }
    let rows: Vec<_> = sum.seen.iter().map(|(_, _, values)| values.clone()).collect();
    assert_eq!(rows[..2], [vec![10.0, 100.0, 1.0], vec![5.0, -1050.0, 1.0]]);
    assert!(rows[2][0] > 1e18, "{rows:?}");
}

#[test]
fn a_clock_that_ran_wild_does_not_silence_an_entity() {
    let (mut pipeline, mut sum) = (pipeline(shape()), Sum::default());
    let all =
        |time: i64| format!("cpu,host=a usage=1 {time}\nmem,host=a used=2 {time}\ndisk,host=a,path=/ used=3 {time}\n");
    for time in [1_000, 2_000_000_000, 1_010, 1_020] {
        let out = give(&mut pipeline, &mut sum, &all(time * SECOND));
        assert_eq!(out.matches("anomaly,").count(), 1, "{time}: {out}");
    }
}

#[test]
fn fields_are_scored_beside_vectors() {
    let lanes = vec![
        Lane::vectors("v", shape(), Selector::default(), Limits::default()),
        Lane::new(Selector::default(), Limits::default()),
    ];
    let mut pipeline = Pipeline::new(lanes, 7);
    let input = "mem,host=a used=2 1\ndisk,host=a,path=/ used=3 1\ncpu,host=a usage=150 1\n";
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    let out = pipeline.run(input.len(), 0, &mut [Sum::default(), Sum::default()]);
    assert_eq!(
        std::str::from_utf8(out).unwrap(),
        "mem,host=a used=2,anomaly_score=0.02,is_anomaly=0i 1\n\
         disk,host=a,path=/ used=3,anomaly_score=0.03,is_anomaly=0i 1\n\
         cpu,host=a usage=150,anomaly_score=1.5,is_anomaly=1i,anomaly_cause=\"usage\" 1\n\
         anomaly,host=a,detector=v score=1.55,is_anomaly=1i,cause=\"cpu\",contribution_cpu=150.0000,\
         contribution_root\\ disk=3.0000,contribution_mem=2.0000 0\n"
    );
}

#[test]
fn the_last_line_may_lack_its_end() {
    let shape = Shape { interval: 0, entity: vec![], features: vec![feature("x", "cpu", "usage")] };
    let (mut pipeline, mut sum) = (pipeline(shape), Sum::default());
    assert_eq!(give(&mut pipeline, &mut sum, "cpu usage=1 5"), "");
    let out = pipeline.finish(0, std::slice::from_mut(&mut sum));
    assert_eq!(
        std::str::from_utf8(out).unwrap(),
        "cpu usage=1 5\nanomaly,detector=host\\ vitals score=0.01,is_anomaly=0i 5"
    );
}

#[test]
fn an_entity_that_is_gone_is_forgotten() {
    let limits = Limits { max_series: 2, ..Limits::default() };
    let mut pipeline = Pipeline::new(vec![Lane::vectors("v", shape(), Selector::default(), limits)], 7);
    let mut sum = Sum::default();
    for host in 0..10 {
        let all = format!("cpu,host={host} usage=1 1\nmem,host={host} used=2 1\ndisk,host={host},path=/ used=3 1\n");
        let out = give(&mut pipeline, &mut sum, &all);
        assert!(out.contains(&format!("anomaly,host={host},")), "{out}");
    }
    give(&mut pipeline, &mut sum, "");
    assert_eq!((sum.forgotten.len(), pipeline.lanes()[0].series().len()), (8, 2));
}

#[test]
fn suppression_does_not_change_the_score() {
    let rule = Suppression { sustained: 2, of: 2, ..Suppression::default() };
    let shape = Shape { interval: 0, entity: vec![], features: vec![feature("x", "cpu", "usage")] };
    let lane = Lane::vectors("v", shape, Selector::default(), Limits::default()).suppress(rule);
    let (mut pipeline, mut sum) = (Pipeline::new(vec![lane], 7), Sum::default());
    let out = give(&mut pipeline, &mut sum, "cpu usage=200 1\ncpu usage=300 2\n");
    assert!(out.contains("score=2,is_anomaly=0i 1\n") && out.contains("score=3,is_anomaly=1i,cause=\"x\""), "{out}");
}

#[test]
fn a_lane_can_be_replaced_by_one_of_another_shape() {
    let (mut pipeline, mut sum) = (pipeline(shape()), Sum::default());
    assert!(!give(&mut pipeline, &mut sum, "swap used=1 1\n").contains("anomaly"));
    let other = Shape { interval: 0, entity: vec![], features: vec![feature("swap", "swap", "used")] };
    pipeline.replace_lane(0, Lane::vectors("v", other, Selector::default(), Limits::default()));
    assert!(give(&mut pipeline, &mut sum, "swap used=1 1\n").contains("anomaly,detector=v score=0.01"));
}

/// Lines of three hosts whose clocks mostly go forward.
fn lines() -> impl Strategy<Value = String> {
    let line = (0..4_usize, 0..3_u8, 0..40_i64, -200..200_i32, prop::bool::ANY);
    prop::collection::vec(line, 0..60).prop_map(|lines| {
        let mut now = 0;
        let line = lines.into_iter().map(|(what, host, ahead, value, odd)| {
            now += ahead - 10;
            let what = [
                "cpu,host=H usage=V",
                "mem,host=H used=V",
                "disk,host=H,path=/ used=V",
                "disk,path=/home,host=H used=V",
            ][what];
            let what = what.replace('H', &host.to_string()).replace('V', &value.to_string());
            if odd { format!("{what} \n# {now}\n") } else { format!("{what} {}\n", now * SECOND) }
        });
        line.collect()
    })
}

proptest! {
    #[test]
    fn verdicts_of_vectors_stand_behind_the_lines_however_the_bytes_arrive(
        input in lines(), lengths in prop::collection::vec(1_usize..300, 1..5),
    ) {
        let whole = give(&mut pipeline(shape()), &mut Sum::default(), &input);
        let without: String = whole.split_inclusive('\n').filter(|line| !line.starts_with("anomaly,")).collect();
        prop_assert_eq!(&without, &input);

        let (mut pipeline, mut sum) = (pipeline(shape()), Sum::default());
        let (mut rest, mut out, mut lengths) = (&input[..], String::new(), lengths.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            out += &give(&mut pipeline, &mut sum, piece);
            rest = behind;
        }
        prop_assert_eq!(out, whole);
        prop_assert_eq!(pipeline.counts().rows, sum.seen.len() as u64);
    }
}

#[test]
fn what_comes_late_is_late_however_long_the_interval() {
    let hour = 3600 * SECOND;
    let shape = Shape {
        interval: 6 * hour,
        entity: vec!["host".to_owned()],
        features: vec![feature("a", "m", "a"), feature("b", "m", "b")],
    };
    let (mut pipeline, mut sum) = (pipeline(shape), Sum::default());
    let lines = [("a=1,b=1", 6 * hour), ("a=2", 12 * hour + 1), ("a=9", 12 * hour - 1), ("b=2", 12 * hour + 2)];
    let lines: String = lines.iter().map(|(fields, time)| format!("m,host=x {fields} {time}\n")).collect();
    let out = give(&mut pipeline, &mut sum, &lines);
    assert_eq!(out.matches("anomaly,").count(), 2, "{out}");
    assert_eq!((sum.seen[1].1, &sum.seen[1].2[..]), (12 * hour, &[2.0, 2.0][..]));
}

#[test]
fn fields_may_come_in_any_order_and_among_others() {
    let names = ["d", "a", "c", "b"];
    let shape =
        Shape { interval: 0, entity: vec![], features: names.iter().map(|name| feature(name, "m", name)).collect() };
    let (mut pipeline, mut sum) = (pipeline(shape), Sum::default());
    let input = "m a=1,b=2,c=3,d=4 1\nm d=4,c=3,b=2,a=1 2\nm zz=9,b=2,0=7,d=4,a=1,bb=5,c=3 3\nm a=1,b=2,c=3,d=4 -9223372036854775808\n";
    give(&mut pipeline, &mut sum, input);
    assert_eq!(sum.seen.len(), 4);
    assert!(sum.seen.iter().all(|(_, _, values)| *values == [4.0, 1.0, 3.0, 2.0]), "{:?}", sum.seen);
}

#[test]
fn wide_vectors_in_masses_are_scored() {
    let features = (0..1000).map(|at| feature(&format!("f{at}"), "m", &format!("f{at}"))).collect();
    let (mut pipeline, mut sum) = (pipeline(Shape { interval: 1, entity: vec![], features }), Sum::default());
    let input: String = (1..5001).map(|time| format!("m f0={time} {time}\n")).collect();
    let out = give(&mut pipeline, &mut sum, &input);
    // The first interval is left out, and the last one goes on.
    assert_eq!((sum.seen.len(), out.matches("anomaly,").count()), (4998, 4998));
    assert_eq!(sum.seen[4997].2[0].to_bits(), 4999_f64.to_bits());
}
