//! One series of the streaming detector: how unusual a value is, as one score.
//!
//! A value is compared with the expected one: what is usual at the time of day, where that explains the series
//! ([`super::season`]), else the level ([`super::level`]). Five checks of the difference,
//! the residual, give how rare it is in the series' own history ([`super::tail`]): its mean over 4 and 32 rows
//! ([`super::means`]), its distance from a moving average ([`super::signal`]), how far the value lies beyond the range of
//! all earlier ones ([`super::range`]), and for how long it has been the same ([`super::repetition`]).
//!
//! The rarest check gives the score ([`super::incident`]). If it exceeds the threshold and earlier reports, an incident
//! begins; it lasts until the values have returned.

use qualm_contract::{Band, Reason};

use super::Parameters;
use super::band::Limits;
use super::checks::{CHECKS, Checks, JUMP, MEANS, NOVELTY, REPETITION};
use super::counter::{Counter, Reading};
use super::counts::EVENT;
use super::incident::{BaseThreshold, IncidentState, ThresholdInputs};
use super::level::{Decay, Level, MAX_VALUE};
use super::means::ResidualMeans;
use super::range::SeenRange;
use super::record::take;
use super::repetition::RunLengths;
use super::row_context::RowContext;
use super::season::{Expected, Season, SeasonInput, Time};
use super::sibling_stats::SiblingStats;
use super::siblings::GroupMember;
use super::signal::Signal;
use super::tail::{Hold, Tail};
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{max, min};

/// The most rows that a check's scale remembers.
const MAX_SCALE_ROWS: f64 = 5000.0;
/// Rows after which the event counts of all tails are halved: less than the row clock of 16 bits can count.
const MAX_COUNTED_ROWS: f32 = 40_000.0;
/// The largest offset of the season from the level: what single precision holds.
const MAX_OFFSET: f64 = f32::MAX as f64;
/// The least typical step between rows, in seconds.
const MIN_STEP: f32 = 1e-3;
/// Factor of the gain with which level and season learn during an incident.
const INCIDENT_GAIN_FACTOR: f64 = 0.25;

/// The result for one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// 0 is ordinary, 1 the threshold, above 1 an anomaly; NaN = not scored.
    pub(super) score: f64,
    /// Signed distance from the expected value, in the metric's own unit (of a counter, per second); NaN = not scored.
    pub(super) deviation: f64,
    /// The reason of the current incident.
    pub(super) reason: Reason,
    /// The expected value and the ordinary range, if wanted.
    pub(super) band: Band,
}

impl Verdict {
    const NONE: Self = Self { score: f64::NAN, deviation: f64::NAN, reason: Reason::None, band: Band::UNKNOWN };
}

/// What all series share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) tuning: Tuning,
    pub(super) decay: Decay,
    /// How many more series may have a season.
    pub(super) seasons: usize,
    base_threshold: BaseThreshold,
    /// Decay of clusters, by check.
    holds: [Hold; CHECKS],
    /// Gains of the means, per row.
    gains: [f32; MEANS],
    /// Local time, and that of the last row as a cache: rows of a batch often have the same time.
    local_clock: Clock,
    time: (i64, Time),
}

impl Shared {
    pub(super) fn new(p: &Parameters, tuning: Tuning, seasons: usize) -> Self {
        let [short, long] = tuning.mean_rows.map(|rows| Hold::new(max(tuning.cluster_half_life, 2.0 * rows)));
        let hold = Hold::new(tuning.cluster_half_life);
        let mut local_clock = Clock::new(p.zone.clone());
        let time = (0, Time::new(0, &mut local_clock));
        Self {
            tuning,
            decay: Decay::default(),
            seasons,
            base_threshold: BaseThreshold::new(p, &tuning),
            holds: [short, long, hold, hold, hold],
            gains: tuning.mean_rows.map(|rows| 1.0 / rows),
            local_clock,
            time,
        }
    }

    fn local_time(&mut self, time_ns: i64) -> Time {
        if self.time.0 != time_ns {
            self.time = (time_ns, Time::new(time_ns, &mut self.local_clock));
        }
        self.time.1
    }
}

/// The state of one series. The fields that each row needs come first; the tails, which few rows need, come last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Time of the last value, even if it was earlier than that of the one before.
    time_ns: i64,
    counter: Counter,
    level: Level,
    season: Option<Box<Season>>,
    /// The last value, or rate.
    last_value: f64,
    /// Moving average of residuals, in the metric's unit, and what the season then expected above the level.
    residual_ewma: f64,
    season_offset: f32,
    /// Rows since the scale is known: those behind the event counts, and all of them, wrapping.
    counted_rows: f32,
    row_clock: u16,
    incident: IncidentState,
    run_lengths: RunLengths,
    range: SeenRange,
    jumps: Signal,
    means: ResidualMeans,
}

