//! Why a bundle does not serve, and when it is tried again.

use std::time::{Duration, Instant};

use qualm_bundle::Fault as BundleFault;

/// How soon what may pass is tried again, at first and at last: each time twice as late.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_mins(1);

/// Why a bundle does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Why, as whoever asks is told: nothing in it is known of this machine. Of the same fault it is the same each time.
    pub(super) told: String,
    /// What the log says.
    pub(super) why: String,
    /// When it is tried again. Never, where the bundle itself is bad: not before it is another.
    pub(super) again: Option<Again>,
}

/// When something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    pause: Duration,
    at: Instant,
}

impl Again {
    /// After a pause that is twice as long as the last one.
    pub(super) fn after(last: Option<Self>) -> Self {
        let pause = last.map_or(SOON, |last| (last.pause * 2).min(LATE));
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
        Self { told: why.clone(), why, again: None }
    }

    /// This machine failed, and may not next time.
    pub(super) fn machine(why: impl Into<String>, last: Option<Again>) -> Self {
        let told = "this server failed to load it; the log says why, and it is tried again".to_owned();
        Self { told, why: why.into(), again: Some(Again::after(last)) }
    }

    /// It fails whatever it is given to score.
    pub(super) fn failing(last: Option<Again>) -> Self {
        let why = "it failed at one request after another; it is tried again".to_owned();
        Self { told: why.clone(), why, again: Some(Again::after(last)) }
    }

    /// Of a bundle that cannot be used.
    pub(super) fn of_bundle(fault: &BundleFault, last: Option<Again>) -> Self {
        let why = fault.to_string();
        match fault {
            BundleFault::Deadline(_) => Self { again: Some(Again::after(last)), ..Self::bad(why) },
            _ if fault.may_pass() => Self::machine(why, last),
            _ => Self::bad(why),
        }
    }

    /// Whether it is time to try again.
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(Again::is_due)
    }

    /// After how many seconds it is worth asking again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.again.map(|again| again.at.saturating_duration_since(Instant::now()).as_secs() + 1)
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
            let again = Again::after(last);
            assert!(!again.is_due());
            pauses.push(again.pause.as_secs());
            last = Some(again);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn what_is_told_says_nothing_of_this_machine() {
        let fault = Fault::machine("no space left in /var/tmp", None);
        assert!(!fault.told.contains("/var/tmp") && fault.why.contains("/var/tmp"));
        assert!(fault.retry_after().is_some_and(|seconds| seconds > 0));
        assert_eq!(Fault::bad("it is damaged").retry_after(), None);
    }
}
