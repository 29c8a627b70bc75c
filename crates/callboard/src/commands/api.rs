//! The API as a client of it sees it: what `callboard run` needs, and no more.

use anyhow::{Context, anyhow};
use bytes::BytesMut;
use callboard_connectors::tls;
use callboard_core::id::RunId;
use futures::StreamExt;
use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Duration};

pub use callboard_core::workflow::view::EventView as Event;

/// A server's API.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
    credential: Option<String>,
}

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server is gone, stopping or overloaded: another try may help.
    #[error("{0:#}")]
    Gone(anyhow::Error),
    /// The server refused.
    #[error("{detail}")]
    Refused { status: u16, detail: String, problems: Vec<String> },
}

/// A stream of a run's events.
pub struct Events {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: BytesMut,
    ready: VecDeque<Event>,
}

/// The largest single event; its data may be a value of 16 MiB.
const LARGEST: usize = 40 << 20;

// === impl Api ===

impl Api {
    pub fn new(url: &str) -> anyhow::Result<Self> {
        tls::ready();
        // Loopback only, so neither the environment's proxies nor redirects have a say.
        #[expect(
            clippy::disallowed_methods,
            reason = "calls our own server, at an address no definition gives"
        )]
        let builder = Client::builder();
        let client = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .build()
            .context("the HTTP client")?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), credential: None })
    }

    /// The same, with a key or a token to send.
    pub fn with_credential(self, credential: Option<String>) -> Self {
        Self { credential, ..self }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts a run of a definition; the same key finds the same run. Returns its id.
    pub async fn start(
        &self,
        definition: &Value,
        input: Option<&Value>,
        key: &str,
    ) -> Result<RunId, CallError> {
        let mut body = json!({"definition": definition});
        if let Some(input) = input {
            body["input"] = input.clone();
        }
        let request = self.client.post(format!("{}/api/v1/runs", self.url));
        let answer = self.json(request.header("idempotency-key", key).json(&body)).await?;
        let id = answer.get("run_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        id.ok_or_else(|| CallError::Gone(anyhow!("the server answered no run id")))
    }

    pub async fn run(&self, run: &RunId) -> Result<Value, CallError> {
        self.json(self.client.get(format!("{}/api/v1/runs/{run}", self.url))).await
    }

    pub async fn cancel(&self, run: &RunId) -> Result<Value, CallError> {
        self.json(self.client.post(format!("{}/api/v1/runs/{run}/cancel", self.url))).await
    }

    /// Streams the run's events after `seq`; nothing if all are told.
    pub async fn events(&self, run: &RunId, after: u64) -> Result<Option<Events>, CallError> {
        let request = self.client.get(format!("{}/api/v1/runs/{run}/history?after={after}", self.url));
        let response =
            self.signed(request).header(header::ACCEPT, "text/event-stream").send().await.map_err(gone)?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let response = fine(response).await?;
        let (text, ready) = (BytesMut::new(), VecDeque::new());
        Ok(Some(Events { body: response.bytes_stream().boxed(), text, ready }))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credential {
            Some(credential) => request.bearer_auth(credential.trim()),
            None => request,
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, CallError> {
        let response = self.signed(request).timeout(Duration::from_secs(90)).send().await.map_err(gone)?;
        fine(response).await?.json().await.map_err(gone)
    }
}

fn gone(error: reqwest::Error) -> CallError {
    CallError::Gone(error.into())
}

/// Turns a problem into an error.
async fn fine(response: reqwest::Response) -> Result<reqwest::Response, CallError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body: Value = response.json().await.unwrap_or_default();
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let detail = match text(&body, "detail") {
        detail if detail.is_empty() => format!("the server answered {status}"),
        detail => detail,
    };
    let detail = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!(
                "{detail}; the server asks who comes: set CALLBOARD_API_KEY to a key or a token of an editor"
            )
        }
        _ => detail,
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        return Err(CallError::Gone(anyhow!(detail)));
    }
    let problems = body.get("problems").and_then(Value::as_array).into_iter().flatten();
    let problems = problems.map(|problem| {
        let node = problem.get("node").and_then(Value::as_str).map(|node| format!("node {node}: "));
        format!("{}{}: {}", node.unwrap_or_default(), text(problem, "path"), text(problem, "message"))
    });
    Err(CallError::Refused { status: status.as_u16(), detail, problems: problems.collect() })
}

// === impl Events ===

impl Events {
    /// Returns the next event; nothing when the stream ends, as it does after the run.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.text.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(gone(error)),
                None => return Ok(None),
            }
            if self.text.len() > LARGEST {
                return Err(CallError::Gone(anyhow!("an event is too large")));
            }
            self.read();
        }
    }

    /// Takes whole events out of what has come. Lines other than data (ids, comments) say nothing new.
    fn read(&mut self) {
        while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
            let block = self.text.split_to(end + 2);
            let lines = block[..].split(|byte| *byte == b'\n');
            let lines = lines.filter_map(|line| line.strip_prefix(b"data:"));
            let data = lines.fold(Vec::new(), |mut data, line| {
                data.extend_from_slice(line);
                data
            });
            if let Ok(event) = serde_json::from_slice(&data) {
                self.ready.push_back(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_read_across_chunks() {
        let chunks = [
            "id: 1\nevent: run.cr",
            "eated\ndata: {\"seq\":1,\"type\":\"run.created\"}\n\n: \n\nid: 2\n",
            "data: {\"seq\":2,\"type\":\"run.completed\"}\n\n",
        ];
        let body = futures::stream::iter(chunks.map(|chunk| Ok(bytes::Bytes::from(chunk)))).boxed();
        let mut events = Events { body, text: BytesMut::new(), ready: VecDeque::new() };
        let mut seqs = Vec::new();
        while let Some(event) = events.next().await.expect("events") {
            seqs.push((event.seq, event.r#type.into_owned()));
        }
        assert_eq!(seqs, [(1, "run.created".to_owned()), (2, "run.completed".to_owned())]);
    }
}
