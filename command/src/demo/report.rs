//! The demo's figures, and their JSON.

use qualm::config::Config;
use qualm_offline::history::timestamp;
use serde_json::{Value, json};

use super::Error;
use super::data::{HOST, MINUTE, Recording};
use super::findings::{Finding, Findings, Stretch, Tally};
use super::passes::{Bulk, Live};

/// The recording, the results of scoring it, and the findings.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) recording: &'a Recording,
    pub(super) live: Live,
    pub(super) bulk: Bulk,
    pub(super) findings: Findings,
    /// The share of ordinary values at which the configuration lets an incident begin.
    pub(super) false_alarm_rate: f64,
}

impl<'a> Report<'a> {
    /// Replays the recording.
    pub(super) fn of(recording: &'a Recording, config: &Config) -> Result<Self, Error> {
        let live = Live::score(&recording.lines, config)?;
        let bulk = Bulk::score(&recording.lines, config)?;
        let times = recording.lines.iter().map(|line| line.time);
        let verdicts: Vec<_> = times.zip(live.verdicts.iter().cloned()).collect();
        let findings = Findings::compare(&verdicts, &recording.incidents);
        let false_alarm_rate =
            config.detector.first().and_then(|one| one.parameters()).map_or(0.0, |one| one.false_alarm_rate);
        Ok(Self { recording, live, bulk, findings, false_alarm_rate })
    }

    /// The index of the example: the line with the largest score, in a caught incident if there is one.
    pub(super) fn example(&self) -> usize {
        let caught = self.findings.incidents.iter().filter(|finding| finding.detection.is_some());
        let times: Vec<_> = caught.map(|finding| finding.incident.start..finding.incident.end).collect();
        let lines = self.recording.lines.iter().zip(&self.live.verdicts).enumerate();
        let ranked = lines.map(|(at, (line, verdict))| {
            let is_caught = times.iter().any(|within| within.contains(&line.time));
            (is_caught, verdict.as_ref().map_or(-1.0, |verdict| verdict.score), at)
        });
        let best = ranked.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        best.map_or(0, |(.., at)| at)
    }

    /// The false alarms that the configuration's rate allows.
    pub(super) fn tolerated(&self) -> f64 {
        (self.findings.ordinary.scored * self.recording.metrics) as f64 * self.false_alarm_rate
    }

    /// Values scored a second in bulk.
    pub(super) fn values_per_second(&self) -> f64 {
        self.bulk.lines_per_second() * self.recording.metrics as f64
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { recording, live, bulk, findings, false_alarm_rate } = self;
        let Findings { warm_up, incidents, false_alarms, ordinary, all } = findings;
        let micros = |share| live.latency(share).as_nanos() as f64 / 1e3;
        json!({
            "data": {
                "source": "Server Machine Dataset",
                "host": HOST,
                "minutes": recording.duration() / MINUTE,
                "metrics": recording.metrics,
            },
            "configuration": { "detector": "streaming", "false_alarm_rate": false_alarm_rate },
            "lines": {
                "in": recording.lines.len(),
                "out": live.lines_out,
                "altered": live.altered,
                "warm_up": warm_up,
                "scored": all.scored,
                "anomalous": all.anomalous,
            },
            "incidents_caught": findings.caught(),
            "incidents": incidents.iter().map(incident).collect::<Vec<_>>(),
            "false_alarms": false_alarms.iter().map(false_alarm).collect::<Vec<_>>(),
            "ordinary_lines": {
                "scored": ordinary.scored,
                "anomalous": ordinary.anomalous,
                "tolerated_by_false_alarm_rate": self.tolerated(),
            },
            "added_latency_us": { "p50": micros(0.5), "p99": micros(0.99), "max": micros(1.0) },
            "throughput": {
                "lines_per_second": bulk.lines_per_second(),
                "values_per_second": self.values_per_second(),
                "megabytes_per_second": bulk.megabytes_per_second(),
            },
        })
    }
}

fn incident(finding: &Finding) -> Value {
    let Finding { incident, tally: Tally { scored, anomalous }, largest, detection } = finding;
    json!({
        "start": timestamp(incident.start),
        "minutes": incident.minutes(),
        "labelled_metrics": incident.metrics,
        "lines_scored": scored,
        "lines_anomalous": anomalous,
        "largest_score": largest,
        "caught": detection.is_some(),
        "delay_minutes": detection.as_ref().map(|detection| detection.delay / MINUTE),
        "cause": detection.as_ref().and_then(|detection| detection.cause.as_deref()),
    })
}

fn false_alarm(stretch: &Stretch) -> Value {
    let Stretch { first, last, lines, largest } = stretch;
    json!({
        "start": timestamp(*first),
        "minutes": (last - first) / MINUTE + 1,
        "lines_above_threshold": lines,
        "largest_score": largest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the real component: its findings may change with its mathematics, the lines may not.
    #[test]
    fn every_line_comes_back_and_the_figures_agree() {
        let recording = Recording::load().unwrap();
        let report = Report::of(&recording, &Config::parse("", "the default").unwrap()).unwrap();
        assert_eq!((report.live.lines_out, report.live.altered), (2880, 0));
        let Findings { warm_up, all, ordinary, incidents, .. } = &report.findings;
        assert!(*warm_up > 0 && *warm_up < 380, "there is a warm-up, and it is over before the first incident");
        assert_eq!(warm_up + all.scored, 2880);
        assert_eq!(ordinary.scored + incidents.iter().map(|finding| finding.tally.scored).sum::<usize>(), all.scored);
        let json = report.to_json();
        assert_eq!(json["lines"]["anomalous"], all.anomalous);
        assert_eq!(json["incidents_caught"], report.findings.caught());
        assert_eq!(json["incidents"].as_array().map(Vec::len), Some(4));
        assert!(json["added_latency_us"]["p50"].as_f64() > Some(0.0));
    }
}
