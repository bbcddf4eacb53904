//! Vector's events come out as they went in, with their verdicts: in both codecs, whatever the bytes, however they arrive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use qualm_stream::native::{VerdictStyle, repair};
use qualm_stream::vector::{Feature, Shape, Transform};
use qualm_stream::{Lane, Limits, Native, Pipeline, Rows, Scorer, Selector, Verdicts, glob::Globs};
use support::{Event, Metric, Value, frame, gauge, json_body, message, metric_of, proto_body, tags_of};

/// Scores every row by its value, from 0 to 3.
struct ByValue;

impl Scorer for ByValue {
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
        verdicts.scores.extend(rows.values.iter().map(|value| (value.abs() / 100.0).min(3.0)));
    }

    fn forget(&mut self, _: &[u32]) {}
}

fn pipeline(style: VerdictStyle, measurement: &str) -> Pipeline<Native> {
    let selector = Selector { measurement: Globs::new([measurement]).unwrap(), ..Selector::default() };
    Pipeline::of(Native::new(style), vec![Lane::new(selector, Limits::default())], 7)
}

/// What is known of a row: head, field, time, value, score.
type Row = (String, String, i64, u64, u64);

/// Gives a body in pieces of the given lengths, and returns what comes out, and the rows.
fn through(pipeline: &mut Pipeline<Native>, body: &[u8], lengths: &[usize]) -> (Vec<u8>, Vec<Row>) {
    fn rows(pipeline: &Pipeline<Native>) -> impl Iterator<Item = Row> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pipeline.verdicts().map(move |v| (text(v.head), text(v.key), v.time, v.values[0].to_bits(), v.score.to_bits()))
    }
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    pipeline.format_mut().begin_body(body);
    while !rest.is_empty() {
        let most = lengths.next().map_or(1 << 20, |length| *length).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(most);
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), 5, &mut [ByValue]));
        told.extend(rows(pipeline));
        rest = behind;
    }
    out.extend_from_slice(pipeline.finish(5, &mut [ByValue]));
    told.extend(rows(pipeline));
    (out, told)
}

/// What comes out of a body of JSON.
fn json_out(style: VerdictStyle, body: &str) -> String {
    String::from_utf8(through(&mut pipeline(style, "*"), body.as_bytes(), &[]).0).unwrap()
}

fn name() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "a",
        "cpu",
        "a b",
        "a,b=c",
        "é",
        "\u{1f4a9}",
        "quote\"",
        "back\\",
        "\\\"",
        "a\\,b",
        "new\nline",
        "tab\t",
        "",
        "host",
        "null",
        ":null",
        "\u{1}",
        "metric_name",
        "{",
        "}",
        "[\"",
        "\u{7f}",
        "/",
        "#x",
    ]);
    prop_oneof![4 => hostile.prop_map(str::to_owned), 1 => any::<String>()]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -400.0..400.0_f64,
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, 1e300, -1e-300, f64::MAX, 100.0]),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let count = || 0..200_u32;
    prop_oneof![
        2 => number().prop_map(Value::Counter),
        4 => number().prop_map(Value::Gauge),
        1 => prop::collection::btree_set(name(), 0..4).prop_map(|values| Value::Set(values.into_iter().collect())),
        1 => prop::collection::vec((number(), count()), 0..6).prop_map(Value::Distribution),
        1 => (prop::collection::vec((number(), count().prop_map(u64::from)), 0..6), 0..9_u64, number(), any::<bool>())
            .prop_map(|(mut buckets, count, sum, open)| {
                if open {
                    buckets.push((f64::INFINITY, 3));
                }
                Value::Histogram(buckets, count, sum)
            }),
        1 => (prop::collection::vec((0.0..=1.0_f64, number()), 0..4), 0..9_u64, number())
            .prop_map(|(quantiles, count, sum)| Value::Summary(quantiles, count, sum)),
        1 => (count(), number(), number(), number())
            .prop_map(|(count, min, max, avg)| Value::Sketch { count, min, max, avg }),
    ]
}

fn metric() -> impl Strategy<Value = Metric> {
    let tags = prop::collection::btree_map(name(), prop::collection::vec(prop::option::of(name()), 1..3), 0..4);
    // A value stands once in Vector's set of them.
    let tags = tags.prop_map(|mut tags: BTreeMap<String, Vec<Option<String>>>| {
        tags.values_mut().for_each(|values| values.dedup());
        tags
    });
    let time = prop::option::weighted(0.9, (1_699_920_000..1_700_006_400_i64, 0..1_000_000_000_u32));
    let interval = prop::option::of(1..100_000_u32);
    let namespace = prop::option::of(name().prop_filter("not empty", |name| !name.is_empty()));
    (name(), namespace, tags, time, interval, any::<bool>(), value()).prop_map(
        |(name, namespace, tags, time, interval_ms, absolute, value)| Metric {
            name,
            namespace,
            tags,
            time,
            interval_ms,
            absolute,
            value,
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => metric().prop_map(Event::Metric),
        1 => name().prop_map(Event::Log),
        1 => name().prop_map(Event::Trace),
    ];
    prop::collection::vec(event, 0..20)
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..400, 1..5)
}

