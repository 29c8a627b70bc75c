//! Bodies that are small, and held with their heads until they are whole. Only in a crowd: a server takes tens of
//! kilobytes for a request whose body is on its way.
//!
//! The server reads all of it itself. So whatever is not understood here, or too large, is only handed over sooner.

use std::task::{Context, Poll};

use crate::body::Pace;
use crate::room::Held;
use crate::{Doors, Limits};

/// No larger one is held, as it is sent.
const LARGEST: usize = 64 << 10;
/// HTTP/1: no longer line with the size of a chunk is waited for.
const LINE: usize = 256;

/// A body on its way.
pub(crate) struct Small {
    framing: Framing,
    pace: Pace,
    held: Held,
}

enum Framing {
    /// It ends here.
    Sized(usize),
    /// The next chunk begins here.
    Chunked(usize),
}

// === impl Small ===

impl Small {
    /// Reads from a whole head whether a body comes after it that is to be held.
    pub(crate) fn after(head: &[u8], lines: usize, doors: &Doors) -> Option<Box<Self>> {
        let framing = Framing::of(head, lines)?;
        Some(Box::new(Self { framing, pace: Pace::new(doors.limits), held: doors.room.hold() }))
    }

    /// Takes note of bytes that came.
    pub(crate) fn heard(&mut self, bytes: usize) {
        self.pace.heard(bytes);
    }

    /// Whether to wait is over: it is whole, or not to be held after all.
    pub(crate) fn is_ready(&mut self, bytes: &[u8]) -> bool {
        self.framing.is_over(bytes) || self.held.set(bytes.len()).is_err()
    }

    /// Is over when the sender has been too slow.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pace.poll(cx)
    }
}

/// The limits of a body that has used up its time, or of one that has it all.
pub(crate) fn limits(limits: Limits, is_late: bool) -> Limits {
    if is_late { Limits { grace: std::time::Duration::ZERO, ..limits } } else { limits }
}

// === impl Framing ===

impl Framing {
    fn of(head: &[u8], lines: usize) -> Option<Self> {
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(head).ok()?;
        let mut framing = None;
        for header in request.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let found = if is("content-length") {
                let length = std::str::from_utf8(header.value).ok()?.trim().parse().ok()?;
                Self::Sized(head.len().checked_add(length)?)
            } else if is("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked") {
                Self::Chunked(head.len())
            } else if is("transfer-encoding") || is("expect") {
                return None;
            } else {
                continue;
            };
            if framing.replace(found).is_some() {
                return None;
            }
        }
        framing
    }

    fn is_over(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Sized(end) => bytes.len() >= *end || *end > LARGEST,
            Self::Chunked(at) => loop {
                let Some(rest) = bytes.get(*at..) else { return *at > LARGEST };
                let Some(line) = rest.iter().take(LINE).position(|byte| *byte == b'\n') else {
                    return rest.len() >= LINE;
                };
                let size = rest[..line].split(|byte| matches!(byte, b';' | b'\r')).next().unwrap_or_default();
                let size =
                    std::str::from_utf8(size).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
                match size {
                    // What may come after the last chunk is left to the server.
                    Some(0) => return rest.len() > line + 2,
                    Some(size) if size <= LARGEST => *at += line + 1 + size + 2,
                    _ => return true,
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns after how many bytes of a body it is whole, as they come one by one; `None`: it is not held.
    fn whole(head: &str, body: &str) -> Option<usize> {
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
        let mut framing = Framing::of(head.as_bytes(), 10)?;
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        (0..=body.len()).find(|count| framing.is_over(&bytes[..head.len() + count]))
    }

    #[test]
    fn a_body_is_held_until_its_end() {
        let chunked = "Transfer-Encoding: Chunked";
        for (head, body, expected) in [
            ("Content-Length: 3", "abcd", Some(3)),
            ("content-length: 0", "", Some(0)),
            ("Content-Length: 3", "ab", None),
            (chunked, "2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", Some(31)),
            (chunked, "2\r\nhi\r\n0\r", None),
            // With trailers the rest is left to the server, as is whatever is no chunk, and what is large.
            (chunked, "0\r\nX: y\r\n\r\n", Some(5)),
            (chunked, "x\r\n", Some(3)),
            (chunked, "fffffff\r\n", Some(9)),
            ("Content-Length: 100000", "", Some(0)),
            ("X: y", "", None),
        ] {
            assert_eq!(whole(head, body), expected, "{head}: {body:?}");
        }
        for head in [
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Content-Length: -3",
            "Expect: 100-continue\r\nContent-Length: 3",
        ] {
            let head = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n");
            assert!(Framing::of(head.as_bytes(), 10).is_none(), "{head}");
        }
    }
}
