//! The networks of an ensemble, each by itself: whether it is worth having them all.

use std::collections::BTreeMap;

use qualm_bundle::Bundle;
use qualm_contract::{Detector, Error};
use qualm_core::autoencoder;
use qualm_core::autoencoder::architecture::Network;
use serde::Serialize;

use super::Evaluation;
use super::format::{NONE, figure, percent};

/// What a network would report alone, at a threshold of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkAlone {
    /// Its name.
    pub network: &'static str,
    /// Its figures, as [`Evaluation::figures`] names them.
    pub figures: BTreeMap<&'static str, f64>,
}

/// A network, and its detector.
type Alone = (Network, Box<dyn Detector>);

/// A detector for each network of a bundle whose model has several.
///
/// # Errors
///
/// If the model is malformed.
pub(super) fn each_alone(bundle: &Bundle) -> Result<Vec<Alone>, Error> {
    // What a plugin's model contains is its own business.
    if bundle.component.is_some() {
        return Ok(Vec::new());
    }
    let models = autoencoder::each_alone(&bundle.model)?;
    models.into_iter().map(|(network, model)| Ok((network, qualm_core::open(&model)?))).collect()
}

/// The heads of a table of all networks together and each alone, and its rows; empty where there is one network.
pub(super) fn table(evaluation: &Evaluation) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut heads = vec!["", "Alarms a day", "Rows that alarm"];
    heads.extend(match evaluation.labelled {
        Some(_) => ["Incidents found", "Alarms that are right", "AUC-PR"].as_slice(),
        None => &["AUC-PR (anomalies put in)"],
    });
    let row = |name: &str, figures: &BTreeMap<&'static str, f64>| {
        let get = |name| figures.get(name).copied();
        let per_day = get("alarms_per_day").map_or_else(|| NONE.to_owned(), |alarms| format!("{alarms:.2}"));
        let mut cells = vec![name.to_owned(), per_day, percent(get("alarm_rate"))];
        match evaluation.labelled {
            Some(_) => {
                cells.extend([percent(get("event_recall")), percent(get("event_precision")), figure(get("auc_pr"))]);
            }
            None => cells.push(figure(get("injected_auc_pr"))),
        }
        cells
    };
    let mut rows: Vec<_> = evaluation.networks.iter().map(|one| row(one.network, &one.figures)).collect();
    if !rows.is_empty() {
        rows.insert(0, row("together", &evaluation.figures()));
    }
    (heads, rows)
}
