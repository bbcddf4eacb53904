//! A plugin that learns from history: each call has a guest of its own.

use std::sync::Arc;
use std::time::Duration;

use qualm_core::Batch;
use qualm_offline::train::plugin::Value;
use wasmtime::Store;

use super::bindings::exports::qualm::detector::detection::{Error, Observations};
use super::bindings::exports::qualm::detector::training::{self, GuestIndices, Parameter};
use super::guest::{Failure, Limits, MOST_STATE, Recipe, begin, failure, refused, store};
use super::meter::Meter;

/// What learning may take.
const LIMITS: Limits = Limits { memory: 2 << 30, deadline: Duration::from_mins(10) };

/// A component that exports `training`.
#[derive(Clone)]
pub struct Trainer {
    recipe: Recipe,
    training: Arc<GuestIndices>,
}

impl Trainer {
    /// Of a component that was compiled.
    ///
    /// # Errors
    ///
    /// Where it learns nothing from history.
    pub fn of(recipe: &Recipe) -> Result<Self, String> {
        let training = GuestIndices::new(&recipe.ready).map_err(|_| {
            "it does not export `qualm:detector/training`, so it learns online only: `qualm plugin pack` makes a bundle of it"
        })?;
        Ok(Self { recipe: recipe.with_limits(LIMITS), training: training.into() })
    }

    /// Learns what is ordinary: a model whose scores have no unit as yet.
    ///
    /// # Errors
    ///
    /// As with every call of a guest.
    pub fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, Value)],
        seed: u64,
    ) -> Result<Vec<u8>, Failure> {
        let Batch { series, times, values } = rows;
        let rows = Observations { series, timestamps: times, values };
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let parameters: Vec<_> = parameters.iter().map(parameter).collect();
        self.call(|training, store| training.call_fit(store, rows, &features, &parameters, seed))
    }

    /// Gives a model its unit: see `calibrate` in the contract.
    ///
    /// # Errors
    ///
    /// As with every call of a guest.
    pub fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, Failure> {
        self.call(|training, store| training.call_calibrate(store, model, ordinary, threshold))
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&training::Guest, &mut Store<Meter>) -> wasmtime::Result<Result<T, Error>>,
    ) -> Result<T, Failure> {
        let Recipe { sandbox, ready, log, limits, .. } = &self.recipe;
        let mut store = store(sandbox, *limits, log);
        let running = sandbox.start_clock();
        begin(&mut store, MOST_STATE);
        let training = ready.instantiate(&mut store).and_then(|instance| self.training.load(&mut store, &instance));
        let answer = training.and_then(|training| call(&training, &mut store));
        drop(running);
        answer.map_err(|error| failure(&error, store.data(), *limits))?.map_err(refused)
    }
}

/// As the contract has it.
fn parameter((name, value): &(String, Value)) -> Parameter<'_> {
    let value = match value {
        Value::Flag(flag) => training::Value::Flag(*flag),
        Value::Number(number) => training::Value::Number(*number),
        Value::Text(text) => training::Value::Text(text),
    };
    Parameter { name, value }
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("recipe", &self.recipe).finish_non_exhaustive()
    }
}
