//! `qualm collect` returns what was written to `InfluxDB` 1.x byte for byte, in order of time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use qualm_bundle::secret::Secret;
use qualm_offline::collect::{self, Error, Options, Query};
use qualm_tests::{Influx, tools};
use tempfile::TempDir;

/// In the form that `collect` writes: tags sorted, no trailing zeros.
const LINES: &[&str] = &[
    "cpu,host=a\\ b,x=q\\,r n=3i,s=\"he \\\"said\\\" \\\\ x\",u=1.5,up=true 1700000000000000001",
    "cpu,host=c host=5i,n=9007199254740993i,u=2 1700000000000000001",
    "cpu,host=back\\slash u=1e+21 1700000002000000000",
    "cpu,host=c n=-9223372036854775808i,u=0.1 1700000002000000001",
    "we\\ ird\"m'\\,x=y,tag\\=k=v\\ x \"q\"=0.1,f\\ k=1,g\\,h=2 1700000001000000000",
    "semi;drop,t=a u=1e-7 1700000002000000000",
    "\"DROP\\ MEASUREMENT\\ cpu;,t='a' u=7 1700000002500000000",
    "text s=\"a\nb\tc\",t=\"\" 1700000003000000000",
    "tab,t=a\tb v=1 1700000003000000000",
    "température,città=Forlì μ=1.5 1700000003000000000",
    "flag up=false 1700090000000000000",
];

fn options(influx: &Influx, out: &Path) -> Options {
    Options {
        url: Secret::address(influx.url()),
        since: "2023-11-14T00:00:00Z".to_owned(),
        until: Some("2023-11-17T00:00:00Z".to_owned()),
        query: Query { database: "qualm".to_owned(), ..Query::default() },
        out: out.to_owned(),
    }
}

/// The same, with another query.
fn with(options: &Options, change: impl FnOnce(&mut Query)) -> Options {
    let mut options = options.clone();
    change(&mut options.query);
    options
}

/// The events of a file, and their times.
fn events(text: &str) -> Vec<(i64, String)> {
    let mut rest = text.as_bytes();
    let mut events = Vec::new();
    while !rest.is_empty() {
        // Only a text may have a line break, and only a whole event ends in a time.
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        let timed = ends.map(|end| String::from_utf8_lossy(&rest[..end]).into_owned()).find_map(|event| {
            let time = event.rsplit(' ').next()?.parse().ok()?;
            Some((time, event))
        });
        let (time, event) = timed.expect("a time ends each event");
        rest = &rest[event.len() + 1..];
        events.push((time, event));
    }
    events
}

#[test]
fn collected_lines_are_byte_identical_to_the_written_ones() {
    let Some(influxd) = tools::influxd() else { return };
    let influx = Influx::start(&influxd);
    influx.write(&LINES.join("\n"));
    let dir = TempDir::new().expect("a temporary directory");
    let out = dir.path().join("history.lp");

    let summary = collect::collect(&options(&influx, &out), &|_| {}).expect("it collects");
    let text = fs::read_to_string(&out).expect("the file is there");
    let events = events(&text);
    let came: BTreeSet<&str> = events.iter().map(|(_, event)| event.as_str()).collect();
    let written: BTreeSet<&str> = LINES.iter().copied().collect();
    assert_eq!(came, written);
    assert!(events.is_sorted_by_key(|(time, _)| *time), "{text}");
    assert_eq!((summary.api, summary.rows, summary.left_out), (1, LINES.len() as u64, 0));
    assert_eq!(summary.bytes, text.len() as u64);
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing else is left behind");

    // The file can be written back.
    influx.write(&text);
}

#[test]
fn options_select_a_part() {
    let Some(influxd) = tools::influxd() else { return };
    let influx = Influx::start(&influxd);
    let rows = (0..600).map(|second| {
        let time = 1_700_000_000 + second;
        format!("cpu,host=a u={second},note=\"x\" {time}000000000\ncpu,host=it's u=1i {time}000000000\nmem v=2 {time}000000000\n")
            .replace("u=1i", "u=1")
    });
    influx.write(&rows.collect::<String>());
    let dir = TempDir::new().expect("a temporary directory");
    let out = dir.path().join("history.lp");
    let all = options(&influx, &out);
    let lines = |options: &Options| {
        collect::collect(options, &|_| {}).expect("it collects");
        fs::read_to_string(&out).expect("the file is there").lines().map(str::to_owned).collect::<Vec<_>>()
    };

    assert_eq!(lines(&all).len(), 1800);
    let mem = with(&all, |query| query.measurement = vec!["m*".to_owned()]);
    assert!(lines(&mem).iter().all(|line| line.starts_with("mem v=2 ")));
    let tagged = with(&all, |query| query.tags = vec!["host=it's".to_owned()]);
    assert_eq!(lines(&tagged).len(), 600);
    let minutes = with(&all, |query| {
        query.tags = vec!["host=a".to_owned()];
        query.every = Some("1m".to_owned());
    });
    let minutes = lines(&minutes);
    // The minutes of 22:13:20 to 22:23:19 begin on the minute.
    assert_eq!(minutes.len(), 11);
    assert_eq!(minutes[0], "cpu,host=a u=19.5 1699999980000000000");
    assert_eq!(minutes[1], "cpu,host=a u=69.5 1700000040000000000");
    let until = Options { until: Some("1700000010".to_owned()), ..mem.clone() };
    assert_eq!(lines(&until).len(), 10, "the end itself is not in it");
}

#[test]
fn errors_have_a_remedy_and_the_file_stays() {
    let Some(influxd) = tools::influxd() else { return };
    let influx = Influx::start(&influxd);
    influx.write("cpu u=1 1700000000000000000");
    let dir = TempDir::new().expect("a temporary directory");
    let out = dir.path().join("history.lp");
    fs::write(&out, "before").expect("a file can be written");
    let all = options(&influx, &out);
    let refused = |options: &Options| collect::collect(options, &|_| {}).expect_err("it is refused");

    let nowhere = refused(&with(&all, |query| query.database = "telegraf\"; DROP DATABASE qualm".to_owned()));
    assert!(nowhere.to_string().contains("there is `qualm`"), "{nowhere}");
    let nothing = refused(&with(&all, |query| query.measurement = vec!["mem".to_owned()]));
    assert!(nothing.to_string().contains("they are `cpu`"), "{nothing}");
    let too_late = refused(&Options { since: "1h".to_owned(), until: None, ..all.clone() });
    assert!(matches!(too_late, Error::Nothing { .. }), "{too_late}");
    let unknown_policy = refused(&with(&all, |query| query.retention = Some("no \"such".to_owned())));
    assert!(unknown_policy.to_string().contains("retention policy not found"), "{unknown_policy}");
    assert_eq!(fs::read_to_string(&out).expect("the file is there"), "before");
    assert_eq!(influx.number("SELECT count(u) FROM cpu"), Some(1.0));
}
