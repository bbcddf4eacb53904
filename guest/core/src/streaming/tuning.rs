//! The constants of the detector, in one value, so that a harness can try another one.

/// The constants. They were chosen by measurement (`docs/quality.md`): each lies on a plateau, within which figures on
/// held-out sets change by less than their intervals. "Scale" is a root mean square; "nats" are natural logarithms of
/// how rare something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Lengths of the two means of residuals, in rows. Longer ones detect smaller shifts, and later.
    pub mean_rows: [f32; 2],
    /// Gain of the moving average of residuals (EWMA) from which a jump is measured, per row. Larger: slow ramps are no
    /// jumps, and the second row of a shift is none.
    pub jump_ewma_gain: f64,
    /// The largest jump that this average learns from, in scales of jumps. Larger: it follows shifts sooner, and spikes
    /// move it more.
    pub jump_clip: f64,
    /// The largest distance that a check's scale learns from, in that scale. Larger: scales adapt sooner, and an incident
    /// that lasts makes itself ordinary.
    pub scale_clip: f64,
    /// The largest residual that counts in a mean, in scales of the level. Larger: one row alone can move the means.
    pub residual_clip: f32,
    /// Half-life of a cluster's largest distance, in rows: exceedances within it are one event. For means it is twice
    /// their length where that is longer. Larger: fewer events are counted, so each is rarer.
    pub cluster_half_life: f32,
    /// Exponent of the power law of a tail that has few events. Larger: distant values are rarer.
    pub prior_exponent: f64,
    /// Weight of that exponent, in events. Larger: the series' own events change it later.
    pub prior_exponent_events: f64,
    /// Weight of the prior tail, in rows. Larger: new series are judged by it for longer.
    pub prior_rows: f64,
    /// The least rows that events are divided by, where a series has had as many. Without it, series with few rows in a
    /// half-life would find each event frequent.
    pub min_event_rows: f32,
    /// By the prior, events that reach a scales are this share of rows, times a⁻³. Larger: fewer reports of new series.
    pub prior_event_share: f64,
    /// Nats by which the threshold falls for each e-fold of the time between rows above a minute (and rises below), since
    /// people count false alarms by the day. Larger: more reports of series with few rows.
    pub threshold_per_log_step: f64,
    /// Nats by which the threshold lies below -ln of the false-alarm rate, because tails are estimated with caution.
    /// Larger: more hits and more false alarms.
    pub threshold_offset: f64,
    /// Nats by which a report raises the threshold. Rows without one lower it, so that both balance at the false-alarm
    /// rate. Larger: the rate is reached sooner, and hits after a storm of reports are fewer.
    pub report_threshold_step: f64,
    /// Share by which the threshold of a series without rows is higher. Larger: fewer reports of new series.
    pub early_threshold_share: f64,
    /// Rows after which a quarter of that share is left.
    pub early_threshold_rows: f64,
    /// Factor of the nats of the last report that another one must exceed. Larger: fewer repeated reports.
    pub repeat_factor: f64,
    /// Half-life of the nats of the last report, in rows after the incident.
    pub reported_half_life: f32,
    /// Share of these nats that counts against reports on the other side of the expected value.
    pub other_side_share: f64,
    /// Rows within which a reported event is rather something not seen before than an incident: it then counts nearly in
    /// full in the tails. The weight halves with each multiple. Larger: what recurs is sooner ordinary.
    pub young_rows: f32,
    /// Unit of novelty, in scales of the level: values that exceed the range by less are alike.
    pub novelty_unit: f64,
    /// Distance of a value an octave beyond the range. Larger: new extremes are rarer.
    pub novelty_octave: f32,
    /// Factor of each check's nats: means of 4 and 32 rows, jump, novelty, repetition. 0 switches a check off.
    pub check_weights: [f64; 5],
    /// The largest share of the mean squared distance from the level that the daily profile may leave, to be used.
    pub season_max_residual: f32,
    /// Working days before the profile is used for them. More: fewer false alarms of a profile that is not known well, and
    /// later hits.
    pub season_days: u8,
    /// Days that a bin of the profile remembers.
    pub season_memory_days: f32,
    /// The least scale of a bin, as a share of the root mean square that the profile leaves. Smaller: quiet hours are
    /// judged more strictly.
    pub season_min_scale: f64,
    /// The least scale, as a share of the smallest step between two values: smaller differences mean nothing.
    pub min_scale_step_share: f64,
    /// Rows of its own that a series needs before it starts from its siblings; their scale then has the same weight.
    pub own_rows: u16,
    /// The first rows of a series from which its siblings learn.
    pub teaching_rows: u16,
    /// The most rows of siblings that count as a series' own.
    pub max_sibling_rows: f64,
    /// An incident lasts while a check has this share of the threshold. Smaller: incidents are longer and fewer.
    pub incident_end_share: f64,
}

impl Tuning {
    /// What every detector uses.
    pub const SHIPPED: Self = Self {
        mean_rows: [4.0, 32.0],
        jump_ewma_gain: 0.1,
        jump_clip: 3.0,
        scale_clip: 2.0,
        residual_clip: 12.0,
        cluster_half_life: 16.0,
        prior_exponent: 3.0,
        prior_exponent_events: 10.0,
        prior_rows: 500.0,
        min_event_rows: 2500.0,
        prior_event_share: 0.1,
        threshold_per_log_step: 0.5,
        threshold_offset: 1.15,
        report_threshold_step: 0.05,
        early_threshold_share: 0.5,
        early_threshold_rows: 500.0,
        repeat_factor: 1.15,
        reported_half_life: 100.0,
        other_side_share: 0.7,
        young_rows: 1000.0,
        novelty_unit: 0.5,
        novelty_octave: 8.0,
        check_weights: [1.0, 1.0, 1.0, 1.2, 1.0],
        season_max_residual: 0.7,
        season_days: 3,
        season_memory_days: 10.0,
        season_min_scale: 0.5,
        min_scale_step_share: 0.5,
        own_rows: 10,
        teaching_rows: 100,
        max_sibling_rows: 2000.0,
        incident_end_share: 0.5,
    };
}
