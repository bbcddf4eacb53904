//! The demo's output as text: one screen.

use std::fmt::{self, Display, Formatter};

use super::data::MINUTE;
use super::findings::{Detection, Finding};
use super::plot;
use super::report::Report;
use crate::text::thousands;

/// The least width of the plot, with its margin.
const MIN_WIDTH: usize = 40;
/// Its largest width.
const MAX_WIDTH: usize = 160;
/// Columns for labels, left of the plot.
const MARGIN: usize = 14;

/// The report as a screen of this width.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) width: usize,
    pub(super) paint: Paint,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    pub(super) const fn new(on: bool) -> Self {
        Self { on }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }
}

impl Display for Screen<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.title(f)?;
        self.example(f)?;
        self.plot(f)?;
        self.incidents(f)?;
        self.false_alarms(f)?;
        self.cost(f)?;
        self.next_steps(f)
    }
}

impl Screen<'_> {
    fn title(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report, paint, .. } = self;
        let days = report.recording.duration() / (24 * 60 * MINUTE);
        let title =
            format!("{days} days of a real server, {} metrics a minute, scored as if live", report.recording.metrics);
        writeln!(f, "{}  {title}", paint.bold("qualm demo"))?;
        writeln!(f, "{}\n", paint.dim("No training, no configuration: the detector began knowing nothing of it."))
    }

    /// A line before and after scoring.
    fn example(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report, paint, width } = self;
        let at = report.example();
        let (given, out) = (shorten(&report.recording.lines[at].text), shorten(&report.live.out[at]));
        writeln!(f, "{}", paint.bold("Each line leaves as it came, with its score in it"))?;
        writeln!(f, "in  {given}")?;
        let scored = out.split_once("anomaly_score").and_then(|(before, after)| Some((before, after.split_once(' ')?)));
        let Some((before, (spliced, time))) = scored else { return writeln!(f, "out {out}\n") };
        let fold = if out.chars().count() + 4 > *width { "\n    " } else { "" };
        writeln!(f, "out {before}{fold}{} {time}\n", paint.cyan(&format!("anomaly_score{spliced}")))
    }

    fn plot(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report: Report { recording, live, .. }, paint, .. } = self;
        let width = self.width.clamp(MIN_WIDTH, MAX_WIDTH) - MARGIN - 1;
        let scores: Vec<Option<f64>> =
            live.verdicts.iter().map(|verdict| verdict.as_ref().map(|verdict| verdict.score)).collect();
        writeln!(f, "{}", paint.bold("Score of each minute's line: above 1 an incident begins"))?;
        for (row, bars) in plot::bars(&plot::columns(&scores, width)).into_iter().enumerate() {
            let bars = bars.trim_end();
            let bars = if row < plot::THRESHOLD { paint.red(bars) } else { paint.cyan(bars) };
            writeln!(f, "{:>MARGIN$}{}{bars}", scale(row), paint.dim("│"))?;
        }
        let (line, names) = plot::axis(&self.ticks(), recording.lines.len(), width);
        writeln!(f, "{:>MARGIN$}{}", "", paint.dim(&format!("└{line}")))?;
        writeln!(f, "{:>MARGIN$} {names}", "")?;
        writeln!(f, "{:>MARGIN$} {}", "real incidents", self.incident_marks(width).trim_end())?;
        writeln!(f, "{:>MARGIN$} {}\n", "false alarms", paint.yellow(self.alarm_marks(width).trim_end()))
    }

    /// The number of each incident, with a line of its length.
    fn incident_marks(&self, width: usize) -> String {
        let Self { report: Report { findings, .. }, paint, .. } = self;
        let spans = findings.incidents.iter().map(|finding| (finding.incident.start, finding.incident.end - MINUTE));
        let cells = self.strip(spans, width);
        let mut out = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let Some(number) = *cell else {
                out.push(' ');
                continue;
            };
            let begins = at == 0 || cells[at - 1] != *cell;
            let mark = if begins { (number + 1).to_string() } else { "━".to_owned() };
            let caught = findings.incidents[number].detection.is_some();
            out.push_str(&if caught { paint.green(&mark) } else { paint.red(&mark) });
        }
        out
    }

    fn alarm_marks(&self, width: usize) -> String {
        let spans = self.report.findings.false_alarms.iter().map(|alarm| (alarm.first, alarm.last));
        self.strip(spans, width).iter().map(|cell| if cell.is_some() { '×' } else { ' ' }).collect()
    }

    /// The index of the span of time in each column.
    fn strip(&self, spans: impl Iterator<Item = (i64, i64)>, width: usize) -> Vec<Option<usize>> {
        let lines = &self.report.recording.lines;
        let at = |time: i64| lines.partition_point(|line| line.time < time).min(lines.len().saturating_sub(1));
        let spans: Vec<_> = spans.map(|(first, last)| (at(first), at(last))).collect();
        plot::strip(&spans, lines.len(), width)
    }

    /// A tick every twelve hours.
    fn ticks(&self) -> Vec<(usize, String)> {
        let start = self.report.recording.start();
        let lines = self.report.recording.lines.iter().enumerate();
        let minutes = lines.map(|(at, line)| (at, (line.time - start) / MINUTE));
        minutes.filter(|(_, minutes)| minutes % 720 == 0).map(|(at, minutes)| (at, clock(minutes))).collect()
    }

    fn incidents(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report: Report { recording, findings, .. }, paint, .. } = self;
        let caught = format!("{} of {} incidents caught", findings.caught(), findings.catchable());
        let source = "(the labels never reached the detector)";
        writeln!(f, "{} {}", paint.bold(&caught), paint.dim(source))?;
        for (number, finding) in findings.incidents.iter().enumerate() {
            let start = (finding.incident.start - recording.start()) / MINUTE;
            write!(f, "  {} {}  {:>3} min  ", number + 1, clock(start), finding.incident.minutes())?;
            writeln!(f, "{}", self.outcome(finding))?;
        }
        Ok(())
    }

    fn outcome(&self, finding: &Finding) -> String {
        let Finding { incident, tally, largest, detection } = finding;
        let paint = self.paint;
        let lines = format!("{:>3} {}", tally.anomalous, if tally.anomalous == 1 { "line " } else { "lines" });
        match (detection, largest) {
            (Some(Detection { delay, cause }), _) => {
                let delay = match delay / MINUTE {
                    0 => "caught at once".to_owned(),
                    minutes => format!("caught after {minutes} min"),
                };
                let cause = cause.as_ref().map_or_else(String::new, |cause| {
                    let labelled = if incident.metrics.contains(cause) { ", as labelled" } else { "" };
                    format!("cause {cause}{labelled}")
                });
                format!("{} {lines}  {cause}", paint.green(&format!("{delay:<19}")))
            }
            (None, Some(largest)) => {
                format!("{} {lines}  largest score {largest:.2}", paint.red(&format!("{:<19}", "missed")))
            }
            (None, None) => "not counted: it was over before the first score".to_owned(),
        }
    }

    fn false_alarms(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report, paint, .. } = self;
        let findings = &report.findings;
        let ordinary = findings.ordinary;
        let count = match findings.false_alarms.len() {
            0 => "no false alarm".to_owned(),
            1 => "1 false alarm".to_owned(),
            several => format!("{several} false alarms"),
        };
        let hours = (ordinary.scored + 30) / 60;
        let lines = format!("{} of {} lines anomalous", ordinary.anomalous, thousands(ordinary.scored));
        writeln!(f, "{} in the other {hours} hours: {lines}", paint.bold(&count))?;
        let allowed =
            format!("false_alarm_rate = {:e} a value allows {:.0}", report.false_alarm_rate, report.tolerated());
        let warm_up = format!("the {} min of warm-up do not count", findings.warm_up);
        writeln!(f, "{}\n", paint.dim(&format!("({allowed}; {warm_up})")))
    }

    fn cost(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { report, paint, .. } = self;
        let Report { recording, live, bulk, .. } = report;
        let kept = match live.altered {
            0 => "unaltered but for the score".to_owned(),
            altered => paint.red(&format!("{} ALTERED", thousands(altered))),
        };
        let lines = format!("{} lines in, {} out", thousands(recording.lines.len()), thousands(live.lines_out));
        writeln!(f, "{}, {kept}", paint.bold(&lines))?;
        let micros = |share| live.latency(share).as_micros();
        let rate = thousands((bulk.lines_per_second() / 1e3).round() as usize * 1000); // more digits are noise
        let latency = format!("{} µs added to a line", micros(0.5));
        let (p99, values) = (micros(0.99), recording.metrics);
        writeln!(f, "{} (p99 {p99} µs), up to {rate} lines/s of {values} values each\n", paint.bold(&latency))
    }

    fn next_steps(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let paint = self.paint;
        writeln!(
            f,
            "{} add this to telegraf.conf, and alert where is_anomaly is 1:",
            paint.bold("Your metrics next:")
        )?;
        writeln!(f, "  {}", paint.cyan("[[processors.execd]]"))?;
        writeln!(f, "  {}", paint.cyan("  command = [\"qualm\", \"execd\"]"))
    }
}

