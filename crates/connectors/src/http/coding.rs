//! Content codings: which ones a body has, and their removal piece by piece within a limit.

use crate::CallError;
use flate2::{Decompress, FlushDecompress, Status, write::GzDecoder};
use http::{HeaderMap, header};
use std::io::{self, Write};

/// What we ask for, and can read.
pub(crate) const ACCEPTED: &str = "gzip, deflate";
/// A body may be several streams of gzip, one after the other; each costs a new decoder, however short it is.
pub(super) const MEMBERS: usize = 1_000;
/// Nobody has a use for more, one over the other.
const CODINGS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
}

/// What comes out of the first pieces of a body.
pub(super) enum Out {
    Plain(Bounded),
    Gzip { decoder: Option<Box<GzDecoder<Bounded>>>, members: usize },
    Deflate(Box<Inflate>),
}

/// A buffer that refuses to grow past its limit.
pub(super) struct Bounded {
    pub bytes: Vec<u8>,
    pub limit: usize,
}

/// One stream of deflate, with zlib's head or without: the standard wants it, and servers leave it out.
pub(super) struct Inflate {
    /// Unknown until two bytes are there.
    stream: Option<Decompress>,
    first: Vec<u8>,
    out: Bounded,
    ended: bool,
}

/// Why a body can't be decoded.
pub(super) enum Failed {
    /// It would be larger than the limit.
    TooLarge,
    TooManyMembers,
    Broken,
}

/// Returns the codings of a body, the last one first: in the order in which they come off.
pub(super) fn of(headers: &HeaderMap) -> Result<Vec<Coding>, CallError> {
    let refused = |message: String| Err(CallError::permanent("http_invalid_response", message));
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in String::from_utf8_lossy(value.as_bytes()).split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Coding::Gzip),
                "deflate" | "x-deflate" => found.push(Coding::Deflate),
                other => {
                    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
                    let other: String = other.chars().take(40).map(plain).collect();
                    return refused(format!(
                        "the body has the content coding `{other}`; only {ACCEPTED} were asked for"
                    ));
                }
            }
        }
    }
    if found.len() > CODINGS {
        return refused(format!("the body has more than {CODINGS} content codings, one over the other"));
    }
    found.reverse();
    Ok(found)
}

// === impl Out ===

impl Out {
    pub fn new(coding: Option<Coding>, limit: usize) -> Self {
        let bounded = Bounded { bytes: Vec::new(), limit };
        match coding {
            None => Out::Plain(bounded),
            Some(Coding::Gzip) => Out::Gzip { decoder: Some(Box::new(GzDecoder::new(bounded))), members: 1 },
            Some(Coding::Deflate) => Out::Deflate(Box::new(Inflate {
                stream: None,
                first: Vec::new(),
                out: bounded,
                ended: false,
            })),
        }
    }

    pub fn is_plain(&self) -> bool {
        match self {
            Out::Plain(_) => true,
            Out::Gzip { .. } | Out::Deflate(_) => false,
        }
    }

    /// How much has come out.
    pub fn len(&self) -> usize {
        match self {
            Out::Plain(bounded) => bounded.bytes.len(),
            Out::Gzip { decoder, .. } => decoder.as_ref().map_or(0, |d| d.get_ref().bytes.len()),
            Out::Deflate(inflate) => inflate.out.bytes.len(),
        }
    }

    pub fn buffer(&mut self) -> Option<&mut Bounded> {
        match self {
            Out::Plain(bounded) => Some(bounded),
            Out::Gzip { decoder, .. } => decoder.as_mut().map(|d| d.get_mut()),
            Out::Deflate(inflate) => Some(&mut inflate.out),
        }
    }

    pub fn write(&mut self, chunk: &[u8]) -> Result<(), Failed> {
        match self {
            Out::Plain(bounded) => Ok(bounded.write_all(chunk)?),
            Out::Deflate(inflate) => inflate.write(chunk),
            Out::Gzip { decoder, members } => {
                let mut rest = chunk;
                while !rest.is_empty() {
                    let current = decoder.as_mut().ok_or(Failed::Broken)?;
                    let taken = current.write(rest)?;
                    rest = &rest[taken..];
                    if taken > 0 {
                        continue;
                    }
                    // One stream has ended, and another one follows.
                    *members += 1;
                    if *members > MEMBERS {
                        return Err(Failed::TooManyMembers);
                    }
                    if let Some(ended) = decoder.take() {
                        *decoder = Some(Box::new(GzDecoder::new(ended.finish()?)));
                    }
                }
                Ok(())
            }
        }
    }

    pub fn finish(self) -> Result<Vec<u8>, Failed> {
        match self {
            Out::Plain(bounded) => Ok(bounded.bytes),
            Out::Gzip { decoder, .. } => Ok(decoder.ok_or(Failed::Broken)?.finish()?.bytes),
            Out::Deflate(inflate) => inflate.finish(),
        }
    }
}

// === impl Inflate ===

impl Inflate {
    fn write(&mut self, chunk: &[u8]) -> Result<(), Failed> {
        if self.stream.is_some() {
            return self.inflate(chunk);
        }
        self.first.extend_from_slice(chunk);
        let [method, flags, ..] = self.first[..] else { return Ok(()) };
        let has_head = method & 0x0f == 8 && (u16::from(method) << 8 | u16::from(flags)).is_multiple_of(31);
        self.stream = Some(Decompress::new(has_head));
        let first = std::mem::take(&mut self.first);
        self.inflate(&first)
    }

    fn inflate(&mut self, mut rest: &[u8]) -> Result<(), Failed> {
        let stream = self.stream.as_mut().ok_or(Failed::Broken)?;
        let mut piece = [0; 8 << 10];
        loop {
            if self.ended {
                // What stands behind the end belongs to nothing.
                return if rest.is_empty() { Ok(()) } else { Err(Failed::Broken) };
            }
            let before = (stream.total_in(), stream.total_out());
            let status = stream.decompress(rest, &mut piece, FlushDecompress::None);
            let status = status.map_err(|_| Failed::Broken)?;
            let taken = usize::try_from(stream.total_in() - before.0).unwrap_or(rest.len());
            let made = usize::try_from(stream.total_out() - before.1).unwrap_or(0);
            self.out.write_all(&piece[..made])?;
            rest = &rest[taken..];
            self.ended = status == Status::StreamEnd;
            if !self.ended && taken == 0 && made == 0 {
                return if rest.is_empty() { Ok(()) } else { Err(Failed::Broken) };
            }
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, Failed> {
        if self.stream.is_none() {
            // One byte is no head, and may be the whole of a broken stream.
            self.stream = Some(Decompress::new(false));
            let first = std::mem::take(&mut self.first);
            self.inflate(&first)?;
        }
        if self.ended { Ok(self.out.bytes) } else { Err(Failed::Broken) }
    }
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

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::FileTooLarge { Failed::TooLarge } else { Failed::Broken }
    }
}
