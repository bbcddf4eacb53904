//! How long the training of the three networks takes, of random walks or of a file of `f32` values:
//!
//! `cargo run --release -p qualm-neural --example speed [NETWORKS [STRIDE [BATCH [EPOCHS [FILE FEATURES]]]]]`

use std::time::Instant;

use qualm_core::autoencoder::architecture::{Architecture, Network, Order};
use qualm_neural::{Options, Rows, Windows, train};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, otherwise: usize| arguments.get(at).map_or(otherwise, |text| text.parse().expect("a number"));
    let networks = arguments.first().map_or("lstm,gru,conv", String::as_str);
    let (stride, batch, epochs) = (number(1, 4), number(2, 64), number(3, 10));
    let features = number(5, 38);
    let values = arguments.get(4).map_or_else(|| walks(23_700, features), |file| read(file));
    let known = vec![true; values.len()];
    let rows = Rows { features, values: &values, known: &known };
    let count = values.len() / features;
    let split = count * 85 / 100;
    let windows = |from, to| Windows::new(rows, std::slice::from_ref(&(from..to)), 32, stride).expect("windows");
    let (training, validation) = (windows(0, split), windows(split, count));
    println!("{count} rows, {} windows, {} for validation", training.len(), validation.len());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for network in Network::ALL.into_iter().filter(|network| networks.contains(network.name())) {
            let (training, validation) = (&training, &validation);
            scope.spawn(move || {
                let (window, order) = (32, Order::Reversed);
                let architecture =
                    Architecture { network, features, window, hidden: 64, layers: 2, bottleneck: 16, kernel: 5, order };
                let options = Options { batch, epochs, ..Options::default() };
                let start = Instant::now();
                let log = train(&architecture, &options, training, validation, None, &mut ()).expect("training").log;
                println!("{} in {:.1} s: {log:?}", network.name(), start.elapsed().as_secs_f64());
            });
        }
    });
    println!("{:.1} s", start.elapsed().as_secs_f64());
}

/// Random walks between -1 and 1, from a linear congruential generator.
fn walks(rows: usize, features: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut at = vec![0.0_f32; features];
    let mut values = Vec::with_capacity(rows * features);
    for _ in 0..rows {
        for value in &mut at {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value = (*value + ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.2).clamp(-1.0, 1.0);
        }
        values.extend(&at);
    }
    values
}

fn read(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(file).expect("a file");
    bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect()
}
