//! What nobody should send: on every way in it is refused with a reason, never a 5xx, never a panic, never for ever.

mod actors;
mod bodies;
mod definitions;
mod places;

use super::world::{Case, Stage, Where, World};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_a_reason_over_the_embedded_sidecar() {
    Stage::start(Where::Embedded).await.play(all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_a_reason_beside_real_dapr() {
    Stage::start(Where::Beside).await.play(all()).await;
}

fn all() -> Vec<(&'static str, Case)> {
    [bodies::all(), places::all(), definitions::all(), actors::all()].into_iter().flatten().collect()
}

/// Sends a request that must be refused with one of the statuses, by a problem that says why; returns its code.
async fn refused(what: &str, request: RequestBuilder, statuses: &[u16]) -> Value {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => panic!("{what}: {error:?}"),
    };
    let status = response.status();
    let kind =
        response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let text = response.text().await.unwrap_or_default();
    assert!(statuses.contains(&status.as_u16()), "{what}: {status} {text:.300}");
    assert_eq!(kind, "application/problem+json", "{what}: {status} {text:.300}");
    let problem: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error} {text:.300}"));
    assert_eq!(problem["status"], status.as_u16(), "{what}: {problem:#}");
    for field in ["code", "title", "detail", "type"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: {problem:#}");
    }
    assert!(text.len() < 64 << 10, "{what}: a problem of {} bytes", text.len());
    problem
}

/// The server still does its work.
async fn well(w: &World) {
    let answer = w.api.client.get(format!("{}/health", w.api.url)).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}
