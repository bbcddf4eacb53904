//! What comes out is what came in, but for the fields that were spliced in: whatever the bytes, however they arrive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::{Grammar, Lane, Limits, Lines, Pipeline, Selector, glob::Globs};

/// Scores every row, so that every line that can be scored is: by its value, from 0 to 3.
struct ByValue;

impl BatchScorer for ByValue {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend(batch.values.iter().map(|value| (value.abs() / 100.0).min(3.0)));
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

fn pipeline(measurement: &str) -> Pipeline {
    let selector = Selector { measurement: Globs::new([measurement]).unwrap(), ..Selector::default() };
    Pipeline::new(vec![Lane::new(selector, Limits { max_series: 4, ttl: 1_000 })], 7)
}

/// Gives `input` in pieces of the given lengths (again and again), and returns what comes out.
fn through(pipeline: &mut Pipeline, input: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = input;
    let mut lengths = lengths.iter().cycle();
    let mut now = 0;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(lengths.next().map_or(rest.len(), |length| (*length).clamp(1, rest.len())));
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), now, &mut [ByValue]));
        rest = behind;
        now += 1;
    }
    out.extend_from_slice(pipeline.finish(now, &mut [ByValue]));
    out
}

/// Takes the spliced fields out of `output` by walking it beside `input`; the number of splices, or where it differs.
fn splices(input: &[u8], output: &[u8]) -> Result<usize, usize> {
    let (mut input, mut output) = (input, output);
    let mut found = 0;
    loop {
        if let Some(length) = splice(output)
            && splice(input) != Some(length)
        {
            output = &output[length..];
            found += 1;
        }
        match (input.split_first(), output.split_first()) {
            (Some((a, i)), Some((b, o))) if a == b => (input, output) = (i, o),
            (None, None) => return Ok(found),
            _ => return Err(output.len()),
        }
    }
}

/// The length of a splice at the start of `bytes`.
fn splice(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b",anomaly_score=")?;
    let number = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let rest = rest[number..].strip_prefix(b",is_anomaly=")?;
    let rest = if let Some(rest) = rest.strip_prefix(b"0i") {
        rest
    } else {
        let mut rest = rest.strip_prefix(b"1i,anomaly_cause=\"")?;
        loop {
            match rest {
                [b'\\', _, behind @ ..] => rest = behind,
                [b'"', behind @ ..] => break behind,
                [_, behind @ ..] => rest = behind,
                [] => return None,
            }
        }
    };
    Some(bytes.len() - rest.len())
}

/// Pieces of line protocol, whole and broken, and bytes that are none.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "cpu,host=a idle=97.5,user=1i 1700000000000000000\n",
        "cpu,host=b idle=250 5\n",
        "mem free=1u\r\n",
        "cpu,a\\ b=c\\,d\\=e k\\ 1=2,s=\"two\nlines \\\" \\\\\" 7\n",
        "cpu anomaly_score=2,idle=1 9\n",
        "# comment \"\n",
        "\n",
        "cpu idle=1e400 1\n",
        "cpu idle=t,x=-0.5 1",
    ]);
    let part = prop::sample::select(vec![
        "cpu",
        "mem",
        ",",
        "=",
        " ",
        "\n",
        "\"",
        "\\",
        "v=1",
        "s=\"",
        "\r\n",
        "1700000000000000000",
        "#",
        "\0",
        "host=a",
        "-",
        "é",
        "anomaly_score=1",
        ",anomaly_score=0.5,is_anomaly=0i",
        "\t",
    ]);
    let piece = prop_oneof![
        4 => whole.prop_map(|text| text.as_bytes().to_vec()),
        4 => part.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn output_without_the_spliced_fields_is_the_input(input in bytes(), lengths in prop::collection::vec(1_usize..200, 1..5)) {
        let out = through(&mut pipeline("*"), &input, &lengths);
        prop_assert!(splices(&input, &out).is_ok(), "{:?} became {:?}", String::from_utf8_lossy(&input), String::from_utf8_lossy(&out));
    }

    #[test]
    fn how_the_bytes_arrive_does_not_matter(input in bytes(), lengths in prop::collection::vec(1_usize..200, 1..5)) {
        // Series come and go with batches, so scores are only the same where no state is involved: as with `ByValue`.
        let whole = through(&mut pipeline("*"), &input, &[]);
        let bytewise = through(&mut pipeline("*"), &input, &[1]);
        let pieces = through(&mut pipeline("*"), &input, &lengths);
        prop_assert_eq!(&whole, &bytewise);
        prop_assert_eq!(&whole, &pieces);
    }

    #[test]
    fn what_nobody_selects_is_untouched(input in bytes(), lengths in prop::collection::vec(1_usize..200, 1..5)) {
        prop_assert_eq!(through(&mut pipeline("no such measurement"), &input, &lengths), input);
    }
}

#[test]
fn whole_lines_are_scored() {
    let input = b"cpu,host=a idle=97.5,user=1i 17\nmem free=1u\r\ncpu k\\ 1=250";
    let out = through(&mut pipeline("*"), input, &[10]);
    let expected = "cpu,host=a idle=97.5,user=1i,anomaly_score=0.975,is_anomaly=0i 17\n\
                    mem free=1u,anomaly_score=0.01,is_anomaly=0i\r\n\
                    cpu k\\ 1=250,anomaly_score=2.5,is_anomaly=1i,anomaly_cause=\"k 1\"";
    assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
    assert_eq!(splices(input, &out), Ok(3));
    assert!(splices(input, &out[1..]).is_err() && splices(&input[..20], &out).is_err(), "the check can fail");
}

