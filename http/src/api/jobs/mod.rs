//! Training on uploaded data: an upload is validated, a model is trained, and served.
//!
//! An [`Upload`] has a directory of its own under `.jobs/` in the directory of models, where its body is saved and all
//! work is done (`work`), by processes of their own ([`qualm_system::child`]). Its directory is removed at the end in any case. What is
//! under way is known to this process only: when it stops, so do the jobs. The owners of models are stored (`owners`).

mod job;
mod options;
mod owners;
mod publish;
mod quota;
mod report;
mod work;

use std::collections::VecDeque;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use qualm_bundle::secret::Secret;
use qualm_system::own;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use tempfile::TempDir;
use tracing::{info, warn};

pub use job::{Format, Published, State, Status, Wanted};
pub use options::Options;
pub use owners::{FILE as OWNERS, Owner};
pub use report::{Evaluation, Fault, Figures, Finding, Parts, Training, Validation};

use super::models::Registry;
use super::problem::Problem;
use crate::pool::run_cleanup;
use job::Job;
use owners::Owners;
use quota::Quota;
use work::JobRunner;

/// The jobs' directory, in the directory of models.
pub const DIR: &str = ".jobs";

/// The file in it that is locked while a process works there.
const LOCK: &str = "lock";

/// The jobs, and the threads that do them. Dropped, they stop.
#[derive(Debug)]
pub struct Jobs {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// Locked while this process works in the directory.
    _lock: File,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    registry: Arc<Registry>,
    dir: PathBuf,
    jobs: Mutex<JobList>,
    /// Notified when there is a job to do, or the service stops.
    wake: Condvar,
    stopping: AtomicBool,
    owners: Owners,
    publishing: Mutex<()>,
}

/// The jobs.
#[derive(Debug, Default)]
struct JobList {
    /// All jobs that are listed, the oldest first.
    listed: VecDeque<Arc<Job>>,
    queue: VecDeque<Arc<Job>>,
    quota: Quota,
}

/// An upload whose body is being saved. If it is dropped, its directory is removed.
#[derive(Debug)]
pub struct Upload {
    shared: Arc<Shared>,
    /// Taken when it becomes a job.
    dir: Option<TempDir>,
    path: PathBuf,
    owner: Owner,
    wanted: Wanted,
    limit: u64,
}

impl Jobs {
    /// Begins: leftovers are removed, and threads wait for work.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be used, or another process is at work there.
    pub fn start(options: Options, registry: Arc<Registry>) -> io::Result<Self> {
        let dir = registry.dir().join(DIR);
        let lock = claim(&dir)?;
        let owners = Owners::open(registry.dir())?;
        let workers = options.at_once.max(1);
        let shared = Arc::new(Shared {
            options,
            registry,
            dir,
            jobs: Mutex::default(),
            wake: Condvar::new(),
            stopping: AtomicBool::new(false),
            owners,
            publishing: Mutex::new(()),
        });
        let this = Self { shared, workers: Mutex::default(), _lock: lock };
        for _ in 0..workers {
            let shared = Arc::clone(&this.shared);
            let worker = thread::Builder::new().name("qualm-jobs".to_owned()).spawn(move || shared.work())?;
            this.workers.lock().push(worker);
        }
        Ok(this)
    }

    /// The owner of uploads with this token, or with none.
    #[must_use]
    pub fn owner(&self, token: Option<&Secret>) -> Owner {
        self.shared.owners.owner(token)
    }

