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

use super::body::{IncomingBody, Payload};
use super::connection::Connection;
use super::context::Context;
use super::decode::{self, Encoding};
use super::memory::Reservation;
use super::refused::Refused;
use crate::pool::run_cleanup;

/// A request. Its body has not been read yet: [`bytes`](Self::bytes) or [`save`](Self::save) takes it, once.
pub struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Option<Incoming>,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) token: Option<Arc<Secret>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) context: Arc<Context>,
}

/// The bytes of an upload that are in memory at once.
const CHUNK_BYTES: usize = 256 << 10;

impl Call {
    /// The method; `HEAD` at a route for `GET`, where hyper leaves out the body of the answer.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as it was sent, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The parameter `{name}` of the route's path, percent-decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The pairs of the query, decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// The query as it was sent.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The query without user, password and tokens, however they are encoded: it may be passed on.
    #[must_use]
    pub fn query_without_credentials(&self) -> String {
        self.context.access.tokens.read().strip_credentials(self.raw_query())
    }

    /// The first value of this name in the query, decoded.
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

    /// The address of the caller, or of the last proxy.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// The token of the caller; `None` if the service has no tokens.
    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_deref()
    }

    /// The largest body for a handler without a limit of its own: [`Limits::body`](crate::Limits::body).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.context.bodies.limits.body
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

    /// Streams the body, decompressed, to a new file; returns its length in bytes. If that fails, or the call ends early, the
    /// file is removed soon after. The file is not synced to the disk.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), or if the file is there already or cannot be written.
    pub async fn save(&mut self, path: &Path, limit: u64) -> Result<u64, Refused> {
        let saved = self.stream_to(path, limit).await;
        self.counted(saved)
    }

    fn counted<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        result.inspect_err(|refused| self.context.counts.refused(refused.reason()))
    }

    fn incoming(&mut self, limit: u64) -> Result<IncomingBody<'_>, Refused> {
        let incoming = self.body.take().ok_or(Refused::Taken)?;
        IncomingBody::new(incoming, &self.parts.headers, &self.connection, &self.context.bodies.limits, limit)
    }

    async fn take(&mut self, limit: u64) -> Result<Payload, Refused> {
        let encodings = Encoding::from_headers(&self.parts.headers)?;
        let context = Arc::clone(&self.context);
        let incoming = self.incoming(limit)?;
        let mut payload = context.bodies.collect(incoming).await?;
        // Nothing is decompressed before it is complete: a sender that stops half-way does not occupy the decoded size.
        for encoding in encodings {
            payload = context.bodies.decode(payload, encoding, limit).await?;
        }
        Ok(payload)
    }

    async fn stream_to(&mut self, path: &Path, limit: u64) -> Result<u64, Refused> {
        let encodings = Encoding::from_headers(&self.parts.headers)?;
        let context = Arc::clone(&self.context);
        let (path, pool) = (path.to_owned(), &context.bodies.pool);
        let (place, encoded) = (path.clone(), encodings.len());
        let mut file = pool.run(move || TemporaryFile::new(&place, encoded)).await?;
        let mut incoming = self.incoming(limit)?;
        let mut held = Reservation::empty(&context.bodies.memory);
        let mut chunk = Vec::new();
        loop {
            let more = incoming.next().await?;
            if chunk.capacity() == 0 {
                incoming.hold(&mut held, CHUNK_BYTES).await?;
                chunk.reserve_exact(CHUNK_BYTES);
            }
            let done = more.is_none();
            let more = more.unwrap_or_default();
            if done || chunk.len() + more.len() > CHUNK_BYTES {
                (file, chunk) = pool
                    .run(move || {
                        let written = file.file.write_all(&chunk);
                        chunk.clear();
                        file.disk(written).map(|()| (file, chunk))
                    })
                    .await?;
            }
            chunk.extend_from_slice(&more);
            if done {
                break;
            }
        }
        drop(chunk);
        for (number, encoding) in encodings.iter().copied().enumerate() {
            let needed;
            (file, needed) = pool.run(move || file.decoding_takes(encoding, limit).map(|takes| (file, takes))).await?;
            held.shrink_to(0);
            held.grow_to(needed).await?;
            let (place, encoded) = (path.clone(), encodings.len() - number - 1);
            file = pool.run(move || file.decode(encoding, TemporaryFile::new(&place, encoded)?, limit)).await?;
        }
        pool.run(move || file.keep()).await
    }
}

/// A file that is removed on drop, unless it is kept.
struct TemporaryFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl TemporaryFile {
    /// A new file at `path`, or beside it while it has to be decoded `encoded` times more.
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
        Ok(BufReader::with_capacity(CHUNK_BYTES, self.disk(File::open(&self.path))?))
    }

    /// The memory that decoding takes, in bytes. For Snappy, the block and its content are in memory at once.
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
            let length = decode::snappy_decoded_length(&block, limit)?;
            let written = into.file.write_all(&decode::decode_snappy(&block, length)?);
            into.disk(written)?;
            return Ok(into);
        }
        // A disk that cannot be read is not the sender's fault.
        let failed = |error: io::Error| {
            if is_of_system(&error) { Refused::Disk(self.path.clone(), error) } else { encoding.corrupt(&error) }
        };
        let mut decoded = encoding.reader(self.reader()?).map_err(failed)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut length = 0;
        loop {
            let read = decoded.read(&mut chunk).map_err(failed)?;
            length += read as u64;
            if length > limit {
                return Err(Refused::TooLarge(limit));
            }
            if read == 0 {
                return Ok(into);
            }
            let written = into.file.write_all(&chunk[..read]);
            into.disk(written)?;
        }
    }

    fn keep(mut self) -> Result<u64, Refused> {
        let length = self.length()?;
        self.kept = true;
        Ok(length)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = mem::take(&mut self.path);
        run_cleanup(move || {
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
