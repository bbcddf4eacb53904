//! What a pipeline itself knows of series and keeps over a restart, beside what its detectors know.

/// What is known of some series, to be restored by a later run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Who they are.
    pub identities: Vec<u64>,
    /// For how many seconds each had not been seen.
    pub ages: Vec<u32>,
    /// As many bytes for each as there are for any.
    pub state: Vec<u8>,
}

impl Kept {
    /// Adds a series that was last seen so many nanoseconds ago.
    pub fn add(&mut self, identity: u64, age: i64, state: &[u8]) {
        self.identities.push(identity);
        self.ages.push(u32::try_from(age.max(0) / 1_000_000_000).unwrap_or(u32::MAX));
        self.state.extend_from_slice(state);
    }

    /// Each series with its state of `N` bytes; nothing where that is not what there is.
    pub fn each<const N: usize>(&self) -> impl Iterator<Item = (u64, &[u8; N])> {
        let (states, rest) = self.state.as_chunks();
        let fits = rest.is_empty() && states.len() == self.identities.len();
        self.identities.iter().copied().zip(states).take(if fits { states.len() } else { 0 })
    }
}
