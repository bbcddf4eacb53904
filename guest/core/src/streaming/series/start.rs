//! How a series starts from its siblings, and what it hands on to them while it is young.

use super::Series;
use crate::math::min;
use crate::streaming::Parameters;
use crate::streaming::counts::Counts;
use crate::streaming::lore::{Lore, MOST_JUMP, Portrait, TAILS};
use crate::streaming::siblings::Kinship;
use crate::streaming::tuning::Tuning;

impl Series {
    /// What its tails have counted.
    pub(super) fn counts(&self) -> [Counts; TAILS] {
        let [[short, shorter], [long, longer]] = self.means.counts();
        let [above, below] = self.jump.counts();
        [short, shorter, long, longer, above, below, self.range.counts(), self.runs.counts()]
    }

    /// Grows a row older. What its tails counted in that, `before` told, is handed on; what it looks like, each time it is twice
    /// as old; and once it has a few rows of its own, it starts from what its siblings know.
    pub(super) fn grow(
        &mut self,
        p: &Parameters,
        t: &Tuning,
        Kinship { kin, lore }: Kinship<'_>,
        before: Option<&[Counts; TAILS]>,
    ) {
        kin.age = kin.age.saturating_add(1);
        if lore.counts_up() != self.counter.counts_up() {
            return; // levels say nothing of rates
        }
        if let Some(before) = before {
            lore.count(before, &self.counts(), self.rows);
        }
        if kin.sits(t) {
            lore.portray(self.portrait(t, kin.started));
        }
        let is_new = !self.level.settled() || !self.level.is_warm(p.min_samples, 0.0);
        if let Some(own) = kin.waits(t)
            && is_new
            && lore.is_known(own)
        {
            kin.started = true;
            self.start(t, lore);
        }
    }

    fn portrait(&self, t: &Tuning, started: bool) -> Portrait {
        let (center, scale, resolution) = (self.level.center, self.level.square(0.0).sqrt(), self.level.resolution);
        let jump = if scale > 0.0 { min(self.jump.scale() / scale, MOST_JUMP) } else { 1.0 };
        // Those of its first rows are told in scales that mean nothing; noise has these.
        let means = if started { self.means.squares() } else { t.means.map(|rows| 1.0 / (2.0 * rows - 1.0)) };
        Portrait { center, scale, resolution, jump: jump as f32, means }
    }

    fn start(&mut self, t: &Tuning, lore: &Lore) {
        let Portrait { scale, resolution, jump, means, .. } = lore.typical(self.level.center);
        let share = self.level.start(scale, resolution, t.own_rows.into());
        self.jump.start(f64::from(jump) * scale, share);
        self.means.start(means);
    }
}
