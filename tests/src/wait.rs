//! Waiting for a condition instead of for a time, so that a slow machine makes a test slow and not red.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far more than anything here takes on a busy machine; reached only when something is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `condition` holds.
///
/// # Panics
///
/// After a minute, naming `what` was waited for.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `probe` returns something, and returns that.
///
/// # Panics
///
/// After a minute, naming `what` was waited for.
pub fn until_some<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited a minute for: {what}");
        sleep(Duration::from_millis(20));
    }
}
