//! Validation finds what is wrong with a file, and nothing in a good one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use qualm_offline::validate::{self, Check, Options, Report, Verdict};
use serde_json::Value;

fn options(input: &Path) -> Options {
    Options {
        input: input.to_owned(),
        measurement: None,
        max_missing: 0.2,
        max_outliers: 0.02,
        min_rows: 500,
        expect: Vec::new(),
    }
}

fn report_with(name: &str, content: impl AsRef<[u8]>, change: impl FnOnce(&mut Options)) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    let mut options = options(&path);
    change(&mut options);
    validate::validate(&options, &|_, _| {}).unwrap()
}

fn report(name: &str, content: impl AsRef<[u8]>) -> Report {
    report_with(name, content, |_| {})
}

/// Deterministic noise between 0 and 1.
fn noise(at: usize) -> f64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}

/// A CSV of `rows` a minute apart, whose cells after the time are made from the row's number.
fn csv(header: &str, rows: usize, cells: impl Fn(usize) -> String) -> String {
    let row = |row: usize| format!("{},{}\n", 1_704_067_200 + 60 * row, cells(row));
    format!("time,{header}\n{}", (0..rows).map(row).collect::<String>())
}

/// A finding: check, verdict, kind, column, number, line.
type Found<'a> = (Check, Verdict, &'a str, &'a str, u64, Option<u64>);

fn found(report: &Report) -> Vec<Found<'_>> {
    let findings = report.findings();
    findings
        .map(|finding| {
            let column = finding.column.as_deref().unwrap_or_default();
            (finding.check, finding.verdict, finding.kind, column, finding.count, finding.line)
        })
        .collect()
}

#[test]
fn a_good_file_is_good_in_each_format() {
    let two = |row| format!("{:.3},{:.3}", 50.0 + noise(row), 3.0 + noise(row + 9999));
    let good = report("a.csv", csv("cpu,mem", 1000, two));
    assert_eq!((found(&good), good.verdict()), (vec![], Verdict::Ok));
    assert!(
        good.to_table().contains("a.csv: 1000 rows, 2 columns\n2024-01-01T00:00:00Z to 2024-01-01T16:39:00Z, each 1m")
    );

    let line =
        |row| format!("cpu,host=h{} u={},s=\"x\" {}\n", row % 2, noise(row), 1_704_067_200_000_000_000 + row / 2 * 10);
    let good = report("a.lp", (0..2000).map(line).collect::<String>());
    assert_eq!(found(&good), []);

    let object =
        |row| format!("{{\"time\":{},\"host\":\"a\",\"u\":{},\"up\":true}}\n", 1_704_067_200 + row, noise(row));
    let good = report("a.jsonl", (0..1000).map(object).collect::<String>());
    assert_eq!(found(&good), []);
}

/// Validation finds headers and values that training refuses.
#[test]
fn data_that_training_refuses_is_bad() {
    let good = csv("cpu,mem", 1000, |row| format!("{},{}", noise(row), noise(row + 9999)));
    for header in ["time,c\0pu,mem", "time,c\u{1}pu,mem", "time,\"c\npu\",mem"] {
        let report = report("a.csv", good.replacen("time,cpu,mem", header, 1));
        assert_eq!(report.verdict(), Verdict::Bad, "{header:?}");
        assert!(report.to_table().contains("control character"), "{}", report.to_table());
    }
    let latin = good.replacen("cpu", "cp?", 1).into_bytes();
    let latin: Vec<u8> = latin.into_iter().map(|byte| if byte == b'?' { 0xfc } else { byte }).collect();
    assert_eq!(report("a.csv", latin).verdict(), Verdict::Bad);
    let huge = good + "1704127200,";
    assert_eq!(report("a.csv", huge + "1e308,1\n").verdict(), Verdict::Bad);
}

#[test]
fn other_names_of_times_and_missing_values_are_known() {
    let two = |row| format!("{},{}", noise(row), if row % 9 == 0 { "null" } else { "true" });
    for time in ["Time", "_time", "TIMESTAMP", "date"] {
        let report = report("a.csv", csv("cpu,up", 1000, two).replacen("time", time, 1));
        assert!(found(&report).iter().all(|found| found.0 != Check::Schema), "{time}: {}", report.to_table());
    }
}

