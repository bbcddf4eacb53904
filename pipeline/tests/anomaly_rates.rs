//! How much of an entity is anomalous, emitted behind the event with which an interval ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::glob::Globs;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::{AnomalyRate, Format, Lane, Limits, Pipeline, Selector};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// Scores by value; what is negative has no score.
struct ByValue;

impl BatchScorer for ByValue {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let score = |value: &f64| if *value < 0.0 { f64::NAN } else { value / 100.0 };
        verdicts.scores.extend(batch.values.iter().map(score));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

fn lane() -> Lane {
    let by = vec!["host".to_owned()];
    Lane::new(Selector::default(), Limits::default()).emit_rates("all of it", AnomalyRate { by, interval: MINUTE })
}

fn give<F: Format>(pipeline: &mut Pipeline<F>, input: &str) -> String {
    let scorers = &mut [ByValue, ByValue][..pipeline.lanes().len()];
    pipeline.input()[..input.len()].copy_from_slice(input.as_bytes());
    String::from_utf8(pipeline.run(input.len(), 0, scorers).to_vec()).unwrap()
}

#[test]
fn the_event_that_ends_an_interval_is_followed_by_what_was_counted_in_it() {
    let mut pipeline = Pipeline::new(vec![lane()], 7);
    let out = give(
        &mut pipeline,
        "cpu,cpu=0,host=a user=300,idle=50 60000000000\n\
         mem,host=a used=20 61000000000\n\
         cpu,cpu=1,host=a user=200,idle=-1 62000000000\n\
         cpu,cpu=0,host=b user=10 119000000000\n\
         cpu,cpu=0,host=a user=30,idle=50 119000000000\n\
         mem,host=a used=20 120000000000\n\
         cpu,cpu=0,host=a user=30,idle=50 121000000000\n\
         swap free=1 190000000000\n\
         cpu,cpu=0,host=b user=10 200000000000\n\
         swap free=400 250000000000\n",
    );
    assert_eq!(
        out,
        "cpu,cpu=0,host=a user=300,idle=50,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"user\" 60000000000\n\
         mem,host=a used=20,anomaly_score=0.2,is_anomaly=0i 61000000000\n\
         cpu,cpu=1,host=a user=200,idle=-1,anomaly_score=2,is_anomaly=1i,anomaly_cause=\"user\" 62000000000\n\
         cpu,cpu=0,host=b user=10,anomaly_score=0.1,is_anomaly=0i 119000000000\n\
         cpu,cpu=0,host=a user=30,idle=50,anomaly_score=0.5,is_anomaly=0i 119000000000\n\
         mem,host=a used=20,anomaly_score=0.2,is_anomaly=0i 120000000000\n\
         anomaly,host=a,detector=all\\ of\\ it anomaly_rate=0.5,anomalous=2i,series=4i 60000000000\n\
         cpu,cpu=0,host=a user=30,idle=50,anomaly_score=0.5,is_anomaly=0i 121000000000\n\
         swap free=1,anomaly_score=0.01,is_anomaly=0i 190000000000\n\
         cpu,cpu=0,host=b user=10,anomaly_score=0.1,is_anomaly=0i 200000000000\n\
         anomaly,host=b,detector=all\\ of\\ it anomaly_rate=0,anomalous=0i,series=1i 60000000000\n\
         swap free=400,anomaly_score=4,is_anomaly=1i,anomaly_cause=\"free\" 250000000000\n\
         anomaly,detector=all\\ of\\ it anomaly_rate=0,anomalous=0i,series=1i 180000000000\n"
    );
    let counts = pipeline.counts();
    assert_eq!((counts.events, counts.scored, counts.anomalous, counts.rows), (10, 10, 3, 14), "{counts:?}");

    // What comes round again is not scored, and says nothing of any entity.
    let rate = "anomaly,host=a,detector=x anomaly_rate=0.5,anomalous=2i,series=4i 990000000000\n";
    assert_eq!(give(&mut pipeline, rate), rate);
    assert_eq!((pipeline.counts().upstream, pipeline.counts().rows), (1, 14));
}

#[test]
fn an_incident_counts_for_as_long_as_it_lasts_and_what_is_suppressed_does_not() {
    let line = |minute: i64, value: i64| format!("m,host=a v={value},w=1 {}\n", minute * MINUTE);
    let rates_of = |rule: Suppression, values: &[i64]| -> Vec<String> {
        let lines: String = (1..).zip(values).map(|(minute, &value)| line(minute, value)).collect();
        let out = give(&mut Pipeline::new(vec![lane().suppress(rule)], 7), &lines);
        let rates =
            out.lines().filter_map(|line| Some(line.split_once("anomaly_rate=")?.1.split_once(',')?.0.to_owned()));
        rates.collect()
    };
    let rates = |rule| rates_of(rule, &[300; 5]);
    let rule = Suppression::default();
    assert_eq!(rates(rule), ["0.5"; 4]);
    assert_eq!(rates(Suppression { cooldown: i64::MAX, ..rule }), ["0.5"; 4], "reported once, it still goes on");
    assert_eq!(rates(Suppression { sustained: 3, of: 3, ..rule }), ["0", "0", "0.5", "0.5"]);
    assert_eq!(rates(Suppression { expected_range: Some([0.0, 500.0]), ..rule }), ["0"; 4]);
    assert_eq!(rates_of(rule, &[300, 70, 10, 300, 0]), ["0.5", "0.5", "0", "0.5"]);
    let cooling = Suppression { cooldown: 10 * MINUTE, ..rule };
    assert_eq!(
        rates_of(cooling, &[300, 70, 10, 300, 0]),
        ["0.5", "0.5", "0", "0"],
        "what is not reported does not count"
    );
}

#[test]
fn each_detector_counts_its_own_series() {
    let user = Selector { include_fields: Globs::new(["user"]).unwrap(), ..Selector::default() };
    let everywhere = AnomalyRate { by: Vec::new(), interval: 10 * SECOND };
    let lanes = vec![Lane::new(user, Limits::default()).emit_rates("user", everywhere), lane()];
    let out = give(
        &mut Pipeline::new(lanes, 7),
        "m,host=a user=300,idle=1 0\nm,host=b user=1,idle=200 1\nm,host=a user=1,idle=1 60000000000\n",
    );
    let rates: Vec<_> = out.lines().filter(|line| line.starts_with("anomaly,")).collect();
    let expected = [
        "anomaly,detector=user anomaly_rate=0.5,anomalous=1i,series=2i 0",
        "anomaly,host=a,detector=all\\ of\\ it anomaly_rate=0,anomalous=0i,series=1i 0",
    ];
    assert_eq!(rates, expected);
}

#[test]
fn the_last_line_may_lack_its_end() {
    let mut pipeline = Pipeline::new(vec![lane()], 7);
    give(&mut pipeline, "m,host=a v=1 0\nm,host=a v=1 60000000000");
    assert_eq!(
        std::str::from_utf8(pipeline.finish(0, &mut [ByValue])).unwrap(),
        "m,host=a v=1,anomaly_score=0.01,is_anomaly=0i 60000000000\n\
         anomaly,host=a,detector=all\\ of\\ it anomaly_rate=0,anomalous=0i,series=1i 0"
    );
}

/// A gauge of Vector's as protocol buffers: its name, its time, a tag in both forms, its kind, its value.
fn frame(second: u8, value: f64) -> Vec<u8> {
    let metric = [
        b"\x0a\x01m\x12\x02\x08",
        &[second][..],
        b"\x1a\x09\x0a\x04host\x12\x01a\x20\x01\x32\x09\x09",
        &value.to_le_bytes(),
    ];
    let metric = metric.concat();
    let length = metric.len() as u8;
    [&[0, 0, 0, length + 4, 0x12, length + 2, 0x0a, length], &metric[..]].concat()
}

#[test]
fn vector_gets_gauges() {
    for style in [VerdictStyle::Gauges, VerdictStyle::Tags] {
        let mut pipeline = Pipeline::of(VectorEvents::new(style), vec![lane()], 7);
        pipeline.format_mut().begin_body(b"{");
        let event = |minute: i64, value: i64| {
            format!(
                "{{\"metric\":{{\"name\":\"m\",\"tags\":{{\"host\":\"a\"}},\"timestamp\":\"2026-08-01T12:0{minute}:00Z\",\
                 \"kind\":\"absolute\",\"gauge\":{{\"value\":{value}.0}}}}}}\n"
            )
        };
        let out = give(&mut pipeline, &(event(0, 300) + &event(1, 20)));
        let gauge = |name: &str, value: &str| {
            format!(
                "{{\"metric\":{{\"name\":\"{name}\",\"tags\":{{\"host\":\"a\",\"detector\":\"all of it\"}},\
                 \"timestamp\":\"2026-08-01T12:00:00Z\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{value}}}}}}}\n"
            )
        };
        let expected =
            gauge("anomaly_rate", "1") + &gauge("anomaly_rate_anomalous", "1") + &gauge("anomaly_rate_series", "1");
        assert!(out.ends_with(&expected), "{out}");
        assert_eq!(give(&mut pipeline, &expected), expected, "what comes round again is not scored");

        let mut pipeline = Pipeline::of(VectorEvents::new(style), vec![lane()], 7);
        pipeline.format_mut().begin_body(&[0]);
        let body = [frame(1, 300.0), frame(62, 20.0)].concat();
        pipeline.input()[..body.len()].copy_from_slice(&body);
        let out = pipeline.run(body.len(), 0, &mut [ByValue]).to_vec();
        let names = ["anomaly_rate", "anomaly_rate_anomalous", "anomaly_rate_series"];
        let behind = names.map(|name| [&[0x0a, name.len() as u8], name.as_bytes()].concat());
        for name in &behind {
            assert_eq!(out.windows(name.len()).filter(|at| at == name).count(), 1, "{out:?}");
        }
        pipeline.input()[..out.len()].copy_from_slice(&out);
        let again = pipeline.run(out.len(), 0, &mut [ByValue]).to_vec();
        let counts = pipeline.counts();
        let verdicts = if style == VerdictStyle::Gauges { 4 } else { 2 };
        assert_eq!((counts.malformed, counts.upstream), (0, 3 + verdicts), "every frame is whole: {counts:?}");
        assert!(again.len() >= out.len());
    }
}

/// A line: which of three hosts (one has no name), which of four series of it, its time, its value.
#[derive(Debug, Clone, Copy)]
struct Line {
    host: usize,
    series: usize,
    time: i64,
    value: i32,
}

impl Line {
    fn text(self) -> String {
        let Self { host, series, time, value } = self;
        let host = ["", ",host=a", ",host=b"][host];
        format!("m,z={}{host} f{}={value} {time}\n", series % 2, series / 2)
    }
}

/// Lines whose clocks mostly go forward.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (0..3_usize, 0..4_usize, 0..50_i64, -50..250_i32);
    prop::collection::vec(line, 0..80).prop_map(|lines| {
        let mut now = 0;
        let line = |(host, series, ahead, value)| {
            now += (ahead - 10) * SECOND;
            Line { host, series, time: now, value }
        };
        lines.into_iter().map(line).collect()
    })
}

