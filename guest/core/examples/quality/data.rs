//! Labelled sets, as `tests/quality/pack.py` packs them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fs, iter, thread};

use crate::Failure;
use crate::events::Truth;

/// Those that are not generated.
pub(crate) const REAL: [&str; 7] =
    ["NAB", "CloudMonitoring", "Nezha", "OpsSynth", "Telemanom", "Merlion", "OpenSearch"];
/// The generated one.
pub(crate) const SCENARIOS: &str = "scenarios";
/// Of several metrics, or without labels of events.
pub(crate) const OTHERS: [&str; 4] = ["SMD", "ASD", "JumpStarter", "AIOPS-KPI"];
/// Of which VUS-PR is known of other detectors.
pub(crate) const RANKED: [&str; 3] = ["SMD", "ASD", "JumpStarter"];
/// Numenta's benchmark, which has a score of its own.
pub(crate) const NAB: &str = "NAB";
/// Most of its false episodes are faults elsewhere, which have no label.
pub(crate) const HARD: &str = "Nezha";

/// A set of series.
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) series: Vec<Series>,
}

/// A series of one metric, or of several that are labelled together.
pub(crate) struct Series {
    pub(crate) name: String,
    /// When each row was: nanoseconds since 1970.
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) labels: Vec<bool>,
    /// Rows of the widest buffer around an event in VUS-PR.
    pub(crate) window: usize,
    pub(crate) truth: Truth,
}

/// Reads some sets.
pub(crate) fn load<'a>(folder: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Set>, Failure> {
    names.into_iter().map(|name| one(folder, name)).collect()
}

fn one(folder: &Path, name: &str) -> Result<Set, Failure> {
    let path = folder.join(format!("{name}.bin"));
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    unpack(name, &bytes).ok_or_else(|| format!("{}: not as pack.py writes it", path.display()).into())
}

fn unpack(name: &str, mut bytes: &[u8]) -> Option<Set> {
    let rest = &mut bytes;
    let (count, tolerance) = (number(rest)?, number(rest)?);
    let series = (0..count).map(|_| series(rest, tolerance)).collect::<Option<_>>()?;
    bytes.is_empty().then(|| Set { name: name.to_owned(), series })
}

fn series(rest: &mut &[u8], tolerance: usize) -> Option<Series> {
    let [length, rows, columns, window] = [number(rest)?, number(rest)?, number(rest)?, number(rest)?];
    let step = f64::from_le_bytes(*rest.split_off(..8)?.first_chunk()?);
    let name = String::from_utf8(rest.split_off(..length)?.to_vec()).ok()?;
    let times = words(rest, rows)?.map(i64::from_le_bytes).collect();
    let columns = (0..columns).map(|_| Some(words(rest, rows)?.map(f64::from_le_bytes).collect()));
    let columns = columns.collect::<Option<_>>()?;
    let labels: Vec<bool> = rest.split_off(..rows)?.iter().map(|label| *label > 0).collect();
    let truth = Truth::new(&labels, step, tolerance);
    Some(Series { name, times, columns, labels, window, truth })
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*rest.split_off(..4)?.first_chunk()?) as usize)
}

/// Words of eight bytes, one a row.
fn words<'a>(rest: &mut &'a [u8], rows: usize) -> Option<impl Iterator<Item = [u8; 8]> + use<'a>> {
    Some(rest.split_off(..8 * rows)?.as_chunks().0.iter().copied())
}

/// Works on all items, as many at once as there are processors; what comes out is in their order.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let queue = Mutex::new(items.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || iter::from_fn(next).map(|(at, item)| Ok((at, work(item)?))).collect::<Result<Vec<_>, Failure>>();
    let workers = thread::available_parallelism()?.get();
    let mut done = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(take)).collect();
        let mut done = Vec::new();
        for one in running {
            done.extend(one.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Failure>(done)
    })?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
