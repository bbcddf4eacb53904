//! Metrics as Prometheus reads them: its text format 0.0.4, and OpenMetrics 1.0.

use std::fmt::Write as _;

/// The format of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4, which every scraper reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that a request's `accept` header prefers; the text format if it prefers neither.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let (mut text, mut open) = (None, None);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let kind = parts.next().unwrap_or_default();
            let (mut quality, mut version) = (1.0, None);
            for parameter in parts {
                match parameter.split_once('=') {
                    // A quality that is no number excludes the format.
                    Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => version = Some(value.trim_matches('"').to_owned()),
                    _ => {}
                }
            }
            let best = |known: &mut Option<f64>| *known = Some(known.unwrap_or(0.0).max(quality));
            match (kind.as_str(), version.as_deref()) {
                ("application/openmetrics-text", None | Some("0.0.1" | "1.0.0")) => best(&mut open),
                ("text/plain", None | Some("0.0.4")) => best(&mut text),
                _ => {}
            }
        }
        if open.unwrap_or(0.0) > text.unwrap_or(0.0) { Self::OpenMetrics } else { Self::Text }
    }

    /// The `content-type` of this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes metrics: each family once, then its values.
///
/// Names of families are as in OpenMetrics: with their unit (`_seconds`, `_bytes`, `_ratio`), without `_total` or `_info`,
/// which are added where they belong. Names of families and labels are ours, and valid; values of labels may be anything.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    out: String,
}

/// A family, whose samples are added to it.
#[derive(Debug)]
pub struct Family<'a> {
    out: &'a mut Exposition,
    name: &'a str,
    suffix: &'static str,
}

/// The units that a name may end with.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

impl Exposition {
    /// An exposition without families.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, out: String::new() }
    }

    /// Begins a family of counters; `_total` is added to its name.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "counter", "_total")
    }

    /// Begins a family of gauges.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "gauge", "")
    }

    /// Begins a family of histograms.
    pub fn histogram<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "histogram", "")
    }

    /// Writes a metric whose labels are its content, such as a version; `_info` is added to its name.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.family(name, help, "info", "_info").value(labels, 1.0);
    }

    /// The text of the exposition.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: &str, suffix: &'static str) -> Family<'a> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail, here and below.
        let _ = match self.format {
            // The text format knows no info, and types what it has by its full name.
            Format::Text => {
                let kind = if kind == "info" { "gauge" } else { kind };
                write!(self.out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n")
            }
            Format::OpenMetrics => {
                let help = help.replace('"', "\\\"");
                write!(self.out, "# TYPE {name} {kind}\n# HELP {name} {help}\n")
            }
        };
        let unit = UNITS.into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|name| name.ends_with('_')));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
        Family { out: self, name, suffix }
    }
}

impl Family<'_> {
    /// Adds a sample of a counter or a gauge.
    pub fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        let suffix = self.suffix;
        self.sample(suffix, labels, None, value);
    }

    /// Adds a histogram: for each upper bound, ascending and the last infinite, the number of values between it and the bound
    /// before; and the sum of all values.
    pub fn buckets(&mut self, labels: &[(&str, &str)], buckets: &[(f64, u64)], sum: f64) {
        let mut count = 0;
        for (bound, more) in buckets {
            count += more;
            let bound = self.number(*bound, true);
            self.sample("_bucket", labels, Some(&bound), count as f64);
        }
        self.sample("_sum", labels, None, sum);
        self.sample("_count", labels, None, count as f64);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        let labels: Vec<_> = labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)))
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{name}=\"{value}\"")
            })
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let value = self.number(value, false);
        let _ = writeln!(self.out.out, "{}{suffix}{labels} {value}", self.name);
    }

    /// OpenMetrics wants bounds to look like doubles.
    fn number(&self, value: f64, bound: bool) -> String {
        match value {
            value if value.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            value if value != 0.0 && !(1e-5..1e17).contains(&value.abs()) => format!("{value:e}"),
            value if bound && self.out.format == Format::OpenMetrics => format!("{value:?}"),
            value => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut out = Exposition::new(format);
        out.info("q_build", "What \"it\" is.", &[("version", "1.0")]);
        let mut counter = out.counter("q_read_bytes", "Read\nso far.");
        counter.value(&[("path", "C:\\ \"x\"\n")], 1e15);
        counter.value(&[], 1e20);
        out.gauge("q_level", "Level.").value(&[], f64::NAN);
        out.histogram("q_time_seconds", "Time.").buckets(&[("r", "/")], &[(0.1, 2), (1.0, 0), (f64::INFINITY, 3)], 7.5);
        out.finish()
    }

    #[test]
    fn the_text_format_is_as_prometheus_wants_it() {
        let expected = r#"# HELP q_build_info What "it" is.
# TYPE q_build_info gauge
q_build_info{version="1.0"} 1
# HELP q_read_bytes_total Read\nso far.
# TYPE q_read_bytes_total counter
q_read_bytes_total{path="C:\\ \"x\"\n"} 1000000000000000
q_read_bytes_total 1e20
# HELP q_level Level.
# TYPE q_level gauge
q_level NaN
# HELP q_time_seconds Time.
# TYPE q_time_seconds histogram
q_time_seconds_bucket{r="/",le="0.1"} 2
q_time_seconds_bucket{r="/",le="1"} 2
q_time_seconds_bucket{r="/",le="+Inf"} 5
q_time_seconds_sum{r="/"} 7.5
q_time_seconds_count{r="/"} 5
"#;
        assert_eq!(written(Format::Text), expected);
    }

    #[test]
    fn openmetrics_is_as_its_standard_wants_it() {
        let expected = r#"# TYPE q_build info
# HELP q_build What \"it\" is.
q_build_info{version="1.0"} 1
# TYPE q_read_bytes counter
# HELP q_read_bytes Read\nso far.
# UNIT q_read_bytes bytes
q_read_bytes_total{path="C:\\ \"x\"\n"} 1000000000000000
q_read_bytes_total 1e20
# TYPE q_level gauge
# HELP q_level Level.
q_level NaN
# TYPE q_time_seconds histogram
# HELP q_time_seconds Time.
# UNIT q_time_seconds seconds
q_time_seconds_bucket{r="/",le="0.1"} 2
q_time_seconds_bucket{r="/",le="1.0"} 2
q_time_seconds_bucket{r="/",le="+Inf"} 5
q_time_seconds_sum{r="/"} 7.5
q_time_seconds_count{r="/"} 5
# EOF
"#;
        assert_eq!(written(Format::OpenMetrics), expected);
    }

    #[test]
    fn the_accept_header_chooses_the_format() {
        for (accept, expected) in [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html,*/*;q=0.8"), Format::Text),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=9.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=0.5,text/plain;version=0.0.4"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            // Prometheus 2.42.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }
}
