//! A plugin that learns from history: `fit` and `calibrate`.

use qualm_contract::{Error, ParameterValue, Trainer as _};
use qualm_pipeline::Rows;
use qualm_sandbox::trainer::PluginTrainer;
use qualm_sandbox::{DetectorSpec, Failure, Guest};

use super::report::{Fault, Found, Outcome, Report};
use super::source::{Shape, Source, sigma};
use super::subject::{BATCH, feed};

/// Rows that are learnt from, and of how many series.
const ROWS: usize = 2000;
const SERIES: u32 = 5;

/// The seed of all randomness.
const SEED: u64 = 1;

/// What no plugin has.
const UNKNOWN: &str = "no-such-parameter";

/// How far a calibrated score may be off, as a share: no two ways to calculate it round alike.
const TOLERANCE: f64 = 1e-9;

/// Trains on a table that is made up, and returns the model.
pub(super) fn train(
    spec: &DetectorSpec,
    features: usize,
    parameters: &[(String, ParameterValue)],
    report: &mut Report,
) -> Option<Vec<u8>> {
    let trainer = match PluginTrainer::of(spec) {
        Ok(trainer) => trainer,
        Err(why) => {
            report.add("fit", Err(why.into()));
            return None;
        }
    };
    let table = Table { trainer, features, parameters };
    let raw = report.step("fit", table.fit())?;
    report.add("fit again", table.again(&raw));
    report.add("unknown parameter", table.unknown());
    report.step("calibrate", table.calibrate(spec, &raw))
}

struct Table<'a> {
    trainer: PluginTrainer,
    features: usize,
    parameters: &'a [(String, ParameterValue)],
}

impl Table<'_> {
    fn learn(&self, parameters: &[(String, ParameterValue)]) -> Result<Vec<u8>, Error> {
        let rows = Source::new(self.features, SERIES, Shape::Noise, 61).rows(ROWS);
        let names: Vec<String> = (1..=self.features).map(|number| format!("feature-{number}")).collect();
        let batch = rows.batch();
        self.trainer.fit(batch, &names, parameters, SEED)
    }

    fn fit(&self) -> Result<(Vec<u8>, Found), Fault> {
        let model = self.learn(self.parameters)?;
        let told = format!("a model of {} bytes, of {ROWS} rows of {} features", model.len(), self.features);
        let found = Found::ok(told).figure("model_bytes", model.len() as f64);
        Ok((model, found))
    }

    fn again(&self, model: &[u8]) -> Outcome {
        if self.learn(self.parameters)? != model {
            return Err(Fault::new("the same rows, parameters and seed made another model"));
        }
        Ok(Found::ok("the same bytes"))
    }

    fn unknown(&self) -> Outcome {
        let mut parameters = self.parameters.to_vec();
        parameters.push((UNKNOWN.to_owned(), ParameterValue::Number(1.0)));
        match self.learn(&parameters) {
            Err(Error::Refused(why)) => Ok(Found::ok(format!("`{UNKNOWN}` is refused: {why}"))),
            Err(failure) => Err(Fault::new(format!("with `{UNKNOWN}`, {failure}; it must refuse that"))),
            Ok(_) => Err(Fault::new(format!("`{UNKNOWN}` is taken; whoever misspells a parameter must hear of it"))),
        }
    }

    /// Calibrates by rows that were not learnt from, and compares each score with what it must be.
    fn calibrate(&self, spec: &DetectorSpec, raw: &[u8]) -> Result<(Vec<u8>, Found), Fault> {
        let held_out = Source::new(self.features, SERIES, Shape::Noise, 62).rows(ROWS);
        let before = scores(spec, raw, &held_out)?;
        let mut sorted: Vec<f64> = before.iter().copied().filter(|score| !score.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&ordinary), Some(&largest)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
            return Err(Fault::new(format!("the model scores none of {ROWS} rows")));
        };
        let threshold = if largest > ordinary { largest } else { ordinary + 1.0 };
        let model = self.trainer.calibrate(raw, ordinary, threshold)?;
        if self.trainer.calibrate(raw, ordinary, threshold)? != model {
            return Err(Fault::new("the same numbers made another model"));
        }
        // Some that are far out too, so that there are scores above 1.
        let mut rows = held_out;
        for (at, value) in rows.values.iter_mut().enumerate() {
            if (at / self.features).is_multiple_of(10) {
                *value += 20.0 * sigma(at % self.features);
            }
        }
        let (before, after) = (scores(spec, raw, &rows)?, scores(spec, &model, &rows)?);
        for (row, (raw, score)) in before.iter().zip(&after).enumerate() {
            let due = ((raw - ordinary) / (threshold - ordinary)).max(0.0);
            let due = if raw.is_nan() { f64::NAN } else { due };
            let fits = due.is_nan() && score.is_nan() || (due - score).abs() <= TOLERANCE * due.max(1.0);
            if !fits {
                let why = format!(
                    "row {row} scores {score:?}; its raw score is {raw:?}, so that with {ordinary:?} as ordinary and \
                     {threshold:?} as threshold it must be {due:?}"
                );
                return Err(Fault::new(why));
            }
        }
        let told = format!("(raw − {ordinary:.4}) ÷ ({threshold:.4} − {ordinary:.4}), or 0, for {} rows", rows.len());
        Ok((model, Found::ok(told)))
    }
}

fn scores(spec: &DetectorSpec, model: &[u8], rows: &Rows) -> Result<Vec<f64>, Failure> {
    let mut guest = Guest::start(&spec.with_model(model.to_vec()))?;
    Ok(feed(&mut guest, rows, BATCH)?.scores)
}
