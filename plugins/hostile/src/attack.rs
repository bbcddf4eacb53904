//! What all attacks have in common: in which call they happen, and what they change.

use crate::details::Judgement;
use crate::detection::{Description, Verdicts};

/// A call of the host's.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Open,
    Describe,
    Observe {
        /// Of the batch's first row: a guest has no randomness of its own, so the batch decides.
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

/// A way to misbehave. What is not overridden behaves.
pub(crate) trait Attack {
    /// What it does before it answers.
    fn act(&self, _: Call) {}

    /// With which text it refuses, if it does.
    fn refusal(&self, _: Call) -> Option<String> {
        None
    }

    /// What it says it is, made of what it should say.
    fn description(&self, honest: Description) -> Description {
        honest
    }

    /// What it thinks of a batch, made of what it should think.
    fn verdicts(&self, honest: Verdicts) -> Verdicts {
        honest
    }

    /// The same with details.
    fn judgement(&self, honest: Judgement) -> Judgement {
        Judgement { verdicts: self.verdicts(honest.verdicts), ..honest }
    }

    /// What it knows, made of what it should say.
    fn state(&self, honest: Vec<u8>) -> Vec<u8> {
        honest
    }
}

/// Does something in one of the calls.
pub(crate) struct In {
    pub(crate) call: Call,
    pub(crate) deed: fn(),
}

impl Attack for In {
    fn act(&self, call: Call) {
        if call.is(self.call) {
            (self.deed)();
        }
    }
}
