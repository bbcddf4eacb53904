//! The three plugins, compiled, and how long they take to start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use qualm_contract::Trainer as _;
use qualm_sandbox::trainer::PluginTrainer;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Sandbox};
use qualm_tests::{Site, tools};

use crate::rows::Vectors;
use crate::{Effort, median};

/// Deadlines that no busy machine makes it miss: a figure is wanted, however late.
pub(crate) const LIMITS: Limits = Limits { memory: 256 << 20, deadline: Duration::from_secs(10) };

/// The plugins, ready to start.
pub(crate) struct Shop {
    pub(crate) qualm: PathBuf,
    pub(crate) site: Site,
    plugins: Vec<Plugin>,
}

/// One plugin.
pub(crate) struct Plugin {
    name: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) spec: DetectorSpec,
    pub(crate) model: Vec<u8>,
    cold: Duration,
}

impl Shop {
    /// Compiles them, which takes half a minute; nothing where they are not built.
    pub(crate) fn open() -> Option<Self> {
        let qualm = tools::qualm()?;
        let site = Site::new();
        let sandbox = Sandbox::new(Some(site.path("compiled")));
        let mut plugins = Vec::new();
        for name in ["loda", "flatline", "leak"] {
            let file = tools::plugin(name)?;
            let bytes = fs::read(&file).expect("the plugin can be read");
            let start = Instant::now();
            let spec = DetectorSpec::plugin(&sandbox, &bytes, b"{}".to_vec(), LIMITS).expect("the plugin is compiled");
            let cold = start.elapsed();
            let model = if name == "loda" { learnt(&spec) } else { b"{}".to_vec() };
            plugins.push(Plugin { name, file, spec: spec.with_model(model.clone()), model, cold });
        }
        Some(Self { qualm, site, plugins })
    }

    pub(crate) fn plugin(&self, name: &str) -> &Plugin {
        self.plugins.iter().find(|plugin| plugin.name == name).expect("one of the three")
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new(Some(self.site.path("compiled")))
    }
}

impl Plugin {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).expect("the plugin can be read")
    }

    pub(crate) fn start(&self) -> Guest {
        Guest::start(&self.spec).expect("the plugin starts")
    }
}

/// A model as `qualm train` would make one: of 100 directions and 50 bins.
fn learnt(spec: &DetectorSpec) -> Vec<u8> {
    let trainer = PluginTrainer::of(spec).expect("it learns");
    let rows = Vectors::new(5_000);
    let batch = rows.0.batch();
    let names: Vec<String> = (0..rows.0.features()).map(|feature| format!("f{feature}")).collect();
    let model = trainer.fit(batch, &names, &[], 1).expect("there is something to learn");
    trainer.calibrate(&model, 2.0, 6.0).expect("the numbers are right")
}

/// How long it takes until each can score.
pub(crate) fn measure(shop: &Shop, effort: Effort) {
    println!("\n| plugin | component | compiled, the first time | from the cache | started and opened |");
    println!("|---|---|---|---|---|");
    for plugin in &shop.plugins {
        let bytes = plugin.bytes();
        let mut starts = Vec::new();
        for _ in 0..effort.starts {
            let start = Instant::now();
            let spec =
                DetectorSpec::plugin(&shop.sandbox(), &bytes, plugin.model.clone(), LIMITS).expect("it is there");
            let loaded = Instant::now();
            let guest = Guest::start(&spec).expect("it starts");
            starts.push((loaded - start, loaded.elapsed()));
            drop(guest);
        }
        let of =
            |figure: fn(&(Duration, Duration)) -> Duration| median(&starts, |turn| figure(turn).as_secs_f64() * 1e3);
        println!(
            "| {} | {:.2} MB | {:.2} s | {:.1} ms | {:.2} ms |",
            plugin.name,
            bytes.len() as f64 / 1e6,
            plugin.cold.as_secs_f64(),
            of(|turn| turn.0),
            of(|turn| turn.1)
        );
    }
    println!("\ncompiled code, together: {:.0} MB", size(&shop.site.path("compiled")) as f64 / 1e6);
}

fn size(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
}
