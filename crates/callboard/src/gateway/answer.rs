//! Answers in JSON; large ones hold their place until they are sent.

use super::Error;
use crate::operations::Turn;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
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
