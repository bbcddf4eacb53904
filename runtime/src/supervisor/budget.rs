//! How long a guest may work from the end of one batch to the end of the next: a deadline in all.

use std::time::Duration;

use qualm_sandbox::thread_time;

/// What a guest has used of its time since the last pause began.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: Duration,
}

impl Budget {
    /// A pause between batches begins: the guest has all its time again.
    pub(super) fn refill(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// Takes time off the budget that was spent otherwise.
    pub(super) fn charge(&mut self, took: Duration) {
        self.spent += took;
    }

    /// What is left for work between batches: half of the deadline at most, so that a batch always has the other half.
    pub(super) fn between_batches(&self, deadline: Duration) -> Duration {
        self.for_batch(deadline / 2)
    }

    /// What is left for the next batch.
    pub(super) fn for_batch(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.spent)
    }

    /// Does a piece of work, and takes its time off the budget. Only time that this thread really ran counts: that a machine
    /// is busy is no guest's fault.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> (T, Duration) {
        let began = thread_time();
        let result = work();
        let took = thread_time().saturating_sub(began);
        self.spent += took;
        (result, took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_between_batches_leaves_half_of_the_deadline_to_the_batch() {
        let deadline = Duration::from_millis(100);
        let mut budget = Budget { spent: Duration::from_millis(30) };
        assert_eq!(budget.between_batches(deadline), Duration::from_millis(20));
        assert_eq!(budget.for_batch(deadline), Duration::from_millis(70));
        budget.spent = Duration::from_millis(60);
        assert_eq!(budget.between_batches(deadline), Duration::ZERO);
        assert_eq!(budget.for_batch(deadline), Duration::from_millis(40));
        budget.refill();
        assert_eq!(budget.between_batches(deadline), deadline / 2);
    }
}
