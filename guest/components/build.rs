//! Compiles what runs in the guest.

fn main() -> anyhow::Result<()> {
    qualm_guest_build::components(&["qualm-detector", "qualm-cli"], &["contract", "pipeline", "guest"])
}
