//! What a connection is doing, seen from its bytes and its requests; from that follows when it has to end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::Limits;

/// A connection's state; clones are the same.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

struct State {
    /// Requests whose answers are not over.
    running: u32,
    doing: Doing,
    /// Since when, while nothing runs.
    since: Instant,
    /// Since when the other side takes nothing of what is written.
    stalled: Option<Instant>,
    /// The connection's first bytes, which say what protocol it speaks.
    first: [u8; HTTP2.len()],
    seen: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The head of a request is on its way.
    Head,
    Nothing,
}

/// One request is being answered, as long as this lives.
pub(crate) struct Busy(Line);

/// A socket that tells its line what passes.
pub(crate) struct Watched<S> {
    inner: S,
    line: Line,
}

/// How HTTP/2 begins; no request of HTTP/1 does.
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// === impl Line ===

impl Line {
    /// A connection that was just made, and from which a head is awaited.
    pub(crate) fn new() -> Self {
        let state = State {
            running: 0,
            doing: Doing::Head,
            since: Instant::now(),
            stalled: None,
            first: [0; HTTP2.len()],
            seen: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn watch<S>(&self, inner: S) -> Watched<S> {
        Watched { inner, line: self.clone() }
    }

    pub(crate) fn busy(&self) -> Busy {
        self.0.lock().running += 1;
        Busy(self.clone())
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.0.lock().is_http2()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.0.lock().running > 0
    }

    /// Returns when the connection has to end if it goes on as it is.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = self.0.lock();
        let ends = match (state.running, state.doing) {
            (0, Doing::Head) => Some(state.since + limits.head),
            (0, Doing::Nothing) => Some(state.since + limits.idle),
            _ => None,
        };
        let stalled = state.stalled.map(|since| since + limits.stalled);
        ends.into_iter().chain(stalled).min()
    }

    fn read(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        let state = &mut *state;
        let seen = state.seen;
        for (at, byte) in state.first.iter_mut().skip(seen).zip(bytes) {
            *at = *byte;
            state.seen += 1;
        }
        if state.is_http2() {
            // Its heads come in frames between those of others; the protocol's own limits hold for them.
            if state.doing == Doing::Head {
                (state.doing, state.since) = (Doing::Nothing, Instant::now());
            }
        } else if state.running == 0 && state.doing == Doing::Nothing {
            (state.doing, state.since) = (Doing::Head, Instant::now());
        }
    }

    fn wrote<T>(&self, poll: &Poll<io::Result<T>>) {
        let mut state = self.0.lock();
        match poll {
            Poll::Pending => {
                state.stalled.get_or_insert_with(Instant::now);
            }
            Poll::Ready(_) => state.stalled = None,
        }
    }
}

impl State {
    fn is_http2(&self) -> bool {
        self.seen == HTTP2.len() && self.first == *HTTP2
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.running -= 1;
        if state.running == 0 {
            (state.doing, state.since) = (Doing::Nothing, Instant::now());
        }
    }
}

// === impl Watched ===

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let [_, ..] = &buffer.filled()[before..] {
            self.line.read(&buffer.filled()[before..]);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.line.wrote(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.line.wrote(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