#[test]
fn schema() {
    use Verdict::{Bad, Warning};
    let header = "cpu,cpu,never,host,mem";
    let rows = csv(header, 1000, |row| format!("{},{},,web1,{}", noise(row), noise(row + 1), noise(row + 2)));
    let lines: Vec<&str> = rows.lines().collect();
    let mut odd: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    odd[10] = "soon,1,1,,web1,1".to_owned();
    odd[20] = odd[20].replace(",web1", "");
    odd[30] = format!("{},n/a,1,,web1,1", lines[30].split(',').next().unwrap());
    odd[31] = format!("{},n/a,1,,web1,1", lines[31].split(',').next().unwrap());
    odd[40] = ",1,1,,web1,1".to_owned();
    let found_there = report("a.csv", odd.join("\n"));
    let schema: Vec<_> = found(&found_there).into_iter().filter(|found| found.0 == Check::Schema).collect();
    for finding in [
        (Bad, "text", "host", 999, Some(2)),
        (Bad, "text", "cpu", 2, Some(31)),
        (Bad, "twice", "cpu", 1, None),
        (Bad, "time", "", 1, Some(11)),
        (Bad, "untimed", "", 1, Some(41)),
        (Bad, "ragged", "", 1, Some(21)),
        (Warning, "empty", "never", 1, None),
    ] {
        let (verdict, kind, column, count, line) = finding;
        assert!(schema.contains(&(Check::Schema, verdict, kind, column, count, line)), "{finding:?} in {schema:?}");
    }
    assert_eq!(schema.len(), 7, "{schema:?}");

    for (name, content, kind, what) in [
        ("a.csv", "", "header", "no header"),
        ("a.csv", "time;cpu\n1;2\n", "header", "separated by commas"),
        ("a.csv", "cpu,time\n1,2\n", "header", "must be the first column"),
        ("a.csv", "cpu,mem\n1,2\n", "header", "`timestamp` or `date`, and is `cpu`"),
        ("a.csv", "time\n1\n", "header", "no column besides"),
        ("a.csv", "time,cpu\n", "empty", "nothing in it"),
        ("a.lp", "# nothing\n", "empty", "nothing in it"),
        ("a.lp", "m v= 1\nm v=1 1\n", "malformed", "first `m v= 1` in line 1"),
        ("a.lp", "m v=1\n", "untimed", "no time, once"),
        ("a.lp", "m v=1,anomaly_score=2 1\n", "scored", "scored, once"),
        ("a.jsonl", "{\"time\":1,\"a\":1}\n[]\n", "malformed", "first `[]` in line 2"),
        ("a.jsonl", "{\"time\":1,\"a\":[1]}\n", "malformed", "neither a number nor a text"),
        ("a.jsonl", "{\"a\":1}\n", "untimed", "no time"),
        ("a.jsonl", "{\"time\":\"x\",\"a\":1}\n", "time", "`\"x\"` in line 1"),
        ("a.jsonl", "{\"time\":1,\"a\":1}\n{\"time\":2,\"a\":\"n/a\"}\n", "text", "first `n/a` in line 2"),
        ("a.jsonl", "{\"time\":1,\"a\":null}\n", "empty", "never filled"),
    ] {
        let report = report(name, content);
        let there = report.findings().any(|finding| finding.kind == kind && finding.what.contains(what));
        assert!(there, "{content:?}: {:?}", report.to_table());
    }
}

