//! A request's body as its reader gets it: counted, and cut off when its sender is too slow.
//!
//! Only the time in which we wait for the sender counts. A sender may be silent for the grace, and each byte it brings
//! buys time at the pace, up to the grace again. Between the messages of a gRPC stream silence is no slowness: such
//! streams live for hours.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::HttpBody;
use bytes::Bytes;
use futures::future::FutureExt;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::line::Owed;
use crate::room::Held;

/// Why a body ends before its end, as far as this crate decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the body comes too slowly: send it without pauses of more than a few seconds")]
    Slow,
    #[error("the bodies being read fill the room there is for them; try again in a moment")]
    Full,
}

/// Finds in a body's error, or in what caused it, whether this crate broke it off.
pub fn broken(error: &(dyn Error + 'static)) -> Option<Broken> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Broken>() {
            return Some(*found);
        }
        next = error.source();
    }
    None
}

/// A body behind its limits.
pub(crate) struct Paced<B> {
    inner: B,
    pace: Pace,
    messages: Option<Messages>,
    held: Held,
    /// Until it came whole.
    owed: Option<Owed>,
    /// So far, of what has no messages.
    bytes: usize,
    over: bool,
}

/// The sender's credit of time.
pub(crate) struct Pace {
    limits: Limits,
    left: Duration,
    waiting: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Where in a gRPC stream we are.
#[derive(Default)]
struct Messages {
    /// Bytes of the head (a flag, a length) that have come, and what they say.
    head: usize,
    length: u32,
    /// Bytes that have come of the message under way, head and all.
    partial: usize,
    /// The message before, whole.
    last: usize,
}

const HEAD: usize = 5;

// === impl Paced ===

impl<B> Paced<B> {
    pub(crate) fn new(inner: B, limits: Limits, is_grpc: bool, held: Held, owed: Owed) -> Self {
        let pace = Pace::new(limits);
        let messages = is_grpc.then(Messages::default);
        Self { inner, pace, messages, held, owed: Some(owed), bytes: 0, over: false }
    }

    /// Whether the sender owes us something.
    fn is_owed(&self) -> bool {
        self.messages.as_ref().is_none_or(|messages| messages.partial > 0 || messages.last == 0)
    }

    fn settle(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed.settle();
        }
    }

    fn count(&mut self, data: &Bytes) -> Result<(), Broken> {
        let holds = match &mut self.messages {
            Some(messages) => messages.take(data),
            None => {
                self.bytes += data.len();
                self.bytes
            }
        };
        self.held.set(holds).map_err(|_| Broken::Full)
    }
}

impl<B> HttpBody for Paced<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let broken = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.data_ref();
                this.pace.heard(data.map_or(0, Bytes::len));
                if this.inner.is_end_stream() {
                    this.settle();
                }
                match data.map_or(Ok(()), |data| this.count(data)) {
                    Ok(()) => return Poll::Ready(Some(Ok(frame))),
                    Err(broken) => broken,
                }
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                this.settle();
                return Poll::Ready(None);
            }
            Poll::Pending if !this.is_owed() => return Poll::Pending,
            Poll::Pending => match this.pace.poll(cx) {
                Poll::Ready(()) => Broken::Slow,
                Poll::Pending => return Poll::Pending,
            },
        };
        this.over = true;
        Poll::Ready(Some(Err(broken.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Pace ===

impl Pace {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, left: limits.grace, waiting: None, sleep: None }
    }

    pub(crate) fn heard(&mut self, bytes: usize) {
        let waited = self.waiting.take().map_or(Duration::ZERO, |since| since.elapsed());
        let bought = Duration::from_secs_f64(bytes as f64 / f64::from(self.limits.pace.max(1)));
        self.left = self.left.saturating_sub(waited).saturating_add(bought).min(self.limits.grace);
    }

    /// Is over when the credit is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(now + self.left),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(now + self.left))),
            }
        }
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.poll_unpin(cx))
    }
}

// === impl Messages ===

impl Messages {
    /// Reads on, and returns how many bytes are held now: of the message under way, else of the one before.
    fn take(&mut self, data: &[u8]) -> usize {
        let mut rest = data;
        while let Some((first, after)) = rest.split_first() {
            if self.head < HEAD {
                // A flag, then the length.
                self.length = if self.head == 0 { 0 } else { self.length << 8 | u32::from(*first) };
                self.head += 1;
                self.partial += 1;
                rest = after;
            } else {
                let missing = HEAD + self.length as usize - self.partial;
                let (taken, after) = rest.split_at(missing.min(rest.len()));
                self.partial += taken.len();
                rest = after;
            }
            if self.head == HEAD && self.partial == HEAD + self.length as usize {
                self.last = self.partial;
                (self.head, self.partial) = (0, 0);
            }
        }
        if self.partial > 0 { self.partial } else { self.last }
    }
}

#[cfg(test)]
mod tests;