/// The same counted simply: which line is followed by what.
fn expected(lines: &[Line]) -> Vec<String> {
    type Counted = (i64, BTreeSet<usize>, BTreeSet<usize>);
    let mut entities: BTreeMap<usize, Counted> = BTreeMap::new();
    let mut out = Vec::new();
    // The series with an incident that goes on: from a score above 1 until one of 0.5 at most.
    let mut incidents = BTreeSet::new();
    for line in lines {
        out.push(line.text());
        let which = (line.host, line.series);
        match line.value {
            101.. => _ = incidents.insert(which),
            0..=50 => _ = incidents.remove(&which),
            _ => {}
        }
        let start = line.time.div_euclid(MINUTE) * MINUTE;
        let (at, scored, anomalous) = entities.entry(line.host).or_insert((start, BTreeSet::new(), BTreeSet::new()));
        if start > *at {
            if !scored.is_empty() {
                let host = ["", ",host=a", ",host=b"][line.host];
                let rate = (anomalous.len() as f64 / scored.len() as f64 * 1e4).ceil() / 1e4;
                let (few, all) = (anomalous.len(), scored.len());
                out.push(format!(
                    "anomaly{host},detector=all\\ of\\ it anomaly_rate={rate},anomalous={few}i,series={all}i {at}\n"
                ));
            }
            (*at, *scored, *anomalous) = (start, BTreeSet::new(), BTreeSet::new());
        }
        if line.value >= 0 {
            scored.insert(line.series);
            if incidents.contains(&which) {
                anomalous.insert(line.series);
            }
        }
    }
    out
}

/// A line without its verdict.
fn bare(line: &str) -> String {
    match (line.split_once(",anomaly_score="), line.rsplit_once(' ')) {
        (Some((before, _)), Some((_, time))) => format!("{before} {time}\n"),
        _ => format!("{line}\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rates_are_counted_right_and_nothing_else_is_changed(lines in lines(), pieces in prop::collection::vec(1_usize..300, 1..5)) {
        let input: String = lines.iter().map(|line| line.text()).collect();
        let mut pipeline = Pipeline::new(vec![lane()], 7);
        let (mut out, mut rest) = (String::new(), input.as_str());
        for length in pieces.iter().cycle() {
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            out += &give(&mut pipeline, piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let out: Vec<_> = out.lines().map(bare).collect();
        prop_assert_eq!(out, expected(&lines));
    }
}
