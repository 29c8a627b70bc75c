//! Reading a body within limits (S-04): counted as it comes, before and after decompression.

use super::{HEADERS, errors};
use crate::{CallError, failed};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};
use std::io::{self, Write};

/// How many times larger a body may become by decompression.
const RATIO: usize = 100;
/// Below this size a high ratio is only a repetitive text.
const RATIO_FLOOR: usize = 64 << 10;

/// Checks the size of the headers.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), CallError> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS { Err(too_large("headers")) } else { Ok(()) }
}

/// Reads the whole body, decompressed, of at most `limit` bytes.
pub(crate) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, CallError> {
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(too_large("body"));
    }
    let mut sink = Sink::new(response.headers(), limit)?;
    while let Some(chunk) = response.chunk().await.map_err(|e| errors::body(&e))? {
        sink.write(&chunk)?;
    }
    sink.finish()
}

/// Takes a body in pieces.
pub(crate) struct Sink {
    received: usize,
    limit: usize,
    out: Out,
}

enum Out {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
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
            Some(b"gzip" | b"x-gzip") => Out::Gzip(Box::new(MultiGzDecoder::new(bounded))),
            // We asked for gzip or nothing.
            Some(_) => {
                return Err(failed(
                    "http_invalid_response",
                    "the body has an encoding nobody asked for",
                    false,
                ));
            }
        };
        Ok(Self { received: 0, limit, out })
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), CallError> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.limit {
            return Err(too_large("body"));
        }
        match &mut self.out {
            Out::Plain(bounded) => bounded.write_all(chunk).map_err(|_| too_large("body")),
            Out::Gzip(decoder) => {
                decoder.write_all(chunk).map_err(undecodable)?;
                check_ratio(decoder.get_ref(), self.received)
            }
        }
    }

    fn finish(self) -> Result<Bytes, CallError> {
        match self.out {
            Out::Plain(bounded) => Ok(bounded.bytes.into()),
            // An empty body is not a valid stream, but a common one.
            Out::Gzip(_) if self.received == 0 => Ok(Bytes::new()),
            Out::Gzip(decoder) => {
                let bounded = decoder.finish().map_err(undecodable)?;
                check_ratio(&bounded, self.received)?;
                Ok(bounded.bytes.into())
            }
        }
    }
}

fn check_ratio(out: &Bounded, received: usize) -> Result<(), CallError> {
    let bomb = out.bytes.len() > RATIO_FLOOR && out.bytes.len() / RATIO > received;
    if bomb { Err(too_large("decompressed body")) } else { Ok(()) }
}

fn undecodable(error: io::Error) -> CallError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return too_large("decompressed body");
    }
    failed("http_invalid_response", "the body can't be decompressed", true)
}

fn too_large(what: &str) -> CallError {
    failed("http_too_large", format!("the {what} is too large"), false)
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
