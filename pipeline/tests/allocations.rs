//! After warm-up the hot path allocates nothing per metric.

use qualm_contract::{Band, Batch, BatchScorer, Error, Reason, Verdicts, Wanted};
use qualm_pipeline::suppress::{Direction, Suppression};
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{AnomalyRate, Lane, Limits, Pipeline, Selector};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

struct Zero;

impl BatchScorer for Zero {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 0.0);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// Runs these lines twice: more than `least` bytes come out, the second time without an allocation.
fn warm_run_does_not_allocate(mut pipeline: Pipeline, lines: &str, scorer: impl BatchScorer, least: usize) {
    let mut scorers = [scorer];
    let mut give = || {
        pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        pipeline.run(lines.len(), 0, &mut scorers).len()
    };
    assert!(give() > least);
    let info = allocation_counter::measure(|| {
        give();
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn a_warm_pipeline_does_not_allocate() {
    let lines: String = (0..5000)
        .map(|at| {
            format!("cpu,cpu=cpu{},host=a usage_idle=97.{at},usage_user=0.5,n={at}i,s=\"text\" 17{at}\n", at % 100)
        })
        .collect();
    let pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 1);
    warm_run_does_not_allocate(pipeline, &lines, Zero, lines.len());
}

/// Says all there is to say.
struct Talkative;

impl BatchScorer for Talkative {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 2.0);
        verdicts.reasons.resize(batch.len(), Reason::LevelShift);
        verdicts.bands.extend(batch.values.iter().map(|value| Band {
            expected: *value,
            lower: 0.5 * value,
            upper: 1e3,
        }));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn reasons_and_bands_do_not_allocate() {
    let lines: String = (0..5000).map(|at| format!("cpu,cpu=cpu{} usage=97.{at} 17{at}\n", at % 100)).collect();
    let pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default()).show_bands(true)], 1);
    warm_run_does_not_allocate(
        pipeline,
        &lines,
        Talkative,
        lines.len() + 5000 * ",anomaly_reason=\"level_shift\",anomaly_upper=1000".len(),
    );
}

#[test]
fn groups_do_not_allocate() {
    let lines: String = (0..5000).map(|at| format!("cpu,cpu=cpu{} usage=97.{at} 17{at}\n", at % 100)).collect();
    let pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default()).relate(true)], 1);
    warm_run_does_not_allocate(pipeline, &lines, Zero, lines.len());
}

/// Scores with a sign, for rules that need one.
struct Signed;