impl Series {
    /// A series without values.
    pub(super) const fn new() -> Self {
        Self {
            time_ns: 0,
            counter: Counter::new(),
            level: Level::new(),
            season: None,
            last_value: 0.0,
            residual_ewma: 0.0,
            season_offset: 0.0,
            counted_rows: 0.0,
            row_clock: 0,
            incident: IncidentState::new(),
            run_lengths: RunLengths::new(),
            range: SeenRange::of(0.0),
            jumps: Signal::new(),
            means: ResidualMeans::new(),
        }
    }

    /// Whether it had a value.
    pub(super) fn has_past(&self) -> bool {
        !self.counter.is_new()
    }

    /// Whether it has a season.
    pub(super) fn has_season(&self) -> bool {
        self.season.is_some()
    }

    /// Scores a value and then learns from it. `time_ns` is in nanoseconds since 1970; it may repeat or go backwards. The
    /// band is computed if `with_band`. A series with siblings (`member`) also learns from them, and they from it.
    pub(super) fn score_value(
        &mut self,
        p: &Parameters,
        shared: &mut Shared,
        mut member: Option<GroupMember<'_>>,
        time_ns: i64,
        value: f64,
        with_band: bool,
    ) -> Verdict {
        if !value.is_finite() {
            return Verdict::NONE;
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let seconds = time_ns.saturating_sub(self.time_ns) as f64 * 1e-9;
        self.time_ns = time_ns;
        let reading = match &mut member {
            None => self.counter.read_value(seconds, value),
            Some(member) => member.read_value(&mut self.counter, seconds, value),
        };
        let value = match reading {
            Reading::Value => value,
            Reading::Rate(rate) => min(rate, MAX_VALUE), // a large rise within a nanosecond is infinite
            Reading::Skip => return Verdict::NONE,
            Reading::KindChanged => {
                shared.seasons += usize::from(self.has_season());
                *self = Self { time_ns, counter: self.counter, ..Self::new() };
                return Verdict::NONE;
            }
        };
        self.level.decay_weight(seconds, p.half_life, p.min_samples, &mut shared.decay);
        if self.level.effective_rows == 0.0 {
            (self.last_value, self.range, self.level.mean) = (value, SeenRange::of(value), value);
        }
        let sibling_stats = member.as_ref().and_then(|member| member.sibling_stats(&shared.tuning));
        let sibling_rows = sibling_stats.map_or(0.0, |sibling_stats| sibling_stats.rows);
        let scored = self.level.is_warm(p.min_samples, sibling_rows);
        let counts_before =
            member.as_ref().filter(|member| member.is_teaching(&shared.tuning)).map(|_| self.event_counts());
        let has_scale = self.level.has_scale();
        self.level.update_min_step((value - self.last_value).abs());
        let min_scale = self.level.min_scale(shared.tuning.min_scale_step_share);
        let square = self.level.mean_square(min_scale);
        let level_residual = value - self.level.mean;
        let learning = if self.incident.slows_learning() { INCIDENT_GAIN_FACTOR } else { 1.0 };
        let time = shared.local_time(time_ns);
        if has_scale && self.season.is_none() && shared.seasons > 0 && begins_season(time_ns, value, self.last_value) {
            shared.seasons -= 1;
            self.season = Some(Box::new(Season::new(self.level.mean, square.sqrt(), time)));
        }
        let rate = 1.0 / max(self.level.typical_step, MIN_STEP);
        let input = SeasonInput { value, level_residual, square, min_scale, rate, gain_factor: learning };
        let expected = self.season.as_mut().and_then(|season| season.update_expected(time, &input, &shared.tuning));
        let expected = expected.unwrap_or(Expected { value: self.level.mean, square, square_factor: 1.0 });
        let residual = value - expected.value;
        self.rebase_residual_ewma(residual - level_residual);
        let band = if with_band && scored {
            self.band(shared, sibling_stats, &expected, square, min_scale)
        } else {
            Band::UNKNOWN
        };
        let gain = self.level.gain();
        let checks = self.run_checks(shared, sibling_stats, &input, &expected, gain, has_scale);
        self.last_value = value;
        self.level.update_level(level_residual, square, learning * gain);
        let score = scored.then(|| {
            self.incident.score_row(
                &shared.base_threshold,
                &shared.tuning,
                self.threshold_inputs(sibling_rows),
                &checks,
            )
        });
        if score.is_some_and(|score| score > 1.0) {
            self.mark_reported(shared, sibling_rows);
        }
        if let Some(member) = member {
            self.update_siblings(p, &shared.tuning, member, counts_before.as_ref().filter(|_| has_scale));
        }
        let Some(score) = score else { return Verdict::NONE };
        let reason = self.reason(matches!(reading, Reading::Rate(_)));
        Verdict { score, deviation: residual, reason, band }
    }

    /// What its threshold depends on; `sibling_rows` count as its own.
    fn threshold_inputs(&self, sibling_rows: f32) -> ThresholdInputs {
        ThresholdInputs { rows: self.counted_rows + sibling_rows, step: self.level.typical_step }
    }

    /// The rows that events are divided by, `sibling_rows` included: those that the level remembers, but at least a few
    /// thousand if there were as many. Events are remembered for longer than rows, so that an event makes the next one less
    /// rare for a long time.
    fn event_rows(&self, sibling_rows: f32, t: &Tuning) -> f64 {
        f64::from(max(self.level.effective_rows, min(self.counted_rows, t.min_event_rows)) + sibling_rows)
    }

    /// Why the current incident was reported.
    fn reason(&self, rate: bool) -> Reason {
        match self.incident.cause() {
            None => Reason::None,
            Some(_) if rate => Reason::Rate,
            Some(JUMP) => Reason::OutsideBand,
            Some(NOVELTY) => Reason::Novel,
            Some(REPETITION) => Reason::Stuck,
            Some(_) => Reason::LevelShift,
        }
    }

    /// The expected value and the range within which the next value is not reported as a jump or as new. During an incident
    /// the last values are not ordinary; then it is the range in which values, if they stay, end the incident by the shortest
    /// mean.
    #[inline(never)]
    fn band(
        &self,
        shared: &Shared,
        sibling_stats: Option<SiblingStats<'_>>,
        expected: &Expected,
        square: f64,
        min_scale: f64,
    ) -> Band {
        let (t, level, sibling_rows) =
            (&shared.tuning, self.level.mean, sibling_stats.map_or(0.0, |sibling_stats| sibling_stats.rows));
        let rows = self.event_rows(sibling_rows, t);
        let required = self.incident.required_nats(&shared.base_threshold, t, self.threshold_inputs(sibling_rows));
        let limits = if self.incident.cause().is_some() {
            self.means.limits(required, rows, sibling_stats, t).scaled(expected.square.sqrt()).around(expected.value)
        } else {
            let jump = self
                .jumps
                .limits(JUMP, required, min_scale, rows, sibling_stats, t)
                .scaled(1.0 / expected.square_factor.sqrt());
            let new =
                self.range.limits(required, (level, square.sqrt()), self.counted_rows + sibling_rows, sibling_stats, t);
            jump.around(expected.value + self.residual_ewma).narrowed(new.around(level))
        };
        let Limits { below, above } = limits;
        let lower = if self.range.is_positive() { max(below, 0.0) } else { below };
        Band { expected: expected.value, lower: min(lower, expected.value), upper: max(above, expected.value) }
    }

    /// When the expected value changes from the level to the season's or back, shifts the average of residuals by the
    /// difference, so that it stays the same value of the metric.
    fn rebase_residual_ewma(&mut self, season_offset: f64) {
        let before = f64::from(self.season_offset);
        if (season_offset == 0.0) != (before == 0.0) {
            self.residual_ewma += season_offset - before;
        }
        self.season_offset = season_offset.clamp(-MAX_OFFSET, MAX_OFFSET) as f32;
    }

    /// Runs all checks on a value, and lets them learn from it.
    fn run_checks(
        &mut self,
        shared: &Shared,
        sibling_stats: Option<SiblingStats<'_>>,
        input: &SeasonInput,
        expected: &Expected,
        gain: f64,
        has_scale: bool,
    ) -> Checks {
        let t = &shared.tuning;
        let &SeasonInput { value, square, min_scale, .. } = input;
        let residual = value - expected.value;
        if has_scale {
            self.count_row(&shared.holds);
        }
        let sibling_rows = sibling_stats.map_or(0.0, |sibling_stats| sibling_stats.rows);
        let in_incident = self.incident.cause().is_some();
        let row = RowContext {
            tuning: t,
            gain: max(gain, 1.0 / MAX_SCALE_ROWS),
            clip_squared: t.scale_clip * t.scale_clip,
            has_scale,
            holds: &shared.holds,
            clock: self.row_clock,
            rows: self.event_rows(sibling_rows, t),
            event_weight: if in_incident { self.reported_event_weight(sibling_rows, t) } else { EVENT },
            sibling_stats,
        };
        let mut checks = Checks::default();
        let clipped = min((residual * residual / expected.square) as f32, t.residual_clip * t.residual_clip).sqrt();
        let clipped = if residual < 0.0 { -clipped } else { clipped };
        self.means.check_means(&row, clipped, shared.gains.map(|least| max(least, gain as f32)), &mut checks);
        let jump = residual - self.residual_ewma;
        let clipped = if has_scale { self.jumps.clip(jump, t.jump_clip, min_scale) } else { jump };
        self.residual_ewma += max(t.jump_ewma_gain, gain) * clipped;
        self.jumps.check_signal(&row, JUMP, jump * jump * expected.square_factor, jump < 0.0, min_scale, &mut checks);
        self.range.check_range(&row, value, self.level.mean, square, self.counted_rows + sibling_rows, &mut checks);
        if value.to_bits() == self.last_value.to_bits() {
            self.run_lengths.check_repetition(&row, value, self.counted_rows + sibling_rows, in_incident, &mut checks);
        } else {
            self.run_lengths.end_run(&row, self.last_value);
        }
        checks
    }

    /// Counts a row for the tails, and halves all event counts when there are many.
    fn count_row(&mut self, holds: &[Hold; CHECKS]) {
        self.counted_rows += 1.0;
        self.row_clock = self.row_clock.wrapping_add(1);
        if self.counted_rows >= MAX_COUNTED_ROWS {
            self.counted_rows *= 0.5;
            let row_clock = self.row_clock;
            self.for_each_tail(|check, tail| tail.halve_counts(row_clock, holds[check]));
            self.run_lengths.halve_counts();
        }
    }

    /// Marks the current clusters as reported.
    fn mark_reported(&mut self, shared: &Shared, sibling_rows: f32) {
        let (row_clock, event_weight) = (self.row_clock, self.reported_event_weight(sibling_rows, &shared.tuning));
        self.for_each_tail(|check, tail| tail.mark_reported(row_clock, shared.holds[check], event_weight));
    }

    /// Calls `f` for each tail, with the number of its check.
    fn for_each_tail(&mut self, mut f: impl FnMut(usize, &mut Tail)) {
        for (check, sides) in self.means.sides().iter_mut().chain([self.jumps.sides()]).enumerate() {
            sides.tails().into_iter().for_each(|tail| f(check, tail));
        }
        f(NOVELTY, self.range.tail());
    }

    /// The weight of a reported event. In a young series it is nearly that of others: there, new values are more often
    /// ordinary than incidents.
    fn reported_event_weight(&self, sibling_rows: f32, t: &Tuning) -> u8 {
        min(EVENT, 1 + (EVENT >> min(((self.counted_rows + sibling_rows) / t.young_rows) as u32, 7)))
    }

    /// Appends the state, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self {
            time_ns,
            counter,
            level,
            season,
            last_value,
            residual_ewma,
            season_offset,
            counted_rows,
            row_clock,
            incident,
            run_lengths,
            range,
            jumps,
            means,
        } = self;
        out.extend(time_ns.to_le_bytes());
        counter.write_state(out);
        level.write_state(out);
        out.extend([last_value, residual_ewma].map(|value| value.to_le_bytes()).as_flattened());
        out.extend([season_offset, counted_rows].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(row_clock.to_le_bytes());
        incident.write_state(out);
        run_lengths.write_state(out);
        range.write_state(out);
        jumps.write_state(out);
        means.write_state(out);
        out.push(u8::from(season.is_some()));
        if let Some(season) = season {
            season.write_state(out);
        }
    }

