//! What can be wrong with a configuration that is well-formed.

use std::time::Duration;

use qualm_bundle::duration::friendly;
use qualm_bundle::rows::NoWindow;
use qualm_bundle::signature::KeyError;
use qualm_bundle::source::BadSource;
use qualm_pipeline::suppress;

use super::text::quoted;

/// What is wrong with a configuration: which key, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// In a detector.
    #[error("detector `{0}`: {1}")]
    Detector(String, Box<Self>),
    /// In a member of an ensemble.
    #[error("member `{0}`: {1}")]
    Member(String, Box<Self>),
    /// A value is out of its range, which is given in words.
    #[error("{0}")]
    Range(&'static str),
    /// A parameter of `streaming` is out of its range.
    #[error("`{key}` {range}")]
    Parameter {
        /// Which.
        key: &'static str,
        /// What it must be.
        range: &'static str,
    },
    /// A rule of suppression is invalid.
    #[error(transparent)]
    Suppression(suppress::Invalid),
    /// `sustained` is not like `3 of 5`.
    #[error("`sustained`: {0}")]
    Sustained(suppress::Invalid),
    /// A key has no effect beside another.
    #[error("`{key}` is of no use beside {beside}; leave it out")]
    Useless {
        /// The key without effect.
        key: &'static str,
        /// What it stands beside.
        beside: &'static str,
    },
    /// A rule about the expected value, of a model that has its own.
    #[error(
        "`{0}` is of no use beside `model`: what was expected, and whether of one value, is for the model to know; set it \
         in the model's own [suppression]"
    )]
    RuleOfModel(&'static str),
    /// A rule about the expected value, of an ensemble that has several.
    #[error(
        "`{0}` is of no use beside an ensemble, whose members expect each something else; set it of a `streaming` \
         detector by itself, or use `expected_range`"
    )]
    RuleOfEnsemble(&'static str),
    /// `expected_range` of a model that scores this many values at once.
    #[error(
        "`expected_range` is about one value, and its model scores {0} at once; leave it out (`sustained` and `cooldown` \
         are of use)"
    )]
    RangeOfVector(usize),
    /// `anomaly_rate` of a model that scores an entity as a whole.
    #[error(
        "`anomaly_rate` counts an entity's series, and its model joins those to one; leave it out: the model's own score \
         is of the whole entity"
    )]
    RateOfVector,
    /// `band` of a model that expects no value of one feature.
    #[error(
        "`band` is of no use beside a trained model, which expects no value of any one feature; leave it out (`explain` \
         says which features an anomaly is of)"
    )]
    BandOfModel,
    /// `anomaly_rate` has an invalid tag in `by`.
    #[error(
        "`anomaly_rate`: `by` has {} in it; it must name tags, each once, and not `detector`, which says whose rate it is",
        quoted(.0)
    )]
    RateTag(String),
    /// `model` is no source of bundles.
    #[error("`model`: {0}")]
    Model(BadSource),
    /// `members` or `combine` of a detector that is no ensemble.
    #[error("`members` and `combine` are of an ensemble: write `kind = \"ensemble\"` too")]
    NoEnsemble,
    /// An ensemble with fewer than two members, or with a model.
    #[error(
        "an ensemble has two or more `members` (such as `members = [{{ kind = \"streaming\" }}, {{ model = \
         \"models/vitals\" }}]`), and no `model` of its own"
    )]
    EnsembleWithoutMembers,
    /// Two members have the same name.
    #[error("two members are called `{0}`; give each a `name` of its own")]
    MembersAlike(String),
    /// Two detectors have the same name.
    #[error("two detectors are called `{0}`; give each a `name` of its own")]
    DetectorsAlike(String),
    /// A member's name is empty or has a `/`.
    #[error("`{0}` is no name of a member: it may have no `/` in it")]
    MemberName(String),
    /// A member is an ensemble.
    #[error("member `{0}` is an ensemble itself; name its members here")]
    NestedEnsemble(String),
    /// A member's weight is not above 0.
    #[error("member `{name}`: `weight` is {weight}; it must be above 0")]
    Weight {
        /// The member.
        name: String,
        /// Its weight.
        weight: f64,
    },
    /// There are this many detectors.
    #[error("there are {0} detectors; at most 64 are possible")]
    TooManyDetectors(usize),
    /// The members of an ensemble share a deadline that is too short for them.
    #[error(
        "detector `{name}`: its {members} members share [limits] `deadline`, which must be {} at least for that",
        friendly(*.least)
    )]
    SharedDeadline {
        /// The ensemble.
        name: String,
        /// How many members it has.
        members: u32,
        /// The shortest deadline that is enough.
        least: Duration,
    },
    /// The memory has no room for all series.
    #[error(
        "[limits] `memory` has no room for the {max_series} series of `max_series`: lower that, or raise `memory` to \
         {mebibytes}MiB"
    )]
    SeriesMemory {
        /// How many series there may be.
        max_series: usize,
        /// The memory that they need.
        mebibytes: usize,
    },
    /// A trusted key cannot be used.
    #[error("[bundles] `trusted_keys`: {0}")]
    TrustedKey(KeyError),
    /// A time of `maintenance` cannot be read.
    #[error("[retrain] `maintenance`: {0}")]
    Maintenance(NoWindow),
    /// `forward` is no URL; secrets in it are not shown.
    #[error("[{table}] `forward`: {shown} is no http(s) URL such as \"http://127.0.0.1:18002\"")]
    ForwardUrl {
        /// The table of the key.
        table: &'static str,
        /// The text, quoted.
        shown: String,
    },
    /// `forward` has a query or a fragment; secrets in it are not shown.
    #[error(
        "[{table}] `forward`: {shown} has a query or a fragment, which would not get there; leave it out, with its `?` or \
         `#`"
    )]
    ForwardQuery {
        /// The table of the key.
        table: &'static str,
        /// The text, quoted.
        shown: String,
    },
    /// `timeout` is out of its range.
    #[error("[{0}] `timeout` must be between 100ms and 5m")]
    Timeout(&'static str),
}

impl Invalid {
    /// Checks ranges, each wrong or not, with what it must be.
    ///
    /// # Errors
    ///
    /// The first that is wrong.
    pub(super) fn check_ranges(ranges: &[(bool, &'static str)]) -> Result<(), Self> {
        ranges.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, what)| Err(Self::Range(what)))
    }
}
