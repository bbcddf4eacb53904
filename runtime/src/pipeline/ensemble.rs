//! A detector of the pipeline: one, or several whose scores are combined.
//!
//! Each member has a guest of its own, which fails, rests, is saved and is given new models by itself. A member without a
//! score (it warms up, waits for a model, or failed) is left out, so that the others go on without it. Reason and band are
//! those of the member with the highest score that gives one.

use std::cmp::Ordering;

use qualm_contract::{Band, Batch, BatchScorer, Error, Reason, Verdicts, Wanted};
use qualm_pipeline::{INCIDENT_END_SCORE, Lane, Rows};

use crate::config::Combine;
use crate::drift::{DriftWatch, Watching};
use crate::models::Reloader;
use crate::rollout::Rollout;
use crate::supervisor::Supervisor;

/// Members whose scores are combined.
#[derive(Debug)]
pub(crate) struct Ensemble {
    members: Vec<Member>,
    combine: Combine,
    /// Whose opinion a row is: scores and weights of those that have one.
    opinions: Vec<Opinion>,
    /// The same, with the reports that still stand.
    standing: Vec<Opinion>,
    /// By series, whether an incident has been reported and lasts.
    reported: Vec<bool>,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    /// Who looks after its guest.
    pub supervisor: Supervisor,
    /// Where its models come from; none where it has no model that may change.
    pub reloader: Option<Reloader>,
    /// Whether its rows still look like those in training.
    pub drift: DriftWatch,
    /// How a new model takes over.
    pub rollout: Rollout,
    /// How much its score counts.
    weight: f64,
    /// What it thinks of the batch at hand.
    verdicts: Verdicts,
    onsets: Onsets,
    /// Rows that it scored, beside others.
    pub scored: u64,
}

/// What a member thinks of a row.
#[derive(Debug, Clone, Copy)]
struct Opinion {
    member: usize,
    score: f64,
    weight: f64,
}

impl Member {
    /// A member whose score counts so much.
    #[must_use]
    pub(crate) fn new(supervisor: Supervisor, reloader: Option<Reloader>, rollout: Rollout, weight: f64) -> Self {
        let (drift, verdicts, onsets) = (DriftWatch::default(), Verdicts::default(), Onsets::default());
        Self { supervisor, reloader, rollout, drift, weight, verdicts, onsets, scored: 0 }
    }

    /// Has the model in shadow score the last batch, for which it has these scores `alone`, or its own beside others.
    pub(crate) fn score_in_shadow(&mut self, rows: &Rows, alone: Option<&[f64]>) {
        let Self { supervisor, rollout, verdicts, .. } = self;
        rollout.score(supervisor, rows, alone.unwrap_or(&verdicts.scores));
    }
}

impl Ensemble {
    /// Of these members; one alone is what it is, whatever `combine`.
    #[must_use]
    pub(crate) fn new(members: Vec<Member>, combine: Combine) -> Self {
        Self { members, combine, opinions: Vec::new(), standing: Vec::new(), reported: Vec::new() }
    }

    /// Its members.
    #[must_use]
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Its members, to look after.
    pub(crate) fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// Compares the rows of its lane's last batch with those that its members were trained on.
    pub(crate) fn record_drift(&mut self, lane: &Lane, watching: &Watching) {
        let several = self.has_several();
        for Member { supervisor, drift, rollout, verdicts, .. } in &mut self.members {
            let scores = if several { &verdicts.scores } else { &lane.last_rows().1.scores };
            drift.record(supervisor, rollout, lane, scores, watching);
        }
    }

    /// Whether there is something to combine.
    #[must_use]
    pub(crate) fn has_several(&self) -> bool {
        self.members.len() > 1
    }
}

