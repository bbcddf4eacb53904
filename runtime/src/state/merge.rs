//! What counts where several processes kept state in a directory.

use std::collections::HashMap;

use qualm_pipeline::SeriesSnapshot;

use super::format::Stored;

/// How far in the future a file's time may be, in seconds, since clocks are corrected.
pub(super) const MAX_CLOCK_SKEW: i64 = 60;

/// Leaves out what was written more than `ttl` seconds before the newest, as far as times can be trusted. A file from the
/// future, or all of them after the clock was set back, is as likely the freshest as not: it stays, and counts behind all
/// whose time is real.
pub(super) fn retain_recent(files: &mut Vec<Stored>, now: i64, ttl: i64) {
    let newest = files.iter().map(|file| file.written).filter(|written| *written <= now + MAX_CLOCK_SKEW).max();
    let Some(newest) = newest else { return };
    let oldest = newest.saturating_sub(ttl);
    files.retain(|file| file.written >= oldest);
    for file in files.iter_mut().filter(|file| file.written > now + MAX_CLOCK_SKEW) {
        file.written = oldest;
    }
}

/// Marks each series as superseded except where it was seen last.
pub(super) fn mark_superseded(files: &mut [Stored]) {
    let mut latest: HashMap<String, HashMap<u64, i64>> = HashMap::new();
    // Twice over all: once to see which is the latest, once to strike out what is not, or is so a second time.
    for strike in [false, true] {
        for Stored { written, detectors } in files.iter_mut() {
            for (name, slices) in detectors {
                let latest = latest.entry(name.clone()).or_default();
                for SeriesSnapshot { identities, ages, .. } in slices {
                    let known = identities
                        .iter_mut()
                        .zip(ages)
                        .filter(|(identity, _)| **identity != SeriesSnapshot::SUPERSEDED);
                    for (identity, age) in known {
                        let seen = written.saturating_sub(i64::from(*age));
                        if !strike {
                            let latest = latest.entry(*identity).or_insert(seen);
                            *latest = seen.max(*latest);
                        } else if latest.get(identity) == Some(&seen) {
                            latest.remove(identity);
                        } else {
                            *identity = SeriesSnapshot::SUPERSEDED;
                        }
                    }
                }
            }
        }
    }
}
