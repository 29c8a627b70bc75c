//! Reading a streamed answer: server-sent events of bounded size, in a stream of bounded size.

use super::{
    ANSWER, lenient, of_model,
    reading::{self, Gathered, place},
    refusal,
};
use crate::{
    CallError,
    http::{BODY, errors},
    model::{OnDelta, invalid},
};
use callboard_core::agent::message::{ModelReply, ModelRequest};
use serde_json::Value;
use std::time::Duration;

/// One line, and one event.
const LINE: usize = 1 << 20;
/// How often an event of several lines is looked at before its end.
const LOOKS: usize = 64;
const DONE: &[u8] = b"[DONE]";
/// How long a stream whose answer is complete is waited for: its use of tokens may follow.
const LINGER: Duration = Duration::from_secs(3);

/// Reads until the end that the provider announces; a stream that stops before is cut, not short.
pub(super) async fn read(
    mut response: reqwest::Response,
    request: &ModelRequest,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, CallError> {
    let mut gathered = Gathered::default();
    let mut events = Events::default();
    let (mut received, mut said) = (0, 0);
    let mut whole: Option<Vec<u8>> = None;
    loop {
        let chunk = match gathered.is_finished() {
            true => tokio::time::timeout(LINGER, response.chunk()).await.unwrap_or(Ok(None)).unwrap_or(None),
            false => response.chunk().await.map_err(|e| broken(&e))?,
        };
        let Some(chunk) = chunk else { break };
        received += chunk.len();
        if received > BODY {
            return Err(invalid("the stream is too long", false));
        }
        // Some announce a stream, and answer as a whole.
        if received == chunk.len() && chunk.trim_ascii_start().starts_with(b"{") {
            whole = Some(Vec::new());
        }
        if let Some(body) = &mut whole {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER {
                return Err(invalid("the answer is too long", false));
            }
            continue;
        }
        for event in events.add(&chunk)? {
            let Some(answer) = event else { return gathered.reply(request) };
            let text = match gathered.add(&answer) {
                // What goes wrong behind a complete answer changes nothing about it.
                Err(_) if gathered.is_finished() => return gathered.reply(request),
                added => added?,
            };
            // What stands around each word is many times as long as the word.
            said += text.len();
            if said > ANSWER {
                return Err(invalid("the answer is too long", false));
            }
            if let Some(on_delta) = on_delta
                && !text.is_empty()
            {
                on_delta(&text);
            }
        }
    }
    if let Some(body) = whole {
        return reading::whole_answer(&body, request);
    }
    if !gathered.is_finished() {
        for answer in events.finish()?.into_iter().flatten() {
            gathered.add(&answer)?;
        }
    }
    // Some servers close without the last line, but none without a reason to finish.
    if gathered.is_finished() { gathered.reply(request) } else { Err(invalid("the stream was cut", true)) }
}

fn broken(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        return of_model(errors::body(error));
    }
    invalid("the stream was cut", true)
}

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
        let Some(data) = line.strip_prefix(b"data:").or_else(|| line.starts_with(b"{").then_some(line)) else {
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
