//! Saved state of series, for a restart or another guest.

/// The saved state of some series, of a detector or of the pipeline itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesSnapshot {
    /// The identities of the series (their numbers may be reused), or [`SUPERSEDED`](Self::SUPERSEDED).
    pub identities: Vec<u64>,
    /// Seconds since the last row of each.
    pub ages: Vec<u32>,
    /// Their state: a detector's as its guest wrote it; the pipeline's with the same number of bytes for each series.
    pub state: Vec<u8>,
}

impl SeriesSnapshot {
    /// Replaces the identity of a series whose state must not be used, because another snapshot has a newer one. A real series
    /// has this identity with a probability of 2⁻⁶⁴.
    pub const SUPERSEDED: u64 = 0;

    /// Adds a series that was last seen so many nanoseconds ago. Its state is added separately.
    pub fn add_series(&mut self, identity: u64, age: i64) {
        self.identities.push(identity);
        self.ages.push(u32::try_from(age.max(0) / 1_000_000_000).unwrap_or(u32::MAX));
    }

    /// Adds a series that was last seen so many nanoseconds ago, with its state.
    pub fn add(&mut self, identity: u64, age: i64, state: &[u8]) {
        self.add_series(identity, age);
        self.state.extend_from_slice(state);
    }

    /// Each series with its state of `N` bytes; nothing if the state has another size.
    pub fn each<const N: usize>(&self) -> impl Iterator<Item = (u64, &[u8; N])> {
        let (states, rest) = self.state.as_chunks();
        let fits = rest.is_empty() && states.len() == self.identities.len();
        self.identities.iter().copied().zip(states).take(if fits { states.len() } else { 0 })
    }
}
