//! A guest that runs, as a detector like any other.

use std::sync::Arc;

use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Verdicts, Wanted};

use crate::guest::{Failure, Guest, Recipe, Title};

/// How often a machine that is busy may try to start a guest: nothing waits for it.
const TRIES: u32 = 3;

/// A guest that runs, how to start it again, and what it says it is.
#[derive(Debug)]
pub struct Running {
    recipe: Recipe,
    guest: Guest,
    description: Description,
}

impl Running {
    /// Starts a detector, and asks it what it is.
    ///
    /// # Errors
    ///
    /// Where even that fails.
    pub fn open(recipe: Recipe) -> Result<Self, Failure> {
        let busy = |result: &Result<Guest, Failure>| matches!(result, Err(Failure::Deadline(_)));
        let mut started = Guest::start(&recipe);
        for _ in 1..TRIES {
            started = if busy(&started) { Guest::start(&recipe) } else { started };
        }
        let mut guest = started?;
        let description = guest.describe()?;
        Ok(Self { recipe, guest, description })
    }

    /// The same for rows of `features` values.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where it is not one for such rows.
    pub fn start(recipe: Recipe, features: usize) -> Result<Self, Failure> {
        let running = Self::open(recipe)?;
        let has = running.description.features;
        if has as usize != features {
            return Err(Failure::Nonsense(format!("{has} features, where a row has {features}")));
        }
        Ok(running)
    }

    /// What it says it is.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What its model is called, where that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.recipe.title()
    }

    /// How to start it again.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The guest, to try it out before it is used.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// How to start it again, and the guest.
    #[must_use]
    pub fn into_parts(self) -> (Recipe, Guest) {
        (self.recipe, self.guest)
    }
}

impl BatchScorer for Running {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        Ok(self.guest.score_batch(batch, wanted, verdicts)?)
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        // A guest that fails here fails at the next call too, and says so then.
        drop(self.guest.relate(series, groups));
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        Ok(self.guest.forget(series)?)
    }
}

impl Detector for Running {
    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(self.guest.save(series)?)
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        Ok(self.guest.restore(state, series)?)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Refused(why) => Self::Refused(why),
            Failure::Deadline(_) | Failure::Slow { .. } => Self::Deadline(why),
            Failure::System(_) => Self::System(why),
            _ => Self::Internal(why),
        }
    }
}
