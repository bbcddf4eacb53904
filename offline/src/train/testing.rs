//! A native plugin for tests: the score is the distance of a row's first value from the mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use qualm_contract::{
    Batch, BatchScorer, Description, Detector, Error, ModelFactory, ModelSource, ParameterValue, Trainer, Verdicts,
    Wanted,
};
use serde_json::json;

/// Runs the plugin, optionally with wrong scores.
#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    /// Added to calibrated scores.
    pub(crate) off: f64,
    /// How many models were fitted.
    pub(crate) fits: AtomicU32,
}

/// The plugin's component.
pub(crate) const COMPONENT: &[u8] = b"\0asm of a mean";

/// A detector of rows with `features` values, which scores the first after `warm_up` rows of a series.
#[derive(Debug)]
struct Distance {
    features: u32,
    warm_up: u32,
    mean: f64,
    weight: f64,
    ordinary: f64,
    threshold: f64,
    off: f64,
    seen: HashMap<u32, u32>,
}

impl ModelFactory for Sandbox {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        assert_eq!(source.component, Some(COMPONENT));
        let model: serde_json::Value =
            serde_json::from_slice(source.model).map_err(|error| Error::Internal(error.to_string()))?;
        let number = |name: &str, default: f64| model.get(name).map_or(Some(default), serde_json::Value::as_f64);
        let needed = |name: &str, default: f64| {
            number(name, default).ok_or_else(|| Error::Internal(format!("`{name}` must be a number")))
        };
        Ok(Box::new(Distance {
            features: needed("features", 1.0)? as u32,
            warm_up: needed("warm_up", 0.0)? as u32,
            mean: needed("mean", 10.0)?,
            weight: needed("weight", 1.0)?,
            ordinary: needed("ordinary", 0.0)?,
            threshold: needed("threshold", 1.0)?,
            off: needed("off", 0.0)?,
            seen: HashMap::new(),
        }))
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        if component != COMPONENT {
            return Err(Error::BadComponent("it is no component".to_owned()));
        }
        Ok(Box::new(MeanTrainer(self)))
    }
}

struct MeanTrainer<'a>(&'a Sandbox);

impl Trainer for MeanTrainer<'_> {
    fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, ParameterValue)],
        _seed: u64,
    ) -> Result<Vec<u8>, Error> {
        self.0.fits.fetch_add(1, Ordering::Relaxed);
        let (mut weight, mut warm_up) = (1.0, 0.0);
        for (name, value) in parameters {
            match (name.as_str(), value) {
                ("weight", ParameterValue::Number(number)) => weight = *number,
                ("warm_up", ParameterValue::Number(number)) => warm_up = *number,
                _ => return Err(Error::Internal(format!("there is no parameter `{name}`"))),
            }
        }
        let first: Vec<f64> = rows.values.iter().copied().step_by(features.len()).filter(|x| !x.is_nan()).collect();
        let mean = first.iter().sum::<f64>() / first.len() as f64;
        let model = json!({ "features": features.len(), "warm_up": warm_up, "mean": mean, "weight": weight });
        Ok(model.to_string().into_bytes())
    }

    fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, Error> {
        let mut model: serde_json::Value =
            serde_json::from_slice(model).map_err(|error| Error::Internal(error.to_string()))?;
        model["ordinary"] = ordinary.into();
        model["threshold"] = threshold.into();
        model["off"] = self.0.off.into();
        Ok(model.to_string().into_bytes())
    }
}

impl BatchScorer for Distance {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        let features = self.features as usize;
        batch.rows(features)?;
        for (series, row) in batch.series.iter().zip(batch.values.chunks_exact(features)) {
            let seen = self.seen.entry(*series).or_default();
            *seen += 1;
            let raw = (row[0] - self.mean).abs() * self.weight;
            let score = ((raw - self.ordinary) / (self.threshold - self.ordinary)).max(0.0) + self.off;
            let is_scored = *seen > self.warm_up && !raw.is_nan();
            verdicts.scores.push(if is_scored { score } else { f64::NAN });
            if wanted.contributions {
                let first = if is_scored && score > 1.0 { raw } else { 0.0 };
                verdicts.contributions.push(first);
                verdicts.contributions.extend(std::iter::repeat_n(0.0, features - 1));
            }
        }
        Ok(())
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.seen.retain(|known, _| !series.contains(known));
        Ok(())
    }
}

impl Detector for Distance {
    fn describe(&self) -> Description {
        Description {
            kind: "mean".to_owned(),
            version: "1".to_owned(),
            features: self.features,
            warm_up: self.warm_up,
            scale: "how far a value is from its mean".to_owned(),
        }
    }

    fn save_series(&mut self, _series: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn restore_series(&mut self, _state: &[u8], _series: &[Option<u32>]) -> Result<(), Error> {
        Ok(())
    }
}
