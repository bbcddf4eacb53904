//! The checks of a row: their numbers, and the result of each.

/// The first checks are the means.
pub(super) const MEANS: usize = 2;
/// The largest mean in a valid record, in scales of residuals.
pub(super) const MAX_MEAN: f32 = 1e4;
pub(super) const JUMP: usize = 2;
pub(super) const NOVELTY: usize = 3;
pub(super) const REPETITION: usize = 4;
pub(super) const CHECKS: usize = 5;

/// The results of a row's checks. By all of them most rows are ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Checks {
    /// How rare the row is, by check; 0 is ordinary.
    nats: [f32; CHECKS],
    /// A bit for each check: whether its distance rises above that of the cluster, and whether it is below what was
    /// expected.
    rises: u8,
    below: u8,
}

impl Checks {
    /// Sets the result of one check.
    pub(super) fn set_check(&mut self, check: usize, nats: f64, rises: bool, below: bool) {
        self.nats[check] = nats as f32;
        self.rises |= u8::from(rises) << check;
        self.below |= u8::from(below) << check;
    }

    /// The nats of one check; 0 where there is no such check.
    pub(super) fn nats(&self, check: usize) -> f64 {
        self.nats.get(check).copied().unwrap_or_default().into()
    }

    /// The nats of the rarest check.
    pub(super) fn max_nats(&self) -> f64 {
        self.nats.iter().fold(0.0_f32, |most, &nats| if nats > most { nats } else { most }).into()
    }

    /// The checks that rise: number, nats, and whether it is below what was expected.
    pub(super) fn rising(&self) -> impl Iterator<Item = (usize, f64, bool)> {
        let bit = |bits: u8, check: usize| bits >> check & 1 == 1;
        let rising = (0..CHECKS).filter(move |&check| bit(self.rises, check));
        rising.map(move |check| (check, self.nats(check), bit(self.below, check)))
    }
}
