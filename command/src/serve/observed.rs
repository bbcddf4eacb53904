//! What can be seen of a running qualm.

use std::sync::Arc;

use qualm::view::View;
use qualm_http::Counts;
use qualm_http::api::models::Registry;

use super::influxdb::Influxdb;
use super::vector::Vector;
use super::vitals::Vitals;

/// All that can be seen.
#[derive(Debug)]
pub struct Observed {
    /// `execd` or `serve`.
    pub mode: &'static str,
    /// The models that applications can ask for scores.
    pub registry: Option<Arc<Registry>>,
    /// The pipelines.
    pub views: Vec<Arc<View>>,
    /// The listener's own counts.
    pub server: Arc<Counts>,
    /// The way in for Vector's events, where it is open.
    pub vector: Option<Arc<Vector>>,
    /// The way in for InfluxDB's clients, where it is open.
    pub influxdb: Option<Arc<Influxdb>>,
}

impl Observed {
    /// The pipelines that may fail without this process, by name.
    pub(super) fn vitals(&self) -> impl Iterator<Item = (&'static str, &Vitals)> {
        let vector = self.vector.as_ref().map(|vector| ("vector", vector.vitals()));
        let influxdb = self.influxdb.as_ref().map(|influxdb| ("influxdb", influxdb.vitals()));
        vector.into_iter().chain(influxdb)
    }
}
