//! The constants of the mathematics, in one value: measuring another one is one line of a harness.

/// What was chosen by measurement. `docs/quality.md` has how: each value lies on a plateau, within which figures on
/// held-out sets move by less than their intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Rows over which the means of the unexplained rest are taken.
    pub means: [f32; 2],
    /// Gain of the quick mean that a jump is measured from.
    pub quick: f64,
    /// Jumps teach the quick mean so many of their own scales at most.
    pub jump_limit: f64,
    /// What a look sees teaches its scale so many scales at most: an incident that lasts must not become the measure.
    pub scale_limit: f64,
    /// The rest counts so many scales at most in a mean.
    pub rest_limit: f32,
    /// Half-life, in rows, of what a cluster of exceedances holds: rows within it are one event. Means hold for twice
    /// their own length where that is longer.
    pub hold: f32,
    /// Exponent of a tail of which little is known.
    pub exponent: f64,
    /// How many events that is worth.
    pub exponent_weight: f64,
    /// Rows that the prior tail is worth.
    pub prior_rows: f64,
    /// Rows among which events are counted at least, where a series has had as many: a row each five minutes is soon
    /// forgotten by the level.
    pub least_rows: f32,
    /// By the prior, this share of rows times a⁻³ is an event that reaches a scales.
    pub prior_share: f64,
    /// What a row is worth more, in nats, for each e-fold by which rows are farther apart than a minute: people count
    /// false alarms by the day.
    pub by_time: f64,
    /// Nats that a score of 1 lies below -ln of the false-alarm rate: tails are estimated with caution.
    pub slack: f64,
    /// Nats by which a report raises the bar, and rows without one lower it, so that both balance at the wanted rate.
    pub learned: f64,
    /// How much higher the bar is for a series of which nothing is known.
    pub early: f64,
    /// Rows at which a quarter of that is left.
    pub early_rows: f64,
    /// How many times what was reported something must have, in nats, to be reported as well.
    pub again: f64,
    /// Rows by which what was reported has fallen to half.
    pub reported_half: f32,
    /// The share of a report that counts for the other side.
    pub across: f64,
    /// Rows after which a series is known so well that a report of it is more likely an incident than something not yet
    /// seen.
    pub young: f32,
    /// Scales of the level within which values beyond the range seen are alike.
    pub novel_unit: f64,
    /// Distances that an octave beyond the range is worth.
    pub novel_octave: f32,
    /// What each look's nats count: the means of 4 and 32 rows, jump, novelty and the same value again. With 0 a look
    /// is left out.
    pub weights: [f64; 5],
    /// Largest share of the mean squared distance from the level that a season may leave, to be of use.
    pub season_left: f32,
    /// Working days before a season judges them.
    pub season_days: u8,
    /// Days that a bin of a season remembers.
    pub season_memory: f32,
    /// Least scale in a bin, in root mean squares of what the season leaves.
    pub season_floor: f64,
    /// Share of the smallest step ever seen below which differences mean nothing.
    pub resolution: f64,
    /// Rows that a new series has of its own before it starts from its siblings; what these tell of its scale counts as much.
    pub own_rows: u16,
    /// Rows of its life, the first ones, in which a series teaches its siblings.
    pub teaches: u16,
    /// Rows that siblings lend a series at most.
    pub lent: f64,
    /// An incident goes on while what shows it has this share of the bar.
    pub ends: f64,
}

impl Tuning {
    /// What every detector uses.
    pub const SHIPPED: Self = Self {
        means: [4.0, 32.0],
        quick: 0.1,
        jump_limit: 3.0,
        scale_limit: 2.0,
        rest_limit: 12.0,
        hold: 16.0,
        exponent: 3.0,
        exponent_weight: 10.0,
        prior_rows: 500.0,
        least_rows: 2500.0,
        prior_share: 0.1,
        by_time: 0.5,
        slack: 1.15,
        learned: 0.05,
        early: 0.5,
        early_rows: 500.0,
        again: 1.15,
        reported_half: 100.0,
        across: 0.7,
        young: 1000.0,
        novel_unit: 0.5,
        novel_octave: 8.0,
        weights: [1.0, 1.0, 1.0, 1.2, 1.0],
        season_left: 0.7,
        season_days: 3,
        season_memory: 10.0,
        season_floor: 0.5,
        resolution: 0.5,
        own_rows: 10,
        teaches: 100,
        lent: 2000.0,
        ends: 0.5,
    };
}
