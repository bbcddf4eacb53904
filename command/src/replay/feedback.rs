//! Compares a replay's alarms with labels, and writes the report.

use std::fs;
use std::path::Path;

use qualm_offline::evaluate::feedback::{Feedback, Series};
use qualm_offline::evaluate::labels::Labels;
use qualm_offline::evaluate::report::feedback::Page;

use super::{Error, Options};

/// Compares the alarms of these series with the labels, and writes the page of `--html`.
pub(super) fn evaluate(options: &Options, labels: &Labels, series: &[Series]) -> Result<Feedback, Error> {
    let feedback = Feedback::of(series, labels)?;
    if let Some(path) = &options.html {
        let page = Page { feedback: &feedback, series, provenance: &provenance(options) };
        fs::write(path, page.html()).map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(feedback)
}

fn provenance(options: &Options) -> Vec<(String, String)> {
    let file = |path: &Path| path.display().to_string();
    let scored_by = match (&options.model, &options.config) {
        (Some(model), _) => model.to_string(),
        (None, Some(config)) => file(config),
        (None, None) => "the default configuration".to_owned(),
    };
    let labels = options.labels.as_deref().map(file).unwrap_or_default();
    [
        ("input", file(&options.input)),
        ("labels", labels),
        ("scored by", scored_by),
        ("made by", format!("qualm {}", env!("CARGO_PKG_VERSION"))),
    ]
    .map(|(what, value)| (what.to_owned(), value))
    .to_vec()
}
