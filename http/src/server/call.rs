//! A request, as its handler sees it.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AsHeaderName;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use qualm_bundle::secret::Secret;
use qualm_system::fault::is_of_system;

use super::answer::Shared;
use super::body::{Arriving, Payload};
use super::connection::Connection;
use super::decode::{self, Encoding};
use super::memory::Held;
use super::refused::Refused;
use crate::pool::tidy;

/// A request. Its body has not been read yet: [`bytes`](Self::bytes) or [`save`](Self::save) takes it, once.
pub struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Option<Incoming>,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) token: Option<Arc<Secret>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) shared: Arc<Shared>,
}

/// How much of an upload is in memory at once.
const STEP: usize = 256 << 10;

impl Call {
    /// The method; `HEAD` for a route that was made for `GET`, where the body of the answer is left out by itself.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as it came, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// What stands for `{name}` in the route's path, percent-decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// All that comes after the question mark, decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// All that comes after the question mark, as it came.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The same without what says who calls, however that is encoded: what may go on to others.
    #[must_use]
    pub fn query_without_credentials(&self) -> String {
        self.shared.access.tokens.read().left_out_of(self.raw_query())
    }

    /// The first such value after the question mark, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// All header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header field, if there is one and it is text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Who calls, or the last proxy on the way.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// The token of the caller; `None` if the service has no tokens.
    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_deref()
    }

    /// How large a body may be that has no limit of its own: [`Limits::body`](crate::Limits::body).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.means.limits.body
    }

    /// The whole body, decompressed.
    ///
    /// # Errors
    ///
    /// If it is larger than `limit` bytes (decompressed or not), came too slowly, ended early, is not what its
    /// `content-encoding` says, or if all memory for bodies has been in use for too long.
    pub async fn bytes(&mut self, limit: usize) -> Result<Payload, Refused> {
        let taken = self.take(limit as u64).await;
        self.counted(taken)
    }

    /// Streams the body, decompressed, to a new file; returns its length in bytes. No file is left if that fails, or if
    /// the call ends before it is done, but for a moment. The file is not synced to the disk.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), or if the file is there already or cannot be written.
    pub async fn save(&mut self, path: &Path, limit: u64) -> Result<u64, Refused> {
        let saved = self.stream_to(path, limit).await;
        self.counted(saved)
    }

    fn counted<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        result.inspect_err(|refused| self.shared.counts.refused(refused.reason()))
    }

    fn arriving(&mut self, limit: u64) -> Result<Arriving<'_>, Refused> {
        let incoming = self.body.take().ok_or(Refused::Taken)?;
        Arriving::new(incoming, &self.parts.headers, &self.connection, &self.shared.means.limits, limit)
    }

    async fn take(&mut self, limit: u64) -> Result<Payload, Refused> {
        let encodings = Encoding::of(&self.parts.headers)?;
        let shared = Arc::clone(&self.shared);
        let arriving = self.arriving(limit)?;
        let mut payload = shared.means.collect(arriving).await?;
        // Nothing is decompressed before it is complete: a sender that stops half-way does not hold what it would become.
        for encoding in encodings {
            payload = shared.means.decode(payload, encoding, limit).await?;
        }
        Ok(payload)
    }

    async fn stream_to(&mut self, path: &Path, limit: u64) -> Result<u64, Refused> {
        let encodings = Encoding::of(&self.parts.headers)?;
        let shared = Arc::clone(&self.shared);
        let (path, pool) = (path.to_owned(), &shared.means.pool);
        let (place, encoded) = (path.clone(), encodings.len());
        let mut file = pool.run(move || Unfinished::new(&place, encoded)).await?;
        let mut arriving = self.arriving(limit)?;
        let mut held = Held::nothing(&shared.means.memory);
        let mut step = Vec::new();
        loop {
            let more = arriving.next().await?;
            if step.capacity() == 0 {
                arriving.hold(&mut held, STEP).await?;
                step.reserve_exact(STEP);
            }
            let done = more.is_none();
            let more = more.unwrap_or_default();
            if done || step.len() + more.len() > STEP {
                (file, step) = pool
                    .run(move || {
                        let written = file.file.write_all(&step);
                        step.clear();
                        file.disk(written).map(|()| (file, step))
                    })
                    .await?;
            }
            step.extend_from_slice(&more);
            if done {
                break;
            }
        }
        drop(step);
        for (number, encoding) in encodings.iter().copied().enumerate() {
            let needed;
            (file, needed) = pool.run(move || file.decoding_takes(encoding, limit).map(|takes| (file, takes))).await?;
            held.shrink_to(0);
            held.grow_to(needed).await?;
            let (place, encoded) = (path.clone(), encodings.len() - number - 1);
            file = pool.run(move || file.decode(encoding, Unfinished::new(&place, encoded)?, limit)).await?;
        }
        pool.run(move || file.keep()).await
    }
}

