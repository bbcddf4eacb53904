//! What is saved of series, to be restored after a restart or in another guest.

/// The saved state of some series: of what a detector knows of them, or the pipeline itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesSnapshot {
    /// Who they are (their numbers may have come to mean others), or [`SUPERSEDED`](Self::SUPERSEDED).
    pub identities: Vec<u64>,
    /// For how many seconds each had not been seen.
    pub ages: Vec<u32>,
    /// Their state. A detector's is as its guest wrote it; the pipeline's has as many bytes for each series as for any other.
    pub state: Vec<u8>,
}

impl SeriesSnapshot {
    /// In place of the identity of a series whose state here must not be used, because another snapshot has a newer one. That
    /// a real series has this identity is one chance in 2⁶⁴.
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

    /// Each series with its state of `N` bytes; nothing where that is not what there is.
    pub fn each<const N: usize>(&self) -> impl Iterator<Item = (u64, &[u8; N])> {
        let (states, rest) = self.state.as_chunks();
        let fits = rest.is_empty() && states.len() == self.identities.len();
        self.identities.iter().copied().zip(states).take(if fits { states.len() } else { 0 })
    }
}
