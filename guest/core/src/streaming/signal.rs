//! One look at a series: a signed number that should be near 0, in units of its own scale, and how rare that is on
//! each side.

use super::band::{Limits, Needed};
use super::looks::{JUMP, LOOKS, Looks};
use super::lore::Loan;
use super::record::take;
use super::tail::{Counts, Hold, LEAST, Moment, Tail};
use super::tuning::Tuning;
use crate::math::{max, min};

/// Values that teach a scale count so many scales at most.
pub(super) const LIMIT: f64 = 4.0;
/// The square of the distance from which on a tail is asked.
pub(super) const NEAR: f64 = (LEAST * LEAST) as f64;
/// The largest distance there is, in scales.
const MAX_DISTANCE: f64 = 1e9;

/// A signal's scale and its two tails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Mean square, values limited.
    square: f64,
    above: Tail,
    below: Tail,
}

/// What a row needs of its series to look at a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) tuning: &'a Tuning,
    /// Share of what is learned.
    pub(super) gain: f64,
    /// Whether scales mean anything yet.
    pub(super) settled: bool,
    /// By look.
    pub(super) holds: &'a [Hold; LOOKS],
    /// The series' clock, rows behind the counts, and what an event counts.
    pub(super) clock: u16,
    pub(super) rows: f64,
    pub(super) counting: u8,
    /// What siblings lend it.
    pub(super) loan: Option<Loan<'a>>,
}

impl<'a> Row<'a> {
    /// When a look meets a distance on a side.
    pub(super) fn moment(&self, look: usize, below: bool) -> Moment<'a> {
        let &Self { clock, rows, counting, holds, loan, .. } = self;
        Moment { clock, rows, counting, hold: holds[look], lent: loan.map(|loan| loan.of(look, below)) }
    }
}

impl Signal {
    pub(super) const fn new() -> Self {
        Self { square: 0.0, above: Tail::new(), below: Tail::new() }
    }

    /// Looks at `value`, and learns from it.
    pub(super) fn observe(&mut self, row: &Row<'_>, look: usize, value: f64, floor: f64, looks: &mut Looks) {
        let least = max(self.square, floor * floor);
        let squared = value * value;
        if squared >= NEAR * least && row.settled {
            self.look(row, look, value, (squared / least).sqrt(), looks);
        }
        let most = if row.settled { LIMIT * LIMIT * least } else { f64::INFINITY };
        self.square += row.gain * (min(squared, most) - self.square);
    }

    #[inline(never)]
    fn look(&mut self, row: &Row<'_>, look: usize, value: f64, distance: f64, looks: &mut Looks) {
        let below = value < 0.0;
        let tail = if below { &mut self.below } else { &mut self.above };
        let rarity = tail.observe(min(distance, MAX_DISTANCE) as f32, &row.moment(look, below), row.tuning);
        looks.set(look, rarity.nats * row.tuning.weights[look], rarity.rises, below);
    }

    /// Where it is reported, with a scale of `floor` at least, after so many rows.
    pub(super) fn limits(&self, needed: Needed, floor: f64, rows: f64, loan: Option<Loan<'_>>, t: &Tuning) -> Limits {
        let scale = max(self.square, floor * floor).sqrt();
        let limit = |tail: &Tail, nats: f64, below: bool| {
            let lent = loan.map(|loan| loan.of(JUMP, below));
            scale * f64::from(tail.distance(nats / t.weights[JUMP], rows, lent, t))
        };
        let (below, above) = (limit(&self.below, needed.below, true), limit(&self.above, needed.above, false));
        Limits::at(below, above)
    }

    /// A value pulled in to so many scales, of `floor` at least.
    pub(super) fn limit(&self, value: f64, scales: f64, floor: f64) -> f64 {
        let most = scales * scales * max(self.square, floor * floor);
        if value * value > most { most.sqrt().copysign(value) } else { value }
    }

    /// Root mean square.
    pub(super) fn scale(&self) -> f64 {
        self.square.sqrt()
    }

    /// Takes in what siblings tell of its scale: this share of what is known then.
    pub(super) fn start(&mut self, scale: f64, share: f64) {
        self.square += share * (scale * scale - self.square);
    }

    /// What its tails have counted, above and below.
    pub(super) fn counts(&self) -> [&Counts; 2] {
        [self.above.counts(), self.below.counts()]
    }

    /// Both tails.
    pub(super) fn tails(&mut self) -> [&mut Tail; 2] {
        [&mut self.above, &mut self.below]
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { square, above, below } = self;
        out.extend(square.to_le_bytes());
        above.write(out);
        below.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let square = f64::from_le_bytes(take(bytes)?);
        let (above, below) = (Tail::read(bytes)?, Tail::read(bytes)?);
        (0.0..f64::INFINITY).contains(&square).then_some(Self { square, above, below })
    }
}
