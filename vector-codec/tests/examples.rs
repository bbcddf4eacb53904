//! What becomes of one event of Vector or another, by example: verdicts, names, numbers, what is not known.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;

use qualm_contract::{Band, Batch, BatchScorer, Error, Reason, Verdicts, Wanted};
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;
use support::through::{ByValue, pipeline, through};
use support::{Event, Metric, Value, frame, gauge, json_body, message, metric_of, proto_body, tags_of};

/// What comes out of a body of JSON.
fn json_out(style: VerdictStyle, body: &str) -> String {
    String::from_utf8(through(&mut pipeline(style, "*"), body.as_bytes(), &[]).0).unwrap()
}

#[test]
fn a_body_with_an_event_that_tells_no_time_is_another_each_time() {
    let timed = || Event::Metric(gauge("cpu", 1.0));
    let untimed = || Event::Metric(Metric { time: None, ..gauge("cpu", 1.0) });
    for (events, expected) in [
        (vec![], true),
        (vec![timed(), timed()], true),
        (vec![timed(), untimed(), timed()], false),
        (vec![untimed()], false),
        (vec![timed(), Event::Log("a".to_owned())], false),
    ] {
        for body in [json_body(&events), proto_body(&events)] {
            assert_eq!(VectorEvents::all_have_times(&body), expected, "{}", String::from_utf8_lossy(&body));
        }
    }
    let line = String::from_utf8(json_body(&[timed()])).unwrap();
    assert!(VectorEvents::all_have_times(format!("\n{line}\n{}", line.trim_end()).as_bytes()));
    assert!(!VectorEvents::all_have_times(format!("{line}nonsense\n").as_bytes()));
    assert!(!VectorEvents::all_have_times(&proto_body(&[timed()])[..9]), "half a frame");
}

#[test]
fn a_gauge_is_followed_by_its_verdict() {
    let metric = r#"{"metric":{"name":"cpu","namespace":"host","tags":{"host":"a","t":[null,"é\"x"]},"timestamp":"2026-08-01T12:00:00Z","kind":"absolute","gauge":{"value":250.0}}}"#;
    let verdict = |name: &str, value: &str| {
        format!(
            r#"{{"metric":{{"name":"{name}","tags":{{"host":"a","t":[null,"é\"x"],"metric_name":"host.cpu"}},"timestamp":"2026-08-01T12:00:00Z","kind":"absolute","gauge":{{"value":{value}}}}}}}"#
        )
    };
    let (score, anomaly) = (verdict("anomaly_score", "2.5"), verdict("is_anomaly", "1"));
    let body = format!("{metric}\n");
    assert_eq!(json_out(VerdictStyle::Gauges, &body), format!("{metric}\n{score}\n{anomaly}\n"));
    assert_eq!(
        json_out(VerdictStyle::Gauges, metric),
        format!("{metric}\n{score}\n{anomaly}"),
        "a last line without its end"
    );
    let twice = format!("{metric}\n{score}\n{anomaly}\n");
    let mut scored = pipeline(VerdictStyle::Gauges, "*");
    assert_eq!(through(&mut scored, twice.as_bytes(), &[]).0.len(), twice.len() + score.len() + anomaly.len() + 2);
    assert_eq!((scored.counts().upstream, scored.counts().scored), (2, 1));
}

