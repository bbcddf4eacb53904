//! `[suppression]`: which incidents are reported.

use std::time::Duration;

use qualm_core::{KINDS, zscore};
use qualm_pipeline::suppress;
use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::files;

/// Which incidents are reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// Only where a value is greater than expected, or less. Of models of one feature.
    #[serde(skip_serializing_if = "Direction::is_both")]
    pub direction: Direction,
    /// Only at least as far as that from the expected value, in the feature's unit. Of plugins of one feature that report it.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_deviation: f64,
    /// Not for values in this range, both ends included. Of models of one feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_range: Option<[f64; 2]>,
    /// Only once so many of a series' last rows belong to an incident, such as `3 of 5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sustained: Option<String>,
    /// For how long after one was reported no other of its series is.
    #[serde(with = "crate::duration", skip_serializing_if = "Duration::is_zero")]
    pub cooldown: Duration,
}

/// On which side of the expected value an anomaly is reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// On either.
    #[default]
    Both,
    /// Where it is greater.
    Above,
    /// Where it is less.
    Below,
}

impl Direction {
    /// Its name in TOML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// The pipeline's equivalent.
    #[must_use]
    pub fn for_pipeline(self) -> suppress::Direction {
        match self {
            Self::Both => suppress::Direction::Both,
            Self::Above => suppress::Direction::Above,
            Self::Below => suppress::Direction::Below,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_both(&self) -> bool {
        *self == Self::Both
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Why `[suppression]` is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// `sustained` is not of the form `3 of 5`.
    #[error("`sustained`: {0}")]
    Sustained(suppress::Invalid),
    /// A number is out of range.
    #[error(transparent)]
    Number(suppress::Invalid),
    /// A rule about one value, for a model of several features.
    #[error(
        "`{key}` is about one value, and this model scores {features} at once; leave it out (`sustained` and `cooldown` are of use)"
    )]
    OneValue {
        /// The rule's key.
        key: &'static str,
        /// The number of features.
        features: usize,
    },
    /// A rule about the expected value, for a detector that does not report it.
    #[error(
        "`{key}` needs to know what was expected, which `{kind}` does not tell; leave it out, or use `expected_range`"
    )]
    NoExpectation {
        /// The rule.
        key: &'static str,
        /// The detector's kind.
        kind: String,
    },
}

impl Suppression {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// `sustained` as numbers: how many of how many rows.
    ///
    /// # Errors
    ///
    /// [`Error::Sustained`].
    pub fn sustained(&self) -> Result<Option<(u32, u32)>, Error> {
        let sustained = self.sustained.as_deref().map(suppress::Suppression::parse_sustained);
        sustained.transpose().map_err(Error::Sustained)
    }

    /// The pipeline's equivalent.
    ///
    /// # Errors
    ///
    /// The first invalid rule.
    pub fn for_pipeline(&self) -> Result<suppress::Suppression, Error> {
        let Self { direction, min_deviation, expected_range, sustained: _, cooldown } = self;
        let (sustained, of) = self.sustained()?.unwrap_or((1, 1));
        let rule = suppress::Suppression {
            direction: direction.for_pipeline(),
            min_deviation: *min_deviation,
            expected_range: *expected_range,
            sustained,
            of,
            cooldown: i64::try_from(cooldown.as_nanos()).unwrap_or(i64::MAX),
        };
        rule.check().map(|()| rule).map_err(Error::Number)
    }

    /// Checks that the model's detector reports what the rules need.
    pub(super) fn check_supported(&self, manifest: &Manifest) -> Result<(), Error> {
        let Self { direction, min_deviation, expected_range, .. } = self;
        let Manifest { kind, features, sha256, .. } = manifest;
        let built_in = !sha256.contains_key(files::COMPONENT) && KINDS.contains(&kind.as_str());
        for (key, set, is_supported) in [
            ("direction", *direction != Direction::Both, !built_in || kind == zscore::KIND),
            ("min_deviation", *min_deviation > 0.0, !built_in),
            ("expected_range", expected_range.is_some(), true),
        ] {
            if set && features.len() > 1 {
                return Err(Error::OneValue { key, features: features.len() });
            }
            if set && !is_supported {
                return Err(Error::NoExpectation { key, kind: kind.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn read(text: &str) -> Suppression {
        toml::from_str(text).expect("a suppression")
    }

    #[test]
    fn rules_reach_the_pipeline() {
        let all = read(
            "direction = 'above'\nmin_deviation = 5\nexpected_range = [0, 80.5]\nsustained = '3 of 5'\ncooldown = '10m'",
        );
        let expected = suppress::Suppression {
            direction: suppress::Direction::Above,
            min_deviation: 5.0,
            expected_range: Some([0.0, 80.5]),
            sustained: 3,
            of: 5,
            cooldown: 600_000_000_000,
        };
        assert_eq!(all.for_pipeline(), Ok(expected));
        assert_eq!(read(&toml::to_string(&all).unwrap()), all);
        assert_eq!(read("").for_pipeline(), Ok(suppress::Suppression::default()));
        assert!(
            read("expected_range = [80, 0]").for_pipeline().unwrap_err().to_string().contains("the lower value first")
        );
        assert!(toml::from_str::<Suppression>("direction = 'up'").unwrap_err().message().contains("`above`"));
    }

    #[test]
    fn rules_need_a_detector_that_supports_them() {
        let mut manifest = testing::manifest(1);
        let (direction, distance) = (read("direction = 'below'"), read("min_deviation = 1.0"));
        let range = read("expected_range = [0.0, inf]");
        for one in [&direction, &distance, &range] {
            let error = one.check_supported(&manifest).unwrap_err().to_string();
            assert!(error.contains("this model scores 2 at once; leave it out"), "{error}");
        }
        manifest.features.truncate(1);
        for (kind, answers) in [
            ("zscore", [true, false, true]),
            ("isolation-forest", [false, false, true]),
            ("somebody-elses", [true, true, true]),
        ] {
            manifest.kind = kind.to_owned();
            let supported = [&direction, &distance, &range].map(|one| one.check_supported(&manifest).is_ok());
            assert_eq!(supported, answers, "{kind}");
        }
        manifest.kind = "pca-mahalanobis".to_owned();
        let error = direction.check_supported(&manifest).unwrap_err().to_string();
        assert!(error.contains("which `pca-mahalanobis` does not tell"), "{error}");
    }
}
