//! Taking a request's body: in time, no larger than allowed, decompressed, into memory that all bodies share.

use std::io::{Cursor, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_LENGTH;
use tokio::time::timeout_at;

use super::connection::Connection;
use super::decode::{self, Encoding};
use super::memory::{Held, Memory};
use super::options::Limits;
use super::refused::Refused;
use crate::pool::Pool;

/// A whole body, decompressed. While it lives, it counts among the memory of all bodies: let go of it early.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    held: Held,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The least memory that a body takes, so that most do not have to grow.
const SMALLEST: usize = 16 << 10;

/// What all bodies need.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) limits: Limits,
    pub(crate) memory: Arc<Memory>,
    /// For decompression, and for files that bodies become.
    pub(crate) pool: Pool,
}

/// A body as it comes.
pub(crate) struct Arriving<'a> {
    incoming: Incoming,
    connection: &'a Connection,
    limits: &'a Limits,
    limit: u64,
    started: Instant,
    received: u64,
}

impl<'a> Arriving<'a> {
    /// # Errors
    ///
    /// If the body says that it is larger than `limit`.
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        connection: &'a Connection,
        limits: &'a Limits,
        limit: u64,
    ) -> Result<Self, Refused> {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(Refused::TooLarge(limit));
        }
        Ok(Self { incoming, connection, limits, limit, started: Instant::now(), received: 0 })
    }

    /// How many bytes there will be at most.
    pub(crate) fn expected(&self) -> u64 {
        self.received + self.incoming.size_hint().upper().unwrap_or(self.limit).min(self.limit - self.received)
    }

    /// The next bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let stalled = Instant::now() + self.limits.body_timeout;
            let deadline = stalled.min(self.started + self.limits.time_for(self.received));
            match timeout_at(deadline.into(), self.incoming.frame()).await {
                Err(_elapsed) => return Err(Refused::TooSlow),
                Ok(None) => {
                    self.connection.all_read();
                    return Ok(None);
                }
                Ok(Some(Err(_broken))) => return Err(Refused::Truncated),
                Ok(Some(Ok(frame))) => {
                    // Trailers are of no use here.
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.received += bytes.len() as u64;
                    if self.received > self.limit {
                        return Err(Refused::TooLarge(self.limit));
                    }
                    return Ok(Some(bytes));
                }
            }
        }
    }

    /// Waits for memory, which is not the sender's fault.
    pub(crate) async fn hold(&mut self, held: &mut Held, bytes: usize) -> Result<(), Refused> {
        let waiting = Instant::now();
        held.grow_to(bytes).await?;
        self.started += waiting.elapsed();
        Ok(())
    }
}

impl Means {
    /// The whole body, as it came.
    pub(crate) async fn collect(&self, mut arriving: Arriving<'_>) -> Result<Payload, Refused> {
        let mut held = Held::nothing(&self.memory);
        let mut bytes = Vec::new();
        while let Some(more) = arriving.next().await? {
            let needed = bytes.len() + more.len();
            if needed > bytes.capacity() {
                let most = usize::try_from(arriving.expected()).unwrap_or(usize::MAX).max(needed);
                let capacity = needed.max(2 * bytes.capacity()).max(SMALLEST).min(most);
                arriving.hold(&mut held, capacity).await?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&more);
        }
        Ok(Payload::new(bytes, held))
    }

    /// Undoes one encoding.
    pub(crate) async fn decode(&self, payload: Payload, encoding: Encoding, limit: u64) -> Result<Payload, Refused> {
        // One account for all that a body needs: of two, each could wait for what the other has.
        let Payload { bytes: encoded, mut held } = payload;
        let beside = encoded.capacity() + encoding.window();
        if encoding == Encoding::Snappy {
            let length = decode::snappy_length(&encoded, limit)?;
            held.grow_to(beside + length).await?;
            let bytes = self.pool.run(move || decode::snappy(&encoded, length)).await?;
            return Ok(Payload::new(bytes, held));
        }
        // A byte beyond the limit shows that there are more.
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut capacity = encoded.len().saturating_mul(4).max(SMALLEST).min(most);
        let mut bytes = Vec::new();
        let mut reader = encoding.reader(Cursor::new(encoded)).map_err(|error| encoding.corrupt(&error))?;
        loop {
            held.grow_to(beside.saturating_add(capacity)).await?;
            let read;
            (bytes, reader, read) = self
                .pool
                .run(move || {
                    bytes.reserve_exact(capacity - bytes.len());
                    let room = (capacity - bytes.len()) as u64;
                    let read = reader.by_ref().take(room).read_to_end(&mut bytes);
                    (bytes, reader, read)
                })
                .await;
            read.map_err(|error| encoding.corrupt(&error))?;
            if bytes.len() as u64 > limit {
                return Err(Refused::TooLarge(limit));
            }
            if bytes.len() < capacity {
                drop(reader);
                return Ok(Payload::new(bytes, held));
            }
            capacity = capacity.saturating_mul(2).min(most);
        }
    }
}

impl Payload {
    fn new(mut bytes: Vec<u8>, mut held: Held) -> Self {
        // Doubling leaves up to half of it unused; a few pages are not worth another copy.
        if bytes.capacity() - bytes.len() > SMALLEST {
            bytes.shrink_to_fit();
        }
        held.shrink_to(bytes.capacity());
        Self { bytes, held }
    }
}