#[test]
fn ranges() {
    use Verdict::{Bad, Warning};
    let content = csv("usage_idle,temp,load,stamp", 1000, |row| {
        let idle = if row == 5 { 140.0 } else { 90.0 + noise(row) };
        let temp = if row == 7 { "-999".to_owned() } else { format!("{}", 20.0 + noise(row + 5)) };
        let load = if row == 9 { "-inf".to_owned() } else { format!("{}", noise(row + 7)) };
        format!("{idle},{temp},{load},{}", 1.7e18 + noise(row) * 1e9)
    });
    let report = report_with("a.csv", content, |options| options.expect = vec!["lo*=0..0.5".to_owned()]);
    let ranges: Vec<_> = found(&report).into_iter().filter(|found| found.0 == Check::Ranges).collect();
    let outside = (0..1000).filter(|row| *row != 9 && noise(row + 7) > 0.5).count() as u64;
    assert_eq!(ranges[0].1, Bad);
    assert_eq!((ranges[0].2, ranges[0].3, ranges[0].4), ("unexpected", "load", outside));
    for finding in [
        (Check::Ranges, Warning, "percentage", "usage_idle", 1, Some(7)),
        (Check::Ranges, Warning, "negative", "temp", 1, Some(9)),
        (Check::Ranges, Warning, "infinite", "load", 1, Some(11)),
        (Check::Ranges, Warning, "huge", "stamp", 1000, Some(2)),
    ] {
        assert!(ranges.contains(&finding), "{finding:?} in {ranges:?}");
    }
    assert_eq!(ranges.len(), 5);
}

#[test]
fn missing() {
    let content = csv("much,some,little", 1000, |row| {
        let cell = |share: usize| if row % 100 < share { String::new() } else { noise(row).to_string() };
        format!("{},{},{}", cell(30), cell(10), cell(2))
    });
    let report = report("a.csv", content);
    assert_eq!(
        found(&report),
        [
            (Check::Missing, Verdict::Bad, "missing", "much", 300, None),
            (Check::Missing, Verdict::Warning, "missing", "some", 100, None)
        ]
    );
    assert!(report.to_table().contains("30 % of its values are missing (300); the longest run is 30"));
}

#[test]
fn duplicates() {
    use Verdict::{Bad, Warning};
    let rows = csv("cpu", 1000, |row| noise(row).to_string());
    let mut lines: Vec<String> = rows.lines().map(str::to_owned).collect();
    let time = lines[300].split(',').next().unwrap().to_owned();
    lines.insert(101, lines[100].clone());
    lines[302] = format!("{time},7");
    lines.swap(501, 502);
    let report = report("a.csv", lines.join("\n"));
    assert_eq!(
        found(&report),
        [
            (Check::Duplicates, Bad, "order", "", 1, Some(503)),
            (Check::Duplicates, Warning, "identical", "", 1, Some(102)),
            (Check::Duplicates, Warning, "repeated", "", 1, Some(102)),
        ]
    );
}

#[test]
fn series_after_series_is_not_in_order_of_time() {
    let line = |host: usize, row: usize| format!("m,host=h{host} v={} {}\n", noise(row + host), 1 + row);
    let lines: String = (0..2).flat_map(|host| (0..500).map(move |row| line(host, row))).collect();
    assert_eq!(found(&report("a.lp", lines)), [(Check::Duplicates, Verdict::Warning, "order", "", 1, Some(501))]);
}

#[test]
fn outliers() {
    let content = csv("rare,often,mostly", 1000, |row| {
        let rare = if row == 500 { 1e6 } else { noise(row) };
        let often = if row % 20 == 3 { 100.0 + row as f64 } else { noise(row + 1) };
        // Its median absolute deviation is zero, and all the same only the one value is far.
        let mostly = if row == 9 {
            1e9
        } else if row % 3 == 0 {
            noise(row)
        } else {
            0.5
        };
        format!("{rare},{often},{mostly}")
    });
    let report = report("a.csv", content);
    assert_eq!(found(&report), [(Check::Outliers, Verdict::Warning, "outliers", "often", 50, Some(985))]);
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let column = |name: &str| {
        let columns = json["columns"].as_array().unwrap();
        columns.iter().find(|column| column["column"] == name).unwrap().clone()
    };
    assert_eq!((&column("rare")["outliers"], &column("rare")["farthest"]["line"]), (&1.into(), &502.into()));
    assert_eq!((&column("mostly")["outliers"], &column("mostly")["farthest"]["value"]), (&1.into(), &1e9.into()));
}

