//! What a window costs each autoencoder: 38 features, 32 rows, 64 hidden units, 2 layers.
//!
//! Natively prints the median time of each network. As a module, which has no clock, each call of `main` reconstructs
//! a window, one network after the other in the order of [`Network::ALL`], and returns a hash of its bits. `autoencoder.py`
//! runs both, and ONNX Runtime beside them.

#[path = "../tests/rule/mod.rs"]
mod rule;

use std::process::ExitCode;
use std::sync::Mutex;

use qualm_core::autoencoder::Autoencoder;
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};

use rule::{WINDOW, by_rule};

/// The sizes that issue 16 measures.
fn architecture(network: Network) -> Architecture {
    Architecture {
        network,
        features: 38,
        window: 32,
        hidden: 64,
        layers: 2,
        bottleneck: 16,
        kernel: 5,
        order: Order::Reversed,
    }
}

/// The networks, a window, and the calls so far.
struct Work {
    networks: Vec<Autoencoder>,
    window: Vec<f32>,
    out: Vec<f32>,
    calls: usize,
}

impl Work {
    fn new() -> Self {
        let window = by_rule(WINDOW, 32 * 38, 3.0);
        let networks = Network::ALL.map(|network| Autoencoder::new(&rule::weights(architecture(network))));
        Self { networks: networks.into(), out: vec![0.0; window.len()], window, calls: 0 }
    }

    /// Reconstructs the window by the next network; a hash of its bits. After the last one, a call does nothing.
    fn next(&mut self) -> u8 {
        let which = self.calls % (self.networks.len() + 1);
        self.calls += 1;
        let Some(network) = self.networks.get_mut(which) else { return 0 };
        network.reconstruct(&self.window, &mut self.out);
        let hash = self.out.iter().fold(0, |hash: u32, number| (hash ^ number.to_bits()).wrapping_mul(0x0100_0193));
        (hash >> 24) as u8
    }
}

static WORK: Mutex<Option<Work>> = Mutex::new(None);

#[cfg(target_arch = "wasm32")]
fn main() -> ExitCode {
    let mut work = WORK.lock().expect("one thread");
    ExitCode::from(work.get_or_insert_with(Work::new).next())
}

/// `autoencoder [calls]`: calls and prints, for each network, median microseconds and hash.
#[cfg(not(target_arch = "wasm32"))]
fn main() -> ExitCode {
    let calls = std::env::args().nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(2000);
    let mut work = WORK.lock().expect("one thread");
    let work = work.get_or_insert_with(Work::new);
    let mut times = Network::ALL.map(|_| Vec::with_capacity(calls));
    let mut hashes = [0; Network::ALL.len()];
    for _ in 0..calls {
        for (times, hash) in times.iter_mut().zip(&mut hashes) {
            let start = std::time::Instant::now();
            *hash = work.next();
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        work.next();
    }
    for ((network, times), hash) in Network::ALL.into_iter().zip(&mut times).zip(hashes) {
        times.sort_by(f64::total_cmp);
        println!("{} {:.1} {:.1} {hash}", network.name(), times[calls / 2], times[0]);
    }
    ExitCode::SUCCESS
}
