//! Why a bundle does not serve, and when it is tried again.

use std::time::{Duration, Instant};

use qualm_bundle::Fault as BundleFault;

/// The first and the longest delay before a transient failure is tried again. It doubles each time.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Why a bundle does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The reason for clients: without details of this machine, and always the same for the same fault.
    pub(super) public_reason: String,
    /// The reason for the log.
    pub(super) why: String,
    /// When it is tried again; `None` if the bundle itself is bad.
    pub(super) retry_delay: Option<RetryDelay>,
}

/// The delay before a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryDelay {
    pause: Duration,
    at: Instant,
}

impl RetryDelay {
    /// Twice as long as the last one.
    pub(super) fn after(last: Option<Self>) -> Self {
        let pause = last.map_or(FIRST_RETRY_DELAY, |last| (last.pause * 2).min(MAX_RETRY_DELAY));
        Self { pause, at: Instant::now() + pause }
    }

    pub(super) fn is_due(self) -> bool {
        self.at <= Instant::now()
    }
}

impl Fault {
    /// The bundle is bad.
    pub(super) fn bad(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { public_reason: why.clone(), why, retry_delay: None }
    }

    /// This machine failed, perhaps temporarily.
    pub(super) fn machine(why: impl Into<String>, last: Option<RetryDelay>) -> Self {
        let public_reason = "this server failed to load it; the log says why, and it is tried again".to_owned();
        Self { public_reason, why: why.into(), retry_delay: Some(RetryDelay::after(last)) }
    }

    /// It fails at all rows.
    pub(super) fn failing(last: Option<RetryDelay>) -> Self {
        let why = "it failed at one request after another; it is tried again".to_owned();
        Self { public_reason: why.clone(), why, retry_delay: Some(RetryDelay::after(last)) }
    }

    /// The fault of a bundle that cannot be used.
    pub(super) fn of_bundle(fault: &BundleFault, last: Option<RetryDelay>) -> Self {
        let why = fault.to_string();
        match fault {
            BundleFault::Deadline(_) => Self { retry_delay: Some(RetryDelay::after(last)), ..Self::bad(why) },
            _ if fault.is_transient() => Self::machine(why, last),
            _ => Self::bad(why),
        }
    }

    /// Whether it is time to try again.
    pub(super) fn is_due(&self) -> bool {
        self.retry_delay.is_some_and(RetryDelay::is_due)
    }

    /// After how many seconds a client should try again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_delay.map(|retry_delay| retry_delay.at.saturating_duration_since(Instant::now()).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut last = None;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let retry_delay = RetryDelay::after(last);
            assert!(!retry_delay.is_due());
            pauses.push(retry_delay.pause.as_secs());
            last = Some(retry_delay);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_public_reason_has_no_details_of_this_machine() {
        let fault = Fault::machine("no space left in /var/tmp", None);
        assert!(!fault.public_reason.contains("/var/tmp") && fault.why.contains("/var/tmp"));
        assert!(fault.retry_after().is_some_and(|seconds| seconds > 0));
        assert_eq!(Fault::bad("it is damaged").retry_after(), None);
    }
}
