//! The engine: its configuration, compiled code and its cache, and the clock of deadlines.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use qualm_system::digest::sha256;
use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};
use wasmtime::component::Component;
use wasmtime::{Engine, EngineWeak};

use crate::compiler;
use crate::error::LoadError;
use crate::inspect::{ComponentInfo, inspect};
use crate::settings;
use crate::space::AddressSpace;

/// The interval of the clock of deadlines during a call. A deadline is exceeded by a few ticks at most.
pub const TICK: Duration = Duration::from_millis(2);

/// Ticks that are made at once while no call is running, so that the clock wakes seldom. A deadline may be this much early.
const IDLE_TICKS: u32 = 5;

/// Checks without a call after which the clock stops, so that an idle process does not wake.
const MAX_IDLE_CHECKS: u32 = 5;

/// The most compiled components in the cache: a Python takes 60 MiB, and each version of qualm compiles again.
const MAX_CACHED: usize = 32;

/// Held while an untrusted component is compiled.
static COMPILING: Mutex<()> = Mutex::new(());

/// Compiles and runs components, for all detectors.
#[derive(Debug, Clone)]
pub struct Sandbox {
    engine: Engine,
    clock: Arc<Clock>,
    cache: Option<PathBuf>,
    address_space: AddressSpace,
    /// The time limit for compiling untrusted components, on a processor.
    compile_time: Duration,
}

