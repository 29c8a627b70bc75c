//! The outside as the runs see it: a model endpoint whose every answer is new, and the log of what it was asked.

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Answers given, by the effect key of the call.
pub type Log = BTreeMap<String, Vec<String>>;

/// A model endpoint. No answer is given twice, so that a step recorded again shows.
pub struct Effects {
    pub url: String,
    log: Arc<Mutex<Log>>,
    task: tokio::task::JoinHandle<()>,
}

impl Effects {
    pub async fn start() -> Self {
        let log: Arc<Mutex<Log>> = Arc::default();
        let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(log.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { url, log, task }
    }

    pub fn log(&self) -> Log {
        self.log.lock().expect("no panic while held").clone()
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(log): State<Arc<Mutex<Log>>>, headers: HeaderMap, _: Json<Value>) -> Json<Value> {
    let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok()).unwrap_or("none").to_owned();
    let text = {
        let mut log = log.lock().expect("no panic while held");
        let text = format!("answer {}", log.values().map(Vec::len).sum::<usize>());
        log.entry(key).or_default().push(text.clone());
        text
    };
    // Long enough that kills fall into calls, too.
    tokio::time::sleep(Duration::from_millis(5)).await;
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "new",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }))
}
