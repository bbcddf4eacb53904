//! Which of a detector's incidents are reported.

use std::fmt::Write as _;
use std::time::Duration;

use qualm_bundle::duration::friendly;
use qualm_bundle::manifest::Direction;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;

use super::anomaly_rate::AnomalyRate;
use super::detector::{Detector, Kind};
use super::invalid::Invalid;
use super::text::quoted;

impl Detector {
    /// Which incidents are reported, where the model says `models`: what is set here comes first.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn suppression(&self, models: Suppression) -> Result<Suppression, Invalid> {
        let Self { direction, min_deviation, expected_range, sustained, cooldown, .. } = self;
        let parse = |text: &String| Suppression::parse_sustained(text).map_err(Invalid::Sustained);
        let (sustained, of) = sustained.as_ref().map_or(Ok((models.sustained, models.of)), parse)?;
        let nanoseconds = |cooldown: Duration| i64::try_from(cooldown.as_nanos()).unwrap_or(i64::MAX);
        // Both are set of what has no model alone.
        let (direction, min_deviation) = match self.kind {
            Kind::Model(_) => (models.direction, models.min_deviation),
            Kind::Streaming(_) | Kind::Ensemble(_) => (direction.for_pipeline(), *min_deviation),
        };
        let rule = Suppression {
            direction,
            min_deviation,
            expected_range: expected_range.or(models.expected_range),
            sustained,
            of,
            cooldown: cooldown.map_or(models.cooldown, nanoseconds),
        };
        rule.check().map(|()| rule).map_err(Invalid::Suppression)
    }

    pub(super) fn check_alarms(&self) -> Result<(), Invalid> {
        let Self { direction, min_deviation, kind, anomaly_rate, .. } = self;
        self.suppression(Suppression::default())?;
        for (key, set) in [("direction", *direction != Direction::Both), ("min_deviation", *min_deviation > 0.0)] {
            match kind {
                Kind::Model(_) if set => return Err(Invalid::RuleOfModel(key)),
                Kind::Ensemble(_) if set => return Err(Invalid::RuleOfEnsemble(key)),
                Kind::Streaming(_) | Kind::Model(_) | Kind::Ensemble(_) => {}
            }
        }
        anomaly_rate.as_ref().map_or(Ok(()), AnomalyRate::check)
    }

    /// Whether what is set can be done, where rows are made like this: how, is known once there is a model.
    ///
    /// # Errors
    ///
    /// What cannot, and what to do.
    pub fn check_shape(&self, shape: Option<&Shape>) -> Result<(), Invalid> {
        let Some(Shape { features, .. }) = shape else { return Ok(()) };
        if self.expected_range.is_some() && features.len() > 1 {
            return Err(Invalid::RangeOfVector(features.len()));
        }
        if self.anomaly_rate.is_some() && !features.is_empty() {
            return Err(Invalid::RateOfVector);
        }
        Ok(())
    }

    /// What is set of these, as it stands in the file.
    pub(super) fn effective_alarms(&self) -> String {
        let Self { direction, min_deviation, expected_range, sustained, cooldown, anomaly_rate, .. } = self;
        let mut out = String::new();
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _infallible = writeln!(out, "{key} = {value}");
            }
        };
        put("direction", (*direction != Direction::Both).then(|| quoted(direction.name())));
        put("min_deviation", (*min_deviation > 0.0).then(|| format!("{min_deviation:?}")));
        put("expected_range", expected_range.map(|[least, most]| format!("[{least:?}, {most:?}]")));
        put("sustained", sustained.as_deref().map(quoted));
        put("cooldown", cooldown.map(|cooldown| quoted(&friendly(cooldown))));
        put("anomaly_rate", anomaly_rate.as_ref().map(AnomalyRate::effective));
        out
    }
}
