//! Alarms of a replay held against labels, series by series: what was hit, what was missed, what was a false alarm, and
//! what the values were then, so that a person can see why.

mod findings;
mod history;
mod span;
pub(crate) mod terminal;
#[cfg(test)]
pub(crate) mod testing;

pub use findings::{Event, Feedback, Incident, SeriesFeedback};
pub use history::Series;
pub use span::{Peak, Span};