#[test]
fn tags_go_where_tags_are() {
    let metric =
        |tags: &str| format!(r#"{{"metric":{{"name":"m",{tags}"kind":"absolute","gauge":{{"value":250}}}}}}"#) + "\n";
    let verdict = r#""anomaly_score":"2.5","is_anomaly":"1","anomaly_cause":"value""#;
    for (before, after) in [
        (r#""tags":{"a":"b"},"#, format!(r#""tags":{{{verdict},"a":"b"}},"#)),
        (r#""tags":{ },"#, format!(r#""tags":{{{verdict} }},"#)),
        (r#""tags":null,"#, format!(r#""tags":{{{verdict}}},"#)),
    ] {
        assert_eq!(json_out(VerdictStyle::Tags, &metric(before)), metric(&after));
    }
    let missing = metric("").replace("{\"name\"", &format!("{{\"tags\":{{{verdict}}},\"name\""));
    assert_eq!(json_out(VerdictStyle::Tags, &metric("")), missing);
    for tags in [r#""tags":{"anomaly_score":"1"},"#, r#""tags":{"is\u005fanomaly":"1"},"#] {
        assert_eq!(json_out(VerdictStyle::Tags, &metric(tags)), metric(tags), "scored upstream");
    }
}

#[test]
fn a_gauge_in_a_frame_is_followed_by_frames() {
    let event = Event::Metric(
        Metric { namespace: Some("host".into()), ..gauge("cpu", 250.0) }.tag("host", &[Some("a"), Some("b")]),
    );
    let body = proto_body(&[event]);
    let (out, _) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
    let (frames, rest) = support::frames(&out);
    assert!(rest.is_empty() && frames.len() == 3 && frames[0] == body);
    for (frame, name, value) in [(frames[1], "anomaly_score", 2.5), (frames[2], "is_anomaly", 1.0)] {
        let metric = metric_of(frame);
        let part = |number: u64| &metric.iter().find(|(n, _)| *n == number).unwrap().1;
        assert_eq!(part(1).text(), name);
        assert_eq!(message(part(6).bytes()), [(1, support::Part::Double(value))]);
        assert_eq!(message(part(2).bytes()), [(1, support::Part::Int(1_700_000_000))]);
        assert_eq!(part(4), &support::Part::Int(1), "absolute");
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        let [old, new] = tags_of(&metric);
        let expected =
            |host| BTreeMap::from([("host".to_owned(), host), ("metric_name".to_owned(), some(&["host.cpu"]))]);
        assert_eq!((old, new), (expected(some(&["b"])), expected(some(&["a", "b"]))));
    }
}

/// Takes everything for a shift out of a band.
struct Shifted;

impl BatchScorer for Shifted {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        for _ in 0..batch.len() {
            verdicts.scores.push(2.5);
            verdicts.reasons.push(Reason::LevelShift);
            verdicts.bands.push(Band { expected: 100.0, lower: -1.5, upper: f64::NAN });
        }
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// What comes out of a body where bands are shown.
fn banded(style: VerdictStyle, body: &[u8]) -> Vec<u8> {
    let lane = Lane::new(Selector::default(), Limits::default()).show_bands(true);
    let mut pipeline = Pipeline::of(VectorEvents::new(style), vec![lane], 7);
    pipeline.format_mut().begin_body(body);
    pipeline.input()[..body.len()].copy_from_slice(body);
    let mut out = pipeline.run(body.len(), 5, &mut [Shifted]).to_vec();
    out.extend_from_slice(pipeline.finish(5, &mut [Shifted]));
    out
}

#[test]
fn a_band_is_more_gauges_and_a_reason_is_a_tag() {
    let metric =
        r#"{"metric":{"name":"m","tags":{"a":"b"},"kind":"absolute","gauge":{"value":250}}}"#.to_owned() + "\n";
    let of = |name: &str, value: &str| {
        format!(
            r#"{{"metric":{{"name":"{name}","tags":{{"a":"b","metric_name":"m"}},"kind":"absolute","gauge":{{"value":{value}}}}}}}"#
        ) + "\n"
    };
    let gauges =
        [("anomaly_score", "2.5"), ("is_anomaly", "1"), ("anomaly_expected", "100"), ("anomaly_lower", "-1.5")];
    let gauges: String = gauges.map(|(name, value)| of(name, value)).concat();
    let out = banded(VerdictStyle::Gauges, metric.as_bytes());
    assert_eq!(String::from_utf8(out.clone()).unwrap(), format!("{metric}{gauges}"));
    let again = banded(VerdictStyle::Gauges, &out);
    assert_eq!(again.len(), out.len() + gauges.len(), "a verdict is not scored");
    let tags = banded(VerdictStyle::Tags, metric.as_bytes());
    let expected = r#""anomaly_cause":"value","anomaly_reason":"level_shift","anomaly_expected":"100","anomaly_lower":"-1.5","a":"b""#;
    assert!(String::from_utf8(tags).unwrap().contains(expected));
}

#[test]
fn a_band_in_frames_is_more_frames() {
    let body = proto_body(&[Event::Metric(gauge("cpu", 250.0).tag("host", &[Some("a")]))]);
    let out = banded(VerdictStyle::Gauges, &body);
    let (frames, rest) = support::frames(&out);
    assert!(rest.is_empty() && frames[0] == body);
    let scored = frames[1..].iter().map(|frame| {
        let metric = metric_of(frame);
        let part = |number: u64| &metric.iter().find(|(n, _)| *n == number).unwrap().1;
        let support::Part::Double(value) = message(part(6).bytes())[0].1 else { panic!("no double") };
        let [_, tags] = tags_of(&metric);
        assert_eq!(tags.len(), 2, "{tags:?}");
        (part(1).text().clone(), value)
    });
    let expected = [("anomaly_score", 2.5), ("is_anomaly", 1.0), ("anomaly_expected", 100.0), ("anomaly_lower", -1.5)];
    assert_eq!(scored.collect::<Vec<_>>(), expected.map(|(name, value)| (name.to_owned(), value)));
    let tagged = banded(VerdictStyle::Tags, &body);
    let (frames, _) = support::frames(&tagged);
    let [_, tags] = tags_of(&metric_of(frames[0]));
    for (tag, value) in [("anomaly_reason", "level_shift"), ("anomaly_expected", "100"), ("anomaly_lower", "-1.5")] {
        assert_eq!(tags[tag], [Some(value.to_owned())], "{tag}");
    }
}

#[test]
fn names_are_those_of_the_sink_for_influxdb() {
    let metric = Metric { namespace: Some("my host".into()), ..gauge("cpu,x", 1.0) }
        .tag("a", &[Some("one"), Some("two"), None])
        .tag("bare", &[None])
        .tag("empty", &[Some("")])
        .tag("k=y", &[Some("v w")]);
    let events = [Event::Metric(metric)];
    for body in [json_body(&events), proto_body(&events)] {
        let (_, rows) = through(&mut pipeline(VerdictStyle::Gauges, "my host.cpu*"), &body, &[]);
        let heads: Vec<_> = rows.iter().map(|row| (&row.0[..], &row.1[..], row.2)).collect();
        assert_eq!(heads, [(r"my\ host.cpu\,x,a=two,k\=y=v\ w", "value", 1_700_000_000_000_000_000)]);
        assert!(through(&mut pipeline(VerdictStyle::Gauges, "cpu*"), &body, &[]).1.is_empty());
    }
}

#[test]
fn each_kind_has_its_numbers() {
    let kinds = [
        (true, Value::Counter(7.0), vec![]),
        (false, Value::Gauge(7.0), vec![]),
        (false, Value::Set(vec!["a".into(), "b".into()]), vec![("value", 2.0)]),
        (
            false,
            Value::Distribution(vec![(9.0, 2), (1.0, 90), (2.0, 8)]),
            vec![("avg", 1.24), ("quantile_0.95", 2.0), ("quantile_0.99", 9.0)],
        ),
        (
            true,
            Value::Histogram(vec![(1.0, 90), (2.0, 9), (f64::INFINITY, 1)], 100, 250.0),
            vec![("avg", 2.5), ("quantile_0.95", 1.0 + 5.0 / 9.0), ("quantile_0.99", 2.0)],
        ),
        (
            true,
            Value::Summary(vec![(0.5, 2.0), (0.99, 7.0)], 4, 10.0),
            vec![("avg", 2.5), ("quantile_0.5", 2.0), ("quantile_0.99", 7.0)],
        ),
        (
            false,
            Value::Sketch { count: 3, min: 1.0, max: 9.0, avg: 4.0 },
            vec![("avg", 4.0), ("min", 1.0), ("max", 9.0)],
        ),
    ];
    for (absolute, value, expected) in kinds {
        let events = [Event::Metric(Metric { absolute, value, ..gauge("m", 0.0) })];
        for body in [json_body(&events), proto_body(&events)] {
            let (_, rows) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
            let scored: Vec<_> = rows.iter().map(|row| (&row.1[..], f64::from_bits(row.3))).collect();
            assert_eq!(scored, expected);
        }
    }
}

#[test]
fn increments_are_a_rate() {
    let at = |seconds: i64, value, interval_ms| {
        let time = Some((1_700_000_000 + seconds, 0));
        Event::Metric(Metric { absolute: false, value: Value::Counter(value), interval_ms, time, ..gauge("m", 0.0) })
    };
    // 1,700,000,000 is a multiple of ten.
    let events = [at(1, 5.0, None), at(9, 15.0, None), at(9, 30.0, Some(15_000)), at(12, 1.0, None), at(35, 1.0, None)];
    for body in [json_body(&events), proto_body(&events)] {
        let (_, rows) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
        let scored: Vec<_> =
            rows.iter().map(|row| (&row.1[..], row.2 / 1_000_000_000 - 1_700_000_000, f64::from_bits(row.3))).collect();
        assert_eq!(scored, [("rate", 9, 2.0), ("rate", 10, 2.0), ("rate", 20, 0.1)]);
    }
}

#[test]
fn totals_are_a_rate() {
    let at = |seconds: i64, total| {
        let time = Some((1_700_000_000 + seconds, 0));
        Event::Metric(Metric { absolute: true, value: Value::Counter(total), time, ..gauge("m", 0.0) })
    };
    let events = [at(0, 1e6), at(10, 1e6 + 50.0), at(10, 1e6 + 60.0), at(30, 40.0), at(40, 40.0)];
    for body in [json_body(&events), proto_body(&events)] {
        let (_, rows) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
        let scored: Vec<_> =
            rows.iter().map(|row| (&row.1[..], row.2 / 1_000_000_000 - 1_700_000_000, f64::from_bits(row.3))).collect();
        assert_eq!(scored, [("rate", 10, 5.0), ("rate", 30, 2.0), ("rate", 40, 0.0)]);
    }
}

#[test]
fn what_is_not_known_passes_unscored_and_is_counted() {
    for (line, unknown) in [
        (r#"{"metric":{"name":"m","kind":"absolute","exponential_histogram":{"scale":1}}}"#, 1),
        (r#"{"metric":{"name":"m","kind":"sideways","gauge":{"value":1}}}"#, 1),
        (r#"{"metric":{"kind":"absolute","gauge":{"value":1}}}"#, 1),
        (r#"{"log":{"message":"x"}}"#, 0),
        (r#"{"trace":{"message":"x"}}"#, 0),
        (r#"{"profile":{}}"#, 1),
        ("", 0),
    ] {
        let mut scored = pipeline(VerdictStyle::Gauges, "*");
        assert_eq!(through(&mut scored, format!("{line}\n").as_bytes(), &[]).0, format!("{line}\n").as_bytes());
        let counts = scored.counts();
        assert_eq!((counts.events, counts.malformed, counts.unknown), (0, 0, unknown), "{line}");
    }
    let gauge = |value: f64| {
        support::bytes(1, &[support::bytes(1, b"m"), support::bytes(6, &support::double(1, value))].concat())
    };
    let unknown = support::bytes(1, &[support::bytes(1, b"m"), support::bytes(22, b"")].concat());
    let mut body = Vec::new();
    for array in [[gauge(1.0), gauge(2.0)].concat(), unknown] {
        body.extend(frame(&support::bytes(2, &array)));
    }
    body.extend([frame(&[]), frame(&support::bytes(9, b""))].concat());
    let mut scored = pipeline(VerdictStyle::Gauges, "*");
    assert_eq!(through(&mut scored, &body, &[]).0, body);
    assert_eq!((scored.counts().events, scored.counts().malformed, scored.counts().unknown), (0, 0, 2));
    // An array of events is what Vector's `character_delimited` framing makes of them.
    let array = r#"[{"metric":{"name":"m","kind":"absolute","gauge":{"value":1}}}]"#;
    for line in [
        array,
        "7",
        "\"text\"",
        r#"{"metric":{"name":"m""#,
        "{",
        "}",
        "nothing",
        r#"{"metric":{}} x"#,
        &("[".repeat(100_000) + "\n"),
    ] {
        let mut scored = pipeline(VerdictStyle::Gauges, "*");
        assert_eq!(through(&mut scored, line.as_bytes(), &[]).0, line.as_bytes());
        assert_eq!(scored.counts().malformed, 1, "{line}");
    }
    let mut scored = pipeline(VerdictStyle::Gauges, "*");
    assert_eq!(through(&mut scored, &frame(b"no message"), &[]).0, frame(b"no message"));
    assert_eq!(scored.counts().malformed, 1);
}

#[test]
fn strange_but_legal_json_is_read() {
    let line = r#" { "metric" : { "kind":"incremental", "gauge": {"value": 1, "unit": {"a":[1,{}]}} ,"tags":{"x":"1"},
        "kind":"absolute","tags":{"\u00e9":"\ud83d\ude00\"","n":[]},"name":"na\u006de"}} "#
        .replace('\n', " ");
    let (_, rows) = through(&mut pipeline(VerdictStyle::Gauges, "*"), line.as_bytes(), &[]);
    assert_eq!((rows.len(), &rows[0].0[..], rows[0].2), (1, "name,é=😀\"", 5), "{rows:?}");
    let huge = r#"{"metric":{"name":"m","kind":"absolute","gauge":{"value":1e400}}}"#;
    assert!(through(&mut pipeline(VerdictStyle::Gauges, "*"), huge.as_bytes(), &[]).1.is_empty());
    let mut invalid = br#"{"metric":{"name":"m","tags":{"t":"x"},"kind":"absolute","gauge":{"value":1}}}"#.to_vec();
    let x = invalid.iter().position(|&byte| byte == b'x').unwrap();
    invalid[x] = 0xff;
    assert_eq!(through(&mut pipeline(VerdictStyle::Gauges, "*"), &invalid, &[]).1.len(), 1);
}

#[test]
fn an_event_longer_than_a_mebibyte_passes_and_the_next_is_scored() {
    let long = || Event::Log("x".repeat(3 << 20));
    let events = [
        Event::Metric(gauge("a", 1.0)),
        long(),
        Event::Metric(gauge("b", 2.0)),
        long(),
        Event::Metric(gauge("c", 3.0)),
    ];
    for (body, strip) in [
        (json_body(&events), support::without_our_lines as fn(&[u8]) -> (Vec<u8>, usize)),
        (proto_body(&events), support::without_our_frames),
    ] {
        for length in [1 << 16, 1 << 20] {
            let mut scored = pipeline(VerdictStyle::Gauges, "*");
            let (out, rows) = through(&mut scored, &body, &[length]);
            assert!(strip(&out) == (body.clone(), 6));
            assert_eq!((rows.len(), scored.counts().unfinished), (3, 2));
        }
    }
}

#[test]
fn what_is_let_go_is_not_taken_for_another_event() {
    let events = [Event::Metric(gauge("a", 1.0)), Event::Metric(gauge("b", 2.0))];
    for (body, strip) in [
        (json_body(&events), support::without_our_lines as fn(&[u8]) -> (Vec<u8>, usize)),
        (proto_body(&events), support::without_our_frames),
    ] {
        for first in 1..40 {
            let mut pipeline = pipeline(VerdictStyle::Gauges, "*");
            pipeline.format_mut().begin_body(&body);
            let mut out = Vec::new();
            let pieces = [&body[..first], &body[first..=first], &body[first + 1..]];
            for (number, piece) in pieces.into_iter().enumerate() {
                pipeline.input()[..piece.len()].copy_from_slice(piece);
                out.extend_from_slice(pipeline.run(piece.len(), 0, &mut [ByValue]));
                if number == 0 {
                    out.extend_from_slice(pipeline.release_partial_event());
                }
            }
            assert!(strip(&out) == (body.clone(), 2), "{first}");
            assert_eq!((pipeline.counts().unfinished, pipeline.counts().scored), (1, 1));
        }
    }
}

#[test]
fn both_codecs_feed_the_same_series() {
    let events = [Event::Metric(gauge("a", 1.0).tag("host", &[Some("x")]))];
    let mut pipeline = pipeline(VerdictStyle::Gauges, "*");
    through(&mut pipeline, &json_body(&events), &[]);
    through(&mut pipeline, &proto_body(&events), &[]);
    assert_eq!((pipeline.lanes()[0].series().len(), pipeline.counts().scored), (1, 2));
}

/// Scores a vector by the sum of its values, which are their own contributions.
struct Sum;

impl BatchScorer for Sum {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend(batch.values.chunks(batch.features()).map(|values| values.iter().sum::<f64>() / 100.0));
        verdicts.contributions.extend(batch.values);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// What comes out of a body whose cpu, mem, disk and net are one vector of a host.
fn vector_out(body: &[u8]) -> Vec<u8> {
    let feature = |name: &str| Feature {
        name: name.to_owned(),
        measurement: format!("host.{name}"),
        field: "value".to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let features = ["cpu", "mem \"x\"", "disk", "net"].map(feature);
    let shape = Shape { features: features.into(), entity: vec!["host".to_owned()], interval: 0 };
    let lane = Lane::vectors("host vitals", shape, Selector::default(), Limits::default());
    let mut pipeline = Pipeline::of(VectorEvents::new(VerdictStyle::Gauges), vec![lane], 7);
    pipeline.format_mut().begin_body(body);
    pipeline.input()[..body.len()].copy_from_slice(body);
    let mut out = pipeline.run(body.len(), 0, &mut [Sum]).to_vec();
    out.extend_from_slice(pipeline.finish(0, &mut [Sum]));
    out
}

#[test]
fn the_verdict_of_a_vector_follows_the_event_that_completed_it() {
    let values = [("cpu", 10.0), ("mem \"x\"", 70.0), ("disk", -1.0), ("net", 40.123_45)];
    let metric = |(name, value): (&str, f64)| {
        Metric { namespace: Some("host".into()), ..gauge(name, value) }.tag("host", &[Some("a \"b\"")])
    };
    let gauges: Vec<_> = values.map(|value| Event::Metric(metric(value))).into();
    let scored: [(&str, Option<&str>, f64); 5] = [
        ("anomaly_score", None, 1.1913),
        ("is_anomaly", None, 1.0),
        ("anomaly_contribution", Some("mem \"x\""), 70.0),
        ("anomaly_contribution", Some("net"), 40.1235),
        ("anomaly_contribution", Some("cpu"), 10.0),
    ];

    let json = json_body(&gauges);
    for json in [&json[..], &json[..json.len() - 1]] {
        let out = vector_out(json);
        let added = String::from_utf8(out[json.len()..].to_vec()).unwrap();
        assert_eq!((&out[..json.len()], out.ends_with(b"\n")), (json, json.ends_with(b"\n")));
        let lines: Vec<_> = added.trim().lines().collect();
        assert_eq!(lines.len(), scored.len());
        for (line, (name, feature, value)) in lines.into_iter().zip(scored) {
            let mut tags = serde_json::json!({"host": "a \"b\"", "detector": "host vitals"});
            if let Some(feature) = feature {
                tags["feature"] = feature.into();
            }
            let metric = serde_json::json!({
                "name": name, "tags": tags, "timestamp": "2023-11-14T22:13:20Z", "kind": "absolute", "gauge": {"value": value},
            });
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            if value.fract() == 0.0 {
                line["metric"]["gauge"]["value"] = line["metric"]["gauge"]["value"].as_f64().into();
            }
            assert_eq!(line, serde_json::json!({ "metric": metric }));
        }
    }

    let proto = proto_body(&gauges);
    let out = vector_out(&proto);
    let (frames, rest) = support::frames(&out[proto.len()..]);
    assert!(out.starts_with(&proto) && rest.is_empty());
    assert_eq!(frames.len(), scored.len());
    for (frame, (name, feature, value)) in frames.into_iter().zip(scored) {
        let metric = metric_of(frame);
        let part = |number: u64| &metric.iter().find(|(n, _)| *n == number).unwrap().1;
        assert_eq!(part(1).text(), name);
        assert_eq!(message(part(6).bytes()), [(1, support::Part::Double(value))]);
        assert_eq!(message(part(2).bytes())[0], (1, support::Part::Int(1_700_000_000)));
        let [old, new] = tags_of(&metric);
        let expected =
            [("host", "a \"b\""), ("detector", "host vitals")].into_iter().chain(feature.map(|name| ("feature", name)));
        let expected = expected.map(|(key, value)| (key.to_owned(), vec![Some(value.to_owned())])).collect();
        assert_eq!((&old, &new), (&expected, &expected));
    }
}

#[test]
fn a_mebibyte_of_tags_is_no_metric_to_be_scored() {
    let tag = |key: usize| support::bytes(3, &support::bytes(1, key.to_string().as_bytes()));
    let tags = |count: usize| (0..count).map(tag).collect::<Vec<_>>();
    let again = [tags(200), vec![tag(199); 100_000]].concat();
    let apart = support::int(18, 1);
    let cases = [
        (true, tags(400).concat()),
        (false, tags(600).concat()),
        (false, again.concat()),
        (true, tags(4).join(&apart[..])),
        (false, tags(9).join(&apart[..])),
    ];
    for (scored, tags) in cases {
        let gauge = support::bytes(6, &support::double(1, 1.0));
        let metric = [tags, support::bytes(1, b"m"), support::int(4, 1), gauge].concat();
        let body = frame(&support::bytes(2, &support::bytes(1, &metric)));
        let mut pipeline = pipeline(VerdictStyle::Gauges, "*");
        let (out, rows) = through(&mut pipeline, &body, &[]);
        assert!(support::without_our_frames(&out).0 == body);
        assert_eq!((rows.len(), pipeline.counts().malformed), (usize::from(scored), 0));
    }
}
