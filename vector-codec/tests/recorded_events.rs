//! What Vector 0.58 sent, as it was recorded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use qualm_vector_codec::{VerdictStyle, repair};
use support::through::{Row, pipeline, through};

/// Bodies recorded from Vector 0.58, the same events in both codecs.
const EVENTS: [&[u8]; 2] = [include_bytes!("recorded/events.ndjson"), include_bytes!("recorded/events.native")];
const ODD: [&[u8]; 2] = [include_bytes!("recorded/odd.ndjson"), include_bytes!("recorded/odd.native")];

#[test]
fn what_vector_sends_is_scored_alike_in_both_codecs() {
    let [json, proto] = EVENTS.map(|body| through(&mut pipeline(VerdictStyle::Gauges, "*"), body, &[]));
    assert!(support::without_our_lines(&json.0).0 == EVENTS[0] && support::without_our_frames(&proto.0).0 == EVENTS[1]);
    assert_eq!(json.1, proto.1);
    let scored = json.1.iter().map(|row| format!("{} {}={}", row.0, row.1, f64::from_bits(row.3))).collect::<Vec<_>>();
    let expected = [
        "app.requests,code=200,host=web-1 rate=0.3".to_owned(),
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
    assert_eq!(scored, expected);
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
