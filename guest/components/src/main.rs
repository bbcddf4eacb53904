//! Writes the components to a directory: `cargo run -p qualm-components -- DIR`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| "target/components".into());
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("qualm-detector.wasm"), qualm_components::DETECTOR)?;
    std::fs::write(dir.join("qualm-cli.wasm"), qualm_components::CLI)
}
