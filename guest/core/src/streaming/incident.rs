//! From the checks of a row to its score: whether an incident begins with it, and whether one lasts.

use super::Parameters;
use super::band::RequiredNats;
use super::checks::{CHECKS, Checks};
use super::record::take;
use super::tuning::Tuning;
use crate::math::{max, min, octaves};

/// Rows of an incident during which level and profile learn less than from other rows.
const MAX_SLOW_ROWS: u16 = 500;
/// The largest ln of a time step over a minute that counts, either way: e⁴ minutes are about an hour.
const MAX_LOG_STEP: f64 = 4.0;
/// Nats at which the score of a row that is not reported is half of its largest value.
const HALF_SCORE_NATS: f64 = 15.0;
/// Gain per row, and weight, of the average of recent nats in that score, so that a lasting deviation scores more than a
/// single row. A smaller average than the minimum becomes 0.
const NATS_EWMA_GAIN: f32 = 0.1;
const NATS_EWMA_WEIGHT: f64 = 4.0;
const MIN_NATS_EWMA: f32 = 1e-2;
/// The largest score without an incident; and the least score during one, with the range above it.
pub(super) const MAX_ORDINARY_SCORE: f64 = 0.5;
const INCIDENT_SCORE: (f64, f64) = (0.51, 0.44);
/// Reported nats below this become 0.
const MIN_REPORTED_NATS: f32 = 1e-6;
/// `cause` without an incident.
const NO_CAUSE: u8 = CHECKS as u8;

/// The part of the threshold that all series share.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaseThreshold {
    /// -ln of the false-alarm rate, less the offset.
    nats: f64,
    /// Nats that a report adds, and that a row without one takes away.
    report_step: f32,
    row_step: f32,
    /// Factor per row of the nats that were reported.
    reported_decay: f32,
}

impl BaseThreshold {
    pub(super) fn new(p: &Parameters, t: &Tuning) -> Self {
        Self {
            nats: -libm::log(p.false_alarm_rate) - t.threshold_offset,
            report_step: t.report_threshold_step as f32,
            row_step: (p.false_alarm_rate * t.report_threshold_step) as f32,
            reported_decay: libm::exp2f(-1.0 / t.reported_half_life),
        }
    }
}

/// A series' incident, and what moves its threshold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IncidentState {
    /// Moving average of the nats of recent rows.
    nats_ewma: f32,
    /// Nats on top of the base threshold, so that reports keep to their rate.
    adaptive_nats: f32,
    /// Nats that were reported above and below the expected value, decaying.
    reported_nats: [f32; 2],
    /// Rows of the current incident, and the check that reported it.
    rows: u16,
    cause: u8,
}

/// What else the threshold of a series depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThresholdInputs {
    /// Rows since scales are known.
    pub(super) rows: f32,
    /// Typical seconds between two rows.
    pub(super) step: f32,
}

impl IncidentState {
    pub(super) const fn new() -> Self {
        Self { nats_ewma: 0.0, adaptive_nats: 0.0, reported_nats: [0.0; 2], rows: 0, cause: NO_CAUSE }
    }

    /// The check that reported the current incident.
    pub(super) fn cause(&self) -> Option<usize> {
        (self.cause != NO_CAUSE).then_some(self.cause.into())
    }

    /// Whether an incident is so recent that learning is slowed down.
    pub(super) fn slows_learning(&self) -> bool {
        self.cause().is_some() && self.rows < MAX_SLOW_ROWS
    }

    /// The score of a row: above 1 an incident is reported, or the current one became worse.
    pub(super) fn score_row(
        &mut self,
        base: &BaseThreshold,
        t: &Tuning,
        inputs: ThresholdInputs,
        checks: &Checks,
    ) -> f64 {
        let nats = checks.max_nats();
        let share = self.update_nats_ewma(nats);
        self.adaptive_nats = max(self.adaptive_nats - base.row_step, 0.0);
        // Reported nats decay after the incident only.
        if self.cause().is_none() {
            if max(self.reported_nats[0], self.reported_nats[1]) > 0.0 {
                self.reported_nats = self
                    .reported_nats
                    .map(|nats| if nats < MIN_REPORTED_NATS { 0.0 } else { nats * base.reported_decay });
            }
            if nats == 0.0 {
                return MAX_ORDINARY_SCORE * share; // most rows
            }
        }
        self.score_checks(base, t, inputs, checks, share)
    }

