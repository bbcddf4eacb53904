//! Requirements on figures, for automated decisions: `event_recall>=0.8`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::evaluation::FIGURES;

/// A figure and its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    figure: &'static str,
    at_least: bool,
    bound: f64,
}

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequirement {
    /// It has neither `>=` nor `<=`.
    #[error("`{0}` has neither >= nor <=; write one like event_recall>=0.8")]
    Sign(String),
    /// There is no such figure.
    #[error("there is no figure `{}`; there are {}", .0, FIGURES.join(", "))]
    Figure(String),
    /// The bound is no number.
    #[error("`{0}` is no number")]
    Bound(String),
}

impl FromStr for Requirement {
    type Err = BadRequirement;

    fn from_str(text: &str) -> Result<Self, BadRequirement> {
        let split = |sign| text.split_once(sign).map(|(figure, bound)| (figure.trim(), bound.trim(), sign == ">="));
        let Some((name, bound, at_least)) = split(">=").or_else(|| split("<=")) else {
            return Err(BadRequirement::Sign(text.to_owned()));
        };
        let Some(figure) = FIGURES.iter().find(|figure| **figure == name) else {
            return Err(BadRequirement::Figure(name.to_owned()));
        };
        let number = bound.parse().ok().filter(|bound: &f64| bound.is_finite());
        Ok(Self { figure, at_least, bound: number.ok_or_else(|| BadRequirement::Bound(bound.to_owned()))? })
    }
}

impl Requirement {
    /// Describes the violation by these figures, if any. A missing figure is a violation as well.
    #[must_use]
    pub fn check(&self, figures: &BTreeMap<&'static str, f64>) -> Option<String> {
        let Self { figure, at_least, bound } = self;
        let Some(is) = figures.get(figure) else {
            return Some(format!(
                "`{figure}` is not known of these rows (without labels there is none, without alarms no precision)"
            ));
        };
        let holds = if *at_least { is >= bound } else { is <= bound };
        let side = if *at_least { "at least" } else { "at most" };
        (!holds).then(|| format!("`{figure}` is {is:.4}, and must be {side} {bound}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_checked_against_bounds() {
        let figures = BTreeMap::from([("event_recall", 0.75), ("alarm_rate", 0.01)]);
        let wrong = |text: &str| text.parse::<Requirement>().unwrap().check(&figures);
        assert_eq!([wrong("event_recall>=0.75"), wrong(" alarm_rate <= 0.02")], [None, None]);
        assert_eq!(wrong("event_recall>=0.8").unwrap(), "`event_recall` is 0.7500, and must be at least 0.8");
        assert!(wrong("alarm_rate<=0.001").unwrap().contains("at most"));
        assert!(wrong("f1>=0.1").unwrap().contains("not known"));
    }

    #[test]
    fn malformed_requirements_are_refused() {
        for (text, what) in
            [("f1=1", "neither"), ("fi>=1", "event_f1"), ("f1>=x", "`x` is no number"), ("f1>=NaN", "no number")]
        {
            let error = text.parse::<Requirement>().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