impl BatchScorer for Signed {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 2.0);
        verdicts.contributions.resize(batch.values.len(), -1.0);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn rules_and_rates_do_not_allocate() {
    // Fifty hosts, and four intervals a round.
    let round = |round: usize| -> String {
        let line = |at: usize| {
            format!(
                "cpu,cpu=cpu{},host=h{} idle=97.{at},user=0.5 {}\n",
                at % 2,
                at % 50,
                10_000_000 + round * 4000 + at
            )
        };
        (0..4000).map(line).collect()
    };
    let rule = Suppression {
        direction: Direction::Below,
        min_deviation: 0.5,
        expected_range: Some([0.0, 1.0]),
        sustained: 2,
        of: 3,
        cooldown: 5,
    };
    let rate = AnomalyRate { by: vec!["host".to_owned()], interval: 1000 };
    let lane = Lane::new(Selector::default(), Limits::default()).suppress(rule).emit_rates("all", rate);
    let mut pipeline = Pipeline::new(vec![lane], 1);
    let (first, second) = (round(0), round(1));
    let mut give = |lines: &str| {
        pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        pipeline.run(lines.len(), 0, &mut [Signed]).len()
    };
    assert!(give(&first) > first.len() && give(&second) > second.len());
    let third = round(2);
    let info = allocation_counter::measure(|| {
        give(&third);
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// Scores that begin an incident, go on with it, end it, and are none.
struct Swaying;

impl BatchScorer for Swaying {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend([2.0, 0.7, f64::NAN, 0.7, 0.2].iter().cycle().take(batch.len()));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn incidents_do_not_allocate() {
    let lines: String = (0..5000).map(|at| format!("cpu,host=h{} idle=97,user=0.5 17{at}\n", at % 100)).collect();
    for cooldown in [0, 1000] {
        let rule = Suppression { cooldown, ..Suppression::default() };
        let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default()).suppress(rule)], 1);
        let mut give = || {
            pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
            pipeline.run(lines.len(), 0, &mut [Swaying]).len()
        };
        assert!(give() > lines.len() && give() > lines.len());
        let info = allocation_counter::measure(|| {
            give();
        });
        assert_eq!(info.count_total, 0, "{info:?}");
    }
}

#[test]
fn a_warm_joiner_does_not_allocate() {
    let feature = |at: usize| Feature {
        name: format!("f{at}"),
        measurement: format!("m{}", at % 4),
        field: format!("v{at}"),
        tags: Vec::new(),
        transform: if at.is_multiple_of(2) { Transform::Rate } else { Transform::None },
    };
    let entity = vec!["host".to_owned()];
    let shape = Shape { features: (0..8).map(feature).collect(), entity, interval: 1_000_000_000 };
    let lane = Lane::vectors("v", shape, Selector::default(), Limits::default());
    let mut pipeline = Pipeline::new(vec![lane], 1);
    let rounds = |from: u64| -> String {
        let line = |at: u64| {
            let (time, host, measurement) = (at / 80, at / 4 % 20, at % 4);
            format!("m{measurement},host=h{host} v{measurement}={at}i,v{}={at}.5 {time}000000000\n", measurement + 4)
        };
        (from..from + 4000).map(line).collect()
    };
    let (first, second) = (rounds(0), rounds(4000));
    let mut give = |lines: &str| {
        pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        pipeline.run(lines.len(), 0, &mut [Zero]).len()
    };
    assert!(give(&first) > first.len());
    let info = allocation_counter::measure(|| {
        assert!(give(&second) > second.len());
    });
    // Times grow by a digit, and with them what is written: the buffers may grow once.
    assert!(info.count_total <= 8, "{info:?}");
}

#[test]
fn warm_events_of_vector_do_not_allocate() {
    let line = |at: usize| {
        let kind = match at % 4 {
            0 => r#""kind":"absolute","gauge":{"value":1.5}"#,
            1 => r#""kind":"incremental","counter":{"value":1.0}"#,
            2 => r#""kind":"incremental","distribution":{"samples":[{"value":2.0,"rate":3},{"value":1.0,"rate":9}]}"#,
            _ => {
                r#""kind":"absolute","aggregated_summary":{"quantiles":[{"quantile":0.5,"value":2.0}],"count":3,"sum":6.0}"#
            }
        };
        let (host, second) = (at % 100, at / 100);
        format!(
            "{{\"metric\":{{\"name\":\"m{}\",\"tags\":{{\"h\\u006fst\":\"a {host}\"}},\"timestamp\":\"2026-08-01T12:00:{second:02}Z\",{kind}}}}}\n",
            at % 4
        )
    };
    let json: String = (0..5000).map(line).collect();
    // A gauge of protocol buffers: its name, a tag in both forms, its kind, its value.
    let metric = b"\x0a\x01m\x1a\x06\x0a\x01t\x12\x01v\x20\x01\x32\x09\x09\0\0\0\0\0\0\x59\x40\xa2\x01\x0a\x0a\x01t\x12\x05\x0a\x03\x0a\x01v";
    let length = metric.len() as u8;
    let frame = [&[0, 0, 0, length + 4, 0x12, length + 2, 0x0a, length], &metric[..]].concat();
    let proto = frame.repeat(5000);
    for style in [VerdictStyle::Gauges, VerdictStyle::Tags] {
        for (body, scored) in [(json.as_bytes(), 3750 + 25 * 4), (&proto, 5000)] {
            let lanes = vec![Lane::new(Selector::default(), Limits::default())];
            let mut pipeline = Pipeline::of(VectorEvents::new(style), lanes, 1);
            let mut give = || {
                pipeline.format_mut().begin_body(body);
                pipeline.input()[..body.len()].copy_from_slice(body);
                assert!(pipeline.run(body.len(), 0, &mut [Zero]).len() > body.len());
                pipeline.counts().scored
            };
            assert_eq!(give(), scored, "all but the increments of an interval at hand");
            let info = allocation_counter::measure(|| {
                give();
            });
            assert_eq!(info.count_total, 0, "{info:?}");
        }
    }
}
