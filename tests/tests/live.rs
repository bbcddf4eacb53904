//! Real metrics of this machine are scored on their way into a real database, and can be queried there.

use std::fmt::Write as _;

use qualm_tests::{Influx, Site, Telegraf, config, fixtures, tools, until};

/// Both the machine as a whole and each core, so that selection has something to leave out.
const CPU_AND_MEM: &str = "[[inputs.cpu]]\npercpu = true\ntotalcpu = true\n[[inputs.mem]]\n";

const TOTAL_CPU: &str = "{ measurement = \"cpu\", tags = { cpu = \"cpu-total\" }, include_fields = [\"usage_*\"] }";

#[test]
fn scores_of_live_metrics_arrive_in_influxdb() {
    let (Some(qualm), Some(telegraf), Some(influxd)) = (tools::qualm(), tools::telegraf(), tools::influxd()) else {
        return;
    };
    let influx = Influx::start(&influxd);
    let site = Site::new();
    let toml = site.quick_config(TOTAL_CPU);
    let conf = CPU_AND_MEM.to_owned()
        + &config::qualm(&qualm, &toml)
        + &config::to_file(&site.path("out.lp"))
        + &config::to_influx(&influx.url());
    let running = Telegraf::start(&telegraf, &site, &conf);
    let scored = || influx.number("SELECT count(anomaly_score) FROM cpu").unwrap_or(0.0);
    until("ten scores in InfluxDB", || scored() >= 10.0);
    running.stop();

    // A score is a finite number from 0 up; InfluxDB accepts no other.
    let lowest = influx.number("SELECT min(anomaly_score) FROM cpu").expect("there are scores");
    let highest = influx.number("SELECT max(anomaly_score) FROM cpu").expect("there are scores");
    assert!(lowest >= 0.0 && highest.is_finite(), "scores from {lowest} to {highest}");

    let types = influx.query("SHOW FIELD KEYS FROM cpu");
    let type_of = |field: &str| types.iter().find(|row| row[0] == field).map(|row| row[1].to_string());
    assert_eq!(type_of("anomaly_score").as_deref(), Some("\"float\""));
    assert_eq!(type_of("is_anomaly").as_deref(), Some("\"integer\""));

    // Only what was selected is scored: the machine as a whole, and not its cores or its memory.
    let of_cores = "SELECT count(anomaly_score) FROM cpu WHERE cpu != 'cpu-total'";
    assert_eq!(influx.number(of_cores), None, "cores are not selected");
    assert_eq!(influx.number("SELECT count(anomaly_score) FROM mem"), None, "memory is not selected");

    // Every line of the file is in the database.
    let file = site.read_text("out.lp");
    let lines = |start: &str, has: &str| file.lines().filter(|l| l.starts_with(start) && l.contains(has)).count();
    for (measurement, field) in
        [("cpu", "anomaly_score"), ("cpu", "is_anomaly"), ("cpu", "usage_idle"), ("mem", "used")]
    {
        let written = lines(&format!("{measurement},"), &format!("{field}="))
            + lines(&format!("{measurement} "), &format!("{field}="));
        let stored = influx.number(&format!("SELECT count({field}) FROM {measurement}")).unwrap_or(0.0);
        assert!(written > 0, "no {field} of {measurement} in the file");
        assert_eq!(stored as usize, written, "{field} of {measurement}, in InfluxDB and in the file");
    }
}

/// A query finds the time and the field of an incident.
#[test]
fn a_spike_can_be_found_in_influxdb() {
    let (Some(qualm), Some(telegraf), Some(influxd)) = (tools::qualm(), tools::telegraf(), tools::influxd()) else {
        return;
    };
    let influx = Influx::start(&influxd);
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\" }");
    let mut history = String::new();
    let spike_at = fixtures::spike(&mut history, 1_000);
    writeln!(history, "the_end value=1 1").expect("text can be appended to");
    let conf = config::from_file(&site.write("history.lp", history))
        + "interval = \"1h\"\n"
        + &config::qualm(&qualm, &toml)
        + &config::to_influx(&influx.url());
    let running = Telegraf::start(&telegraf, &site, &conf);
    until("the whole history in InfluxDB", || influx.number("SELECT count(value) FROM the_end") == Some(1.0));
    running.stop();

    let found = influx.query("SELECT anomaly_cause, anomaly_score, value FROM load WHERE is_anomaly = 1");
    let spike = found.iter().find(|row| row[0].as_u64() == Some(spike_at));
    let spike = spike.unwrap_or_else(|| panic!("the spike at {spike_at} is not among the anomalies: {found:?}"));
    assert_eq!(spike[1], "value", "the field that was the cause");
    assert!(spike[2].as_f64() > Some(1.0), "an onset's score is above 1: {spike:?}");
    let onsets = found.iter().filter(|row| row[2].as_f64() > Some(1.0)).count();
    assert!(onsets <= 10, "{onsets} onsets in a calm history");
}