/// A file that is removed on drop, unless it is kept.
struct Unfinished {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Unfinished {
    /// A new file at `path`, or beside it, if it still has to be decoded so many times.
    fn new(path: &Path, encoded: usize) -> Result<Self, Refused> {
        let mut name = path.as_os_str().to_owned();
        if encoded > 0 {
            name.push(format!(".encoded-{encoded}"));
        }
        let path = PathBuf::from(name);
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { path, file, kept: false }),
            Err(error) => Err(Refused::Disk(path, error)),
        }
    }

    fn disk<T>(&self, result: io::Result<T>) -> Result<T, Refused> {
        result.map_err(|error| Refused::Disk(self.path.clone(), error))
    }

    fn length(&self) -> Result<u64, Refused> {
        Ok(self.disk(self.file.metadata())?.len())
    }

    /// The file from its beginning.
    fn reader(&self) -> Result<BufReader<File>, Refused> {
        Ok(BufReader::with_capacity(STEP, self.disk(File::open(&self.path))?))
    }

    /// How much memory it takes to decode it. Of Snappy, a block and what becomes of it have to be there at once.
    fn decoding_takes(&self, encoding: Encoding, limit: u64) -> Result<usize, Refused> {
        if encoding != Encoding::Snappy {
            return Ok(encoding.window());
        }
        // The length takes at most five bytes.
        let mut head = Vec::new();
        self.disk(self.reader()?.take(5).read_to_end(&mut head))?;
        let length = if head.is_empty() { 0 } else { snap::raw::decompress_len(&head).unwrap_or(0) as u64 };
        if length > limit {
            return Err(Refused::TooLarge(limit));
        }
        usize::try_from(self.length()? + length).map_err(|_| Refused::TooLarge(limit))
    }

    fn decode(self, encoding: Encoding, mut into: Self, limit: u64) -> Result<Self, Refused> {
        if encoding == Encoding::Snappy {
            let mut block = Vec::new();
            self.disk(self.reader()?.read_to_end(&mut block))?;
            let length = decode::snappy_length(&block, limit)?;
            let written = into.file.write_all(&decode::snappy(&block, length)?);
            into.disk(written)?;
            return Ok(into);
        }
        // A disk that cannot be read is not the sender's fault.
        let failed = |error: io::Error| {
            if is_of_system(&error) { Refused::Disk(self.path.clone(), error) } else { encoding.corrupt(&error) }
        };
        let mut decoded = encoding.reader(self.reader()?).map_err(failed)?;
        let mut step = vec![0; STEP];
        let mut length = 0;
        loop {
            let read = decoded.read(&mut step).map_err(failed)?;
            length += read as u64;
            if length > limit {
                return Err(Refused::TooLarge(limit));
            }
            if read == 0 {
                return Ok(into);
            }
            let written = into.file.write_all(&step[..read]);
            into.disk(written)?;
        }
    }

    fn keep(mut self) -> Result<u64, Refused> {
        let length = self.length()?;
        self.kept = true;
        Ok(length)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = mem::take(&mut self.path);
        tidy(move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("{} is left over and cannot be removed: {error}", path.display());
            }
        });
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header fields and the query may hold secrets.
        f.debug_struct("Call").field("method", self.method()).field("path", &self.path()).finish_non_exhaustive()
    }
}
