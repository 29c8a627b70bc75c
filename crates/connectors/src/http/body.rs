//! Reading a body within limits (S-04): counted as it comes, before and after decompression.

use super::{
    HEADERS, errors,
    room::{Held, Room, SMALL},
};
use crate::CallError;
use bytes::Bytes;
use flate2::write::GzDecoder;
use http::{HeaderMap, header};
use std::io::{self, Write};

/// How many times larger a body may become by decompression.
const RATIO: usize = 100;
/// Below this size a high ratio is only a repetitive text.
const RATIO_FLOOR: usize = 64 << 10;
/// A body may be several streams of gzip, one after the other; each costs a new decoder, however short it is.
const MEMBERS: usize = 1_000;
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
    let most = announced.filter(|_| matches!(sink.out, Out::Plain(_))).unwrap_or(limit);
    let mut large = room.is_none();
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
pub(crate) struct Sink {
    received: usize,
    limit: usize,
    out: Out,
}

enum Out {
    Plain(Bounded),
    Gzip { decoder: Option<Box<GzDecoder<Bounded>>>, members: usize },
}

/// A buffer that refuses to grow past its limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

// === impl Sink ===

impl Sink {
    fn new(headers: &HeaderMap, limit: usize) -> Result<Self, CallError> {
        let bounded = Bounded { bytes: Vec::new(), limit };
        let out = match headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes()) {
            None | Some(b"" | b"identity") => Out::Plain(bounded),
            Some(b"gzip" | b"x-gzip") => {
                Out::Gzip { decoder: Some(Box::new(GzDecoder::new(bounded))), members: 1 }
            }
            // We asked for gzip or nothing.
            Some(_) => {
                return Err(CallError::permanent(
                    "http_invalid_response",
                    "the body has an encoding nobody asked for",
                ));
            }
        };
        Ok(Self { received: 0, limit, out })
    }

    /// How much of a chunk is taken at once.
    fn stride(&self, large: bool, chunk: usize) -> usize {
        match self.out {
            Out::Gzip { .. } if !large => STRIDE,
            Out::Gzip { .. } | Out::Plain(_) => chunk.max(1),
        }
    }

    /// How large the body may be after `more` bytes; a small one after a stride is still a small one.
    fn may_become(&self, more: usize) -> usize {
        match &self.out {
            Out::Plain(bounded) => bounded.bytes.len() + more,
            Out::Gzip { decoder, .. } => decoder.as_ref().map_or(0, |d| d.get_ref().bytes.len()),
        }
    }

    /// Makes room at once, so that a growing body is never there twice.
    fn reserve(&mut self, bytes: usize) {
        let bounded = match &mut self.out {
            Out::Plain(bounded) => bounded,
            Out::Gzip { decoder, .. } => match decoder {
                Some(decoder) => decoder.get_mut(),
                None => return,
            },
        };
        bounded.bytes.reserve_exact(bytes.saturating_sub(bounded.bytes.len()));
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), CallError> {
        let limit = self.limit;
        self.received = self.received.saturating_add(chunk.len());
        if self.received > limit {
            return Err(too_large("body", limit));
        }
        match &mut self.out {
            Out::Plain(bounded) => bounded.write_all(chunk).map_err(|_| too_large("body", limit)),
            Out::Gzip { decoder, members } => {
                let mut rest = chunk;
                while !rest.is_empty() {
                    let Some(current) = decoder.as_mut() else {
                        return Err(undecodable(io::ErrorKind::Other.into(), limit));
                    };
                    let taken = current.write(rest).map_err(|e| undecodable(e, limit))?;
                    rest = &rest[taken..];
                    if taken > 0 {
                        continue;
                    }
                    // One stream has ended, and another one follows.
                    *members += 1;
                    if *members > MEMBERS {
                        let message = format!("the body is more than {MEMBERS} streams of gzip");
                        return Err(CallError::permanent("http_too_large", message));
                    }
                    if let Some(ended) = decoder.take() {
                        let bounded = ended.finish().map_err(|e| undecodable(e, limit))?;
                        *decoder = Some(Box::new(GzDecoder::new(bounded)));
                    }
                }
                match decoder {
                    Some(decoder) => check_ratio(decoder.get_ref(), self.received),
                    None => Ok(()),
                }
            }
        }
    }

    fn finish(self) -> Result<Bytes, CallError> {
        match self.out {
            Out::Plain(bounded) => Ok(bounded.bytes.into()),
            // An empty body is not a valid stream, but a common one.
            Out::Gzip { .. } if self.received == 0 => Ok(Bytes::new()),
            Out::Gzip { decoder: Some(decoder), .. } => {
                let bounded = decoder.finish().map_err(|e| undecodable(e, self.limit))?;
                check_ratio(&bounded, self.received)?;
                Ok(bounded.bytes.into())
            }
            Out::Gzip { decoder: None, .. } => Err(undecodable(io::ErrorKind::Other.into(), self.limit)),
        }
    }
}

fn check_ratio(out: &Bounded, received: usize) -> Result<(), CallError> {
    let bomb = out.bytes.len() > RATIO_FLOOR && out.bytes.len() / RATIO > received;
    if bomb {
        let message = format!("the decompressed body is more than {RATIO} times as large as it came");
        return Err(CallError::permanent("http_too_large", message));
    }
    Ok(())
}

fn undecodable(error: io::Error, limit: usize) -> CallError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return too_large("decompressed body", limit);
    }
    CallError::transient("http_invalid_response", "the body can't be decompressed")
}

fn too_large(what: &str, limit: usize) -> CallError {
    CallError::permanent("http_too_large", format!("the {what} is larger than {limit} bytes"))
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