impl Sandbox {
    /// An engine with its clock. Compiled code is kept in `cache`, if given.
    ///
    /// # Panics
    ///
    /// If the compiler does not support this processor, or no thread can be started.
    #[must_use]
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self::within(cache, AddressSpace::of_process())
    }

    /// The same, with this address space.
    fn within(cache: Option<PathBuf>, address_space: AddressSpace) -> Self {
        let engine = settings::engine(address_space);
        let clock = Arc::new(Clock::start(engine.weak()));
        Self { engine, clock, cache, address_space, compile_time: compiler::DEFAULT_TIME }
    }

    /// The same, with another time limit for compiling untrusted components, on a processor.
    #[must_use]
    pub fn with_compile_time(self, compile_time: Duration) -> Self {
        Self { compile_time, ..self }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Starts the clock for one call, which ends when the result is dropped.
    pub(crate) fn start_clock(&self) -> CallClock<'_> {
        self.clock.start_call()
    }

    /// Loads a trusted component: from the cache, or by compiling it.
    ///
    /// # Errors
    ///
    /// [`LoadError::Compile`] with the engine's reason. A cache that fails is only logged.
    pub fn load(&self, component: &[u8]) -> Result<Component, LoadError> {
        let separate_process = self.address_space.is_scarce();
        self.load_or_compile(component, |component| self.compile(component, separate_process))
    }

    /// Loads an untrusted component: it is [inspected](inspect) first, and compiled in a separate process, if this program can
    /// [start one](compiler::serve).
    ///
    /// # Errors
    ///
    /// Why it is of no use.
    pub fn load_plugin(&self, component: &[u8]) -> Result<(Component, ComponentInfo), LoadError> {
        let component_info = inspect(component)?;
        let cached = self.cache.as_ref().and_then(|cache| self.load_cached(cache, &self.cache_key(component)).ok());
        if let Some(component) = cached {
            return Ok((component, component_info));
        }
        // One at a time: each may take gigabytes, and after waiting the component may be in the cache.
        let _one = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((self.load_or_compile(component, |component| self.compile(component, true))?, component_info))
    }

    /// Compiles, in a separate process if wanted and possible, so that a lack of memory there does not affect this one.
    fn compile(&self, component: &[u8], separate_process: bool) -> Result<Vec<u8>, LoadError> {
        if separate_process && compiler::is_there() {
            compiler::compile(component, self.address_space, self.compile_time)
        } else {
            self.precompile(component)
        }
    }

    /// Whether it is in the cache and valid, so that it can be loaded fast.
    #[must_use]
    pub fn has_compiled(&self, component: &[u8]) -> bool {
        self.cache.as_ref().is_some_and(|cache| self.load_cached(cache, &self.cache_key(component)).is_ok())
    }

    /// Compiles in this process.
    ///
    /// # Errors
    ///
    /// [`LoadError::Compile`] with the engine's reason.
    pub fn precompile(&self, component: &[u8]) -> Result<Vec<u8>, LoadError> {
        Ok(self.engine.precompile_component(component)?)
    }

    fn load_or_compile(
        &self,
        component: &[u8],
        compile: impl FnOnce(&[u8]) -> Result<Vec<u8>, LoadError>,
    ) -> Result<Component, LoadError> {
        let entry = self.cache.as_ref().map(|cache| (cache, self.cache_key(component)));
        if let Some((cache, cache_key)) = &entry {
            match self.load_cached(cache, cache_key) {
                Ok(component) => return Ok(component),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    debug!("compiling a detector, for the first time");
                }
                Err(error) => warn!("compiled code in {} is not used: {error}", cache.join(cache_key).display()),
            }
        }
        let code = compile(component)?;
        if let Some((cache, cache_key)) = &entry
            && let Err(error) = write_entry(cache, cache_key, &code)
        {
            warn!("compiled code cannot be kept in {}: {error}; the next start compiles again", cache.display());
        }
        Ok(self.deserialize(&code)?)
    }

    /// A cache entry's name: the component's digest, and the engine's version and settings.
    fn cache_key(&self, component: &[u8]) -> String {
        let mut settings = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut settings);
        format!("{:.32}-{:016x}.cwasm", sha256(component), settings.finish())
    }

    fn load_cached(&self, cache: &Path, cache_key: &str) -> io::Result<Component> {
        let mut file = File::open(cache.join(cache_key))?;
        check_owner(&file.metadata()?)?;
        check_owner(&fs::metadata(cache)?)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let damaged = || io::Error::other("it is damaged, or another component's");
        let (digest, code) = bytes.split_first_chunk::<32>().ok_or_else(damaged)?;
        if digest_entry(cache_key, code) != *digest {
            return Err(damaged());
        }
        // The time of last use, for `prune_cache`; a cache that cannot be written to is one that nobody prunes.
        drop(file.set_modified(SystemTime::now()));
        self.deserialize(code).map_err(io::Error::other)
    }

    #[expect(unsafe_code, reason = "compiled code is trusted as far as where it comes from: argued within")]
    fn deserialize(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` runs what it is given, so it must be given only what this program's compiler made. It has
        // just done so, here or in a process of our own, whose directory nobody else may write to; or the code is from the
        // cache: its file and folder belong to this very user and nobody else may write to them (`check_owner`), so that whoever
        // could have put other code there could as well replace this program; and its seal shows that it is whole, and
        // of the very component that is asked for.
        unsafe { Component::deserialize(&self.engine, code) }
    }
}

/// Refuses files that other users could have written.
fn check_owner(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("other users may write to it"));
    }
    Ok(())
}

/// The digest of a cache entry: of its name and code.
fn digest_entry(cache_key: &str, code: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(cache_key).chain_update(code).finalize().into()
}

/// Writes a cache entry atomically.
fn write_entry(cache: &Path, cache_key: &str, code: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(cache)?;
    qualm_system::atomic::sweep(cache, &[]);
    qualm_system::atomic::write_with(&cache.join(cache_key), 0o600, |file| {
        file.write_all(&digest_entry(cache_key, code))?;
        file.write_all(code)
    })?;
    prune_cache(cache)
}

/// Removes the entries that were not used for longest, if there are too many.
fn prune_cache(cache: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        // Another process may have removed it.
        if let (Some("cwasm"), Ok(about)) = (path.extension().and_then(OsStr::to_str), fs::metadata(&path)) {
            entries.push((about.modified()?, path));
        }
    }
    entries.sort();
    for (_, path) in entries.iter().rev().skip(MAX_CACHED) {
        drop(fs::remove_file(path));
    }
    Ok(())
}

/// Increments the engine's epoch while a guest runs, and sleeps otherwise.
#[derive(Debug)]
struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    /// Calls that have begun, and those that have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// A call that is running.
pub(crate) struct CallClock<'a>(&'a Clock);

impl Clock {
    fn start(engine: EngineWeak) -> Self {
        let shared = Arc::new(Shared::default());
        let ticking = Arc::clone(&shared);
        let thread = thread::Builder::new().name("qualm-clock".to_owned()).spawn(move || run_clock(&ticking, &engine));
        Self { shared, thread: thread.expect("a thread can be started").thread().clone() }
    }

    fn start_call(&self) -> CallClock<'_> {
        // Either this sees `parked`, or the thread sees the new number before it parks: both sides write, then read,
        // in one total order.
        self.shared.begun.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        CallClock(self)
    }
}

impl Drop for CallClock<'_> {
    fn drop(&mut self) {
        self.0.shared.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn run_clock(shared: &Shared, engine: &EngineWeak) {
    let Shared { begun, ended, parked, stop } = shared;
    let (mut last, mut idle) = (0, 0);
    let mut ticked = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let calls_running = begun.load(Ordering::SeqCst) != ended.load(Ordering::SeqCst);
        thread::sleep(TICK * if calls_running { 1 } else { IDLE_TICKS });
        let Some(engine) = engine.upgrade() else { return };
        // As many ticks as are due: sleep takes longer than requested, on a busy machine much longer.
        while ticked.elapsed() >= TICK {
            engine.increment_epoch();
            ticked += TICK;
        }
        let calls = begun.load(Ordering::SeqCst);
        idle = if calls == last && ended.load(Ordering::SeqCst) == calls { idle + 1 } else { 0 };
        last = calls;
        if idle > MAX_IDLE_CHECKS {
            parked.store(true, Ordering::SeqCst);
            while begun.load(Ordering::SeqCst) == last && !stop.load(Ordering::SeqCst) {
                thread::park();
            }
            parked.store(false, Ordering::SeqCst);
            idle = 0;
            ticked = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(cache: &Path) -> PathBuf {
        fs::read_dir(cache).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn compiled_code_is_kept_and_used_only_if_whole_and_ours() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("cache");
        let sandbox = Sandbox::new(Some(path.clone()));
        sandbox.load(qualm_components::DETECTOR).unwrap();
        let entry = entry(&path);
        let cache_key = sandbox.cache_key(qualm_components::DETECTOR);
        sandbox.load_cached(&path, &cache_key).unwrap();

        let whole = fs::read(&entry).unwrap();
        for at in [0, 40, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&entry, &damaged).unwrap();
            assert!(sandbox.load_cached(&path, &cache_key).unwrap_err().to_string().contains("damaged"));
            assert!(!sandbox.has_compiled(qualm_components::DETECTOR));
            sandbox.load(qualm_components::DETECTOR).unwrap();
            assert_eq!(fs::read(&entry).unwrap(), whole, "a damaged entry is made anew");
        }
        fs::write(&entry, b"").unwrap();
        assert!(sandbox.load_cached(&path, &cache_key).is_err());

        fs::write(&entry, &whole).unwrap();
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(sandbox.load_cached(&path, &cache_key).unwrap_err().to_string().contains("other users"));
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(sandbox.load_cached(&path, &cache_key).unwrap_err().to_string().contains("other users"));
    }

    #[test]
    fn compiled_code_does_not_run_as_another_components() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("cache");
        let sandbox = Sandbox::new(Some(path.clone()));
        let (check_owner, theirs) = (qualm_components::DETECTOR, qualm_test_plugins::HOSTILE);
        sandbox.load(check_owner).unwrap();
        sandbox.load(theirs).unwrap();
        let [ours_at, theirs_at] = [check_owner, theirs].map(|component| path.join(sandbox.cache_key(component)));
        let whole = fs::read(&ours_at).unwrap();
        fs::rename(&theirs_at, &ours_at).unwrap();
        let refused = sandbox.load_cached(&path, &sandbox.cache_key(check_owner)).unwrap_err().to_string();
        assert!(refused.contains("another component's"), "{refused}");
        assert!(!sandbox.has_compiled(check_owner));
        sandbox.load(check_owner).unwrap();
        assert_eq!(fs::read(&ours_at).unwrap(), whole, "it is made anew");
        assert!(sandbox.has_compiled(check_owner) && !sandbox.has_compiled(theirs));
    }

    #[test]
    fn the_clock_stops_and_starts() {
        let sandbox = Sandbox::new(None);
        let shared = &sandbox.clock.shared;
        let until = |parked: bool| {
            let deadline = Instant::now() + Duration::from_mins(1);
            while shared.parked.load(Ordering::SeqCst) != parked {
                assert!(Instant::now() < deadline, "parked never became {parked}");
                thread::yield_now();
            }
        };
        for _ in 0..3 {
            until(true);
            let running = sandbox.start_clock();
            until(false);
            drop(running);
        }
    }
}