    /// Adds a row to the average, and returns where the row and the average lie between 0 and 1.
    fn update_nats_ewma(&mut self, nats: f64) -> f64 {
        let before = self.nats_ewma;
        let next = before + NATS_EWMA_GAIN * (nats as f32 - before);
        self.nats_ewma = if next < MIN_NATS_EWMA { 0.0 } else { next };
        let nats = nats + NATS_EWMA_WEIGHT * f64::from(before);
        if nats == 0.0 {
            return 0.0;
        }
        let squared = (nats * nats * (1.0 / (HALF_SCORE_NATS * HALF_SCORE_NATS))) as f32;
        (squared / (1.0 + squared)).into()
    }

    #[inline(never)]
    fn score_checks(
        &mut self,
        base: &BaseThreshold,
        t: &Tuning,
        inputs: ThresholdInputs,
        checks: &Checks,
        share: f64,
    ) -> f64 {
        let threshold = self.threshold(base, t, inputs);
        let onset = self.onset(checks, t);
        let score = onset.map_or(0.0, |onset| onset.nats / threshold);
        self.rows = self.rows.saturating_add(1);
        if let Some(Onset { check, nats, below }) = onset
            && score > 1.0
        {
            // Adaptive conformal inference (Gibbs & Candès, NeurIPS 2021): a report raises the threshold, other rows
            // lower it.
            self.adaptive_nats = min(self.adaptive_nats + base.report_step, base.nats as f32);
            let reported = &mut self.reported_nats[usize::from(below)];
            *reported = max(*reported, nats as f32);
            if self.cause().is_none() {
                self.rows = 0;
            }
            self.cause = check as u8;
        } else if max(checks.nats(0), checks.nats(self.cause.into())) < t.incident_end_share * threshold {
            // Neither the shortest mean nor the check that reported the incident still shows it.
            self.cause = NO_CAUSE;
        }
        let unreported = if self.cause().is_some() {
            INCIDENT_SCORE.0 + INCIDENT_SCORE.1 * share
        } else {
            MAX_ORDINARY_SCORE * share
        };
        max(score, unreported)
    }

    /// The nats that an alarm must exceed.
    fn threshold(&self, base: &BaseThreshold, t: &Tuning, inputs: ThresholdInputs) -> f64 {
        let early = t.early_threshold_rows / (t.early_threshold_rows + f64::from(inputs.rows));
        let log_step = octaves(f64::from(max(inputs.step, 1e-3)) / 60.0) * std::f64::consts::LN_2;
        let nats = max(base.nats - t.threshold_per_log_step * log_step.clamp(-MAX_LOG_STEP, MAX_LOG_STEP), 1.0);
        (nats + f64::from(self.adaptive_nats)) * (1.0 + t.early_threshold_share * early * early)
    }

    /// The nats that a report on a side must exceed because of earlier reports.
    fn repeat_threshold(&self, below: bool, t: &Tuning) -> f64 {
        let [this, other] = [below, !below].map(|side| f64::from(self.reported_nats[usize::from(side)]));
        max(this, t.other_side_share * other) * t.repeat_factor
    }

    /// The nats that a row needs on each side to be reported; during an incident, to prolong it.
    pub(super) fn required_nats(&self, base: &BaseThreshold, t: &Tuning, inputs: ThresholdInputs) -> RequiredNats {
        let threshold = self.threshold(base, t, inputs);
        if self.cause().is_some() {
            return RequiredNats { below: t.incident_end_share * threshold, above: t.incident_end_share * threshold };
        }
        let [above, below] = [false, true].map(|below| max(threshold, self.repeat_threshold(below, t)));
        RequiredNats { below, above }
    }

    /// The rarest check that rises, and exceeds what was reported.
    fn onset(&self, checks: &Checks, t: &Tuning) -> Option<Onset> {
        let new = checks.rising().filter(|(_, nats, below)| *nats > self.repeat_threshold(*below, t));
        let onsets = new.map(|(check, nats, below)| Onset { check, nats, below });
        onsets.reduce(|most, one| if one.nats > most.nats { one } else { most })
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { nats_ewma, adaptive_nats, reported_nats: [above, below], rows, cause } = self;
        out.extend([nats_ewma, adaptive_nats, above, below].into_iter().flat_map(|nats| nats.to_le_bytes()));
        out.extend(rows.to_le_bytes());
        out.push(*cause);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let nats @ [nats_ewma, adaptive_nats, above, below] =
            [take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        let (rows, [cause]) = (u16::from_le_bytes(take(bytes)?), take(bytes)?);
        let possible = nats.iter().all(|nats| (0.0..=1e4).contains(nats)) && cause <= NO_CAUSE;
        possible.then_some(Self { nats_ewma, adaptive_nats, reported_nats: [above, below], rows, cause })
    }
}

/// A check that reports an incident.
#[derive(Clone, Copy, Debug)]
struct Onset {
    check: usize,
    nats: f64,
    below: bool,
}
