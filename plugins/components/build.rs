//! Compiles the plugins that tests run.

fn main() -> anyhow::Result<()> {
    qualm_guest_build::components(
        &["qualm-hostile", "qualm-flawed"],
        &["plugins/hostile", "plugins/flawed", "guest/build"],
    )
}
