//! With an aggregator, Telegraf starts qualm twice with the same arguments: once for metrics, once for aggregates.

use std::fs;

use qualm_tests::{Feeder, Site, Telegraf, children, config, tools, until};

const MINMAX: &str = "[[aggregators.minmax]]\nperiod = \"200ms\"\nfieldinclude = [\"value\"]\n";

#[test]
fn two_copies_score_side_by_side_and_keep_their_states_apart() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\", include_fields = [\"value*\"] }");
    let fed = site.write("fed.lp", "");
    let conf =
        config::from_tail(&fed) + &config::qualm(&qualm, &toml) + MINMAX + &config::to_file(&site.path("out.lp"));

    // Twice over: the second time, both find what they left behind.
    for round in 1..=2 {
        let feeder = Feeder::start(&fed);
        let running = Telegraf::start(&telegraf, &site, &conf);
        let written = site.read_text("out.lp").len();
        let scored = |field: &str| {
            let out = site.read_text("out.lp");
            out[written..].lines().any(|line| line.contains(field) && line.contains("anomaly_score="))
        };
        until("scored metrics", || scored("value="));
        until("scored aggregates", || scored("value_max="));
        assert_eq!(children(running.pid()).len(), 2, "two copies");
        until("a state for each", || states(&site) >= 2);
        let _ = feeder.stop();
        running.stop();

        let log = fs::read_to_string(site.path("telegraf.log")).expect("a log");
        assert!(!log.contains("exited:"), "round {round}: a copy ended early:\n{log}");
        // Telegraf says itself, now and then, that it had stopped listening when a process it stopped ended.
        let of_qualm = |line: &&str| line.contains("E! [processors.execd]") && !line.contains("file already closed");
        let complaints: Vec<&str> = log.lines().filter(of_qualm).collect();
        assert!(complaints.is_empty(), "round {round}: {complaints:#?}");
    }
}

/// The files with something in them; a lock file has nothing.
fn states(site: &Site) -> usize {
    let files = fs::read_dir(site.path("state")).expect("the state directory is there").flatten();
    files.filter(|file| file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0)).count()
}
