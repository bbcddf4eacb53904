//! The example of Alertmanager's configuration, in the real Alertmanager, with listeners that play `PagerDuty`, Slack and a webhook.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use qualm_tests::{Alertmanager, Sink, Site, run, tools, until};
use serde_json::{Value, json};

fn example() -> String {
    fs::read_to_string(tools::workspace().join("operations/alerts/alertmanager.yml")).unwrap()
}

/// The example, with its receivers at these addresses and without its waits.
fn configured(site: &Site, pagerduty: &Sink, slack: &Sink, webhook: &Sink) -> String {
    let (key, url) = (site.write("key", "k".repeat(32)), site.write("url", slack.url()));
    let mut text = example();
    for (then, now) in [
        ("/etc/alertmanager/pagerduty.key", format!("{}\n        url: {}/v2/enqueue", key.display(), pagerduty.url())),
        ("/etc/alertmanager/slack.url", url.display().to_string()),
        ("http://127.0.0.1:9099", webhook.url()),
        ("group_wait: 30s", "group_wait: 1s".to_owned()),
        ("group_interval: 5m", "group_interval: 1s".to_owned()),
    ] {
        assert!(text.contains(then), "{then}");
        text = text.replace(then, &now);
    }
    text
}

/// An alert as Prometheus sends it for a rule; it has ended at this time, or lasts.
fn alert(name: &str, labels: &[(&str, &str)], ended: Option<&str>) -> Value {
    let mut all: serde_json::Map<String, Value> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    all.insert("alertname".to_owned(), json!(name));
    let annotations =
        json!({ "summary": format!("{name} has a summary"), "description": "in full", "runbook": "docs/runbook.md" });
    let mut alert = json!({ "labels": all, "annotations": annotations });
    if let Some(ended) = ended {
        alert["startsAt"] = json!("2026-01-01T00:00:00Z");
        alert["endsAt"] = json!(ended);
    }
    alert
}

#[test]
fn the_example_is_valid() {
    let Some(amtool) = tools::amtool() else { return };
    let site = Site::new();
    let checked = run(&amtool, &["check-config", &site.write("alertmanager.yml", example()).to_string_lossy()], b"");
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned() + &checked.stderr;
    assert!(checked.status.success() && printed.contains("2 receivers"), "{printed}");
}

#[test]
fn incidents_page_and_trouble_with_qualm_is_told_to_those_who_look_after_it() {
    let Some(program) = tools::alertmanager() else { return };
    let site = Site::new();
    let [pagerduty, slack, webhook] = [(); 3].map(|()| Sink::start());
    let manager = Alertmanager::start(&program, &configured(&site, &pagerduty, &slack, &webhook));
    let incident = [("host", "web1"), ("measurement", "cpu"), ("severity", "warning")];
    let instance = [("instance", "web1:18001"), ("detector", "vitals"), ("severity", "warning")];
    manager.post(&json!([alert("QualmIsDown", &instance[..1], None)]).to_string());
    manager.post(
        &json!([
            alert("MeasurementIsAnomalous", &incident, None),
            alert("QualmModelRefused", &instance, None),
            alert("QualmFails", &instance, None),
        ])
        .to_string(),
    );
    let bodies = |sink: &Sink| -> Vec<Value> {
        sink.sent().iter().map(|sent| serde_json::from_slice(&sent.body).unwrap()).collect()
    };
    until("PagerDuty is called", || !bodies(&pagerduty).is_empty());
    let event = &bodies(&pagerduty)[0];
    assert_eq!(event["event_action"], "trigger");
    assert_eq!(event["payload"]["summary"], "MeasurementIsAnomalous has a summary");
    assert_eq!(event["payload"]["severity"], "warning");

    until("Slack and the webhook are told of both", || bodies(&slack).len() >= 2 && bodies(&webhook).len() >= 2);
    let told = bodies(&webhook);
    let names: Vec<&str> = told.iter().filter_map(|one| one["groupLabels"]["alertname"].as_str()).collect();
    assert!(names.contains(&"QualmIsDown") && names.contains(&"QualmModelRefused"), "{names:?}");
    assert!(!names.contains(&"QualmFails"), "while it is down that it fails is no news: {names:?}");
    let titles: Vec<String> = bodies(&slack).iter().map(|one| one["attachments"][0]["title"].to_string()).collect();
    assert!(titles.iter().any(|title| title.contains("QualmModelRefused has a summary")), "{titles:?}");

    manager.post(&json!([alert("MeasurementIsAnomalous", &incident, Some("2026-01-01T00:10:00Z"))]).to_string());
    until("it is resolved", || bodies(&pagerduty).iter().any(|event| event["event_action"] == "resolve"));
    assert_eq!(bodies(&pagerduty).iter().filter(|event| event["event_action"] == "trigger").count(), 1);
}
