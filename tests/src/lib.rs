//! Shared by the end-to-end tests: starting and stopping programs, fixtures, and the central check, [`unsplice`].
//!
//! The tests themselves are in `tests/`, one file per promise. They run the release binary against the real peers,
//! which `tools.sh` builds or fetches:
//!
//! | variable | program | without it |
//! |---|---|---|
//! | `QUALM_BIN` | qualm | `target/release/qualm` |
//! | `QUALM_CLI_WASM` | the command component | `target/components/qualm-cli.wasm` |
//! | `QUALM_PLUGINS_DIR` | the plugins to copy, as components | `target/plugins` |
//! | `TELEGRAF_BIN`, `INFLUXD_BIN`, `WASMTIME_BIN`, `PROMETHEUS_BIN`, `ALERTMANAGER_BIN`, `SCHEMATHESIS_BIN` | the peers | what `tools.sh --where` names |
//! | `INFLUX_CLIENTS_PYTHON` | a Python with InfluxDB's clients | likewise |
//! | `SUPPLY_BIN` | the directory of `cargo-deny` and `cargo-audit` | likewise |
//! | `COMPONENTIZE_PY`, `COMPONENTIZE_QJS` | the compilers of Python and JavaScript to components | likewise |
//! | `NODE_BIN`, `CHROMIUM` | Node and the browser for the live page | the first on `PATH` |
//! | `VECTOR_BIN` | Vector | `vector` on `PATH` |
//!
//! Where a program is missing, its tests are skipped, and print why. With `CI` set that is a failure instead, but
//! for Vector, which `tools.sh` cannot fetch.

mod alertmanager;
pub mod config;
pub mod events;
mod feeder;
pub mod fixtures;
pub mod http;
mod influx;
mod lines;
pub mod native;
mod peer;
mod prometheus;
mod qualm;
pub mod reload;
mod server;
mod sink;
mod site;
mod splice;
mod telegraf;
pub mod tools;
pub mod vector;
mod wait;

pub use alertmanager::Alertmanager;
pub use feeder::Feeder;
pub use influx::{Influx, free_port};
pub use lines::{Numbered, numbered};
pub use prometheus::Prometheus;
pub use qualm::{Finished, run, run_in_pieces};
pub use server::Server;
pub use sink::{Sent, Sink};
pub use site::Site;
pub use splice::{Splice, unsplice};
pub use telegraf::{Telegraf, children};
pub use vector::Vector;
pub use wait::{until, until_some};
