//! What a faked service answers: one scripted reply for each request, and a record of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use super::eventually;

/// One way to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A text: what the model says, or the body of a response.
    Text(String),
    /// A document: the model says it as text, an HTTP service as its body.
    Json(Value),
    /// What was sent: the last user message, or method, path, query, headers and body.
    Echo,
    /// The model asks for tools: name and arguments.
    Tools(Vec<(String, Value)>),
    /// A status without much of a body, and a `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Begins a good answer and drops the connection in the middle of it.
    Cut,
    /// This many bytes of text.
    Huge(usize),
    /// 200 and `application/json`, and no JSON.
    Garbage,
    /// A status with this body.
    Refused(u16, Value),
    /// The model's message as it is, and why it ends.
    Says(Value, &'static str),
    /// 200 and JSON under this content coding: the body as it is.
    Coded(&'static str, Vec<u8>),
    /// 200 with this content type and body.
    Raw(&'static str, String),
    /// Another reply, later.
    After(Duration, Box<Reply>),
}

impl Reply {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn tool(name: impl Into<String>, arguments: Value) -> Self {
        Self::Tools(vec![(name.into(), arguments)])
    }

    /// 429 with `Retry-After`.
    pub fn too_many(seconds: u32) -> Self {
        Self::Status(429, Some(seconds))
    }

    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub at: Instant,
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    /// Returns the body; `Null` if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the content of the last message a user sent to a model.
    pub fn prompt(&self) -> String {
        let body = self.json();
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.iter().rev().find(|message| message["role"] == "user");
        match last.map(|message| &message["content"]) {
            Some(Value::String(text)) => text.clone(),
            // The other form: a list of parts.
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => String::new(),
        }
    }
}

type Condition = dyn Fn(&Recorded) -> bool + Send + Sync;
type Answer = dyn Fn(&Recorded) -> Reply + Send + Sync;

#[derive(Default)]
struct State {
    rules: Vec<(Box<Condition>, Arc<Answer>)>,
    queue: VecDeque<Reply>,
    otherwise: Option<Reply>,
    seen: Vec<Recorded>,
}

/// Decides replies: the first rule that holds, else the next of the queue, else the default, an echo.
/// May be changed while the service runs.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds replies for the next requests, in order.
    pub fn then(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.0.lock().unwrap().queue.extend(replies);
        self
    }

    /// Answers every request for which `holds`; for tests whose requests come in no order.
    pub fn when(&self, holds: impl Fn(&Recorded) -> bool + Send + Sync + 'static, reply: Reply) -> &Self {
        self.answer(holds, move |_| reply.clone())
    }

    /// Computes the answer of every request for which `holds`.
    pub fn answer(
        &self,
        holds: impl Fn(&Recorded) -> bool + Send + Sync + 'static,
        answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    ) -> &Self {
        self.0.lock().unwrap().rules.push((Box::new(holds), Arc::new(answer)));
        self
    }

    /// Replaces the default.
    pub fn otherwise(&self, reply: Reply) -> &Self {
        self.0.lock().unwrap().otherwise = Some(reply);
        self
    }

    /// Returns the number of requests so far.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().seen.len()
    }

    /// Returns the requests so far, in the order they arrived.
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.lock().unwrap().seen.clone()
    }

    /// Waits until there have been at least this many requests.
    #[track_caller]
    pub fn called(&self, times: usize, within: Duration) -> impl Future<Output = Vec<Recorded>> {
        let script = self.clone();
        eventually(within, move || {
            let seen = script.requests();
            async move {
                if seen.len() >= times {
                    Ok(seen)
                } else {
                    Err(format!("{} of {times} requests", seen.len()))
                }
            }
        })
    }

    pub(super) fn decide(&self, request: Recorded) -> (Recorded, Reply) {
        let mut state = self.0.lock().unwrap();
        state.seen.push(request.clone());
        let rule = state.rules.iter().find(|(holds, _)| holds(&request)).map(|(_, answer)| answer.clone());
        let reply = match rule {
            Some(answer) => answer(&request),
            None => state.queue.pop_front().or_else(|| state.otherwise.clone()).unwrap_or(Reply::Echo),
        };
        (request, reply)
    }
}
