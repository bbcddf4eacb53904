//! How a new model takes over.

use std::fmt::Write as _;
use std::time::Duration;

use qualm_bundle::duration::friendly;
use serde::Deserialize;

use super::invalid::Invalid;

/// How a new model takes over after a time in shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// How long a candidate is in shadow before it is promoted by itself; `None` if only a command promotes it.
    pub promote_after: Option<Duration>,
    /// For how long it is watched from then on.
    pub watch_for: Duration,
    /// What it must keep to, before and after.
    pub bounds: Bounds,
}

/// What a candidate must keep to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table like { rows = 1000, alarms = 3.0, failures = 0, correlation = 0.5 }"
)]
pub struct Bounds {
    /// Rows that both models must have scored before it is promoted by itself.
    pub rows: u64,
    /// How many times as many incidents as the other model may begin.
    pub alarms: f64,
    /// Batches that it may fail on where the other model does not.
    pub failures: u64,
    /// The least rank correlation with the other model's scores, if any.
    pub correlation: Option<f64>,
}

/// `rollout` as it stands in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Name {
    /// A new model takes over at once.
    #[default]
    Immediate,
    /// First its verdicts are compared, and kept out of the metrics.
    Shadow,
}

/// The keys of a rollout as they stand in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Keys {
    pub(super) rollout: Name,
    pub(super) promote_after: Option<Duration>,
    pub(super) watch_for: Option<Duration>,
    pub(super) bounds: Option<Bounds>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { promote_after: None, watch_for: Duration::from_hours(1), bounds: Bounds::default() }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rows: 1000, alarms: 3.0, failures: 0, correlation: None }
    }
}

impl Keys {
    /// What they mean; `None` if a new model takes over at once.
    ///
    /// # Errors
    ///
    /// Which has no effect, or is out of its range.
    pub(super) fn into_rollout(self) -> Result<Option<Rollout>, Invalid> {
        if self.rollout == Name::Immediate {
            return self.refuse("`rollout = \"immediate\"`, which is the default").map(|()| None);
        }
        let Self { rollout: _, promote_after, watch_for, bounds } = self;
        let default = Rollout::default();
        let rollout = Rollout {
            promote_after,
            watch_for: watch_for.unwrap_or(default.watch_for),
            bounds: bounds.unwrap_or(default.bounds),
        };
        rollout.check().map(|()| Some(rollout))
    }

    /// Refuses what is set, where it is of no use.
    ///
    /// # Errors
    ///
    /// Which is.
    pub(super) fn refuse(&self, beside: &'static str) -> Result<(), Invalid> {
        let Self { rollout, promote_after, watch_for, bounds } = self;
        for (key, set) in [
            ("rollout", *rollout != Name::Immediate),
            ("promote_after", promote_after.is_some()),
            ("watch_for", watch_for.is_some()),
            ("bounds", bounds.is_some()),
        ] {
            if set {
                return Err(Invalid::Useless { key, beside });
            }
        }
        Ok(())
    }
}

impl Rollout {
    fn check(&self) -> Result<(), Invalid> {
        let Self { promote_after, watch_for, bounds: Bounds { rows, alarms, failures: _, correlation } } = self;
        let second = Duration::from_secs(1);
        Invalid::check_ranges(&[
            (promote_after.is_some_and(|after| after < second), "`promote_after` must be a second at least"),
            (*watch_for < second, "`watch_for` must be a second at least"),
            (*rows == 0, "`bounds`: its `rows` must be 1 at least"),
            (!(*alarms >= 1.0 && alarms.is_finite()), "`bounds`: its `alarms` must be 1.0 at least"),
            (
                correlation.is_some_and(|least| !(-1.0..=1.0).contains(&least)),
                "`bounds`: its `correlation` must lie between -1 and 1",
            ),
        ])
    }

    pub(super) fn effective(&self, between: &str) -> String {
        let Self { promote_after, watch_for, bounds: Bounds { rows, alarms, failures, correlation } } = self;
        let mut out = format!("rollout = \"shadow\"{between}");
        if let Some(after) = promote_after {
            let _infallible = write!(out, "promote_after = \"{}\"{between}", friendly(*after));
        }
        let correlation = correlation.map_or_else(String::new, |least| format!(", correlation = {least:?}"));
        let _infallible = write!(
            out,
            "watch_for = \"{}\"{between}bounds = {{ rows = {rows}, alarms = {alarms:?}, failures = \
             {failures}{correlation} }}",
            friendly(*watch_for)
        );
        out
    }
}
