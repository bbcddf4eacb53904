//! 200 bundles, every third a bad one, while at least five million lines go through one process.
//!
//! `cargo bench -p qualm-tests --bench reload`

use qualm_tests::{reload, tools};

fn main() {
    let Some(qualm) = tools::qualm() else { return };
    println!("{}", reload::run(&qualm, 5_000_000, 200));
}
