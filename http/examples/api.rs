//! Serves the API alone, with the detectors that are built in and without a sandbox, over a directory of models:
//!
//!     cargo run -p qualm-http --example api -- MODELS [127.0.0.1:8086 [QUALM]]
//!
//! With the path of a `qualm` program it takes uploads as well.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use qualm_core::BuiltIn;
use qualm_http::api::jobs::{self, Jobs};
use qualm_http::api::models::{self, Registry};
use qualm_http::api::{self, Api};
use qualm_http::{Options, Router, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let models = PathBuf::from(arguments.next().ok_or("name a directory of models")?);
    let listen: SocketAddr = match arguments.next() {
        Some(address) => address.to_str().unwrap_or_default().parse()?,
        None => ([127, 0, 0, 1], 8086).into(),
    };
    let registry = Registry::open(models::Options::of(models), BuiltIn);
    let jobs = arguments.next().map(|program| Jobs::start(jobs::Options::of(program), registry.clone())).transpose()?;
    let api = Api::new(registry, jobs, api::Options::default());
    let server = Server::bind(Options::on(listen))?;
    println!("http://{}/api/v1/", server.local_addr());
    server.run(api.routes(Router::new()), std::future::pending()).await;
    Ok(())
}