    /// Begins an upload for `owner`, if there is room for it.
    ///
    /// # Errors
    ///
    /// 422 if the parameters are wrong, 429 if the owner's share is used up, 503 if that of all is, 403 if nothing may be
    /// published, or nothing of that name.
    pub fn begin(&self, owner: &Owner, wanted: Wanted) -> Result<Upload, Problem> {
        wanted.check()?;
        let Shared { options, registry, dir, owners, .. } = &*self.shared;
        if options.key.is_none() && !registry.trust().keys.is_empty() {
            return Err(Problem::new(
                403,
                "only signed models are served here, and this server has no key to sign with",
            )
            .hint(
                "train with `qualm train`, sign with `qualm bundle sign`, and give the bundle to whoever runs this",
            ));
        }
        owners.check(registry, &wanted.name, owner)?;
        if bytes_in(registry.dir()) >= options.models {
            return Err(Problem::new(503, "there is no room for more models")
                .hint("have whoever runs this server remove old versions"));
        }
        let limit = {
            let mut jobs = self.shared.jobs.lock();
            let of_owner = jobs.unfinished().filter(|job| job.owner == *owner).count();
            let on_disk = jobs.unfinished().map(|job| job.bytes).sum();
            let waiting = jobs.queue.len();
            jobs.quota.begin(owner, options, of_owner, waiting, on_disk, Instant::now())?
        };
        // From here on, dropping gives back what was reserved.
        let (shared, owner) = (Arc::clone(&self.shared), owner.clone());
        let mut upload = Upload { shared, dir: None, path: PathBuf::new(), owner, wanted, limit };
        let made = tempfile::Builder::new().prefix("").rand_bytes(DIR_NAME_CHARS).tempdir_in(dir).map_err(|error| {
            warn!("{}: {error}", dir.display());
            Problem::new(503, "there is no place to save the upload").retry_after(60)
        })?;
        upload.path = made.path().join(upload.wanted.format.file());
        upload.dir = Some(made);
        Ok(upload)
    }

    /// The state of a job of this owner.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn get(&self, owner: &Owner, id: &str) -> Result<Status, Problem> {
        self.find(owner, id).map(|job| job.status())
    }

    /// The states of all jobs of this owner, the newest first.
    #[must_use]
    pub fn list(&self, owner: &Owner) -> Vec<Status> {
        let jobs = self.shared.jobs.lock();
        jobs.listed.iter().rev().filter(|job| job.owner == *owner).map(|job| job.status()).collect()
    }

    /// Ends a job of this owner.
    ///
    /// # Errors
    ///
    /// 404; 409 if it is too late.
    pub fn cancel(&self, owner: &Owner, id: &str) -> Result<Status, Problem> {
        let job = self.find(owner, id)?;
        job.cancel().map_err(|state| {
            let error = if state.is_end() { "it has ended already" } else { "it is being published" };
            Problem::new(409, error).hint("GET it to see what came of it")
        })?;
        let mut jobs = self.shared.jobs.lock();
        let waiting = jobs.queue.iter().position(|waiting| waiting.id == id);
        if let Some(place) = waiting {
            jobs.queue.remove(place);
            job.end(State::Cancelled, |_| {});
        }
        Ok(job.status())
    }

    fn find(&self, owner: &Owner, id: &str) -> Result<Arc<Job>, Problem> {
        let jobs = self.shared.jobs.lock();
        let found = jobs.listed.iter().find(|job| job.id == id && job.owner == *owner).cloned();
        found.ok_or_else(Self::unknown)
    }

    /// There is no such job, or it has another owner.
    #[must_use]
    pub fn unknown() -> Problem {
        Problem::new(404, "there is no such upload").hint("GET /api/v1/bundles lists yours; a restart forgets them")
    }

    /// Ends all jobs, and waits until they are removed.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let waiting: Vec<_> = {
            let mut jobs = self.shared.jobs.lock();
            self.shared.wake.notify_all();
            jobs.queue.drain(..).collect()
        };
        for job in waiting {
            job.end(State::Cancelled, |_| {});
        }
        for worker in self.workers.lock().drain(..) {
            let _panicked = worker.join();
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Upload {
    /// The path to which the body is to be saved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The most bytes that it may have, unpacked.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Makes a job of it, after the body was saved.
    ///
    /// # Errors
    ///
    /// 422 if the body does not begin like a history, 503 if the server stops.
    pub fn submit(mut self) -> Result<Status, Problem> {
        let bytes = fs::metadata(&self.path).map_or(0, |file| file.len());
        self.wanted.format.check(&self.path).unwrap_or_else(|error| {
            warn!("{}: {error}", self.path.display());
            Err(Problem::new(500, "the upload cannot be read again").hint("send it again"))
        })?;
        let mut jobs = self.shared.jobs.lock();
        let Some(dir) = self.dir.take().filter(|_| !self.shared.stopping.load(Ordering::Relaxed)) else {
            return Err(Problem::new(503, "this server stops").retry_after(10));
        };
        let id = dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        info!("upload {id}: {bytes} bytes for the model {} ({})", self.wanted.name, self.wanted.detector);
        let job = Arc::new(Job::new(id, self.owner.clone(), self.wanted.clone(), bytes, dir));
        jobs.quota.end(&self.owner, self.limit, bytes, Instant::now());
        jobs.queue.push_back(Arc::clone(&job));
        jobs.listed.push_back(Arc::clone(&job));
        jobs.forget(self.shared.options.remembered);
        self.shared.wake.notify_one();
        Ok(job.status())
    }
}

/// Releases the reservation, unless it has become a job.
impl Drop for Upload {
    fn drop(&mut self) {
        let was_begun = self.dir.is_some() || self.path.as_os_str().is_empty();
        if was_begun {
            self.shared.jobs.lock().quota.end(&self.owner, self.limit, 0, Instant::now());
            let dir = self.dir.take();
            run_cleanup(move || drop(dir));
        }
    }
}

impl Shared {
    /// The loop of a worker.
    fn work(&self) {
        let Self { options, registry, owners, publishing, stopping, .. } = self;
        let stopping = || stopping.load(Ordering::Relaxed);
        let runner = JobRunner { options, registry, owners, publishing, stopping: &stopping };
        while let Some(job) = self.next() {
            runner.run(&job);
        }
    }

    /// The next job; `None` when the server stops.
    fn next(&self) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(job) = jobs.queue.pop_front() {
                return Some(job);
            }
            self.wake.wait(&mut jobs);
        }
    }
}

