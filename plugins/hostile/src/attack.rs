//! The trait of all attacks: in which call they happen, and what they change.

use crate::details::Judgement;
use crate::detection::{Description, Verdicts};

/// A call from the host.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Open,
    Describe,
    Observe {
        /// The time of the batch's first row, as a source of randomness.
        time: i64,
    },
    Relate,
    Forget,
    Save,
    Restore,
}

impl Call {
    pub(crate) const OBSERVE: Self = Self::Observe { time: 0 };

    /// The call that an attack's name begins with, and the rest of the name: `save-loop`. Without one it is `observe`.
    pub(crate) fn of(name: &str) -> (Self, &str) {
        let calls = [
            ("open-", Self::Open),
            ("describe-", Self::Describe),
            ("relate-", Self::Relate),
            ("forget-", Self::Forget),
            ("save-", Self::Save),
            ("restore-", Self::Restore),
        ];
        let named = calls.into_iter().find_map(|(prefix, call)| Some((call, name.strip_prefix(prefix)?)));
        named.unwrap_or((Self::OBSERVE, name))
    }

    pub(crate) fn is(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// A way to misbehave. Methods that are not overridden behave.
pub(crate) trait Attack {
    /// Runs before the guest answers.
    fn act(&self, _: Call) {}

    /// The text of an error, if the guest refuses the call.
    fn refusal(&self, _: Call) -> Option<String> {
        None
    }

    /// Changes the description.
    fn description(&self, honest: Description) -> Description {
        honest
    }

    /// Changes the verdicts.
    fn verdicts(&self, honest: Verdicts) -> Verdicts {
        honest
    }

    /// Changes the verdicts with their details.
    fn judgement(&self, honest: Judgement) -> Judgement {
        Judgement { verdicts: self.verdicts(honest.verdicts), ..honest }
    }

    /// Changes the saved state.
    fn state(&self, honest: Vec<u8>) -> Vec<u8> {
        honest
    }
}

/// Runs an action in one of the calls.
pub(crate) struct In {
    pub(crate) call: Call,
    pub(crate) action: fn(),
}

impl Attack for In {
    fn act(&self, call: Call) {
        if call.is(self.call) {
            (self.action)();
        }
    }
}