#[test]
fn statistics() {
    use Verdict::{Bad, Warning};
    let content = csv("fan,alarm,bytes,disk", 499, |row| {
        let alarm = u8::from(row == 100);
        let bytes = (row % 300) * 1000 + (noise(row) * 999.0) as usize;
        format!("1200,{alarm},{bytes},{}", row as f64 / 10.0 + noise(row))
    });
    let late = |line: &str| match line.split_once(',') {
        Some((time, rest)) => format!("{},{rest}\n", time.parse::<u64>().map_or(0, |time| time + 86_400)),
        None => String::new(),
    };
    let (early, rest): (Vec<&str>, Vec<&str>) =
        (content.lines().take(401).collect(), content.lines().skip(401).collect());
    let with_a_gap = format!("{}\n{}", early.join("\n"), rest.into_iter().map(late).collect::<String>());
    let found_there = report("a.csv", with_a_gap);
    let statistics: Vec<_> = found(&found_there).into_iter().filter(|found| found.0 == Check::Statistics).collect();
    for finding in [
        (Check::Statistics, Bad, "rows", "", 499, None),
        (Check::Statistics, Warning, "constant", "fan", 1, None),
        (Check::Statistics, Warning, "nearly_constant", "alarm", 1, None),
        (Check::Statistics, Warning, "counter", "bytes", 1, None),
        (Check::Statistics, Warning, "drift", "disk", 1, None),
    ] {
        assert!(statistics.contains(&finding), "{finding:?} in {statistics:?}");
    }
    assert!(statistics.contains(&(Check::Statistics, Warning, "gaps", "", 1, None)), "{statistics:?}");
    assert_eq!(statistics.len(), 6, "{statistics:?}");

    let irregular = csv("cpu", 600, |row| noise(row).to_string());
    let irregular: String = irregular
        .lines()
        .enumerate()
        .map(|(at, line)| match line.split_once(',') {
            Some((time, rest)) if at > 0 => format!("{time}.{:03},{rest}\n", at * 7919 % 1000),
            _ => format!("{line}\n"),
        })
        .collect();
    let regular = report("a.csv", &irregular);
    assert_eq!(found(&regular), [], "a little jitter is regular");
    let jumpy = (0..600).map(|row| format!("m v={} {}\n", noise(row), row * 100 + (noise(row + 3) * 99.0) as usize));
    let jumpy = report("a.lp", jumpy.collect::<String>());
    assert_eq!(found(&jumpy), [(Check::Statistics, Warning, "irregular", "", 600, None)]);
}

#[test]
fn random_input_never_panics() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let seeds = [
        "time,a,b\n1,2,3\n2,inf,-1e308\n9223372036854775807,nan,1e308\n-9223372036854775808,,\n",
        "m,h=a v=1,w=2i 1\nm,h=b v=1e308 9223372036854775807\nm v=\"a\nb\" -9223372036854775808\n m=1 2\n",
        "{\"time\":1,\"a\":1e308}\n{\"timestamp\":\"2024-01-01T00:00:00Z\",\"fields\":{\"a\":1},\"tags\":{\"b\":\"c\"}}\n",
        "\u{feff}time,\"a\nb\",\"\"\n\"1\",\"\"\"\",\n",
    ];
    let pieces: &[&[u8]] = &[
        b"\"",
        b"\n",
        b",",
        b"=",
        b" ",
        b"\\",
        b"{",
        b"}",
        b"\0",
        b"\xff\xfe",
        b"1e999",
        b"-",
        b"time",
        b"null",
        b"\r",
    ];
    for round in 0..500 {
        let mut content = seeds[round % seeds.len()].as_bytes().repeat(1 + random(3));
        for _ in 0..random(12) {
            let at = random(content.len() + 1);
            match random(3) {
                0 => drop(content.splice(at..at, pieces[random(pieces.len())].iter().copied())),
                1 => content.truncate(at),
                _ => content.insert(at, random(256) as u8),
            }
        }
        for name in ["a.csv", "a.lp", "a.jsonl"] {
            let report = report_with(name, &content, |options| options.min_rows = 1);
            assert!(!report.to_table().is_empty());
            let _readable: Value = serde_json::from_str(&report.to_json()).unwrap();
        }
    }
}
