//! Reading a streamed answer: server-sent events of bounded size, in a stream of bounded size.

use super::{
    ANSWER,
    events::Events,
    of_model,
    reading::{self, Gathered},
};
use crate::{
    CallError,
    http::{BODY, errors},
    model::{OnDelta, invalid},
};
use callboard_core::agent::message::{ModelReply, ModelRequest};
use serde_json::Value;
use std::time::Duration;

/// How long a stream whose answer is complete is waited for: its use of tokens may follow.
const LINGER: Duration = Duration::from_secs(3);

/// Why a stream gave no answer.
pub(super) struct Unread {
    pub error: CallError,
    /// The connection broke, or the provider broke off, which may happen to any.
    pub by_accident: bool,
}

impl From<CallError> for Unread {
    fn from(error: CallError) -> Self {
        Self { by_accident: error.code != "model_invalid_response", error }
    }
}

/// Reads until the end that the provider announces; a stream that stops before is cut, not short.
pub(super) async fn read(
    mut response: reqwest::Response,
    request: &ModelRequest,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, Unread> {
    let mut gathered = Gathered::default();
    let mut events = Events::default();
    let (mut received, mut said) = (0, Said(0));
    let mut whole: Option<Vec<u8>> = None;
    loop {
        let chunk = match gathered.is_finished() {
            true => tokio::time::timeout(LINGER, response.chunk()).await.unwrap_or(Ok(None)).unwrap_or(None),
            false => response.chunk().await.map_err(|e| Unread { error: broken(&e), by_accident: true })?,
        };
        let Some(chunk) = chunk else { break };
        received += chunk.len();
        if received > BODY {
            return Err(invalid("the stream is too long", false).into());
        }
        // Some announce a stream, and answer as a whole.
        if received == chunk.len() && chunk.trim_ascii_start().starts_with(b"{") {
            whole = Some(Vec::new());
        }
        if let Some(body) = &mut whole {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER {
                return Err(invalid("the answer is too long", false).into());
            }
            continue;
        }
        if said.take(&mut gathered, events.add(&chunk)?, on_delta)? {
            return Ok(gathered.reply(request)?);
        }
    }
    if let Some(body) = whole {
        return Ok(reading::whole_answer(&body, request)?);
    }
    if !gathered.is_finished() {
        for answer in events.finish()?.into_iter().flatten() {
            gathered.add(&answer)?;
        }
    }
    // Some servers close without the last line, but none without a reason to finish.
    if !gathered.is_finished() {
        return Err(invalid("the stream was cut", true).into());
    }
    Ok(gathered.reply(request)?)
}

/// How many bytes of an answer were read so far: what stands around each word is many times as long as the word.
struct Said(usize);

impl Said {
    /// Takes what came in at once, and returns whether the answer has ended.
    fn take(
        &mut self,
        gathered: &mut Gathered,
        events: Vec<Option<Value>>,
        on_delta: OnDelta<'_>,
    ) -> Result<bool, CallError> {
        for event in events {
            let Some(answer) = event else { return Ok(true) };
            let text = match gathered.add(&answer) {
                // What goes wrong behind a complete answer changes nothing about it.
                Err(_) if gathered.is_finished() => return Ok(true),
                added => added?,
            };
            self.0 += text.len();
            if self.0 > ANSWER {
                return Err(invalid("the answer is too long", false));
            }
            if let Some(on_delta) = on_delta
                && !text.is_empty()
            {
                on_delta(&text);
            }
        }
        Ok(false)
    }
}

fn broken(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        return of_model(errors::body(error));
    }
    invalid("the stream was cut", true)
}
