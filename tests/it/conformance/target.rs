//! A server under test and how to reach it: raw HTTP, so that statuses, headers and bodies can be looked at, and the
//! generated gRPC client.

use std::any::Any;

use axum::http::HeaderMap;
use bytes::Bytes;
use callboard_sidecar::Sidecar;
use serde_json::Value;
use tonic::{Code, Status};

use super::app::App;
use super::releases::Server;

/// A server under test.
pub struct Target {
    pub server: Server,
    /// `http://127.0.0.1:PORT`
    pub http: String,
    pub grpc: String,
    pub sidecar: Sidecar,
    pub app: App,
    /// A server whose application may be taken away.
    pub second: tokio::sync::Mutex<Second>,
    pub client: reqwest::Client,
    /// What has to live as long as the server.
    pub _owned: Vec<Box<dyn Any + Send + Sync>>,
}

/// Another server of the same kind, with tokens, for the one case that ends its application.
pub struct Second {
    pub http: String,
    pub grpc: String,
    pub app: App,
    pub serving: tokio::task::JoinHandle<()>,
    pub redis: Option<crate::harness::Redis>,
}

pub const API_TOKEN: &str = "asked-of-callers";
pub const APP_TOKEN: &str = "shown-to-the-app";

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// === impl Target ===

impl Target {
    /// Sends a request to a path of the server's HTTP API, or to a whole URL.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.try_send(method, path, headers, body).await.expect("the server answers")
    }

    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, reqwest::Error> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.http) };
        let method = method.parse().expect("a method's name");
        let mut request = self.client.request(method, url).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Reply { status, headers, body: answer.bytes().await? })
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Publishes JSON on `pubsub` or another component.
    pub async fn publish(&self, bus: &str, topic: &str, data: &Value) {
        let reply = self.post(&format!("/v1.0/publish/{bus}/{topic}"), data).await;
        assert_eq!(reply.status, 204, "publish to {topic}: {}", reply.text());
    }
}

// === impl Reply ===

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Status and Dapr's error code, `""` if there is none.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["errorCode"].as_str().unwrap_or_default().to_owned())
    }
}

/// The code a gRPC call ended with.
pub fn code<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, Status::code)
}
