//! InfluxDB's own clients, and Telegraf's outputs for it, write to qualm with their defaults: only the address is configured.

use std::path::Path;
use std::process::Command;

use qualm_tests::{Influx, Server, Sink, Site, Telegraf, config, fixtures, tools, until};

/// `qualm serve` in front of this InfluxDB.
fn before(qualm: &Path, site: &Site, url: &str) -> Server {
    let config =
        format!("[[detector]]\nmin_samples = 10\n[http]\nlisten = \"127.0.0.1:0\"\n[influxdb]\nforward = {url:?}\n");
    Server::start(qualm, &site.write("qualm.toml", config), &[])
}

/// The distinct paths of writes, and the number of lines and of scores.
fn written(influx: &Sink) -> (Vec<String>, usize, usize) {
    let mut paths: Vec<_> = influx.sent().into_iter().map(|sent| sent.request).collect();
    paths.sort();
    paths.dedup();
    let taken = influx.accepted();
    (paths, taken.matches(" value=").count(), taken.matches("anomaly_score=").count())
}

#[test]
fn lines_of_each_client_are_scored() {
    let (Some(qualm), Some(influxd), Some(python)) = (tools::qualm(), tools::influxd(), tools::influx_clients()) else {
        return;
    };
    let (first, others) = (Influx::start(&influxd), Sink::start());
    let sites = [Site::new(), Site::new()];
    let [before_first, before_others] =
        [before(&qualm, &sites[0], &first.url()), before(&qualm, &sites[1], &others.url())];
    let script = tools::workspace().join("tests/influx_clients.py");
    let arguments = [before_first.url(), before_others.url()];
    let output = Command::new(python).arg(script).args(arguments).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let scored = first.query("SELECT anomaly_score FROM of_client.autogen.load");
    let all = first.query("SELECT value FROM of_client.autogen.load");
    assert_eq!((all.len(), scored.len()), (30, 20));
    let (paths, lines, _) = written(&others);
    assert_eq!(lines, 90);
    for (path, place) in [
        ("/api/v2/write?", "bucket=second&"),
        ("/api/v2/write?", "bucket=third&"),
        ("/api/v3/write_lp?", "db=third_own&"),
    ] {
        let there = |request: &String| request.starts_with(&format!("POST {path}")) && request.contains(place);
        assert!(paths.iter().any(there), "{path} {place}: {paths:?}");
    }
}

#[test]
fn lines_of_each_output_of_telegraf_are_scored() {
    let (Some(qualm), Some(telegraf), Some(influxd)) = (tools::qualm(), tools::telegraf(), tools::influxd()) else {
        return;
    };
    let (first, second, third) = (Influx::start(&influxd), Sink::start(), Sink::start());
    let sites = [Site::new(), Site::new(), Site::new()];
    let servers = [
        before(&qualm, &sites[0], &first.url()),
        before(&qualm, &sites[1], &second.url()),
        before(&qualm, &sites[2], &third.url()),
    ];
    let [one, two, three] = servers.each_ref().map(Server::url);
    let mut history = String::new();
    fixtures::spike(&mut history, 100);
    let site = Site::new();
    let conf = config::from_file(&site.write("history.lp", history))
        + "interval = \"1h\"\n"
        + &format!(
            "[[outputs.influxdb]]\nurls = [{one:?}]\n\
             [[outputs.influxdb_v2]]\nurls = [{two:?}]\ntoken = \"a-token\"\norganization = \"ops\"\nbucket = \"second\"\n\
             [[outputs.influxdb_v3]]\nurls = [{three:?}]\ntoken = \"a-token\"\ndatabase = \"third\"\n"
        );
    let running = Telegraf::start(&telegraf, &site, &conf);
    let lines = |sink: &Sink| written(sink).1;
    until("the whole history everywhere", || {
        first.query("SHOW DATABASES").iter().any(|row| row[0] == "telegraf")
            && first.query("SELECT value FROM telegraf.autogen.load").len() == 101
            && [&second, &third].map(lines) == [101; 2]
    });
    let log = running.log();
    running.stop();
    // There is no warning, such as that a database could not be created.
    let complains = |line: &&str| line.contains("[outputs.") && (line.contains(" E! ") || line.contains(" W! "));
    assert_eq!(log.lines().find(complains), None);
    assert_eq!(first.query("SELECT anomaly_score FROM telegraf.autogen.load").len(), 91);
    for (sink, path) in
        [(&second, "POST /api/v2/write?bucket=second&org=ops"), (&third, "POST /api/v3/write_lp?db=third")]
    {
        assert_eq!(written(sink), (vec![path.to_owned()], 101, 91));
    }
}
