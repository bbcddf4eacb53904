//! Compares the alarms of a replay with labels, series by series: hits, misses and false alarms, with the values at the time.

mod findings;
mod history;
mod span;
pub(crate) mod terminal;
#[cfg(test)]
pub(crate) mod testing;

pub use findings::{Event, Feedback, Incident, SeriesFeedback};
pub use history::Series;
pub use span::{Peak, Span};
