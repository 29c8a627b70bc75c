//! A faked model provider: OpenAI's `/v1/chat/completions`, whole or streamed, answering as
//! its [`Script`] says, by default with the last user message.

use axum::body::Body;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::upstream::{coded, cut, garbage, huge, status, typed};
use super::{Recorded, Reply, Script, Upstream};

const EVENTS: &str = "text/event-stream";

/// A provider on a free port of 127.0.0.1, gone when dropped.
pub struct Model {
    server: Upstream,
}

impl Model {
    pub async fn start() -> Self {
        Self { server: Upstream::serve(0, render).await }
    }

    /// Returns what `OPENAI_BASE_URL` wants.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    pub fn script(&self) -> &Script {
        &self.server.script
    }
}

fn render(request: &Recorded, reply: Reply) -> Response {
    if request.target != "/v1/chat/completions" {
        return status(404, None, error("not_found", format!("no such path: {}", request.target)));
    }
    let body = request.json();
    let message = match reply {
        Reply::Text(text) => json!({"role": "assistant", "content": text}),
        Reply::Json(value) => json!({"role": "assistant", "content": value.to_string()}),
        Reply::Echo => json!({"role": "assistant", "content": request.prompt()}),
        Reply::Tools(calls) => {
            json!({"role": "assistant", "content": null, "tool_calls": tool_calls(&calls)})
        }
        Reply::Status(code, retry_after) => {
            let kind = if code == 429 { "rate_limit_exceeded" } else { "server_error" };
            return status(code, retry_after, error(kind, format!("scripted {code}")));
        }
        Reply::Cut if body["stream"] == true => {
            let (first, _) = stream_chunks(&body, &json!({"role": "assistant", "content": "half of an ans"}));
            return cut(EVENTS, first);
        }
        Reply::Cut => return cut("application/json", "{\"id\": \"chatcmpl-cut\", \"choices\": [{\"mess"),
        Reply::Huge(bytes) => return huge_answer(&body, bytes),
        Reply::Garbage => return garbage(),
        Reply::Refused(code, body) => return status(code, None, body),
        Reply::Says(message, finish) => return says(&body, &message, finish),
        Reply::Raw(kind, text) => return typed(kind, Body::from(text)),
        Reply::Coded(coding, body) => return coded(coding, body),
        Reply::After(..) => unreachable!("waited for by the caller"),
    };
    if body["stream"] == true {
        let (content, end) = stream_chunks(&body, &message);
        return typed(EVENTS, Body::from(content + &end));
    }
    Json(chat_completion(&body, message)).into_response()
}

/// The message as it is, whole or streamed.
fn says(body: &Value, message: &Value, finish: &str) -> Response {
    if body["stream"] == true {
        let choice = json!({"index": 0, "delta": message, "finish_reason": finish});
        let event =
            line(&json!({"object": "chat.completion.chunk", "model": body["model"], "choices": [choice]}));
        return typed(EVENTS, Body::from(event + "data: [DONE]\n\n"));
    }
    let mut whole = chat_completion(body, message.clone());
    whole["choices"][0]["finish_reason"] = finish.into();
    Json(whole).into_response()
}

/// Returns a whole answer with `message` in it; four letters are a token.
pub fn chat_completion(body: &Value, message: Value) -> Value {
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish(&message), "logprobs": null}],
        "usage": usage(body, &message),
    })
}

fn finish(message: &Value) -> &'static str {
    if message["tool_calls"].is_array() { "tool_calls" } else { "stop" }
}

fn usage(body: &Value, message: &Value) -> Value {
    let tokens = |value: &Value| value.to_string().len().div_ceil(4);
    let (prompt, completion) = (tokens(&body["messages"]), tokens(message));
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

fn tool_calls(calls: &[(String, Value)]) -> Value {
    let call = |(index, (name, arguments)): (usize, &(String, Value))| {
        json!({"index": index, "id": format!("call_{index}"), "type": "function",
               "function": {"name": name, "arguments": arguments.to_string()}})
    };
    calls.iter().enumerate().map(call).collect()
}

/// Returns the events that carry the message, a word each, and those that end the stream.
fn stream_chunks(body: &Value, message: &Value) -> (String, String) {
    let event = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        line(
            &json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": choices}),
        )
    };
    let mut content = event(json!({"role": "assistant", "content": ""}), Value::Null);
    for word in message["content"].as_str().unwrap_or_default().split_inclusive(' ') {
        content += &event(json!({"content": word}), Value::Null);
    }
    if message["tool_calls"].is_array() {
        content += &event(json!({"tool_calls": message["tool_calls"]}), Value::Null);
    }
    let mut end = event(json!({}), finish(message).into());
    if body["stream_options"]["include_usage"] == true {
        end += &line(
            &json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": body["model"],
                             "choices": [], "usage": usage(body, message)}),
        );
    }
    (content, end + "data: [DONE]\n\n")
}

fn line(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// A good answer around far too much text.
fn huge_answer(body: &Value, bytes: usize) -> Response {
    let message = json!({"role": "assistant", "content": "HUGE"});
    let (kind, text) = if body["stream"] == true {
        let (content, end) = stream_chunks(body, &message);
        (EVENTS, content + &end)
    } else {
        ("application/json", chat_completion(body, message).to_string())
    };
    let (before, after) = text.split_once("HUGE").expect("the text is in the answer");
    huge(kind, before.to_owned(), bytes, after.to_owned())
}

fn error(kind: &str, message: String) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})
}
