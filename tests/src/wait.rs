//! Waits for conditions, not for times, so that a slow machine fails no test.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far more than any condition takes on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);

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
        assert!(start.elapsed() < TIMEOUT, "waited a minute for: {what}");
        sleep(Duration::from_millis(20));
    }
}
