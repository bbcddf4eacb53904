//! Reading a request's body: within its time and its size, decompressed, into memory of a budget that all bodies share.

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
use super::memory::{MemoryBudget, Reservation};
use super::options::Limits;
use super::refused::Refused;
use crate::pool::Pool;

/// A whole body, decompressed. It counts towards the memory of all bodies until it is dropped: drop it early.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    held: Reservation,
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

/// The least capacity of a body's buffer, so that most need not grow.
const MIN_CAPACITY: usize = 16 << 10;

/// What all bodies share.
#[derive(Debug)]
pub(crate) struct BodyResources {
    pub(crate) limits: Limits,
    pub(crate) memory: Arc<MemoryBudget>,
    /// For decompression, and for files that bodies become.
    pub(crate) pool: Pool,
}

/// A body that is being received.
pub(crate) struct IncomingBody<'a> {
    incoming: Incoming,
    connection: &'a Connection,
    limits: &'a Limits,
    limit: u64,
    started: Instant,
    received: u64,
}

impl<'a> IncomingBody<'a> {
    /// # Errors
    ///
    /// If `content-length` is larger than `limit`.
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

    /// The most bytes that the body can have.
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

    /// Waits for memory; the sender's time stands still meanwhile.
    pub(crate) async fn hold(&mut self, held: &mut Reservation, bytes: usize) -> Result<(), Refused> {
        let waiting = Instant::now();
        held.grow_to(bytes).await?;
        self.started += waiting.elapsed();
        Ok(())
    }
}

impl BodyResources {
    /// Receives the whole body, without decoding it.
    pub(crate) async fn collect(&self, mut incoming: IncomingBody<'_>) -> Result<Payload, Refused> {
        let mut held = Reservation::empty(&self.memory);
        let mut bytes = Vec::new();
        while let Some(more) = incoming.next().await? {
            let needed = bytes.len() + more.len();
            if needed > bytes.capacity() {
                let most = usize::try_from(incoming.expected()).unwrap_or(usize::MAX).max(needed);
                let capacity = needed.max(2 * bytes.capacity()).max(MIN_CAPACITY).min(most);
                incoming.hold(&mut held, capacity).await?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&more);
        }
        Ok(Payload::new(bytes, held))
    }

    /// Undoes one `content-encoding`.
    pub(crate) async fn decode(&self, payload: Payload, encoding: Encoding, limit: u64) -> Result<Payload, Refused> {
        // One reservation for all that a body needs: with two, each could wait for what the other holds.
        let Payload { bytes: encoded, mut held } = payload;
        let beside = encoded.capacity() + encoding.window();
        if encoding == Encoding::Snappy {
            let length = decode::snappy_decoded_length(&encoded, limit)?;
            held.grow_to(beside + length).await?;
            let bytes = self.pool.run(move || decode::decode_snappy(&encoded, length)).await?;
            return Ok(Payload::new(bytes, held));
        }
        // One byte beyond the limit shows that the body is too large.
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut capacity = encoded.len().saturating_mul(4).max(MIN_CAPACITY).min(most);
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
    fn new(mut bytes: Vec<u8>, mut held: Reservation) -> Self {
        // Doubling leaves up to half of the buffer unused; a few pages are not worth a copy.
        if bytes.capacity() - bytes.len() > MIN_CAPACITY {
            bytes.shrink_to_fit();
        }
        held.shrink_to(bytes.capacity());
        Self { bytes, held }
    }
}
