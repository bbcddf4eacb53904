//! What a window costs each autoencoder: 38 features, 32 rows, 64 hidden units, 2 layers.
//!
//! A module has no clock: each call of its `main` does the next of [`Work`]'s jobs, and returns a hash of the bits.
//! Natively prints each job's name, median and least microseconds, and hash. `autoencoder.py` runs both, and ONNX Runtime
//! beside them.

#[path = "../tests/rule/mod.rs"]
mod rule;

use std::process::ExitCode;
use std::sync::Mutex;

use qualm_core::autoencoder::Autoencoder;
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};

use rule::{WINDOW, by_rule};

const ROWS: usize = 32;
const FEATURES: usize = 38;

/// The networks in the order of [`Network::ALL`], and a window. Jobs are the whole window by each network, its newest row by
/// each, and nothing, whose time is that of a call.
struct Work {
    networks: Vec<Autoencoder>,
    window: Vec<f32>,
    out: Vec<f32>,
    calls: usize,
}

impl Work {
    const JOBS: usize = 2 * Network::ALL.len() + 1;

    fn new() -> Self {
        let architecture = |network: Network| Architecture {
            network,
            features: FEATURES,
            window: ROWS,
            hidden: 64,
            layers: 2,
            bottleneck: 16,
            kernel: 5,
            order: Order::Reversed,
        };
        let networks = Network::ALL.map(|network| Autoencoder::new(&rule::weights(architecture(network))));
        let window = by_rule(WINDOW, ROWS * FEATURES, 3.0);
        Self { networks: networks.into(), out: vec![0.0; window.len()], window, calls: 0 }
    }

    /// Does the next job; a hash of its bits.
    fn next(&mut self) -> u8 {
        let job = self.calls % Self::JOBS;
        self.calls += 1;
        let count = self.networks.len();
        let done = match job / count {
            0 => {
                self.networks[job].reconstruct(&self.window, &mut self.out);
                &self.out[..]
            }
            1 => {
                let newest = &mut self.out[..FEATURES];
                self.networks[job - count].reconstruct_newest(&self.window, newest);
                newest
            }
            _ => &[],
        };
        let hash = done.iter().fold(0, |hash: u32, number| (hash ^ number.to_bits()).wrapping_mul(0x0100_0193));
        (hash >> 24) as u8
    }
}

static WORK: Mutex<Option<Work>> = Mutex::new(None);

#[cfg(target_arch = "wasm32")]
fn main() -> ExitCode {
    let mut work = WORK.lock().expect("one thread");
    ExitCode::from(work.get_or_insert_with(Work::new).next())
}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> ExitCode {
    const CALLS: usize = 2000;
    let mut work = WORK.lock().expect("one thread");
    let work = work.get_or_insert_with(Work::new);
    let mut times = [const { Vec::new() }; Work::JOBS];
    let mut hashes = [0; Work::JOBS];
    for _ in 0..CALLS {
        for (times, hash) in times.iter_mut().zip(&mut hashes) {
            let start = std::time::Instant::now();
            *hash = work.next();
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    let whole = Network::ALL.map(|network| network.name().to_owned());
    let newest = Network::ALL.map(|network| format!("{}-newest", network.name()));
    let jobs = whole.into_iter().chain(newest).chain(["nothing".to_owned()]);
    for ((job, times), hash) in jobs.zip(&mut times).zip(hashes) {
        times.sort_by(f64::total_cmp);
        println!("{job} {:.1} {:.1} {hash}", times[CALLS / 2], times[0]);
    }
    ExitCode::SUCCESS
}