/// Whatever parts the head from the fields: what then is a string stays one.
#[test]
fn nothing_is_spliced_into_a_string() {
    for space in ["\t", "\x0b", "\x0c", " ", "\t "] {
        let line = format!("m{space}s=\"l1\nm v=1 2\nl3\",w=1 5\n");
        let out = through(&mut pipeline("*"), line.repeat(2).as_bytes(), &[7]);
        let scored = line.replace("w=1", "w=1,anomaly_score=0.01,is_anomaly=0i").repeat(2);
        assert_eq!(String::from_utf8(out).unwrap(), scored);
    }
}

#[test]
fn what_telegraf_refuses_is_untouched_and_counted() {
    for line in ["cpu,host=a, v=1\n", ",host=a v=1\n", "m,a=b\\\\ v=1\n", "m s=\"a\\b\",v=1\n", "\rm v=1\n"] {
        let mut pipeline = pipeline("*");
        assert_eq!(through(&mut pipeline, line.as_bytes(), &[]), line.as_bytes());
        assert_eq!((pipeline.counts().malformed, pipeline.counts().scored), (1, 0), "{line}");
    }
}

/// InfluxDB takes what Telegraf refuses, and reads alone what its clients write.
#[test]
fn influxdbs_lines_are_read_as_influxdb_reads_them() {
    let lane = Lane::new(Selector::default(), Limits::default());
    let mut pipeline = Pipeline::of(Lines::of(Grammar::Influxdb), vec![lane], 7);
    let line = b"m,t=a\tb path=\"C:\\temp\",v=1 5\n";
    pipeline.input()[..line.len()].copy_from_slice(line);
    let out = pipeline.run(line.len(), 0, &mut [ByValue]);
    assert_eq!(splices(line, out), Ok(1));
}

/// A boolean is a number only to whoever asks for it by name.
#[test]
fn booleans_count_where_they_are_named() {
    let line = b"m up=true,v=1 5\n";
    for (include, keys) in [(vec![], vec!["v"]), (vec!["up"], vec!["up"])] {
        let selector = Selector { include_fields: Globs::new(include).unwrap(), ..Selector::default() };
        let mut pipeline = Pipeline::new(vec![Lane::new(selector, Limits::default())], 7);
        pipeline.input()[..line.len()].copy_from_slice(line);
        pipeline.run(line.len(), 0, &mut [ByValue]);
        let scored: Vec<_> =
            pipeline.verdicts().map(|v| (String::from_utf8_lossy(v.key).into_owned(), v.values[0])).collect();
        assert_eq!(scored, keys.into_iter().map(|key| (key.to_owned(), 1.0)).collect::<Vec<_>>());
    }
}

#[test]
fn a_line_without_an_end_is_let_go_and_its_rest_passes() {
    let mut pipeline = pipeline("*");
    let give = |pipeline: &mut Pipeline, text: &str| {
        pipeline.input()[..text.len()].copy_from_slice(text.as_bytes());
        String::from_utf8(pipeline.run(text.len(), 0, &mut [ByValue]).to_vec()).unwrap()
    };
    assert_eq!(give(&mut pipeline, "cpu a=1 1\ncpu s=\"open,"), "cpu a=1,anomaly_score=0.01,is_anomaly=0i 1\n");
    assert!(pipeline.has_partial_event());
    assert_eq!(pipeline.release_partial_event(), b"cpu s=\"open,");
    assert!(!pipeline.has_partial_event());
    assert_eq!(give(&mut pipeline, "a=2 1"), "a=2 1");
    assert_eq!(give(&mut pipeline, "\ncpu a=3 1\n"), "\ncpu a=3,anomaly_score=0.03,is_anomaly=0i 1\n");
    assert_eq!(pipeline.counts().unfinished, 1);
}

#[test]
fn a_line_longer_than_a_mebibyte_passes() {
    let long = format!("cpu s=\"{}\",a=1 1\n", "x".repeat(3 << 20));
    let input = format!("cpu a=1 1\n{long}cpu a=2 2\n");
    let mut pipeline = pipeline("*");
    let out = through(&mut pipeline, input.as_bytes(), &[1 << 16]);
    assert_eq!(splices(input.as_bytes(), &out), Ok(2));
    assert_eq!((pipeline.counts().unfinished, pipeline.counts().scored), (1, 2));
}

#[test]
fn the_order_of_tags_does_not_make_a_series() {
    let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 7);
    through(&mut pipeline, b"m,a=1,b=2 v=1 1\nm,b=2,a=1 v=1 2\nm,a=2,b=1 v=1 3\nm=1,a=3 b=2 1\nm,a=1,b=2 w=1 1\n", &[]);
    assert_eq!(pipeline.lanes()[0].series().len(), 4);
}

#[test]
fn a_field_goes_to_the_first_detector_that_wants_it() {
    let user = Selector { include_fields: Globs::new(["user"]).unwrap(), ..Selector::default() };
    let lanes = [user, Selector::default()].map(|selector| Lane::new(selector, Limits::default()));
    let mut pipeline = Pipeline::new(lanes.into(), 7);
    let line = b"cpu user=300,idle=50 1\n";
    pipeline.input()[..line.len()].copy_from_slice(line);
    pipeline.run(line.len(), 0, &mut [ByValue, ByValue]);
    let verdicts: Vec<_> = pipeline.verdicts().map(|v| (v.lane, v.key.to_vec(), v.score.to_bits())).collect();
    assert_eq!(verdicts, [(0, b"user".to_vec(), 3_f64.to_bits()), (1, b"idle".to_vec(), 0.5_f64.to_bits())]);
}
