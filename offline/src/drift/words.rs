//! Words and numbers that the terminal and the page share.

use std::time::Duration;

use jiff::tz::TimeZone;
use qualm_drift::{FeatureReport, Summary};

use super::{Causes, InWindows, Outcome, Sustained};
use crate::evaluate::format::{NONE, count, number, percent, short, thousands};
use crate::history::timestamp;

/// A statistic from here on stands for an infinite one: that of a constant that moved.
const INFINITE: f64 = 1e9;

/// How many features are named in a sentence.
const MAX_NAMED: usize = 3;

/// A number to this many significant digits, large ones with a unit.
pub(crate) fn rounded(value: f64, digits: usize) -> String {
    let of_digits = to_digits(value, digits);
    if digits <= 4 && of_digits.abs() >= 1e4 { short(of_digits) } else { number(of_digits, digits) }
}

/// Rounded to this many significant digits, those of a whole number as well.
fn to_digits(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

/// The texts of an axis's ticks: three significant digits, or as many as it takes to say where they stand, within 2 % of the axis.
pub(crate) fn tick_texts(values: &[f64]) -> Vec<String> {
    let ends = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let room = (ends.1 - ends.0) / 50.0;
    let precise = |digits: &usize| values.iter().all(|value| (to_digits(*value, *digits) - value).abs() <= room);
    let digits = (3..10).find(precise).unwrap_or(3);
    values.iter().map(|value| rounded(*value, digits)).collect()
}

/// An effect, or what it must exceed.
pub(crate) fn statistic(value: f64, digits: usize) -> String {
    match value {
        INFINITE.. => "∞".to_owned(),
        0.001.. => rounded(value, digits),
        _ if value > 0.0 => "< 0.001".to_owned(),
        _ => "0".to_owned(),
    }
}

/// Whether an effect is infinite.
pub(crate) fn is_infinite(statistic: f64) -> bool {
    statistic >= INFINITE
}

/// A p-value, with its name.
pub(crate) fn p_value(p_value: f64) -> String {
    if p_value < 1e-6 { "p < 1e-6".to_owned() } else { format!("p {}", number(p_value, 2)) }
}

/// A column's mean.
pub(crate) fn mean(of: &Summary) -> String {
    of.mean.map_or_else(|| NONE.to_owned(), |mean| rounded(mean, 3))
}

/// A column's deviation; that of a constant is 0, whatever rounding left.
pub(crate) fn deviation(of: &Summary) -> String {
    let Some(deviation) = of.deviation else { return NONE.to_owned() };
    let rounding = of.mean.map_or(0.0, f64::abs) * 1e-9;
    if deviation <= rounding { "0".to_owned() } else { rounded(deviation, 3) }
}

/// `a`, `a and b`, `a, b and c`; each but the first after `of`.
pub(crate) fn listed(parts: &[String], of: &str) -> String {
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {of}{last}", others.join(&format!(", {of}"))),
        None => String::new(),
    }
}

impl Causes {
    /// What drifts, with the number of features, as `2 features`.
    pub(crate) fn counted(&self) -> Vec<String> {
        let features = self.features.len() as u64;
        let of_features = (features > 0).then(|| count(features, "feature", "features"));
        of_features.into_iter().chain(self.others()).collect()
    }

    /// What drifts, with the number of features of all, as `2 of 38 features`.
    pub(crate) fn counted_of(&self, all: usize) -> Vec<String> {
        let features = self.features.len() as u64;
        let of_features = || format!("{} of {}", thousands(features), count(all as u64, "feature", "features"));
        (features > 0).then(of_features).into_iter().chain(self.others()).collect()
    }

    /// What drifts, with the names of some features. They are untrusted.
    pub(crate) fn named(&self, names: &[String]) -> Vec<String> {
        let mut parts: Vec<String> =
            self.features.iter().take(MAX_NAMED).map(|feature| names[*feature].clone()).collect();
        let more = self.features.len().saturating_sub(MAX_NAMED) as u64;
        parts.extend((more > 0).then(|| count(more, "more feature", "more features")));
        parts.extend(self.others());
        parts
    }

    fn others(&self) -> impl Iterator<Item = String> {
        let scores = self.scores.then_some("the scores");
        scores.into_iter().chain(self.alarms.then_some("the alarm rate")).map(str::to_owned)
    }
}

impl Outcome {
    /// A time, as fine as the windows are; with its year where the rows are of several.
    pub(crate) fn clock(&self, time: i64) -> String {
        let zoned = |time: i64| timestamp(time).to_zoned(TimeZone::UTC);
        let (first, last) = (self.table.times.iter().min(), self.table.times.iter().max());
        let years = first.zip(last).is_some_and(|(first, last)| zoned(*first).year() != zoned(*last).year());
        let format = match (years, self.rules.window < Duration::from_hours(1)) {
            (false, false) => "%-d %b %H:%M",
            (false, true) => "%-d %b %H:%M:%S",
            (true, false) => "%-d %b %Y %H:%M",
            (true, true) => "%-d %b %Y %H:%M:%S",
        };
        zoned(time).strftime(format).to_string()
    }

