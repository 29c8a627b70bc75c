//! The outside as the runs see it: a model endpoint whose every answer is new, and the log of what it was asked.

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Answers given, by the effect key of the call.
pub type Log = BTreeMap<String, Vec<String>>;

type Shared = Arc<Notes>;

#[derive(Default)]
struct Notes {
    log: Mutex<Log>,
    given: AtomicUsize,
}

/// A model endpoint and a service. No answer is given twice, so that a step recorded again shows.
pub struct Effects {
    /// Of the model endpoint.
    pub url: String,
    /// Of everything here: `HOST:PORT`.
    pub address: String,
    log: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Effects {
    pub async fn start() -> Self {
        let log = Shared::default();
        let router = Router::new().route("/v1/chat/completions", post(answer)).route("/service", post(serve));
        let router = router.with_state(log.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let url = format!("http://{address}/v1");
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { url, address, log, task }
    }

    /// Returns how many calls were made so far.
    pub fn calls(&self) -> usize {
        self.log.given.load(Ordering::Relaxed)
    }

    pub fn log(&self) -> Log {
        self.log.log.lock().expect("no panic while held").clone()
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A model's answer: long where the task asks for that; where it may add, that is called first.
async fn answer(State(log): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Json<Value> {
    let asked = body["messages"].to_string();
    let more = match asked.as_str() {
        // A value of its own, far above what a message should carry.
        text if text.contains("at great length") => "and on and on ".repeat(6000),
        text if text.contains("at length") => "and so on ".repeat(300),
        _ => String::new(),
    };
    let text = note(&log, key(&headers), &more);
    // Long enough that kills fall into calls, too.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let adds = |tool: &Value| tool["function"]["name"] == "add";
    let tools = body["tools"].as_array().is_some_and(|tools| tools.iter().any(adds));
    let used = body["messages"].as_array().is_some_and(|all| all.iter().any(|m| m["role"] == "tool"));
    let (message, reason) = if tools && !used {
        let call = json!({"id": "call-1", "type": "function",
            "function": {"name": "add", "arguments": "{\"a\": 1, \"b\": 2}"}});
        (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
    } else {
        (json!({"role": "assistant", "content": text}), "stop")
    };
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "new",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }))
}

/// Another service, for `http` nodes. Its key names the attempt; the model's has the number of the call behind it.
async fn serve(State(log): State<Shared>, headers: HeaderMap) -> String {
    note(&log, format!("{}/1", key(&headers)), "")
}

fn key(headers: &HeaderMap) -> String {
    headers.get("idempotency-key").and_then(|k| k.to_str().ok()).unwrap_or("none").to_owned()
}

/// Makes an answer nobody was given before, and notes for whom it is.
fn note(notes: &Notes, key: String, more: &str) -> String {
    let text = format!("answer {} {more}", notes.given.fetch_add(1, Ordering::Relaxed)).trim_end().to_owned();
    notes.log.lock().expect("no panic while held").entry(key).or_default().push(text.clone());
    text
}
