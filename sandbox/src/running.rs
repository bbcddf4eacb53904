//! A guest as a [`Detector`].

use std::sync::Arc;

use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Verdicts, Wanted};

use crate::failure::Failure;
use crate::guest::Guest;
use crate::spec::{DetectorSpec, Title};

/// The most attempts to start a guest on a busy machine, where nothing waits for it.
const START_ATTEMPTS: u32 = 3;

/// A guest with its specification and description.
#[derive(Debug)]
pub struct Running {
    spec: DetectorSpec,
    guest: Guest,
    description: Description,
}

impl Running {
    /// Starts a detector and gets its description.
    ///
    /// # Errors
    ///
    /// If either fails.
    pub fn open(spec: DetectorSpec) -> Result<Self, Failure> {
        let busy = |result: &Result<Guest, Failure>| matches!(result, Err(Failure::Deadline(_)));
        let mut started = Guest::start(&spec);
        for _ in 1..START_ATTEMPTS {
            started = if busy(&started) { Guest::start(&spec) } else { started };
        }
        let mut guest = started?;
        let description = guest.describe()?;
        Ok(Self { spec, guest, description })
    }

    /// The same for rows of `features` values.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if its rows have another number of features.
    pub fn start(spec: DetectorSpec, features: usize) -> Result<Self, Failure> {
        let running = Self::open(spec)?;
        let has = running.description.features;
        if has as usize != features {
            return Err(Failure::Nonsense(format!("{has} features, where a row has {features}")));
        }
        Ok(running)
    }

    /// Its description.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The title of its model, if that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.spec.title()
    }

    /// Its specification.
    #[must_use]
    pub fn spec(&self) -> &DetectorSpec {
        &self.spec
    }

    /// The guest, to try it out before it is used.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// Its specification and the guest.
    #[must_use]
    pub fn into_parts(self) -> (DetectorSpec, Guest) {
        (self.spec, self.guest)
    }
}

impl BatchScorer for Running {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        Ok(self.guest.score_batch(batch, wanted, verdicts)?)
    }

    fn relate_series(&mut self, series: &[u32], groups: &[u64]) {
        // A guest that fails here also fails at the next call, which reports it.
        drop(self.guest.relate_series(series, groups));
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        Ok(self.guest.forget_series(series)?)
    }
}

impl Detector for Running {
    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(self.guest.save_series(series)?)
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        Ok(self.guest.restore_series(state, series)?)
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