    /// When something drifted, as `from 20 Jan 04:00 to 2 Feb 09:00`.
    pub(crate) fn when(&self, sustained: &Sustained) -> String {
        let Sustained { from, until, breaks, lasts } = sustained;
        let breaks = if *breaks { ", with breaks" } else { "" };
        let from_text = self.clock(*from);
        match (lasts, from == until) {
            (true, _) => format!("from {from_text} to the end{breaks}"),
            (false, true) => format!("at {from_text}"),
            (false, false) => format!("from {from_text} to {}{breaks}", self.clock(*until)),
        }
    }

    /// When a feature or the score drifted, and how strongly, behind the word "drift" or "no drift".
    pub(crate) fn strength(&self, column: usize) -> String {
        let InWindows { most_votes, sustained, besides } = self.in_windows(column);
        let votes = most_votes.map(|votes| format!("windows: up to {votes} of 5 votes"));
        let together = self.together(column);
        match (sustained, votes) {
            (Some(sustained), votes) => {
                let besides = besides.iter().map(|what| format!("; {what}")).collect::<String>();
                let votes = votes.unwrap_or_default();
                format!(" {} ({votes}{besides}); all rows together: {together}", self.when(&sustained))
            }
            (None, Some(votes)) => format!("; {votes}, all rows together: {together}"),
            (None, None) => format!("; all rows together: {together}"),
        }
    }

    /// What was found of all rows together.
    fn together(&self, column: usize) -> String {
        let FeatureReport { votes, missing, beyond, .. } = self.column(column);
        let [missing_then, missing_now] = [missing.reference, missing.live].map(percent);
        let [beyond_then, beyond_now] = [beyond.reference, beyond.live].map(percent);
        let quantiles = column == self.report.features.len() && self.report.errors_drift();
        let besides = [
            (missing.drifted, format!(", missing in {missing_now} of rows (training: {missing_then})")),
            (beyond.drifted, format!(", {beyond_now} of values lie where {beyond_then} of those in training did")),
            (quantiles, ", median or 95 % quantile moved".to_owned()),
        ];
        let besides: String = besides.into_iter().filter_map(|(drifted, text)| drifted.then_some(text)).collect();
        format!("{votes} of 5{besides}")
    }

    /// The report of a feature or, if that is the number of features, of the score.
    pub(crate) fn column(&self, column: usize) -> &FeatureReport {
        self.report.features.get(column).unwrap_or(&self.report.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let texts = [1234.5, 12_345.0, -1_234_567.0, 0.123_45, 0.0, 4.79e-6].map(|value| rounded(value, 3));
        assert_eq!(texts, ["1230", "12.3k", "-1.23M", "0.123", "0", "4.79e-6"]);
    }

    #[test]
    fn ticks_say_where_they_stand() {
        assert_eq!(tick_texts(&[1.0, 1.5, 2.0]), ["1", "1.5", "2"]);
        assert_eq!(tick_texts(&[0.0, 12_345.0]), ["0", "12.3k"]);
        assert_eq!(tick_texts(&[100_000.0, 100_001.5, 100_003.0]), ["100000", "100001.5", "100003"]);
        assert_eq!(tick_texts(&[0.999, 0.999_5, 1.0]), ["0.999", "0.9995", "1"]);
        assert_eq!((tick_texts(&[7.0, 7.0]), tick_texts(&[])), (vec!["7".to_owned(); 2], Vec::new()));
    }

    #[test]
    fn statistics_have_no_noise() {
        let texts = [0.0, 1.78e-9, 0.001, 0.204_76, 4.732, 12_345.0, 1e9, 3e9].map(|value| statistic(value, 3));
        assert_eq!(texts, ["0", "< 0.001", "0.001", "0.205", "4.73", "12.3k", "∞", "∞"]);
        assert_eq!(
            [0.0, 5.4e-7, 5.4e-5, 0.034, 1.0].map(p_value),
            ["p < 1e-6", "p < 1e-6", "p 5.4e-5", "p 0.034", "p 1"]
        );
    }

    #[test]
    fn the_deviation_of_a_constant_is_none() {
        let of = |mean, by| deviation(&Summary { mean: Some(mean), deviation: Some(by), missing: 0.0 });
        assert_eq!([of(0.3, 5.5e-17), of(0.3, 0.01), of(0.0, 0.0)], ["0", "0.01", "0"]);
        assert_eq!(deviation(&Summary::default()), NONE);
    }

    #[test]
    fn causes_are_counted_and_named() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let causes = |features: usize, scores, alarms| Causes { features: (0..features).collect(), scores, alarms };
        let sentence = |causes: &Causes| listed(&causes.counted_of(5), "of ");
        assert_eq!(sentence(&causes(2, true, false)), "2 of 5 features and of the scores");
        assert_eq!(sentence(&causes(1, true, true)), "1 of 5 features, of the scores and of the alarm rate");
        assert_eq!(listed(&causes(5, false, true).named(&names), ""), "a, b, c, 2 more features and the alarm rate");
        assert_eq!(listed(&causes(0, true, false).named(&names), ""), "the scores");
        assert!(causes(0, false, false).is_empty() && causes(0, false, false).counted().is_empty());
    }
}
