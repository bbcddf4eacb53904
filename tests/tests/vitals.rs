//! From history to alarms: `qualm train` with the shipped specification, and its model in a real Telegraf.

use std::fmt::Write as _;
use std::path::Path;

use qualm_tests::{Site, Telegraf, config, run, tools, until};

/// Steps of history, and of live data after it.
const HISTORY: u64 = 1500;
const LIVE: u64 = 300;

/// The step from which memory fills up on host b, the only anomaly.
const INCIDENT: u64 = HISTORY + 200;

const HOSTS: [&str; 2] = ["a", "b"];

#[test]
fn a_trained_model_finds_an_incident_in_telegraf() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let history = site.write("history.lp", lines(0..HISTORY));
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../telegraf/vitals.toml");
    let [spec, history, model] = [&spec, &history, &site.path("model")].map(|path| path.to_string_lossy().into_owned());
    let trained = run(&qualm, &["train", "--spec", &spec, "--input", &history, "--out", &model], b"");
    assert!(trained.status.success(), "{}", trained.stderr);

    let toml = site.write("qualm.toml", "[[detector]]\nname = \"vitals\"\nmodel = \"model\"\n");
    let live = lines(HISTORY..HISTORY + LIVE);
    let conf = config::from_file(&site.write("live.lp", &live))
        + "interval = \"1h\"\n"
        + &config::qualm(&qualm, &toml)
        + &config::to_file(&site.path("out.lp"));
    let running = Telegraf::start(&telegraf, &site, &conf);
    // The first interval of each host has no rates, and is not scored.
    let expected = (LIVE as usize - 1) * HOSTS.len();
    until("every vector's score", || site.read_text("out.lp").matches("anomaly,").count() >= expected);
    running.stop();

    let out = site.read_text("out.lp");
    let (verdicts, passed): (Vec<&str>, Vec<&str>) = out.lines().partition(|line| line.starts_with("anomaly,"));
    assert!(passed.iter().copied().eq(live.lines()), "what came out is not what went in, in its order");
    assert_eq!(verdicts.len(), expected, "a vector each interval for each host");
    let anomalies: Vec<(&str, u64)> =
        verdicts.iter().filter(|line| line.contains("is_anomaly=1i")).map(|line| place(line)).collect();
    let (right, wrong): (Vec<_>, Vec<_>) =
        anomalies.into_iter().partition(|(host, step)| *host == "b" && *step >= INCIDENT);
    assert!(wrong.len() <= 2, "false alarms: {wrong:?}");
    let first = *right.first().expect("the incident is found");
    assert!(first.1 <= INCIDENT + 2, "it was found at step {}, after {INCIDENT}", first.1);
    let first = verdicts.iter().find(|line| line.contains("is_anomaly=1i") && place(line) == first);
    assert!(first.is_some_and(|line| line.contains("cause=\"memory\"")), "{first:?}");
}

/// A vector's host and step.
fn place(line: &str) -> (&str, u64) {
    let host = line.split_once("host=").map_or("", |(_, rest)| &rest[..1]);
    let time: u64 = line.rsplit(' ').next().unwrap_or_default().parse().expect("a time");
    (host, (time / 1_000_000_000 - 1_700_000_000) / 10)
}

/// Telegraf's metrics of both hosts, in these steps of ten seconds.
fn lines(steps: std::ops::Range<u64>) -> String {
    let mut out = String::new();
    for step in steps {
        for host in HOSTS {
            put_host(&mut out, step, host);
        }
    }
    out
}

/// A host with a periodic load, on which all but memory depends, with some noise.
fn put_host(out: &mut String, step: u64, host: &str) {
    let time = (1_700_000_000 + step * 10) * 1_000_000_000;
    let swing = |step: u64| 50.0 + 30.0 * (step as f64 / 60.0 + f64::from(host.as_bytes()[0])).sin();
    let noise = |salt: u64| {
        let hash = (step * 31 + salt * 17 + u64::from(host.as_bytes()[0])).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let round = |value: f64| (value * 100.0).round() / 100.0;
    let load = swing(step);
    // Counters: the sum up to this step, from the mean and the period's integral.
    let total = |rate: f64| {
        let phase = step as f64 / 60.0 + f64::from(host.as_bytes()[0]);
        (rate * (50.0 * step as f64 - 30.0 * 60.0 * phase.cos()) + rate * 2000.0 + rate * noise(9)) as i64
    };
    let memory = if host == "b" && step >= INCIDENT { 92.0 } else { 40.0 } + noise(1);
    for (head, fields) in [
        (
            "cpu,cpu=cpu-total",
            format!(
                "usage_iowait={},usage_system={},usage_user={}",
                round(2.0 + noise(2)),
                round(load * 0.2 + noise(3)),
                round(load + 3.0 * noise(4))
            ),
        ),
        ("disk,path=/", format!("used_percent={}", round(61.0 + noise(5) * 0.2))),
        ("diskio,name=sda", format!("read_bytes={}i,write_bytes={}i", total(400.0), total(900.0))),
        ("mem", format!("used_percent={}", round(memory))),
        ("net,interface=eth0", format!("bytes_recv={}i,bytes_sent={}i", total(5000.0), total(3000.0))),
        ("swap", format!("used_percent={}", round(3.0 + noise(6) * 0.1))),
        ("system", format!("load1={}", round(load / 20.0 + 0.2 * noise(7)))),
    ] {
        let (measurement, tags) =
            head.split_once(',').map_or((head, String::new()), |(m, tags)| (m, format!(",{tags}")));
        // Tags in the order in which Telegraf writes them.
        let mut tags: Vec<String> = tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        tags.push(format!("host={host}"));
        tags.sort_unstable();
        writeln!(out, "{measurement},{} {fields} {time}", tags.join(",")).expect("text can be appended to");
    }
}
