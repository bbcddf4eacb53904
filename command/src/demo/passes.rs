//! Runs the recording through the pipeline: line by line as if live, and in bulk to measure throughput.

use std::time::{Duration, Instant};

use qualm::Pipeline;
use qualm::config::Config;

use super::Error;
use super::data::Line;

/// The bytes of a read: a pipe's capacity.
const READ_BYTES: usize = 64 << 10;

/// The fields that were spliced into a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) score: f64,
    pub(super) is_anomaly: bool,
    pub(super) cause: Option<String>,
}

impl Verdict {
    /// Whether an incident of one of its metrics begins or becomes worse. Lines of an incident that only continues do not count:
    /// with many metrics, almost every line belongs to one.
    pub(super) fn alarms(&self) -> bool {
        self.is_anomaly && self.score > 1.0
    }
}

/// The results of scoring line by line.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The output of each line.
    pub(super) out: Vec<String>,
    /// By line; `None` without a score.
    pub(super) verdicts: Vec<Option<Verdict>>,
    /// Lines of the output.
    pub(super) lines_out: usize,
    /// Lines that differ from the input in more than the spliced fields.
    pub(super) altered: usize,
    /// The time that scoring each line took, in ascending order.
    latencies: Vec<Duration>,
}

/// The results of scoring all lines at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bulk {
    pub(super) lines: usize,
    pub(super) bytes: usize,
    pub(super) took: Duration,
}

impl Live {
    pub(super) fn score(lines: &[Line], config: &Config) -> Result<Self, Error> {
        let mut pipeline = Pipeline::start_offline(config)?;
        let mut live = Self::default();
        for line in lines {
            let began = Instant::now();
            let out = score_bytes(&mut pipeline, line.text.as_bytes(), line.time);
            live.latencies.push(began.elapsed());
            live.record(&line.text, &String::from_utf8_lossy(out));
            pipeline.run_between_batches();
        }
        live.latencies.sort_unstable();
        pipeline.check_no_failures().map_err(Error::Failed)?;
        Ok(live)
    }

    /// Records the output of a line.
    pub(super) fn record(&mut self, line: &str, out: &str) {
        let (rest, verdict) = unsplice(out);
        self.lines_out += out.matches('\n').count();
        self.altered += usize::from(rest != line);
        self.verdicts.push(verdict);
        self.out.push(out.to_owned());
    }

    /// The time that this share of the lines did not exceed.
    pub(super) fn latency(&self, share: f64) -> Duration {
        let at = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Bulk {
    pub(super) fn score(lines: &[Line], config: &Config) -> Result<Self, Error> {
        let mut pipeline = Pipeline::start_offline(config)?;
        let text: Vec<u8> = lines.iter().flat_map(|line| line.text.bytes()).collect();
        let now = lines.last().map_or(0, |line| line.time);
        let began = Instant::now();
        for read in text.chunks(READ_BYTES) {
            score_bytes(&mut pipeline, read, now);
        }
        let took = began.elapsed();
        pipeline.check_no_failures().map_err(Error::Failed)?;
        Ok(Self { lines: lines.len(), bytes: text.len(), took })
    }

    pub(super) fn lines_per_second(&self) -> f64 {
        self.lines as f64 / self.took.as_secs_f64()
    }

    pub(super) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.took.as_secs_f64() / 1e6
    }
}

fn score_bytes<'a>(pipeline: &'a mut Pipeline, bytes: &[u8], now: i64) -> &'a [u8] {
    pipeline.input()[..bytes.len()].copy_from_slice(bytes);
    pipeline.run(bytes.len(), now)
}

/// Splits a line into the original and its verdict. No text in it may hold a space.
fn unsplice(line: &str) -> (String, Option<Verdict>) {
    let Some((before, after)) = line.split_once(",anomaly_score=") else { return (line.to_owned(), None) };
    let Some((spliced, time)) = after.split_once(' ') else { return (line.to_owned(), None) };
    let mut fields = spliced.split(',');
    let score = fields.next().and_then(|score| score.parse().ok());
    let mut verdict = score.map(|score| Verdict { score, is_anomaly: false, cause: None });
    for field in fields {
        match (&mut verdict, field.split_once('=')) {
            (Some(verdict), Some(("is_anomaly", value))) => verdict.is_anomaly = value == "1i",
            (Some(verdict), Some(("anomaly_cause", value))) => verdict.cause = Some(value.trim_matches('"').to_owned()),
            _ => {}
        }
    }
    (format!("{before} {time}"), verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_into_the_original_and_its_verdict() {
        let ordinary = Verdict { score: 0.31, is_anomaly: false, cause: None };
        assert_eq!(
            unsplice("m,h=a x=1,y=2,anomaly_score=0.31,is_anomaly=0i 5\n"),
            ("m,h=a x=1,y=2 5\n".to_owned(), Some(ordinary))
        );
        let anomaly = Verdict { score: 2.5, is_anomaly: true, cause: Some("y".to_owned()) };
        assert_eq!(
            unsplice("m,h=a x=1,y=2,anomaly_score=2.5,is_anomaly=1i,anomaly_cause=\"y\" 5\n"),
            ("m,h=a x=1,y=2 5\n".to_owned(), Some(anomaly))
        );
        assert_eq!(unsplice("m,h=a x=1 5\n"), ("m,h=a x=1 5\n".to_owned(), None));
    }

    #[test]
    fn lost_doubled_and_altered_lines_are_counted() {
        let mut live = Live::default();
        live.record("m x=1 5\n", "m x=1,anomaly_score=0,is_anomaly=0i 5\n");
        assert_eq!((live.lines_out, live.altered), (1, 0));
        live.record("m x=1 6\n", "");
        live.record("m x=1 7\n", "m x=1 7\nm x=1 7\n");
        live.record("m x=1 8\n", "m x=1.0,anomaly_score=0,is_anomaly=0i 8\n");
        assert_eq!((live.lines_out, live.altered), (4, 3));
    }

    #[test]
    fn a_latency_is_a_quantile() {
        let live = Live { latencies: (1..=200).map(Duration::from_micros).collect(), ..Live::default() };
        let micros = |share| live.latency(share).as_micros();
        assert_eq!((micros(0.5), micros(0.99), micros(1.0)), (100, 198, 200));
        assert_eq!(Live::default().latency(0.5), Duration::ZERO);
    }
}
