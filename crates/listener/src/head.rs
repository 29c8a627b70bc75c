//! How a connection begins: what it sends is kept in as many bytes as have come, until there is a request to serve.
//!
//! A server of HTTP takes tens of kilobytes for a connection before it has read a byte of it. So it gets a connection
//! only once the head of a request is whole. Whatever can't become one goes to the server at once: it knows best how to
//! say so.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Doors;
use crate::line::{Line, Watched};
use crate::small::Small;

/// How HTTP/2 begins; no request of HTTP/1 does.
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More of a head of HTTP/1 is not waited for: the server refuses it.
pub(crate) const LONGEST: usize = 64 << 10;
/// As many bytes of frames that ask for nothing, and more of one frame, are not waited for.
const FRAMES: usize = 16 << 10;
/// Read at once.
const CHUNK: usize = 8 << 10;
/// Header lines in which a head is looked at early; the server has the same bound.
const LINES: usize = 100;

/// HTTP/2: length and type, flags, stream.
pub(crate) const FRAME: usize = 9;
const SETTINGS: u8 = 4;
/// Types of frames that ask for nothing: `PRIORITY`, `SETTINGS`, `WINDOW_UPDATE`.
const ASKS_NOTHING: [u8; 3] = [2, SETTINGS, 8];
/// `GOAWAY` of a server that has taken no stream.
const GOES: &[u8; 17] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What has come so far.
#[derive(Default)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    /// HTTP/1: where the search for the end goes on. HTTP/2: where the next frame begins.
    at: usize,
    /// HTTP/1: with so many bytes it is looked at whether they can become a head; doubles, so that all looks together
    /// cost as much as one or two.
    look: usize,
    /// HTTP/2: the peer began properly, and may wait to be greeted.
    begun: bool,
    /// HTTP/1: the body that comes after the head.
    small: Option<Box<Small>>,
    /// How much of the greeting is on its way.
    greeted: usize,
}

// === impl Head ===

impl Head {
    /// What was read beyond the request before.
    pub(crate) fn after(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), ..Self::default() }
    }

    /// Reads until there is something for a server of the protocol; `None`: the connection is over.
    pub(crate) fn poll<S>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Watched<S>,
        line: &Line,
        greeting: &[u8],
        doors: &Doors,
    ) -> Poll<io::Result<Option<Protocol>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if let Some(protocol) = self.protocol(line.is_in_crowd().then_some(doors)) {
                return Poll::Ready(Ok(Some(protocol)));
            }
            if self.begun && self.greeted < greeting.len() {
                line.speaks_http2();
                self.greeted += ready!(Pin::new(&mut *socket).poll_write(cx, &greeting[self.greeted..]))?;
                continue;
            }
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut buffer = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
            match buffer.filled() {
                [] => return Poll::Ready(Ok(None)),
                come => {
                    self.bytes.extend_from_slice(come);
                    if let Some(small) = &mut self.small {
                        small.heard(come.len());
                    }
                }
            }
        }
    }

    /// The body that is awaited, its head being whole.
    pub(crate) fn small(&mut self) -> Option<&mut Small> {
        self.small.as_deref_mut()
    }

    /// Says what HTTP/2 says before it hangs up, as far as it fits: a request may be on its way.
    pub(crate) fn part<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        socket: &mut Watched<S>,
    ) {
        if self.greeted > 0 {
            let _ = Pin::new(socket).poll_write(cx, GOES);
        }
    }

    /// Returns what was read, and how much of the greeting was written.
    pub(crate) fn into_parts(self) -> (Bytes, usize) {
        (self.bytes.into(), self.greeted)
    }

    /// Whose turn it is; `None`: more has to come first. Small bodies are awaited where it is said what holds for them.
    fn protocol(&mut self, hold: Option<&Doors>) -> Option<Protocol> {
        let first = &self.bytes[..self.bytes.len().min(HTTP2.len())];
        if first != &HTTP2[..first.len()] {
            return self.is_http1_ready(hold).then_some(Protocol::Http1);
        }
        (first.len() == HTTP2.len() && self.is_http2_ready()).then_some(Protocol::Http2)
    }

    fn is_http1_ready(&mut self, hold: Option<&Doors>) -> bool {
        if let Some(small) = &mut self.small {
            return small.is_ready(&self.bytes);
        }
        if self.at == 0 {
            // Empty lines may come first. They are not kept: else each byte would be compared with all of them.
            let blank = self.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.bytes.drain(..blank);
        }
        let mut at = self.at;
        while let Some(found) =
            self.bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            at += found;
            match &self.bytes[at + 1..] {
                [b'\n', ..] => return self.is_ready_after(at + 2, hold),
                [b'\r', b'\n', ..] => return self.is_ready_after(at + 3, hold),
                [] | [b'\r'] => break,
                _ => at += 1,
            }
        }
        self.at = if self.bytes.get(at).is_some_and(|byte| *byte == b'\n') { at } else { self.bytes.len() };
        if self.bytes.len() >= LONGEST {
            return true;
        }
        if self.bytes.len() >= self.look {
            self.look = self.bytes.len() * 2;
            let mut lines = [httparse::EMPTY_HEADER; LINES];
            return httparse::Request::new(&mut lines).parse(&self.bytes).is_err();
        }
        false
    }

    /// Whether nothing is awaited after a head with this end.
    fn is_ready_after(&mut self, end: usize, hold: Option<&Doors>) -> bool {
        self.small = hold.and_then(|doors| Small::after(&self.bytes[..end], LINES, doors));
        self.small.as_mut().is_none_or(|small| small.is_ready(&self.bytes))
    }

    fn is_http2_ready(&mut self) -> bool {
        self.at = self.at.max(HTTP2.len());
        while let Some(frame @ [_, _, _, kind, ..]) = self.bytes.get(self.at..self.at + FRAME) {
            let end = self.at + FRAME + length(frame);
            if end - HTTP2.len() > FRAMES || (!self.begun && *kind != SETTINGS) {
                return true;
            }
            if end > self.bytes.len() {
                return false;
            }
            if !ASKS_NOTHING.contains(kind) {
                return true;
            }
            (self.begun, self.at) = (true, end);
        }
        false
    }
}

/// HTTP/2: how much comes after what a frame begins with.
pub(crate) fn length(frame: &[u8]) -> usize {
    frame.iter().take(3).fold(0, |length, byte| length << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests;