impl JobList {
    /// The jobs that still have a directory.
    fn unfinished(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.listed.iter().filter(|job| job.dir().is_some())
    }

    /// Removes the oldest that have ended.
    fn forget(&mut self, remembered: usize) {
        let mut over = self.listed.len().saturating_sub(remembered);
        self.listed.retain(|job| {
            let goes = over > 0 && job.status().state.is_end() && job.dir().is_none();
            over -= usize::from(goes);
            !goes
        });
    }
}

/// The length of the names of jobs' directories, letters and digits: nothing else in the directory is ever removed.
const DIR_NAME_CHARS: usize = 16;

/// Creates and locks the directory, and removes the jobs of earlier processes. Others may be able to write to the directory of
/// models: therefore an existing one is checked before it is used, and no link is followed.
fn claim(dir: &Path) -> io::Result<File> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(error)),
        _ => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(dir, flags, Mode::empty()).map(File::from).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => at(io::Error::other("it is no directory, but a link or a file; remove it")),
        error => at(error.into()),
    })?;
    let this = rustix::process::geteuid().as_raw();
    let owner = opened.metadata().map_err(at)?.uid();
    if owner != this {
        return Err(at(io::Error::other(format!("it belongs to user {owner}, and not to user {this}; remove it"))));
    }
    opened.set_permissions(Permissions::from_mode(0o700)).map_err(at)?; // no other user may read uploads
    let lock = own::open_or_create(&dir.join(LOCK)).map_err(at)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        io::Error::other(format!("{}: another process trains here; give each a directory of its own", dir.display()))
    })?;
    for entry in fs::read_dir(dir).map_err(at)? {
        let entry = entry.map_err(at)?;
        let name = entry.file_name();
        let is_job = name.len() <= DIR_NAME_CHARS && name.as_encoded_bytes().iter().all(u8::is_ascii_alphanumeric);
        // `file_type` does not follow links.
        if is_job && entry.file_type().map_err(at)?.is_dir() {
            fs::remove_dir_all(entry.path()).map_err(at)?;
        } else if name != LOCK {
            warn!("{} is no job's, and stays", entry.path().display());
        }
    }
    Ok(lock)
}

/// The bytes of all bundles in a directory.
fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let visible = entries.flatten().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => fs::read_dir(entry.path())
            .map_or(0, |files| files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    visible.map(size).sum()
}
