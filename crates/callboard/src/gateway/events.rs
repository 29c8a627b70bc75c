//! `GET /api/v1/runs/{id}/history`: pages of recorded events, or the same events as a stream.
//!
//! A stream reads the same numbered history as a page, so it can be resumed at any seq. It ends after the run has;
//! asked again from there it answers 204, which tells an `EventSource` to stay away.

use super::{Error, Gateway, Id, answer::answer, limits::Place, params::Params};
use crate::{
    access::Principal,
    operations::{Fields, News, Page, Query, Trace, seq},
};
use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use callboard_actors::Said;
use callboard_core::{id::RunId, workflow::view::EventView};
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use std::{convert::Infallible, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a browser comes back after a lost connection.
const RECONNECT: Duration = Duration::from_secs(2);

/// From where on.
#[derive(Debug, Default, JsonSchema)]
pub struct Since {
    /// Events after this seq.
    after: Option<String>,
    /// `next` of the page before; it wins over `after`.
    cursor: Option<String>,
    /// Items of a page; 100 unless it is given.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// A stream tells also what agents say while they say it.
    said: Option<bool>,
}

/// Answers a page, or a stream where `Accept` asks for one.
pub async fn history(
    State(gateway): State<Gateway>,
    principal: Principal,
    Extension(place): Extension<Place>,
    trace: Trace,
    Id(run): Id<RunId>,
    Params(since): Params<Since>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let streamed = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|kind| kind.trim().starts_with("text/event-stream")));
    let resumed = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let after = since.seq(resumed.filter(|_| streamed))?;
    if !streamed {
        let (page, room) = gateway.operations.history(&principal, &trace, &run, after, since.limit).await?;
        return answer(&page, room);
    }
    let Some(cursor) = gateway.operations.cursor(&principal, &run, after).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let place = place.lasting()?;
    let gatekeeper = gateway.operations.access.clone();
    // Who may not any more hears no more.
    let ended = async move { gatekeeper.ended(&principal).await };
    Ok(stream_of(cursor.follow(since.said == Some(true)).take_until(Box::pin(ended)), place))
}

fn stream_of(feed: impl Stream<Item = News> + Send + 'static, place: OwnedSemaphorePermit) -> Response {
    let events = feed.map(move |news| {
        // Held as long as the stream.
        let _ = &place;
        let event = match news {
            News::Recorded(event) => written(&event),
            News::Said(said) => spoken(&said),
        };
        Ok::<_, Infallible>(event)
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies that buffer would hold events back.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response
}

fn written(event: &EventView) -> sse::Event {
    let text = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().id(event.seq.to_string()).event(&event.r#type).retry(RECONNECT).data(text)
}

/// Words have no id: they are not in the history, and a stream that resumes does not get them again.
fn spoken(said: &Said) -> sse::Event {
    sse::Event::default().event("agent.said").data(serde_json::to_string(said).unwrap_or_default())
}

// === impl Since ===

impl Query for Since {
    fn read(fields: &mut Fields<'_>) -> Self {
        let Page { limit, cursor } = Page::read(fields);
        Self { after: fields.text("after"), cursor, limit, said: fields.flag("said") }
    }
}

impl Since {
    /// What came later wins: over the address that was first given the cursor of the page before, and over both the last id
    /// that a reconnecting browser saw.
    fn seq(&self, resumed: Option<&str>) -> Result<u64, Error> {
        let mut at = 0;
        for text in [self.after.as_deref(), self.cursor.as_deref(), resumed].into_iter().flatten() {
            at = seq(text)?;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_later_wins_over_what_was_given_first() {
        let since = |after: Option<&str>, cursor: Option<&str>, resumed: Option<&str>| {
            let since = Since {
                after: after.map(str::to_owned),
                cursor: cursor.map(str::to_owned),
                ..Since::default()
            };
            since.seq(resumed).ok()
        };
        assert_eq!(since(None, None, None), Some(0));
        assert_eq!(since(Some("3"), None, None), Some(3));
        assert_eq!(since(Some("3"), Some("5"), None), Some(5));
        assert_eq!(since(Some("3"), None, Some("7")), Some(7));
        assert_eq!(since(Some("3"), Some("5"), Some("7")), Some(7));
        for wrong in ["-1", "x", "18446744073709551615"] {
            assert_eq!(since(Some(wrong), Some("5"), Some("7")), None);
            assert_eq!(since(Some("3"), Some(wrong), Some("7")), None);
            assert_eq!(since(Some("3"), Some("5"), Some(wrong)), None);
        }
    }
}
