//! stub
use clap::Args;
/// x
#[derive(Debug, Args)]
pub struct Options {}
/// x
/// # Errors
/// x
pub fn run(_: &Options) -> std::io::Result<()> {
    Ok(())
}
