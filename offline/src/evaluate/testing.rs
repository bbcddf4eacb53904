//! Tables and detectors for tests.

use std::f64::consts::TAU;

use qualm_contract::Batch;
use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::{Rows, Settings};
use qualm_core::zscore;

use super::random::Random;
use crate::table::Table;

const MINUTE: i64 = 60_000_000_000;
/// 2024-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_704_067_200_000_000_000;

/// The metrics of some servers, a row of each a minute: daily waves with noise, the same load in all features.
pub(crate) fn servers(servers: u32, minutes: usize, features: usize, seed: u64) -> Table {
    let mut random = Random::new(seed);
    let mut table = Table {
        names: (0..features).map(|feature| format!("m{feature}")).collect(),
        entities: (0..servers).map(|server| format!("host=h{server}")).collect(),
        ..Table::default()
    };
    for minute in 0..minutes {
        let load = (minute as f64 / 1440.0 * TAU).sin();
        for server in 0..servers {
            table.series.push(server);
            table.sources.push(u64::from(servers) * minute as u64 + u64::from(server));
            table.times.push(START + minute as i64 * MINUTE);
            let value = |feature| 50.0 * (feature + 1) as f64 + 5.0 * load + random.normal();
            table.values.extend((0..features).map(value));
        }
    }
    table
}

/// A `zscore` model that learnt from a table.
pub(crate) fn zscore(table: &Table) -> Vec<u8> {
    // At a fixed threshold each row is an anomaly by itself, so that rows can be counted.
    let settings = Settings { threshold: Threshold::Fixed(4.0), ..Settings::default() };
    let rows = Rows::new(&table.values, table.features());
    let batch: Batch<'_> = table.batch(0..table.len());
    zscore::fit(rows, batch, &settings).unwrap().to_model()
}