/// A change of a body: where, how many bytes are taken out, what is put there.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    let put = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec!["{", "}", "\"", "\\", ",", ":null", "\n", "[[[[", "1e999", "\\u12"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, put), 1..6)
}

fn changed(mut body: Vec<u8>, changes: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    for (at, taken, put) in changes {
        let at = at.index(body.len() + 1);
        let end = (at + taken).min(body.len());
        body.splice(at..end, put.iter().copied());
    }
    body
}

/// Whether `out` is `input` with bytes put in at one place.
fn is_spliced(input: &[u8], out: &[u8]) -> bool {
    let same = input.iter().zip(out).take_while(|(a, b)| a == b).count();
    let rest = input.iter().rev().zip(out.iter().rev()).take_while(|(a, b)| a == b).count();
    same + rest >= input.len() && out.len() >= input.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn output_without_our_events_is_the_input(events in events(), lengths in lengths()) {
        let style = VerdictStyle::Gauges;
        let (json, proto) = (json_body(&events), proto_body(&events));
        let mut scored = pipeline(style, "*");
        let (json_out, json_rows) = through(&mut scored, &json, &lengths);
        let (others, ours) = support::without_our_lines(&json_out);
        prop_assert_eq!(String::from_utf8_lossy(&others), String::from_utf8_lossy(&json));
        prop_assert_eq!(ours as u64, scored.counts().scored * 2);
        for line in json_out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok(), "{}", String::from_utf8_lossy(line));
        }
        let mut scored = pipeline(style, "*");
        let (proto_out, proto_rows) = through(&mut scored, &proto, &lengths);
        let (others, ours) = support::without_our_frames(&proto_out);
        prop_assert_eq!(others, proto);
        prop_assert_eq!(ours as u64, scored.counts().scored * 2);
        prop_assert_eq!(json_rows, proto_rows, "both codecs say the same");
        prop_assert_eq!(scored.counts().malformed, 0);
    }

    #[test]
    fn tags_are_spliced_into_the_metric_and_nothing_else_changes(events in events(), lengths in lengths()) {
        let style = VerdictStyle::Tags;
        let (json, proto) = (json_body(&events), proto_body(&events));
        let mut scored = pipeline(style, "*");
        let (out, _) = through(&mut scored, &json, &lengths);
        let lines = |bytes: &[u8]| bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (before, after) = (lines(&json), lines(&out));
        prop_assert_eq!(before.len(), after.len());
        let mut tagged = 0;
        for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
            prop_assert!(is_spliced(before, after));
            let [mut before, mut after] = [before, after].map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
            let tags = after["metric"]["tags"].as_object_mut().unwrap();
            prop_assert!(tags.remove("anomaly_score").unwrap().is_string());
            let anomaly = tags.remove("is_anomaly").unwrap() == "1";
            prop_assert_eq!(tags.remove("anomaly_cause").is_some(), anomaly);
            if before["metric"].get("tags").is_none() {
                before["metric"]["tags"] = serde_json::json!({});
            }
            prop_assert_eq!(before, after);
            tagged += 1;
        }
        prop_assert_eq!(tagged, scored.counts().scored);

        let mut scored = pipeline(style, "*");
        let (out, _) = through(&mut scored, &proto, &lengths);
        let ((before, _), (after, rest)) = (support::frames(&proto), support::frames(&out));
        prop_assert!(rest.is_empty() && before.len() == after.len());
        let mut tagged = 0;
        for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
            let after = metric_of(after);
            let added = after.len() - metric_of(before).len();
            prop_assert_eq!(&after[added..], &metric_of(before)[..]);
            let [old, new] = tags_of(&after[..added]);
            prop_assert_eq!(&old, &new);
            prop_assert_eq!(old.len(), 2 + usize::from(old["is_anomaly"] == [Some("1".to_owned())]));
            tagged += 1;
        }
        prop_assert_eq!(tagged, scored.counts().scored);
    }

    #[test]
    fn how_the_bytes_arrive_does_not_matter(events in events(), lengths in lengths(), changes in changes()) {
        for body in [json_body(&events), proto_body(&events), changed(json_body(&events), &changes), changed(proto_body(&events), &changes)] {
            for style in [VerdictStyle::Gauges, VerdictStyle::Tags] {
                let whole = through(&mut pipeline(style, "*"), &body, &[]).0;
                prop_assert!(whole == through(&mut pipeline(style, "*"), &body, &[1]).0);
                prop_assert!(whole == through(&mut pipeline(style, "*"), &body, &lengths).0);
            }
        }
    }

    #[test]
    fn broken_bodies_pass_too(events in events(), changes in changes(), noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for body in [changed(json_body(&events), &changes), changed(proto_body(&events), &changes), noise.clone(), [&[0], &noise[..]].concat()] {
            let (out, _) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
            let others = if body.first() == Some(&0) { support::without_our_frames(&out) } else { support::without_our_lines(&out) };
            prop_assert!(others.0 == body);
            prop_assert!(through(&mut pipeline(VerdictStyle::Gauges, "none such"), &body, &[]).0 == body);
            let (tagged, _) = through(&mut pipeline(VerdictStyle::Tags, "*"), &body, &[]);
            prop_assert!(tagged.len() >= body.len());
            prop_assert!(repair(&body).body.len() <= body.len() * 2);
        }
    }
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
        (true, Value::Counter(7.0), vec![("value", 7.0)]),
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
            let told: Vec<_> = rows.iter().map(|row| (&row.1[..], f64::from_bits(row.3))).collect();
            assert_eq!(told, expected);
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
        let told: Vec<_> =
            rows.iter().map(|row| (&row.1[..], row.2 / 1_000_000_000 - 1_700_000_000, f64::from_bits(row.3))).collect();
        assert_eq!(told, [("rate", 9, 2.0), ("rate", 10, 2.0), ("rate", 20, 0.1)]);
    }
}

