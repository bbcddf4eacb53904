//! Vector's events come out as they went in, with their verdicts: in both codecs, whatever the bytes, however they
//! arrive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use qualm_vector_codec::{VerdictStyle, repair};
use support::through::{pipeline, through};
use support::{Event, Metric, Value, json_body, metric_of, proto_body, tags_of};

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
        tags.values_mut().for_each(Vec::dedup);
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

fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
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
            let text = String::from_utf8_lossy(line);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
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
            let parsed = [before, after].map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
            let [mut before, mut after] = parsed;
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
        let (json, proto) = (json_body(&events), proto_body(&events));
        let broken = [changed(json.clone(), &changes), changed(proto.clone(), &changes)];
        for body in [json, proto].into_iter().chain(broken) {
            for style in [VerdictStyle::Gauges, VerdictStyle::Tags] {
                let whole = through(&mut pipeline(style, "*"), &body, &[]).0;
                prop_assert!(whole == through(&mut pipeline(style, "*"), &body, &[1]).0);
                prop_assert!(whole == through(&mut pipeline(style, "*"), &body, &lengths).0);
            }
        }
    }

    #[test]
    fn broken_bodies_pass_too(events in events(), changes in changes(), noise in noise()) {
        let broken = [changed(json_body(&events), &changes), changed(proto_body(&events), &changes)];
        for body in broken.into_iter().chain([[&[0], &noise[..]].concat(), noise]) {
            let (out, _) = through(&mut pipeline(VerdictStyle::Gauges, "*"), &body, &[]);
            let proto = body.first() == Some(&0);
            let strip = if proto { support::without_our_frames } else { support::without_our_lines };
            prop_assert!(strip(&out).0 == body);
            prop_assert!(through(&mut pipeline(VerdictStyle::Gauges, "none such"), &body, &[]).0 == body);
            let (tagged, _) = through(&mut pipeline(VerdictStyle::Tags, "*"), &body, &[]);
            prop_assert!(tagged.len() >= body.len());
            prop_assert!(repair(&body).body.len() <= body.len() * 2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_repair_touches_what_is_wrong_and_nothing_else(
        events in events(),
        bare in prop::collection::vec(any::<bool>(), 20),
        lost in prop::collection::vec(any::<bool>(), 20),
    ) {
        let (mut faulty, mut expected) = (String::new(), String::new());
        let (mut discarded, mut repaired) = (0, 0);
        for (at, mut event) in events.into_iter().enumerate() {
            let (mut no_number, mut no_value) = (false, false);
            if let Event::Metric(metric) = &mut event {
                no_number = lost[at] && matches!(metric.value, Value::Gauge(_));
                no_value = bare[at];
                if no_number {
                    metric.value = Value::Gauge(123_456.75);
                }
                if no_value {
                    metric.tags.insert("bare tag".to_owned(), vec![None]);
                }
            }
            let line = String::from_utf8(json_body(&[event])).unwrap();
            let wrong = if no_number { line.replace("{\"value\":123456.75}", "{\"value\":null}") } else { line.clone() };
            faulty += &wrong.replace("\"bare tag\":[null]", "\"bare tag\":null");
            expected += if no_number { "" } else { &line };
            discarded += u64::from(no_number);
            repaired += u64::from(no_value && !no_number);
        }
        let mended = repair(faulty.as_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&mended.body), expected);
        prop_assert_eq!((mended.discarded, mended.repaired), (discarded, repaired));
    }
}
