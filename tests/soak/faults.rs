//! Injected faults.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::Golden;
use qualm_bundle::manifest::Shape;
use qualm_contract::Batch;
use qualm_core::BuiltIn;
use qualm_sandbox::{BuiltInModels, Limits, Sandbox, SandboxFactory};
use qualm_tests::config::quoted;
use qualm_tests::{Site, reload};
use rustix::process::{Pid, Signal, kill_process};

/// Published models: one that joins two metrics of a host, and a plugin that works for a while after each start.
#[derive(Debug)]
pub(crate) struct Models {
    hosts: PathBuf,
    plugin: PathBuf,
    version: u64,
}

impl Models {
    pub(crate) fn new(site: &Site) -> Self {
        let mut this = Self { hosts: site.path("hosts.qualm"), plugin: site.path("plugin.qualm"), version: 0 };
        this.publish_good();
        this.publish_plugin("trap 200");
        this
    }

    /// The detectors of a configuration that has these models.
    pub(crate) fn config(&self) -> String {
        let (hosts, plugin) = (quoted(&self.hosts), quoted(&self.plugin));
        format!(
            "[[detector]]\nname = \"hosts\"\nmodel = {hosts}\n\
             [[detector]]\nname = \"plugin\"\nmodel = {plugin}\nselect = {{ measurement = \"odd\" }}\n\
             [[detector]]\nname = \"all\"\nmin_samples = 10\n\
             [bundles]\npoll = \"1s\"\n"
        )
    }

    fn publish_good(&mut self) {
        self.version += 1;
        reload::publish(&self.hosts, &reload::good(self.version).pack());
    }

    /// Publishes a bundle that is truncated, or older than the current one.
    fn publish_bad(&mut self, rng: &mut Rng) {
        let whole = reload::good(self.version + 1).pack();
        let bad = if rng.bool() { whole[..rng.usize(..whole.len())].to_vec() } else { reload::good(1).pack() };
        reload::publish(&self.hosts, &bad);
    }

    /// Publishes a plugin with this attack, such as `trap 200`: it works for 200 batches, then traps in each.
    fn publish_plugin(&mut self, attack: &str) {
        self.version += 1;
        let mut manifest = reload::good(self.version).manifest;
        "plugin".clone_into(&mut manifest.name);
        "hostile".clone_into(&mut manifest.kind);
        manifest.shape = Shape::Field;
        manifest.entity = Vec::new();
        manifest.interval = Duration::ZERO;
        manifest.features.truncate(1);
        let rows = Batch { series: &[0, 1, 0], times: &[0, 1, 2], values: &[0.25, 0.5, 0.75] };
        let (golden, component) = (Golden::new(1, rows, rows.values), Some(qualm_test_plugins::HOSTILE.to_vec()));
        let draft = Draft { manifest, model: attack.as_bytes().to_vec(), golden, reference: None, component };
        let native = BuiltInModels::Native(Arc::new(BuiltIn));
        let factory = SandboxFactory::new(Sandbox::new(None), Limits::default(), native);
        reload::publish(&self.plugin, &draft.finish(&factory).expect("it behaves at first").pack());
    }
}

/// Faults of files: so many.
pub(crate) const OF_FILES: u8 = 5;

/// One of them: models, plugins that behave for so many batches, and the state; and what it is called.
pub(crate) fn of_files(which: u8, rng: &mut Rng, models: &mut Models, batches: u32, state: &Path) -> &'static str {
    match which {
        0 => {
            models.publish_good();
            "good models"
        }
        1 => {
            models.publish_bad(rng);
            "bad models"
        }
        2 => {
            models.publish_plugin(&format!("trap {batches}"));
            "plugins that trap"
        }
        3 => {
            models.publish_plugin(&format!("loop {batches}"));
            "plugins that loop"
        }
        _ => {
            remove_state(state);
            "state removed"
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process as i32).expect("a process");
    kill_process(process, signal).expect("it runs");
}

/// Removes the state.
fn remove_state(state: &Path) {
    // A process may write into it at the same time.
    let _not_all = fs::remove_dir_all(state);
}

/// The time until the next fault.
pub(crate) fn pause(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(500..4000))
}