impl BatchScorer for Ensemble {
    fn score_batch(&mut self, rows: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let Self { members, combine, opinions, standing, reported } = self;
        if let [only] = members.as_mut_slice() {
            return only.supervisor.score_batch(rows, wanted, verdicts);
        }
        for member in &mut *members {
            member.verdicts.clear();
            member.supervisor.score_batch(rows, wanted, &mut member.verdicts)?;
        }
        let explained = members.iter().any(|member| !member.verdicts.contributions.is_empty());
        verdicts.contributions.resize(if explained { rows.values.len() } else { 0 }, 0.0);
        let reasoned = members.iter().any(|member| !member.verdicts.reasons.is_empty());
        let banded = members.iter().any(|member| !member.verdicts.bands.is_empty());
        for row in 0..rows.len() {
            opinions.clear();
            standing.clear();
            let mut stands = false;
            for (at, member) in members.iter_mut().enumerate() {
                let score = member.verdicts.scores[row];
                if !score.is_nan() {
                    let opinion = Opinion { member: at, score, weight: member.weight };
                    opinions.push(opinion);
                    let report = member.onsets.standing(rows.series[row], score);
                    standing.push(Opinion { score: report, ..opinion });
                    stands |= report > score;
                    member.scored += 1;
                }
            }
            let own = combined(*combine, opinions);
            let standing = if stands { combined(*combine, standing) } else { own };
            let score = with_standing(own, standing, slot(reported, rows.series[row]));
            verdicts.scores.push(score);
            // The highest score comes first.
            let mut verdicts_of = opinions.iter().map(|one| &members[one.member].verdicts);
            if reasoned {
                let reasons = verdicts_of.clone().filter_map(|verdicts| verdicts.reasons.get(row));
                verdicts.reasons.push(reasons.copied().find(|reason| *reason != Reason::None).unwrap_or_default());
            }
            if banded {
                let band = verdicts_of.find_map(|verdicts| verdicts.bands.get(row).filter(|band| band.is_known()));
                verdicts.bands.push(band.copied().unwrap_or(Band::UNKNOWN));
            }
            if explained && score > 1.0 {
                let features = rows.features();
                let row = row * features..(row + 1) * features;
                explain(*combine, opinions, members, row.clone(), &mut verdicts.contributions[row]);
            }
        }
        Ok(())
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        for member in &mut self.members {
            member.supervisor.relate_series(series, groups);
        }
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        for member in &mut self.members {
            member.onsets.forget_series(series);
            member.drift.forget_series(series);
            member.rollout.forget_series(series);
        }
        for number in series {
            if let Some(reported) = self.reported.get_mut(*number as usize) {
                *reported = false;
            }
        }
        self.members.iter_mut().try_for_each(|member| member.supervisor.forget_series(series))
    }
}

/// The element of a series, the default where it is new.
fn slot<T: Default + Clone>(of: &mut Vec<T>, series: u32) -> &mut T {
    let at = series as usize;
    if at >= of.len() {
        of.resize(at + 1, T::default());
    }
    &mut of[at]
}

/// The least score of an incident that lasts.
const LASTING_SCORE: f64 = 0.51;

/// The score of a row, given that of the members' own scores, and that of their standing reports. Where only the latter is above
/// 1, members have agreed without reporting at the same row: that is reported once, and lasts while they do.
fn with_standing(own: f64, standing: f64, reported: &mut bool) -> f64 {
    let before = std::mem::replace(reported, own > 1.0 || standing > 1.0);
    match (own > 1.0, *reported, before) {
        (false, true, false) => standing,
        (false, true, true) => own.max(LASTING_SCORE),
        _ => own,
    }
}

/// The score with which a member reported each series' incident, while that lasts.
///
/// What is built in reports an incident with its first row, and members do so at different rows. For members to agree, the report
/// stands for as long as the incident.
#[derive(Debug, Default)]
struct Onsets(Vec<f64>);

impl Onsets {
    /// The score of a series' next row, or that of the report that stands.
    fn standing(&mut self, series: u32, score: f64) -> f64 {
        let onset = slot(&mut self.0, series);
        *onset = match score {
            above if above > 1.0 => above.max(*onset),
            lasting if lasting > INCIDENT_END_SCORE => *onset,
            _ => 0.0,
        };
        score.max(*onset)
    }

    fn forget_series(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(onset) = self.0.get_mut(number as usize) {
                *onset = 0.0;
            }
        }
    }
}