/// The label of a line of the plot, where the score at its upper edge is a whole number.
fn scale(row: usize) -> String {
    let steps = plot::ROWS / plot::TOP_SCORE as usize;
    if !row.is_multiple_of(steps) {
        return String::new();
    }
    match plot::TOP_SCORE as usize - row / steps {
        1 => "threshold 1 ".to_owned(),
        score if row == 0 => format!("{score}+ "),
        score => format!("{score} "),
    }
}

/// A line with the first field and the spliced fields alone.
fn shorten(line: &str) -> String {
    let Some((first, rest)) = line.trim_end().split_once(',').and_then(|(name, rest)| {
        let (tags_and_field, rest) = rest.split_once(',')?;
        Some((format!("{name},{tags_and_field}"), rest))
    }) else {
        return line.trim_end().to_owned();
    };
    match (rest.find("anomaly_score="), rest.rfind(' ')) {
        (Some(at), _) => format!("{first},…,{}", &rest[at..]),
        (None, Some(at)) => format!("{first},…{}", &rest[at..]),
        (None, None) => line.trim_end().to_owned(),
    }
}

/// Minutes since the beginning, as `day 1 06:20`.
fn clock(minutes: i64) -> String {
    format!("day {} {:02}:{:02}", minutes / 1440 + 1, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::data::{HOST, Incident, Line, Recording};
    use crate::demo::findings::Findings;
    use crate::demo::passes::{Bulk, Live};
    use std::time::Duration;

    /// Two days: 2 hours of warm-up, an anomaly in each of the first two incidents, and one outside.
    fn report(recording: &Recording) -> Report<'_> {
        let mut live = Live::default();
        for (minute, line) in recording.lines.iter().enumerate() {
            let (fields, time) = line.text.rsplit_once(' ').unwrap();
            let out = match minute {
                0..120 => line.text.clone(),
                150 => format!("{fields},anomaly_score=1.5,is_anomaly=1i,anomaly_cause=\"m01\" {time}"),
                217 => format!("{fields},anomaly_score=3.25,is_anomaly=1i,anomaly_cause=\"m00\" {time}"),
                720 => format!("{fields},anomaly_score=2,is_anomaly=1i,anomaly_cause=\"m01\" {time}"),
                _ => format!("{fields},anomaly_score=0.5,is_anomaly=0i {time}"),
            };
            live.record(&line.text, &out);
        }
        let verdicts: Vec<_> =
            recording.lines.iter().map(|line| line.time).zip(live.verdicts.iter().cloned()).collect();
        let findings = Findings::compare(&verdicts, &recording.incidents);
        let bulk = Bulk { lines: 2880, bytes: 1_000_000, took: Duration::from_millis(40) };
        Report { recording, live, bulk, findings, false_alarm_rate: 1e-3 }
    }

    fn recording() -> Recording {
        let time = |minute: i64| 1_704_067_200_000_000_000 + minute * MINUTE;
        let text = |minute| format!("server,host={HOST} m00=0.242424,m01=1 {}\n", time(minute));
        let incident = |start, end| Incident { start: time(start), end: time(end), metrics: vec!["m00".to_owned()] };
        Recording {
            lines: (0..2880).map(|minute| Line { time: time(minute), text: text(minute) }).collect(),
            incidents: vec![incident(200, 300), incident(720, 1440), incident(2000, 2011)],
            metrics: 2,
        }
    }

    fn screen(width: usize, colour: bool) -> String {
        let recording = recording();
        let report = report(&recording);
        Screen { report: &report, width, paint: Paint::new(colour) }.to_string()
    }

    #[test]
    fn the_screen_shows_all_figures() {
        let screen = screen(80, false);
        for line in [
            "in  server,host=machine-1-3 m00=0.242424,… 1704080220000000000",
            "out server,host=machine-1-3 m00=0.242424,…,",
            "    anomaly_score=3.25,is_anomaly=1i,anomaly_cause=\"m00\" 1704080220000000000",
            "2 of 3 incidents caught (the labels never reached the detector)",
            "  1 day 1 03:20  100 min  caught after 17 min   1 line   cause m00, as labelled",
            "  2 day 1 12:00  720 min  caught at once        1 line   cause m01",
            "  3 day 2 09:20   11 min  missed                0 lines  largest score 0.50",
            "1 false alarm in the other 32 hours: 1 of 1,929 lines anomalous",
            "(false_alarm_rate = 1e-3 a value allows 4; the 120 min of warm-up do not count)",
            "2,880 lines in, 2,880 out, unaltered but for the score",
            "0 µs added to a line (p99 0 µs), up to 72,000 lines/s of 2 values each",
        ] {
            assert!(screen.lines().any(|there| there == line), "{line}\nis missing in\n{screen}");
        }
    }

    #[test]
    fn marks_are_below_their_times() {
        let screen = screen(MARGIN + 1 + 48, false); // a column an hour
        let marks =
            |name: &str| screen.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap().to_owned();
        assert_eq!(marks("real incidents "), "   1━       2━━━━━━━━━━━         3");
        assert_eq!(marks("false alarms "), "  ×");
    }

    #[test]
    fn the_plot_has_the_screens_width() {
        for width in [80, 120] {
            let screen = screen(width, false);
            let longest = screen.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width, "{longest} columns\n{screen}");
            assert!(screen.lines().any(|line| line.chars().count() == width), "the picture is as wide as {width}");
            assert!(screen.lines().count() < 40, "{screen}");
        }
    }

    #[test]
    fn colours_add_nothing_but_colour() {
        let (plain, coloured) = (screen(80, false), screen(80, true));
        assert!(!plain.contains('\x1b'));
        let mut stripped = coloured.split("\x1b[").map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
        let first = coloured.split("\x1b[").next().unwrap();
        let rest: String = stripped.by_ref().skip(1).collect();
        assert_eq!(format!("{first}{rest}"), plain);
    }

    #[test]
    fn long_lines_and_times_are_readable() {
        assert_eq!(clock(1440 + 61), "day 2 01:01");
        assert_eq!(shorten("m,h=a x=1,y=2 5\n"), "m,h=a x=1,… 5");
        assert_eq!(shorten("m,h=a x=1,y=2,anomaly_score=0 5\n"), "m,h=a x=1,…,anomaly_score=0 5");
        assert_eq!(shorten("m x=1 5\n"), "m x=1 5");
    }
}
