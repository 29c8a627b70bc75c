//! Reading a streamed answer: server-sent events of bounded size, in a stream of bounded size.

use super::{
    ANSWER, of_model,
    reading::{Answer, Gathered, place},
};
use crate::{
    CallError,
    http::{BODY, errors},
    model::{OnDelta, invalid},
};
use callboard_core::agent::message::{ModelReply, ModelRequest};

/// One line.
const LINE: usize = 1 << 20;
const DONE: &[u8] = b"[DONE]";

/// Reads until the end that the provider announces; a stream that stops before is cut, not short.
pub(super) async fn read(
    mut response: reqwest::Response,
    request: &ModelRequest,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, CallError> {
    let mut gathered = Gathered::default();
    let mut lines = Lines::default();
    let (mut received, mut said) = (0, 0);
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        received += chunk.len();
        if received > BODY {
            return Err(invalid("the stream is too long", false));
        }
        for line in lines.add(&chunk)? {
            let Some(data) = data(&line) else { continue };
            if data == DONE {
                return gathered.reply(request);
            }
            let answer: Answer = serde_json::from_slice(data)
                .map_err(|e| invalid(format!("an event is not as agreed: {}", place(&e)), true))?;
            let text = gathered.add(answer)?;
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
    // Some servers close without the last line, but none without a reason to finish.
    if gathered.is_finished() { gathered.reply(request) } else { Err(invalid("the stream was cut", true)) }
}

fn broken(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        return of_model(errors::body(error));
    }
    invalid("the stream was cut", true)
}

/// Returns the content of a `data:` line; comments, names and empty lines have none.
fn data(line: &[u8]) -> Option<&[u8]> {
    let data = line.strip_prefix(b"data:")?.trim_ascii();
    (!data.is_empty()).then_some(data)
}

/// Makes lines of chunks.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, CallError> {
        let mut lines = Vec::new();
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.0.extend_from_slice(&rest[..end]);
            lines.push(std::mem::take(&mut self.0));
            rest = &rest[end + 1..];
        }
        self.0.extend_from_slice(rest);
        if self.0.len() > LINE {
            return Err(invalid("an event of the stream is too long", false));
        }
        Ok(lines)
    }
}
