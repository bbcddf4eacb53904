//! Scores on request: rows in, scores out, without state.
//!
//! 1. `request` finds the parts of the body, among them the model's name;
//! 2. `data` and `times` read rows and times, as that model takes them;
//! 3. `rows` transforms them as a pipeline would;
//! 4. the model scores them, and `answer` writes the answer.

mod answer;
mod data;
mod request;
mod rows;
mod times;

pub use data::Limits;
pub use request::Request;

use super::models::{Model, SLICE};
use super::problem::Problem;
use answer::{Anomalies, Answer, Contributions, Scores, Times, Title};

/// The most values of a request that is scored without handing it to another thread.
const MAX_INLINE_VALUES: usize = 2048;

/// The most rows of such a request, if anomalies are explained.
const MAX_INLINE_EXPLAINED: usize = 8;

/// Rows that a model can score.
#[derive(Debug)]
pub struct Rows {
    times: Vec<i64>,
    /// Whether the request has times.
    has_times: bool,
    values: Vec<f64>,
    explain: bool,
}

impl Rows {
    /// Reads a request's rows.
    ///
    /// # Errors
    ///
    /// 422: which value is wrong, and what would be right.
    pub fn read(request: &Request<'_>, model: &Model, limits: Limits) -> Result<Self, Problem> {
        let names = &model.names;
        let mut values = data::read(request.data, names, limits)?;
        let rows = values.len() / names.all().len();
        let (times, has_times) = match request.timestamps {
            Some(timestamps) => (times::read(timestamps, rows)?, true),
            None => (rows::default_times(rows, model.interval), false),
        };
        rows::transform(&mut values, &times, has_times, &model.transforms, names.all())?;
        Ok(Self { times, has_times, values, explain: request.explain })
    }

    /// Whether scoring takes less time than handing it to another thread.
    #[must_use]
    pub fn are_few(&self) -> bool {
        let rows = if self.explain { MAX_INLINE_EXPLAINED } else { SLICE };
        self.times.len() <= rows && self.values.len() <= MAX_INLINE_VALUES
    }

    /// Scores them, and writes the answer.
    ///
    /// # Errors
    ///
    /// 503 where the model failed.
    pub fn score(&self, model: &Model) -> Result<Vec<u8>, Problem> {
        let scored = model.score(&self.times, &self.values, !self.has_times, self.explain).map_err(|why| {
            tracing::error!("model {} version {} failed: {why}", model.name, model.version);
            Problem::new(503, "the model failed; it is loaded anew").retry_after(1)
        })?;
        let contributions = Contributions {
            names: &model.names,
            explained: &scored.explained,
            values: &scored.contributions,
            rows: self.times.len(),
        };
        let answer = Answer {
            model: Title { name: &model.name, version: model.version, kind: &model.kind },
            features: model.names.all(),
            scores: Scores(&scored.scores),
            anomalies: Anomalies(&scored.scores),
            contributions: self.explain.then_some(contributions),
            timestamps: self.has_times.then_some(Times(&self.times)),
        };
        let mut body = Vec::with_capacity(256 + 32 * self.times.len());
        serde_json::to_writer(&mut body, &answer)
            .map_err(|error| Problem::new(500, format!("the answer cannot be written: {error}")))?;
        Ok(body)
    }
}
