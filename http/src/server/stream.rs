//! A connection's stream: it counts and times bytes, and lingers when it closes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connection::Connection;
use super::counts::Counts;

/// How long bytes are read and discarded after an answer: a client that is still sending a body reads the answer only
/// afterwards, and would lose it if the connection were closed at once.
const LINGER: Duration = Duration::from_secs(5);

pub(crate) struct Stream<S> {
    inner: S,
    connection: Arc<Connection>,
    counts: Arc<Counts>,
    /// Set once our side is shut down.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(crate) fn new(inner: S, connection: Arc<Connection>, counts: Arc<Counts>) -> Self {
        Self { inner, connection, counts, linger: None }
    }

    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => self.connection.blocked(),
            Poll::Ready(Ok(bytes)) => {
                self.connection.sent(*bytes);
                self.counts.sent(*bytes);
            }
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        let bytes = into.filled().len() - before;
        if bytes > 0 {
            self.connection.received();
            self.counts.received(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(sleep(LINGER)));
        }
        let Self { inner, connection, linger: Some(linger), .. } = &mut *self else { return Poll::Ready(Ok(())) };
        let mut thrown = [0; 4096];
        while connection.has_unread_body() && linger.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut thrown);
            match ready!(Pin::new(&mut *inner).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
