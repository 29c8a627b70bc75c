//! A model endpoint that answers at once, over real HTTP.

use axum::{Router, body::Bytes, http::header, routing::post};

/// What every question is answered with: about 60 tokens.
const ANSWER: &str = "Bees keep their hive at an even temperature all year round: in summer they fan and carry water, \
                      in winter they huddle and shiver, and in both they take turns, so that none of them is cold or \
                      tired for long.";

pub struct Model {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start() -> Model {
    let body = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "instant",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 60, "total_tokens": 120},
    });
    let body = Bytes::from(body.to_string());
    let answer = move |_: Bytes| {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route("/v1/chat/completions", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
    Model { url, task }
}
