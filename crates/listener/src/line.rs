//! What a connection is doing, seen from its bytes and its requests; from that follows when it has to end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::Limits;
use crate::crowd::{Crowd, Guest, Present};

/// A connection's state; clones are the same.
#[derive(Clone)]
pub(crate) struct Line {
    state: Arc<Mutex<State>>,
    crowd: Arc<Crowd>,
    /// Its place among others. Free again when nothing is left of the connection, whatever it has become meanwhile.
    _place: Option<Arc<(Present, OwnedSemaphorePermit)>>,
}

struct State {
    /// Requests whose answers are not over.
    running: u32,
    doing: Doing,
    /// Since when, while nothing runs.
    since: Instant,
    /// Since when the other side takes nothing of what is written.
    stalled: Option<Instant>,
    /// Bodies of requests that were not read to their ends: what comes next is still theirs.
    owed: u32,
    /// The server that it has now has answered something.
    answered: bool,
    /// The body of the next request has used up its time.
    late: bool,
    speaks_http2: bool,
    /// Its place among the servers of HTTP/2.
    guest: Option<Guest>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The head of a request is on its way.
    Head,
    Nothing,
}

/// One request is being answered, as long as this lives.
pub(crate) struct Busy(Line);

/// A request's body is being read, or was given up.
pub(crate) struct Owed(Line);

/// A socket that tells its line what passes.
pub(crate) struct Watched<S> {
    inner: S,
    line: Line,
    /// Read before, and to be read again.
    ahead: Bytes,
    /// Written before: so much of it is not to be written again.
    written: Bytes,
}

// === impl Line ===

impl Line {
    /// A connection that was just made, and from which a head is awaited.
    pub(crate) fn new(crowd: &Arc<Crowd>) -> Self {
        let (doing, since) = (Doing::Head, Instant::now());
        let state = State {
            running: 0,
            doing,
            since,
            stalled: None,
            owed: 0,
            answered: false,
            late: false,
            speaks_http2: false,
            guest: None,
        };
        Self { state: Arc::new(Mutex::new(state)), crowd: crowd.clone(), _place: None }
    }

    /// The same, which takes a place of those that there are.
    pub(crate) fn taking(self, place: OwnedSemaphorePermit) -> Self {
        let present = self.crowd.enter();
        Self { _place: Some(Arc::new((present, place))), ..self }
    }

    pub(crate) fn watch<S>(&self, inner: S) -> Watched<S> {
        Watched { inner, line: self.clone(), ahead: Bytes::new(), written: Bytes::new() }
    }

    pub(crate) fn busy(&self) -> Busy {
        let mut state = self.state.lock();
        state.running += 1;
        if state.running == 1
            && let Some(guest) = &mut state.guest
        {
            guest.works();
        }
        Busy(self.clone())
    }

    pub(crate) fn owed(&self) -> Owed {
        self.state.lock().owed += 1;
        Owed(self.clone())
    }

    /// Its heads come in frames between those of others; the protocol's own limits hold for them.
    pub(crate) fn speaks_http2(&self) {
        let mut state = self.state.lock();
        state.speaks_http2 = true;
        if state.doing == Doing::Head {
            (state.doing, state.since) = (Doing::Nothing, Instant::now());
        }
    }

    /// The next request is one whose body has used up its time.
    pub(crate) fn is_late(&self) {
        self.state.lock().late = true;
    }

    pub(crate) fn was_late(&self) -> bool {
        std::mem::take(&mut self.state.lock().late)
    }

    /// A server is there for it, which has answered nothing yet.
    pub(crate) fn serves(&self) {
        self.state.lock().answered = false;
    }

    /// A server of HTTP/2 is there for it.
    pub(crate) fn is_guest(&self) {
        self.speaks_http2();
        let guest = self.crowd.guest();
        self.state.lock().guest = Some(guest);
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.state.lock().speaks_http2
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.state.lock().running > 0
    }

    pub(crate) fn is_in_crowd(&self) -> bool {
        self.crowd.is_there()
    }

    /// Whether all that was asked is answered, and what was answered is written: no server needs to remember anything.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state.lock();
        state.answered && state.running == 0 && state.owed == 0 && state.stalled.is_none()
    }

    /// Whether others need its place more, as nothing runs here; if not, the task is woken when they do.
    pub(crate) fn is_to_go(&self, cx: &mut Context<'_>) -> bool {
        let state = self.state.lock();
        state.guest.as_ref().is_some_and(|guest| guest.is_to_go(cx)) && state.running == 0
    }

    /// Returns when the connection has to end if it goes on as it is.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = self.state.lock();
        let ends = match (state.running, state.doing) {
            (0, Doing::Head) => Some(state.since + limits.head),
            (0, Doing::Nothing) => Some(state.since + limits.idle),
            _ => None,
        };
        let stalled = state.stalled.map(|since| since + limits.stalled);
        ends.into_iter().chain(stalled).min()
    }

    /// Something comes: a head, unless a request is under way.
    pub(crate) fn begins(&self) {
        let mut state = self.state.lock();
        if state.running == 0 && state.doing == Doing::Nothing && !state.speaks_http2 {
            (state.doing, state.since) = (Doing::Head, Instant::now());
        }
    }

    fn wrote<T>(&self, poll: &Poll<io::Result<T>>) {
        let mut state = self.state.lock();
        match poll {
            Poll::Pending => {
                state.stalled.get_or_insert_with(Instant::now);
            }
            Poll::Ready(_) => state.stalled = None,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running -= 1;
        state.answered = true;
        if state.running == 0 {
            (state.doing, state.since) = (Doing::Nothing, Instant::now());
            if let Some(guest) = &mut state.guest {
                guest.idles();
            }
        }
    }
}

impl Owed {
    /// The body came whole.
    pub(crate) fn settle(self) {
        self.0.state.lock().owed -= 1;
    }
}

// === impl Watched ===

impl<S> Watched<S> {
    /// Lets what was read be read again, and what was written not be written again.
    pub(crate) fn rewind(&mut self, read: Bytes, written: Bytes) {
        (self.ahead, self.written) = (read, written);
    }

    fn written_before(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.written.len());
        if self.written.split_to(length) != bytes[..length] {
            return Err(io::Error::other(
                "a server of HTTP/2 began otherwise than the one that was listened to",
            ));
        }
        Ok(length)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let [_, ..] = &buffer.filled()[before..] {
            self.line.begins();
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.written.is_empty() {
            return Poll::Ready(self.written_before(bytes));
        }
        let poll = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.line.wrote(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.written.is_empty() {
            return Poll::Ready(
                bytes
                    .iter()
                    .find(|slice| !slice.is_empty())
                    .map_or(Ok(0), |slice| self.written_before(slice)),
            );
        }
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
