//! Plugins that learn from history: `fit` and `calibrate`.

use qualm_contract::{Error, ParameterValue, Trainer as _};
use qualm_pipeline::Rows;
use qualm_sandbox::trainer::PluginTrainer;
use qualm_sandbox::{DetectorSpec, Failure, Guest};

use super::report::{Failed, Outcome, Passed, Report};
use super::source::{Shape, Source, sigma};
use super::subject::{BATCH, score_rows};

/// Rows of the training table, and their series.
const ROWS: usize = 2000;
const SERIES: u32 = 5;

/// The seed of all randomness.
const SEED: u64 = 1;

/// A parameter that no plugin has.
const UNKNOWN_PARAMETER: &str = "no-such-parameter";

/// The relative error of a calibrated score that is allowed, since plugins may round otherwise.
const TOLERANCE: f64 = 1e-9;

/// Trains on a synthetic table, and returns the model.
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
    let training = Training { trainer, features, parameters };
    let raw = report.add_step("fit", training.fit())?;
    report.add("fit again", training.check_repeated_fit(&raw));
    report.add("unknown parameter", training.check_unknown_parameter());
    report.add_step("calibrate", training.calibrate(spec, &raw))
}

struct Training<'a> {
    trainer: PluginTrainer,
    features: usize,
    parameters: &'a [(String, ParameterValue)],
}

impl Training<'_> {
    fn learn(&self, parameters: &[(String, ParameterValue)]) -> Result<Vec<u8>, Error> {
        let rows = Source::new(self.features, SERIES, Shape::Noise, 61).rows(ROWS);
        let names: Vec<String> = (1..=self.features).map(|number| format!("feature-{number}")).collect();
        let batch = rows.batch();
        self.trainer.fit(batch, &names, parameters, SEED)
    }

    fn fit(&self) -> Result<(Vec<u8>, Passed), Failed> {
        let model = self.learn(self.parameters)?;
        let measured = format!("a model of {} bytes, of {ROWS} rows of {} features", model.len(), self.features);
        let passed = Passed::ok(measured).figure("model_bytes", model.len() as f64);
        Ok((model, passed))
    }

    fn check_repeated_fit(&self, model: &[u8]) -> Outcome {
        if self.learn(self.parameters)? != model {
            return Err(Failed::new("the same rows, parameters and seed made another model"));
        }
        Ok(Passed::ok("the same bytes"))
    }

    fn check_unknown_parameter(&self) -> Outcome {
        let mut parameters = self.parameters.to_vec();
        parameters.push((UNKNOWN_PARAMETER.to_owned(), ParameterValue::Number(1.0)));
        match self.learn(&parameters) {
            Err(Error::Refused(why)) => Ok(Passed::ok(format!("`{UNKNOWN_PARAMETER}` is refused: {why}"))),
            Err(failure) => Err(Failed::new(format!("with `{UNKNOWN_PARAMETER}`, {failure}; it must refuse that"))),
            Ok(_) => Err(Failed::new(format!(
                "`{UNKNOWN_PARAMETER}` is taken; whoever misspells a parameter must hear of it"
            ))),
        }
    }

    /// Calibrates by rows outside the training table, and compares each score with the formula of the contract.
    fn calibrate(&self, spec: &DetectorSpec, raw: &[u8]) -> Result<(Vec<u8>, Passed), Failed> {
        let held_out = Source::new(self.features, SERIES, Shape::Noise, 62).rows(ROWS);
        let before = scores(spec, raw, &held_out)?;
        let mut sorted: Vec<f64> = before.iter().copied().filter(|score| !score.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&ordinary), Some(&largest)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
            return Err(Failed::new(format!("the model scores none of {ROWS} rows")));
        };
        let threshold = if largest > ordinary { largest } else { ordinary + 1.0 };
        let model = self.trainer.calibrate(raw, ordinary, threshold)?;
        if self.trainer.calibrate(raw, ordinary, threshold)? != model {
            return Err(Failed::new("the same numbers made another model"));
        }
        // Outliers get scores above 1.
        let mut rows = held_out;
        for (at, value) in rows.values.iter_mut().enumerate() {
            if (at / self.features).is_multiple_of(10) {
                *value += 20.0 * sigma(at % self.features);
            }
        }
        let (before, after) = (scores(spec, raw, &rows)?, scores(spec, &model, &rows)?);
        for (row, (raw, score)) in before.iter().zip(&after).enumerate() {
            let expected = ((raw - ordinary) / (threshold - ordinary)).max(0.0);
            let expected = if raw.is_nan() { f64::NAN } else { expected };
            let fits = expected.is_nan() && score.is_nan() || (expected - score).abs() <= TOLERANCE * expected.max(1.0);
            if !fits {
                let why = format!(
                    "row {row} scores {score:?}; its raw score is {raw:?}, so that with {ordinary:?} as ordinary and \
                     {threshold:?} as threshold it must be {expected:?}"
                );
                return Err(Failed::new(why));
            }
        }
        let measured =
            format!("(raw − {ordinary:.4}) ÷ ({threshold:.4} − {ordinary:.4}), or 0, for {} rows", rows.len());
        Ok((model, Passed::ok(measured)))
    }
}

fn scores(spec: &DetectorSpec, model: &[u8], rows: &Rows) -> Result<Vec<f64>, Failure> {
    let mut guest = Guest::start(&spec.with_model(model.to_vec()))?;
    Ok(score_rows(&mut guest, rows, BATCH)?.scores)
}