    /// Reads the state from the front; `None` where a value is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let time_ns = i64::from_le_bytes(take(bytes)?);
        let (counter, level) = (Counter::read_state(bytes)?, Level::read_state(bytes)?);
        let [last_value, residual_ewma] = [take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let [season_offset, counted_rows] = [take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        let row_clock = u16::from_le_bytes(take(bytes)?);
        let (incident, run_lengths, range) =
            (IncidentState::read_state(bytes)?, RunLengths::read_state(bytes)?, SeenRange::read_state(bytes)?);
        let (jumps, means) = (Signal::read_state(bytes)?, ResidualMeans::read_state(bytes)?);
        let season = match take(bytes)? {
            [0] => None,
            [1] => Some(Box::new(Season::read_state(bytes)?)),
            _ => return None,
        };
        let possible = last_value.abs() <= MAX_VALUE
            && residual_ewma.abs() <= 8.0 * MAX_VALUE
            && season_offset.is_finite()
            && (0.0..=MAX_COUNTED_ROWS).contains(&counted_rows);
        possible.then_some(Self {
            time_ns,
            counter,
            level,
            season,
            last_value,
            residual_ewma,
            season_offset,
            counted_rows,
            row_clock,
            incident,
            run_lengths,
            range,
            jumps,
            means,
        })
    }
}

/// Whether a season begins with a row: one in sixteen of those whose value changes, by a hash of the row (multiplicative
/// hashing, Knuth 6.4). So series that began together do not all allocate their seasons in one batch.
fn begins_season(time_ns: i64, value: f64, last_value: f64) -> bool {
    value.to_bits() != last_value.to_bits()
        && (value.to_bits() ^ time_ns as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

mod start;
#[cfg(test)]
mod tests;
