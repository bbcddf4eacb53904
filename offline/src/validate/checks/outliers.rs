//! Checks for outliers.

use super::super::options::Limits;
use super::super::profile::Profile;
use super::super::report::{Check, Finding, Verdict};
use super::{percent, short};

pub(super) fn check(column: &Profile, limits: &Limits, findings: &mut Vec<Finding>) {
    // A counter moves away from its start, and a nearly constant column has no spread.
    if column.resets.is_some() || column.is_nearly_constant() || column.outlier_share <= limits.max_outliers {
        return;
    }
    let Some(farthest) = column.farthest else { return };
    let what = format!(
        "{} of its values ({}) are beyond 6 spreads of the median {}; the farthest is {} in line {}",
        percent(column.outlier_share),
        column.outliers,
        short(column.median),
        short(farthest.value),
        farthest.line
    );
    let advice = "train on a time without incidents, or take `transform = \"log1p\"` where values span decades";
    let finding = Finding::new(Check::Outliers, Verdict::Warning, "outliers", what, advice);
    findings.push(finding.of(column).times(column.outliers, Some(farthest.line)));
}
