//! Counts of hits and false alarms, and their text.

use std::ops::AddAssign;

/// Where bands of rows of a pod's life begin: what comes before the first is not scored.
const BANDS: [usize; 3] = [10, 30, 100];

/// What was found of some pods.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) pods: usize,
    pub(crate) days: f64,
    pub(crate) by_band: [Band; BANDS.len()],
}

/// What was found in a band of rows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Band {
    /// Rows that have a score, and values above 1 where no incident is.
    pub(crate) scored: usize,
    pub(crate) false_alarms: usize,
    /// Incidents that begin in it, and those of them that were reported.
    pub(crate) incidents: usize,
    pub(crate) hits: usize,
}

impl Found {
    /// The band of a row of a pod's life.
    pub(crate) fn band(&mut self, row: usize) -> &mut Band {
        &mut self.by_band[BANDS.iter().rposition(|&from| row >= from).unwrap_or(0)]
    }

    /// In all bands.
    pub(crate) fn all(&self) -> Band {
        let mut all = Band::default();
        self.by_band.into_iter().for_each(|band| all += band);
        all
    }

    /// A share of incidents: in all, and by band.
    pub(crate) fn hits(&self) -> [String; 2] {
        let by_band: Vec<_> = self.by_band.iter().map(Band::hits).collect();
        [self.all().hits(), by_band.join(" / ")]
    }

    /// False episodes: a pod, a day of a series, and values above 1 over this rate, by band.
    pub(crate) fn false_alarms(&self, rate: f64) -> [String; 3] {
        let all = self.all();
        if all.scored == 0 {
            return [NOTHING; 3].map(str::to_owned);
        }
        let by_band: Vec<_> = self.by_band.iter().map(|band| band.over(rate)).collect();
        let episodes = all.false_alarms as f64;
        [format!("{:.4}", episodes / self.pods as f64), format!("{:.3}", episodes / self.days), by_band.join(" / ")]
    }
}

/// The text of an empty cell.
const NOTHING: &str = "–";

impl Band {
    fn hits(&self) -> String {
        if self.incidents == 0 {
            return NOTHING.to_owned();
        }
        format!("{:.2}", self.hits as f64 / self.incidents as f64)
    }

    /// The rate of values above 1, divided by the configured one.
    fn over(&self, rate: f64) -> String {
        if self.scored == 0 {
            return NOTHING.to_owned();
        }
        format!("{:.1}", self.false_alarms as f64 / self.scored as f64 / rate)
    }
}

impl AddAssign for Found {
    fn add_assign(&mut self, other: Self) {
        let Self { pods, days, by_band } = other;
        self.pods += pods;
        self.days += days;
        self.by_band.iter_mut().zip(by_band).for_each(|(band, other)| *band += other);
    }
}

impl AddAssign for Band {
    fn add_assign(&mut self, other: Self) {
        let Self { scored, false_alarms, incidents, hits } = other;
        self.scored += scored;
        self.false_alarms += false_alarms;
        self.incidents += incidents;
        self.hits += hits;
    }
}
