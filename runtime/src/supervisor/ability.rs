//! What a detector can that not all can.

use qualm_sandbox::Running;

/// Whether a detector can do something that not all can: say what would have been ordinary, or start a new series from what
/// its siblings know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    /// It can.
    Has,
    /// A plugin that cannot.
    NotOfPlugin,
    /// A built-in kind that cannot: all but `streaming`.
    NotOfKind,
}

impl Ability {
    /// Whether a detector gives bands.
    #[must_use]
    pub(crate) fn bands(running: &Running) -> Self {
        Self::of(running, running.spec().has_details() && running.description().features == 1)
    }

    /// Whether a detector starts a new series from what its siblings know.
    #[must_use]
    pub(crate) fn siblings(running: &Running) -> Self {
        Self::of(running, running.spec().has_siblings())
    }

    /// `streaming` can, and a plugin where it `exports` what that takes.
    fn of(running: &Running, exports: bool) -> Self {
        match running.spec().component_info() {
            Some(_) if exports => Self::Has,
            Some(_) => Self::NotOfPlugin,
            None if running.description().kind == qualm_core::streaming::KIND => Self::Has,
            None => Self::NotOfKind,
        }
    }
}
