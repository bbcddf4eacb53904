//! The listener, its connections, requests and bodies, and their limits.

mod accept;
mod answer;
mod body;
mod call;
mod connection;
mod context;
mod counts;
mod decode;
mod error;
mod guard;
mod memory;
mod options;
mod refused;
mod renewal;
mod stream;
mod tls;
mod tokens;

pub use accept::Server;
pub use body::Payload;
pub use call::Call;
pub use counts::{Counts, RouteSnapshot, Snapshot};
pub use error::Error;
pub use options::{Limits, Options, Tls};
pub use refused::Refused;
pub use renewal::Renewal;
