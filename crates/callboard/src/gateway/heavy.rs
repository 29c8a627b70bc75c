//! Places for heavy requests: those that take memory or time by the size of what is stored or sent, not by their number.
//!
//! Whoever finds no place waits in order for a while and is then told to come back. A place is given back when the work
//! has ended, not when the client has gone: what was begun on another thread can't be called back.

use super::Error;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Text of definitions that are read and checked at once, in KiB. Each may take twenty times its text.
const CHECKS: usize = 8 << 10;
/// What a small one counts as, so that four are checked at once, and two of the largest.
const CHECK: usize = CHECKS / 4;
/// Long histories that are folded at once.
const FOLDS: usize = 2;
/// Stored data in answers under way, in KiB.
const DATA: usize = 64 << 10;
/// Answers with less stored data than this, in bytes, take no place.
const LIGHT: u64 = 1 << 20;
/// How long a read waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a definition, which its sender has already sent.
const PATIENCE_OF_CHECKS: Duration = Duration::from_secs(30);
/// Of an answer that holds a place, at a time.
const PIECE: usize = 64 << 10;

/// The places of one process.
#[derive(Clone)]
pub struct Heavy {
    checks: Arc<Semaphore>,
    folds: Arc<Semaphore>,
    data: Arc<Semaphore>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

// === impl Heavy ===

impl Heavy {
    /// A place to read and check a definition of so many bytes.
    pub async fn check(&self, bytes: usize) -> Result<Turn, Error> {
        let wanted = bytes.div_ceil(1024).clamp(CHECK, CHECKS);
        wait(&self.checks, wanted, PATIENCE_OF_CHECKS, "too many definitions are being checked").await
    }

    /// A place to fold a long history.
    pub async fn fold(&self) -> Result<Turn, Error> {
        wait(&self.folds, 1, PATIENCE, "too many long histories are being read").await
    }

    /// Room for so many bytes of stored data; none is needed for little.
    pub async fn data(&self, bytes: u64) -> Result<Option<Turn>, Error> {
        if bytes < LIGHT {
            return Ok(None);
        }
        let wanted = usize::try_from(bytes >> 10).unwrap_or(DATA).min(DATA);
        wait(&self.data, wanted, PATIENCE, "too much stored data is being read").await.map(Some)
    }
}

impl Default for Heavy {
    fn default() -> Self {
        let places = |n| Arc::new(Semaphore::new(n));
        Self { checks: places(CHECKS), folds: places(FOLDS), data: places(DATA) }
    }
}

/// Does work that takes time where it holds up nobody. A panic goes on here.
pub async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::unavailable("stopping", "the server is stopping", 1)),
        },
    }
}

async fn wait(
    places: &Arc<Semaphore>,
    wanted: usize,
    patience: Duration,
    detail: &str,
) -> Result<Turn, Error> {
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    let place = tokio::time::timeout(patience, places.clone().acquire_many_owned(wanted)).await;
    let place = place.ok().and_then(Result::ok);
    place.map(Turn).ok_or_else(|| Error::unavailable("overloaded", detail, 2))
}

/// Answers with JSON; a place is held until the last piece is on its way.
pub fn answer<T: Serialize>(value: &T, turn: Option<Turn>) -> Result<axum::response::Response, Error> {
    let text = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer can't be written");
        Error::internal()
    })?;
    let length = text.len();
    let body = match turn {
        None => Body::from(text),
        Some(turn) => {
            let pieces = futures::stream::unfold((Bytes::from(text), turn), |(mut text, turn)| async move {
                let piece = text.split_to(text.len().min(PIECE));
                (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (text, turn)))
            });
            Body::from_stream(pieces)
        }
    };
    let mut response = axum::response::Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_and_is_then_told_to_come_back() {
        let heavy = Heavy::default();
        let held = [heavy.fold().await.expect("a place"), heavy.fold().await.expect("a place")];
        let error = heavy.fold().await.expect_err("two are the most");
        assert_eq!((error.status.as_u16(), error.code.as_ref()), (503, "overloaded"));
        assert!(error.retry_after.is_some());
        let (freed, third) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(held)
            },
            heavy.fold()
        );
        let () = freed;
        third.expect("a place is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn four_small_definitions_or_two_large_ones_are_checked_at_once() {
        for (bytes, at_once) in [(0, 4), (100, 4), (4 << 20, 2), (usize::MAX, 1)] {
            let (heavy, mut held) = (Heavy::default(), Vec::new());
            while let Ok(turn) = heavy.check(bytes).await {
                held.push(turn);
            }
            assert_eq!(held.len(), at_once, "{bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn data_counts_by_its_size_until_it_is_sent() {
        let heavy = Heavy::default();
        assert!(heavy.data(LIGHT - 1).await.expect("light").is_none());
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
