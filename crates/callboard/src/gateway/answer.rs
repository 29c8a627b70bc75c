//! Answers in JSON; large ones hold their place until they are sent.

use super::Error;
use crate::operations::Turn;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// Of an answer to what was done before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Marks an answer, if what it answers was done before.
pub fn replayed(mut response: Response, is: bool) -> Response {
    if is {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The language of a document that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Json,
    Yaml,
}

// === impl Document ===

impl Document {
    /// Returns the one that `Accept` names first; this one, where it names neither.
    pub fn wanted(self, headers: &HeaderMap) -> Self {
        let given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let kinds = given.flat_map(|value| value.split(',')).map(|kind| kind.trim().to_ascii_lowercase());
        let known = |kind: String| match kind.split(';').next().unwrap_or_default().trim() {
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            "application/json" => Some(Self::Json),
            _ => None,
        };
        kinds.filter_map(known).next().unwrap_or(self)
    }
}

/// Answers with a text of YAML.
pub fn yaml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], text).into_response()
}

/// Of an answer that holds a place, at a time.
const PIECE: usize = 64 << 10;

/// Answers with JSON; a place is held until the last piece is on its way.
pub fn answer<T: Serialize>(value: &T, turn: Option<Turn>) -> Result<Response, Error> {
    let text = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer can't be written");
        Error::internal()
    })?;
    Ok(streamed(text.into(), turn))
}

/// Answers with a text in JSON; a place is held until the last piece is on its way.
pub fn streamed(text: Bytes, turn: Option<Turn>) -> Response {
    let length = text.len();
    let body = match turn {
        None => Body::from(text),
        Some(turn) => {
            let pieces = futures::stream::unfold((text, turn), |(mut text, turn)| async move {
                let piece = text.split_to(text.len().min(PIECE));
                (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (text, turn)))
            });
            Body::from_stream(pieces)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::Heavy;
    use http_body_util::BodyExt;

    #[tokio::test(start_paused = true)]
    async fn data_counts_by_its_size_until_it_is_sent() {
        let heavy = Heavy::default();
        assert!(heavy.data((1 << 20) - 1).await.expect("light").is_none());
        let turn = heavy.data(40 << 20).await.expect("room");
        assert!(heavy.data(40 << 20).await.is_err(), "80 MiB are too much at once");
        let text = "x".repeat(200_000);
        let response = answer(&text, turn).expect("an answer");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "200002");
        assert!(heavy.data(40 << 20).await.is_err(), "it is not sent yet");
        let sent = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(sent.len(), 200_002);
        assert!(heavy.data(u64::MAX).await.expect("all of it").is_some());
    }
}