#[test]
fn what_is_not_known_passes_unscored() {
    for line in [
        r#"{"metric":{"name":"m","kind":"absolute","exponential_histogram":{"scale":1}}}"#,
        r#"{"metric":{"name":"m","kind":"sideways","gauge":{"value":1}}}"#,
        r#"{"metric":{"kind":"absolute","gauge":{"value":1}}}"#,
        r#"{"log":{"message":"x"}}"#,
        r#"{"profile":{}}"#,
        r#"[{"metric":{"name":"m","kind":"absolute","gauge":{"value":1}}}]"#,
        "",
        "7",
    ] {
        let mut scored = pipeline(VerdictStyle::Gauges, "*");
        assert_eq!(through(&mut scored, format!("{line}\n").as_bytes(), &[]).0, format!("{line}\n").as_bytes());
        assert_eq!((scored.counts().events, scored.counts().malformed), (0, 0), "{line}");
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
    assert_eq!((scored.counts().events, scored.counts().malformed), (0, 0));
    for line in [r#"{"metric":{"name":"m""#, "{", "}", "nothing", r#"{"metric":{}} x"#, &("[".repeat(100_000) + "\n")] {
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
                    out.extend_from_slice(pipeline.let_go());
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

impl Scorer for Sum {
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
        verdicts.scores.extend(rows.values.chunks(rows.features()).map(|values| values.iter().sum::<f64>() / 100.0));
        verdicts.contributions.extend(&rows.values);
    }

    fn forget(&mut self, _: &[u32]) {}
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
    let mut pipeline = Pipeline::of(Native::new(VerdictStyle::Gauges), vec![lane], 7);
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
    let told: [(&str, Option<&str>, f64); 5] = [
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
        assert_eq!(lines.len(), told.len());
        for (line, (name, feature, value)) in lines.into_iter().zip(told) {
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
    assert_eq!(frames.len(), told.len());
    for (frame, (name, feature, value)) in frames.into_iter().zip(told) {
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

/// Bodies recorded from Vector 0.58, the same events in both codecs.
const EVENTS: [&[u8]; 2] = [include_bytes!("recorded/events.ndjson"), include_bytes!("recorded/events.native")];
const ODD: [&[u8]; 2] = [include_bytes!("recorded/odd.ndjson"), include_bytes!("recorded/odd.native")];

#[test]
fn what_vector_sends_is_scored_alike_in_both_codecs() {
    let [json, proto] = EVENTS.map(|body| through(&mut pipeline(VerdictStyle::Gauges, "*"), body, &[]));
    assert!(support::without_our_lines(&json.0).0 == EVENTS[0] && support::without_our_frames(&proto.0).0 == EVENTS[1]);
    assert_eq!(json.1, proto.1);
    let told = json.1.iter().map(|row| format!("{} {}={}", row.0, row.1, f64::from_bits(row.3))).collect::<Vec<_>>();
    let expected = [
        "app.requests,code=200,host=web-1 rate=0.3".to_owned(),
        "boots value=17".to_owned(),
        "host.temperature,room=é\\ \"q\"\\ \\\\ _\\ x value=-12.75".to_owned(),
        format!("big value={}", f64::MAX),
        format!("tiny value={}", 5e-324),
        "minus_zero value=0".to_owned(),
        "bigint value=9007199254740992".to_owned(),
        "app.users value=3".to_owned(),
        "users_empty value=0".to_owned(),
        format!("latency avg={}", 2.0 / 3.0),
        "latency quantile_0.95=1.5".to_owned(),
        "latency quantile_0.99=1.5".to_owned(),
        "latency_s avg=7".to_owned(),
        "latency_s quantile_0.95=7".to_owned(),
        "latency_s quantile_0.99=7".to_owned(),
        // Twenty values in three buckets: ranks 19 and 19.8 lie in the last, from 1 to 10, behind the first 12.
        "http.duration,route=/x avg=0.78125".to_owned(),
        "http.duration,route=/x quantile_0.95=8.875".to_owned(),
        "http.duration,route=/x quantile_0.99=9.775".to_owned(),
        "gc avg=1.705".to_owned(),
        "gc quantile_0.5=1.5".to_owned(),
        "gc quantile_0.99=9".to_owned(),
        "sk avg=9.75".to_owned(),
        "sk min=1".to_owned(),
        "sk max=34".to_owned(),
        "tags_multi,a=y,b=one value=1".to_owned(),
        "tags_mixed,a=x,b=x,c=y,d=y value=1".to_owned(),
        "tags_bare,v=1 value=1".to_owned(),
        "tags_empty,arr1=x value=1".to_owned(),
        " value=1".to_owned(),
        "unknown_fields value=1".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_vector_sends_and_would_refuse_is_repaired() {
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    let repaired = repair(EVENTS[0]);
    assert_eq!(text(&repaired.body), text(EVENTS[0]).replace("\"bare\":null", "\"bare\":[null]"));
    assert_eq!((repaired.discarded, repaired.repaired), (0, 1));
    let repaired = repair(ODD[0]);
    let lost = ["nan", "inf", "ninf", "hist_big", "summary_nan", "dist_nan"].map(|name| format!("\"name\":\"{name}\""));
    let odd = text(ODD[0]);
    let left: Vec<_> = odd.lines().filter(|line| !lost.iter().any(|name| line.contains(name))).collect();
    assert_eq!(text(&repaired.body), (left.join("\n") + "\n").replace("{\"t\":null}", "{\"t\":[null]}"));
    assert_eq!((repaired.discarded, repaired.repaired), (6, 1));
    assert_eq!(repair(EVENTS[1]).body, EVENTS[1], "protocol buffers need no repair");

    let [json, proto] = ODD.map(|body| through(&mut pipeline(VerdictStyle::Gauges, "*"), body, &[]));
    assert!(support::without_our_lines(&json.0).0 == ODD[0] && support::without_our_frames(&proto.0).0 == ODD[1]);
    let finite = |rows: &[Row]| rows.iter().map(|row| (row.0.clone(), row.1.clone(), row.3)).collect::<Vec<_>>();
    assert_eq!(finite(&json.1), finite(&proto.1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_repair_touches_what_is_wrong_and_nothing_else(events in events(), bare in prop::collection::vec(any::<bool>(), 20), lost in prop::collection::vec(any::<bool>(), 20)) {
        let (mut faulty, mut expected) = (String::new(), String::new());
        let (mut discarded, mut repaired) = (0, 0);
        for (at, event) in events.iter().enumerate() {
            let mut event = event.clone();
            let put = |faulty: &str, right: &str| (faulty.to_owned(), right.to_owned());
            let (wrong, right) = match &mut event {
                Event::Metric(metric) if lost[at] && matches!(metric.value, Value::Gauge(_)) => {
                    metric.value = Value::Gauge(123_456.75);
                    discarded += 1;
                    put("{\"value\":123456.75}", "")
                }
                Event::Metric(metric) if bare[at] => {
                    metric.tags.insert("bare tag".to_owned(), vec![None]);
                    repaired += 1;
                    put("\"bare tag\":[null]", "\"bare tag\":[null]")
                }
                _ => put("", ""),
            };
            let line = String::from_utf8(json_body(&[event])).unwrap();
            match &wrong[..] {
                "" => {
                    faulty += &line;
                    expected += &line;
                }
                _ if right.is_empty() => faulty += &line.replace(&wrong, "{\"value\":null}"),
                _ => {
                    faulty += &line.replace(&wrong, "\"bare tag\":null");
                    expected += &line;
                }
            }
        }
        let mended = repair(faulty.as_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&mended.body), expected);
        prop_assert_eq!((mended.discarded, mended.repaired), (discarded, repaired));
    }
}