/// The score of a row that members think this of, the highest first afterwards.
fn combined(combine: Combine, opinions: &mut [Opinion]) -> f64 {
    match opinions {
        [] => return f64::NAN,
        [only] => return only.score,
        _ => {}
    }
    let all: f64 = opinions.iter().map(|one| one.weight).sum();
    opinions.sort_unstable_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    match combine {
        Combine::Mean => opinions.iter().map(|one| one.score * one.weight).sum::<f64>().min(f64::MAX) / all,
        Combine::Maximum => opinions.first().map_or(f64::NAN, |one| one.score),
        Combine::Vote => {
            let mut so_far = 0.0;
            let majority = opinions.iter().find(|one| {
                so_far += one.weight;
                so_far * 2.0 > all
            });
            majority.map_or(f64::NAN, |one| one.score)
        }
    }
}

/// Why a row is an anomaly: what those who say so name, by share, each as much as its score counted.
fn explain(
    combine: Combine,
    opinions: &[Opinion],
    members: &[Member],
    row: std::ops::Range<usize>,
    contributions: &mut [f64],
) {
    let who = if combine == Combine::Maximum { &opinions[..1] } else { opinions };
    for Opinion { member, score, weight } in who {
        let Some(own) = members[*member].verdicts.contributions.get(row.clone()) else { continue };
        let size: f64 = own.iter().map(|one| one.abs()).sum();
        if size > 0.0 && size.is_finite() {
            for (sum, one) in contributions.iter_mut().zip(own) {
                *sum += weight * score * one / size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(combine: Combine, opinions: &[(f64, f64)]) -> f64 {
        let opinion =
            |(at, (score, weight)): (usize, &(f64, f64))| Opinion { member: at, score: *score, weight: *weight };
        combined(combine, &mut opinions.iter().enumerate().map(opinion).collect::<Vec<_>>())
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these numbers are exact")]
    fn a_report_stands_for_as_long_as_its_incident() {
        let mut onsets = Onsets::default();
        let opinions: Vec<f64> =
            [0.7, 1.5, 0.6, 3.0, 0.9, 0.5, 0.9].into_iter().map(|score| onsets.standing(3, score)).collect();
        assert_eq!(opinions, [0.7, 1.5, 1.5, 3.0, 3.0, 0.5, 0.9]);
        onsets.standing(3, 2.0);
        assert_eq!(onsets.standing(1, 0.8), 0.8, "each series has its own");
        onsets.forget_series(&[3, 70]);
        assert_eq!(onsets.standing(3, 0.8), 0.8);
    }

    #[test]
    fn members_that_report_at_different_rows_agree_once() {
        let (mut first, mut second, mut reported) = (Onsets::default(), Onsets::default(), false);
        let mut scores = Vec::new();
        for (a, b) in [(0.1, 0.1), (3.0, 0.2), (0.7, 0.2), (0.8, 2.0), (0.8, 0.6), (0.2, 0.7), (0.1, 0.2)] {
            let standing = [(first.standing(0, a), 1.0), (second.standing(0, b), 1.0)];
            let own = of(Combine::Vote, &[(a, 1.0), (b, 1.0)]);
            scores.push(with_standing(own, of(Combine::Vote, &standing), &mut reported));
        }
        assert_eq!(
            scores,
            [0.1, 0.2, 0.2, 2.0, 0.6, 0.2, 0.1],
            "both must say so, and the incident ends with the first"
        );
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these numbers are exact")]
    fn scores_are_combined_as_they_should() {
        let three = [(0.5, 1.0), (4.0, 1.0), (1.5, 2.0)];
        assert_eq!(of(Combine::Mean, &three), 1.875);
        assert_eq!(of(Combine::Maximum, &three), 4.0);
        assert_eq!(of(Combine::Vote, &three), 1.5, "more than half of the weight says 1.5 or more");
        assert_eq!(of(Combine::Vote, &[(0.5, 1.0), (4.0, 1.0)]), 0.5, "half is no majority");
        assert_eq!(of(Combine::Vote, &[(0.5, 1.0), (4.0, 1.1)]), 4.0);
        for combine in [Combine::Mean, Combine::Maximum, Combine::Vote] {
            assert!(of(combine, &[]).is_nan());
            assert_eq!(of(combine, &[(3.0, 0.1)]), 3.0, "the others have no score: {combine:?}");
        }
    }
}
