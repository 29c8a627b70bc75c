//! Reading a body within limits (S-04): counted as it comes, before and after decompression.

use super::{
    HEADERS,
    coding::{self, Coding, Failed, Out},
    errors,
    room::{Held, Room, SMALL},
};
use crate::CallError;
use bytes::Bytes;
use http::HeaderMap;

/// How many times larger a body may become by decompression.
const RATIO: usize = 100;
/// Below this size a high ratio is only a repetitive text.
const RATIO_FLOOR: usize = 64 << 10;
/// So much is decompressed between two looks at what it became: it grows by 1,032 times at most.
const STRIDE: usize = 64;

/// Checks the size of the headers.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), CallError> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS { Err(too_large("headers", HEADERS)) } else { Ok(()) }
}

/// Reads the whole body, decompressed, of at most `limit` bytes.
pub(crate) async fn read(response: reqwest::Response, limit: usize) -> Result<Bytes, CallError> {
    read_in(response, limit, None).await.map(|(body, _)| body)
}

/// The same within the places of a client, which the answer holds from then on.
pub(crate) async fn read_in(
    mut response: reqwest::Response,
    limit: usize,
    room: Option<&Room>,
) -> Result<(Bytes, Held), CallError> {
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(too_large("body", limit));
    }
    let mut sink = Sink::new(response.headers(), limit)?;
    let mut held = Held::default();
    let small = SMALL.min(limit);
    if let Some(room) = room {
        room.bytes(&mut held, small).await?;
    }
    // What is announced is all there will be, unless it is compressed.
    let most = announced.filter(|_| sink.out.is_plain()).unwrap_or(limit);
    let mut large = room.is_none();
    // Under several codings a little may become much once all of it is here.
    if let (Some(room), false) = (room, sink.inner.is_empty()) {
        room.bytes(&mut held, most).await?;
        large = true;
    }
    while let Some(chunk) = response.chunk().await.map_err(|e| errors::body(&e))? {
        for piece in chunk.chunks(sink.stride(large, chunk.len())) {
            if !large && sink.may_become(piece.len()) > small {
                if let Some(room) = room {
                    room.bytes(&mut held, most).await?;
                }
                sink.reserve(most);
                large = true;
            }
            sink.write(piece)?;
        }
    }
    let body = sink.finish()?;
    held.shrink(body.len());
    Ok((body, held))
}

/// Takes a body in pieces.
struct Sink {
    received: usize,
    limit: usize,
    out: Out,
    /// The codings below the one that comes off first.
    inner: Vec<Coding>,
}

// === impl Sink ===

impl Sink {
    fn new(headers: &HeaderMap, limit: usize) -> Result<Self, CallError> {
        let mut codings = coding::of(headers)?.into_iter();
        Ok(Self { received: 0, limit, out: Out::new(codings.next(), limit), inner: codings.collect() })
    }

    /// How much of a chunk is taken at once.
    fn stride(&self, large: bool, chunk: usize) -> usize {
        if self.out.is_plain() || large { chunk.max(1) } else { STRIDE }
    }

    /// How large the body may be after `more` bytes; a small one after a stride is still a small one.
    fn may_become(&self, more: usize) -> usize {
        self.out.len() + if self.out.is_plain() { more } else { 0 }
    }

    /// Makes room at once, so that a growing body is never there twice.
    fn reserve(&mut self, bytes: usize) {
        if let Some(buffer) = self.out.buffer() {
            buffer.bytes.reserve_exact(bytes.saturating_sub(buffer.bytes.len()));
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), CallError> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.limit {
            return Err(too_large("body", self.limit));
        }
        self.out.write(chunk).map_err(|failed| undecodable(&failed, self.out.is_plain(), self.limit))?;
        if self.out.is_plain() { Ok(()) } else { check_ratio(self.out.len(), self.received) }
    }

    fn finish(self) -> Result<Bytes, CallError> {
        let Self { received, limit, out, inner } = self;
        // An empty body is not a valid stream, but a common one.
        if received == 0 {
            return Ok(Bytes::new());
        }
        let mut body = out.finish().map_err(|failed| undecodable(&failed, false, limit))?;
        check_ratio(body.len(), received)?;
        for coding in inner {
            let mut out = Out::new(Some(coding), limit);
            for piece in body.chunks(STRIDE) {
                out.write(piece).map_err(|failed| undecodable(&failed, false, limit))?;
                // The measure is what came over the line.
                check_ratio(out.len(), received)?;
            }
            body = out.finish().map_err(|failed| undecodable(&failed, false, limit))?;
            check_ratio(body.len(), received)?;
        }
        Ok(body.into())
    }
}

fn check_ratio(out: usize, received: usize) -> Result<(), CallError> {
    if out > RATIO_FLOOR && out / RATIO > received {
        let message = format!("the decompressed body is more than {RATIO} times as large as it came");
        return Err(CallError::permanent("http_too_large", message));
    }
    Ok(())
}

fn undecodable(failed: &Failed, plain: bool, limit: usize) -> CallError {
    match failed {
        Failed::TooLarge if plain => too_large("body", limit),
        Failed::TooLarge => too_large("decompressed body", limit),
        Failed::TooManyMembers => {
            let message = format!("the body is more than {} streams of gzip", coding::MEMBERS);
            CallError::permanent("http_too_large", message)
        }
        Failed::Broken => CallError::transient("http_invalid_response", "the body can't be decompressed"),
    }
}

fn too_large(what: &str, limit: usize) -> CallError {
    CallError::permanent("http_too_large", format!("the {what} is larger than {limit} bytes"))
}
