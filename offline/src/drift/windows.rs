//! When something drifted in windows of the rows, and how strongly.

use super::{Moment, Outcome};

/// When drift was sustained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sustained {
    /// At which end of a window first.
    pub from: i64,
    /// At which last.
    pub until: i64,
    /// Whether it was not at some end between them.
    pub breaks: bool,
    /// Whether it still was at the last end of all.
    pub lasts: bool,
}

impl Sustained {
    /// Where something holds at some end of a window.
    pub(super) fn of(timeline: &[Moment], holds: impl Fn(&Moment) -> bool) -> Option<Self> {
        let (first, last) = (timeline.iter().position(&holds)?, timeline.iter().rposition(&holds)?);
        Some(Self {
            from: timeline[first].time,
            until: timeline[last].time,
            breaks: !timeline[first..=last].iter().all(holds),
            lasts: last + 1 == timeline.len(),
        })
    }
}

/// What was found of a feature, or of the score, in all windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InWindows {
    /// How many tests voted for drift at most; `None` without a window.
    pub most_votes: Option<usize>,
    /// When it drifted.
    pub sustained: Option<Sustained>,
    /// What of it drifted that the five tests do not see.
    pub besides: Vec<&'static str>,
}

/// What drifts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes {
    /// Features.
    pub features: Vec<usize>,
    /// The score, in any way.
    pub scores: bool,
    /// The rate of alarms.
    pub alarms: bool,
}

impl Causes {
    /// Whether nothing does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.features.is_empty() && !self.scores && !self.alarms
    }
}

impl Outcome {
    /// What was found in windows of a feature or, if that is the number of features, of the score.
    #[must_use]
    pub fn in_windows(&self, column: usize) -> InWindows {
        let moments = || self.timeline.iter().map(|moment| moment.columns[column]);
        let mut besides: Vec<&'static str> = moments().filter_map(|moment| moment.besides).collect();
        besides.sort_unstable();
        besides.dedup();
        InWindows {
            most_votes: moments().map(|moment| moment.votes).max(),
            sustained: Sustained::of(&self.timeline, |moment| moment.columns[column].drifts),
            besides,
        }
    }

    /// When the rate of alarms drifted.
    #[must_use]
    pub fn alarms_in_windows(&self) -> Option<Sustained> {
        Sustained::of(&self.timeline, |moment| moment.alarms_drift)
    }

    /// What drifts, of all rows together or in some windows.
    #[must_use]
    pub fn drifted(&self) -> Causes {
        let features = (0..self.report.features.len()).filter(|feature| self.feature_drifts(*feature)).collect();
        Causes { features, scores: self.score_drifts(), alarms: self.alarms_drift() }
    }

    /// What drifts, sustained, at the end of a window.
    #[must_use]
    pub fn drifting(&self, moment: &Moment) -> Causes {
        let columns = self.report.features.len();
        let features = (0..columns).filter(|feature| moment.columns[*feature].drifts).collect();
        Causes { features, scores: moment.columns[columns].drifts, alarms: moment.alarms_drift }
    }

    /// What drifted when drift was first sustained.
    #[must_use]
    pub fn began_of(&self) -> Option<Causes> {
        let began = self.began()?;
        self.timeline.iter().find(|moment| moment.time == began).map(|moment| self.drifting(moment))
    }
}

#[cfg(test)]
mod tests {
    use qualm_drift::State;

    use super::*;

    fn sustained(holds: &str) -> Option<Sustained> {
        let moment = |(time, drifts): (usize, char)| Moment {
            time: time as i64,
            state: State::None,
            columns: Vec::new(),
            alarm_rate: None,
            alarms_drift: drifts == 'x',
        };
        let timeline: Vec<Moment> = holds.chars().enumerate().map(moment).collect();
        Sustained::of(&timeline, |moment| moment.alarms_drift)
    }

    #[test]
    fn drift_has_a_first_and_a_last_time() {
        assert_eq!((sustained(""), sustained("...")), (None, None));
        let found = |from, until, breaks, lasts| Some(Sustained { from, until, breaks, lasts });
        assert_eq!(sustained(".xx."), found(1, 2, false, false));
        assert_eq!(sustained(".x.x"), found(1, 3, true, true));
        assert_eq!(sustained("...x"), found(3, 3, false, true));
    }
}
