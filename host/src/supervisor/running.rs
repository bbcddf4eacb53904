//! A guest that runs, before it is put under supervision.

use std::sync::Arc;

use crate::sandbox::guest::{Description, Title};
use crate::sandbox::{Failure, Guest, Recipe};

/// How often a start is tried that takes too long: nothing waits for it, and the machine may be busy.
const ATTEMPTS: u32 = 3;

/// Whether a detector can do something that not all can: say what would have been ordinary, or start a new series from what its
/// siblings know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Has,
    /// A plugin that cannot.
    NotOfPlugin,
    /// A trained model: none can.
    NotOfModel,
}

/// A guest that runs, how to start it again, and what it says it is.
#[derive(Debug)]
pub struct Running {
    pub(super) recipe: Recipe,
    pub(super) guest: Guest,
    /// What it says it is.
    pub description: Description,
}

impl Running {
    /// Starts a detector, and asks it what it is.
    ///
    /// # Errors
    ///
    /// Where even that fails, or it is not one for rows of `features` values.
    pub fn start(recipe: Recipe, features: usize) -> Result<Self, Failure> {
        let busy = |result: &Result<Guest, Failure>| matches!(result, Err(Failure::Deadline(_)));
        let mut started = Guest::start(&recipe);
        for _ in 1..ATTEMPTS {
            started = if busy(&started) { Guest::start(&recipe) } else { started };
        }
        let mut guest = started?;
        let description = guest.describe()?;
        if description.features as usize != features {
            let has = description.features;
            return Err(Failure::Nonsense(format!("{has} features, where a row has {features}")));
        }
        Ok(Self { recipe, guest, description })
    }

    /// What its model is called, where that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.recipe.title()
    }

    /// Whether it gives bands.
    #[must_use]
    pub fn bands(&self) -> Ability {
        self.ability(self.recipe.has_details() && self.description.features == 1)
    }

    /// Whether it starts a new series from what its siblings know.
    #[must_use]
    pub fn siblings(&self) -> Ability {
        self.ability(self.recipe.has_siblings())
    }

    /// What the untrained detector can, and a plugin where it `exports` what that takes.
    fn ability(&self, exports: bool) -> Ability {
        match self.recipe.anatomy() {
            Some(_) if exports => Ability::Has,
            Some(_) => Ability::NotOfPlugin,
            None if self.description.kind == qualm_core::streaming::KIND => Ability::Has,
            None => Ability::NotOfModel,
        }
    }

    /// The guest alone.
    pub(crate) fn into_guest(self) -> Guest {
        self.guest
    }

    /// The guest, to try it out before it is used.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }
}
