//! Appends numbered lines to a file, for Telegraf's `tail`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fixtures::noise;

/// Ten lines each five milliseconds: two thousand lines a second, more than a large host sends.
const BURST: u64 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// Appends to a file until stopped.
#[derive(Debug)]
pub struct Feeder {
    fed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Starts to append to `path`, from line number 0.
    ///
    /// # Panics
    ///
    /// If the file cannot be opened.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the fed file opens");
        let fed = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (fed, stop) = (Arc::clone(&fed), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let first = fed.load(Ordering::Relaxed);
                    let lines: String = (first..first + BURST).map(line).collect();
                    // In one write, so that `tail` never sees half a line.
                    file.write_all(lines.as_bytes()).expect("the fed file can be written");
                    fed.store(first + BURST, Ordering::Release);
                    thread::sleep(PAUSE);
                }
            }
        });
        Self { fed, stop, thread: Some(thread) }
    }

    /// The number of lines written so far, which is that of the next line.
    #[must_use]
    pub fn fed(&self) -> u64 {
        self.fed.load(Ordering::Acquire)
    }

    /// Stops, and returns the number of lines written.
    ///
    /// # Panics
    ///
    /// If writing failed.
    #[must_use]
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the feeder wrote without trouble");
        }
        self.fed()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn line(n: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("load,host=web-1 value={},n={n}i {now}\n", noise(n))
}
