//! Server-sent events, as providers write them: of bounded size, with and without the empty line between them.

use super::{
    lenient::{self, place},
    refusal,
};
use crate::{CallError, model::invalid};
use serde_json::Value;

/// One line, and one event.
const LINE: usize = 1 << 20;
/// How often an event of several lines is looked at before its end.
const LOOKS: usize = 64;
const DONE: &[u8] = b"[DONE]";

/// Makes events of chunks: what each says, none for the end. An event ends with an empty line, or with its JSON.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    looks: usize,
}

// === impl Events ===

impl Events {
    /// Whether a body is a stream, whatever it is called.
    pub fn begin(body: &[u8]) -> bool {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|field| body.starts_with(field))
    }

    pub fn add(&mut self, chunk: &[u8]) -> Result<Vec<Option<Value>>, CallError> {
        let mut found = Vec::new();
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            let line = std::mem::take(&mut self.line);
            self.take(&line, &mut found)?;
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LINE || self.data.len() > LINE {
            return Err(invalid("an event of the stream is too long", false));
        }
        Ok(found)
    }

    /// The stream has ended, perhaps without its last line break.
    pub fn finish(&mut self) -> Result<Vec<Option<Value>>, CallError> {
        let mut found = Vec::new();
        let line = std::mem::take(&mut self.line);
        self.take(&line, &mut found)?;
        self.take(b"", &mut found)?;
        Ok(found)
    }

    fn take(&mut self, line: &[u8], found: &mut Vec<Option<Value>>) -> Result<(), CallError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            if !self.data.is_empty() {
                let read = lenient::value(&self.data)
                    .map_err(|e| invalid(format!("an event is not as agreed: {}", place(&e)), true))?;
                self.end(read, found)?;
            }
            self.name.clear();
            return Ok(());
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            self.name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
            return Ok(());
        }
        // A line that is JSON itself says so, too.
        let Some(data) = line.strip_prefix(b"data:").or_else(|| line.starts_with(b"{").then_some(line))
        else {
            return Ok(());
        };
        let data = data.trim_ascii();
        if data == DONE {
            self.data.clear();
            found.push(None);
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        self.looks += 1;
        if self.looks <= LOOKS
            && data.ends_with(b"}")
            && let Ok(read) = lenient::value(&self.data)
        {
            self.end(read, found)?;
        }
        Ok(())
    }

    fn end(&mut self, read: Value, found: &mut Vec<Option<Value>>) -> Result<(), CallError> {
        self.data.clear();
        self.looks = 0;
        if self.name == "error" && read.get("error").is_none() {
            return Err(refusal::told(&read));
        }
        found.push(Some(read));
        Ok(())
    }
}
