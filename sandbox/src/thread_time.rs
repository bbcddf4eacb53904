//! Time on a processor, by which deadlines count.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time of this thread on a processor, in all.
#[must_use]
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
