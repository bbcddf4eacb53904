//! A plugin's training: each call has its own guest.

use std::sync::Arc;
use std::time::Duration;

use qualm_contract::{self as contract, Batch, ParameterValue};
use wasmtime::Store;

use crate::bindings::exports::qualm::detector::detection::{Error, Observations};
use crate::bindings::exports::qualm::detector::training::{self, GuestIndices, Parameter};
use crate::failure::{Failure, failure, refused};
use crate::guest::MAX_STATE_BYTES;
use crate::meter::Meter;
use crate::spec::{DetectorSpec, Limits};
use crate::store::{begin_call, store};

/// The limits of training.
const LIMITS: Limits = Limits { memory: 2 << 30, deadline: Duration::from_mins(10) };

/// A component that exports `training`.
#[derive(Clone)]
pub struct PluginTrainer {
    spec: DetectorSpec,
    training: Arc<GuestIndices>,
}

impl PluginTrainer {
    /// From a compiled component.
    ///
    /// # Errors
    ///
    /// If it has no training.
    pub fn of(spec: &DetectorSpec) -> Result<Self, contract::Error> {
        let training = GuestIndices::new(&spec.instance_pre).map_err(|_| {
            let why = "it does not export `qualm:detector/training`, so it learns online only: `qualm plugin pack` makes a \
                       bundle of it";
            contract::Error::BadComponent(why.to_owned())
        })?;
        Ok(Self { spec: spec.with_limits(LIMITS), training: training.into() })
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&training::Guest, &mut Store<Meter>) -> wasmtime::Result<Result<T, Error>>,
    ) -> Result<T, Failure> {
        let DetectorSpec { sandbox, instance_pre, log, limits, .. } = &self.spec;
        let mut store = store(sandbox, *limits, log);
        let running = sandbox.start_clock();
        begin_call(&mut store, MAX_STATE_BYTES);
        let training =
            instance_pre.instantiate(&mut store).and_then(|instance| self.training.load(&mut store, &instance));
        let answer = training.and_then(|training| call(&training, &mut store));
        drop(running);
        answer.map_err(|error| failure(&error, store.data(), *limits))?.map_err(refused)
    }
}

impl contract::Trainer for PluginTrainer {
    fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, ParameterValue)],
        seed: u64,
    ) -> Result<Vec<u8>, contract::Error> {
        let Batch { series, times, values } = rows;
        let rows = Observations { series, timestamps: times, values };
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let parameters: Vec<_> = parameters.iter().map(parameter).collect();
        Ok(self.call(|training, store| training.call_fit(store, rows, &features, &parameters, seed))?)
    }

    fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, contract::Error> {
        Ok(self.call(|training, store| training.call_calibrate(store, model, ordinary, threshold))?)
    }
}

/// The parameter as a type of the bindings.
fn parameter((name, value): &(String, ParameterValue)) -> Parameter<'_> {
    let value = match value {
        ParameterValue::Flag(flag) => training::Value::Flag(*flag),
        ParameterValue::Number(number) => training::Value::Number(*number),
        ParameterValue::Text(text) => training::Value::Text(text),
    };
    Parameter { name, value }
}

impl std::fmt::Debug for PluginTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginTrainer").field("recipe", &self.spec).finish_non_exhaustive()
    }
}
