//! What health checks, metrics and the live page show.

use std::sync::Arc;

use qualm::view::View;
use qualm_http::Counts;
use qualm_http::api::models::Registry;

use super::influxdb::Influxdb;
use super::pipeline_health::PipelineHealth;
use super::vector::Vector;

/// The parts of a running process that can be observed.
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
    /// The endpoint for Vector's events, where it is configured.
    pub vector: Option<Arc<Vector>>,
    /// The endpoint for InfluxDB's clients, where it is configured.
    pub influxdb: Option<Arc<Influxdb>>,
}

impl Observed {
    /// The health of the pipelines that are restarted after a panic, by name.
    pub(super) fn pipelines(&self) -> impl Iterator<Item = (&'static str, &PipelineHealth)> {
        let vector = self.vector.as_ref().map(|vector| ("vector", vector.worker.health()));
        let influxdb = self.influxdb.as_ref().map(|influxdb| ("influxdb", influxdb.worker.health()));
        vector.into_iter().chain(influxdb)
    }
}
