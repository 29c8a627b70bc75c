//! `GET /api/v1/runs/{id}/history`: pages of recorded events, or the same events as a stream.
//!
//! A stream reads the same numbered history as a page, so it can be resumed at any seq. It ends after the run has;
//! asked again from there it answers 204, which tells an `EventSource` to stay away.

use super::{
    Error, Gateway, Id, heavy,
    limits::Place,
    paging::{Items, Params},
    runs::event,
    trace::Trace,
};
use crate::record::{Data, Item, item, unreadable};
use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use callboard_actors::{Listening, Recorded, Said};
use callboard_catalog::{Catalog, Entry, RunRow};
use callboard_core::{Datum, workflow::Event};
use futures::stream;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

/// Events read at once for a stream, and bytes of them beside the first one.
const BATCH: u32 = 100;
const BATCH_BYTES: u64 = 256 << 10;
/// After a notice that says nothing more will be said.
const PAUSE: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a browser comes back after a lost connection.
const RECONNECT: Duration = Duration::from_secs(2);

/// From where on.
#[derive(Debug, Deserialize)]
pub struct Since {
    after: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    /// Tell also what agents say while they say it.
    said: Option<bool>,
}

/// Answers a page, or a stream where `Accept` asks for one.
pub async fn history(
    State(gateway): State<Gateway>,
    Extension(place): Extension<Place>,
    trace: Trace,
    Id(run): Id,
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
    if streamed {
        let row = gateway.runs.row(&run).await?;
        if is_told(&row, after) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let place = place.lasting()?;
        return Ok(stream_of(gateway, run, after, since.said == Some(true), place));
    }
    let limit = since.limit()?;
    gateway.runs.caught_up(&trace, &run).await?;
    let entries = gateway.catalog.history(&run, after, limit + 1).await?;
    let more = entries.len() > limit as usize;
    let batch = Batch::of(&run, &entries[..entries.len().min(limit as usize)], u64::MAX);
    let room = gateway.heavy.data(batch.data.size()).await?;
    let (items, cut) = batch.show(&*gateway.catalog, &run).await?;
    let next = items.last().filter(|_| more || cut).map(|item| item.seq.to_string());
    heavy::answer(&Items { items, next }, room)
}

/// Whether the run has ended and everything up to its end is behind `after`.
fn is_told(row: &RunRow, after: u64) -> bool {
    row.ended_at.is_some() && after >= row.seq
}

/// Entries that are shown together, with the data that they show.
struct Batch<'a> {
    entries: &'a [Entry],
    /// Nothing where one can't be read.
    events: Vec<Option<Event>>,
    data: Data,
    bytes: u64,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Takes as many entries as fill an answer, or so many bytes; always the first.
    fn of(run: &str, entries: &'a [Entry], most: u64) -> Self {
        let mut batch = Self { entries, events: Vec::new(), data: Data::default(), bytes: 0 };
        for entry in entries {
            let event = event(run, entry);
            let data: Vec<&Datum> = event.iter().flat_map(|event| event.what.data()).collect();
            let stored = data.iter().map(|datum| match datum {
                Datum::Inline(_) => 0,
                Datum::Stored(reference) => reference.size,
            });
            let bytes = batch.bytes.saturating_add(stored.sum::<u64>() + entry.event.len() as u64);
            let fits = data.into_iter().all(|datum| batch.data.want(datum)) && bytes <= most;
            if !fits && !batch.events.is_empty() {
                break;
            }
            batch.bytes = bytes;
            batch.events.push(event);
        }
        batch
    }

    /// Loads the data; fewer items than entries, and true, if those fill an answer.
    async fn show(mut self, catalog: &dyn Catalog, run: &str) -> Result<(Vec<Item>, bool), Error> {
        self.data.load(catalog, run).await?;
        let pairs = self.entries.iter().zip(&self.events);
        let items: Vec<_> = pairs
            .map(|(entry, event)| match event {
                Some(event) => item(entry, event, &self.data),
                None => unreadable(entry),
            })
            .collect();
        let cut = items.len() < self.entries.len();
        Ok((items, cut))
    }
}

/// A stream under way.
struct Told {
    gateway: Gateway,
    run: String,
    after: u64,
    ready: std::vec::IntoIter<Item>,
    /// Of what is ready, until it is written.
    room: Option<OwnedSemaphorePermit>,
    notices: broadcast::Receiver<Recorded>,
    words: Option<broadcast::Receiver<Said>>,
    _listening: Listening,
    _place: OwnedSemaphorePermit,
}

fn stream_of(gateway: Gateway, run: String, after: u64, said: bool, place: OwnedSemaphorePermit) -> Response {
    let notices = gateway.runs.watch(&run);
    // Models stream only for those who ask to hear them.
    let words = said.then(|| gateway.runs.live.listen(&run));
    let listening = gateway.runs.live.announce(&run, said);
    let told = Told {
        gateway,
        run,
        after,
        ready: Vec::new().into_iter(),
        room: None,
        notices,
        words,
        _listening: listening,
        _place: place,
    };
    let events = stream::unfold(told, |mut told| async move {
        let event = match told.next().await? {
            News::Recorded(item) => written(&item),
            News::Said(said) => spoken(&said),
        };
        Some((Ok::<_, Infallible>(event), told))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies that buffer would hold events back.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response
}

fn written(item: &Item) -> sse::Event {
    let event = sse::Event::default().id(item.seq.to_string()).event(item.r#type).retry(RECONNECT);
    let text = serde_json::to_string(item).unwrap_or_default();
    event.data(text)
}

/// Words have no id: they are not in the history, and a stream that resumes does not get them again.
fn spoken(said: &Said) -> sse::Event {
    sse::Event::default().event("agent.said").data(serde_json::to_string(said).unwrap_or_default())
}

/// What a stream tells next.
enum News {
    Recorded(Box<Item>),
    Said(Said),
}

// === impl Told ===

impl Told {
    /// Returns the next event, or nothing once the run's end is told or the server stops.
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(item) = self.ready.next() {
                self.after = item.seq;
                return Some(News::Recorded(Box::new(item)));
            }
            // Asked again: what was ready is on its way.
            self.room = None;
            match self.load().await {
                Ok(true) => continue,
                Ok(false) => {}
                // The client resumes where it was; what went wrong is in the log.
                Err(_) => return None,
            }
            let stop = self.gateway.stop.clone();
            tokio::select! {
                notice = self.notices.recv() => {
                    if let Err(broadcast::error::RecvError::Closed) = notice {
                        self.notices = self.gateway.runs.watch(&self.run);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                said = heard(&mut self.words) => match said {
                    Ok(said) => return Some(News::Said(said)),
                    // Words that were missed are missed: the whole answer comes with its event.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => self.words = None,
                },
                () = tokio::time::sleep(self.gateway.told.every()) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Reads what came since; false if nothing did. An error also says that the stream is over.
    async fn load(&mut self) -> Result<bool, Over> {
        // The row is read first: whatever it counts is in the history that is read after it.
        let row = self.gateway.runs.row(&self.run).await.map_err(|_| Over)?;
        if is_told(&row, self.after) {
            return Err(Over);
        }
        let entries = self.gateway.catalog.history(&self.run, self.after, BATCH).await;
        let entries = entries.map_err(|error| {
            tracing::warn!(run = self.run, %error, "a stream ends early");
            Over
        })?;
        let batch = Batch::of(&self.run, &entries, BATCH_BYTES);
        if !entries.is_empty() {
            // A stream that nobody reads keeps its room until its connection is cut, and others wait for theirs.
            let stop = self.gateway.stop.clone();
            tokio::select! {
                room = self.gateway.limits.show(batch.bytes) => self.room = room,
                () = stop.cancelled() => return Err(Over),
            }
        }
        let (items, _) = batch.show(&*self.gateway.catalog, &self.run).await.map_err(|_| Over)?;
        self.ready = items.into_iter();
        Ok(self.ready.len() > 0)
    }
}

/// Returns the next words, or waits for ever where nobody asked for any.
async fn heard(words: &mut Option<broadcast::Receiver<Said>>) -> Result<Said, broadcast::error::RecvError> {
    match words {
        Some(words) => words.recv().await,
        None => std::future::pending().await,
    }
}

/// The stream is over.
struct Over;

// === impl Since ===

impl Since {
    /// A reconnecting browser sends the last id it saw beside the address it was first given, so that wins.
    fn seq(&self, resumed: Option<&str>) -> Result<u64, Error> {
        let Some(text) = resumed.or(self.after.as_deref()).or(self.cursor.as_deref()) else { return Ok(0) };
        let seq = text.trim().parse::<u64>().ok().filter(|seq| i64::try_from(*seq).is_ok());
        seq.ok_or_else(|| Error::bad_request("invalid_cursor", "the place in a history is a seq, a number"))
    }

    fn limit(&self) -> Result<u32, Error> {
        match self.limit {
            None => Ok(100),
            Some(limit @ 1..=1000) => Ok(limit),
            Some(_) => Err(Error::bad_request("invalid_query", "limit is between 1 and 1000")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_reads_ahead_by_bytes_not_only_by_events() {
        use callboard_core::{Hash, Timestamp, ValueRef, workflow::What};
        let entry = |seq: u64, size: u64| {
            let stored = ValueRef { key: format!("t.{seq}"), hash: Hash::of(b"v"), size };
            let event =
                Event { at: Timestamp(1), what: What::RunCompleted { output: Datum::Stored(stored) } };
            let event = serde_json::to_string(&event).expect("JSON");
            Entry { seq, at: Timestamp(1), hash: Hash::of(b"h"), event }
        };
        let taken = |sizes: &[u64], most: u64| {
            let entries: Vec<_> = (1..).zip(sizes).map(|(seq, size)| entry(seq, *size)).collect();
            Batch::of("r", &entries, most).events.len()
        };
        assert_eq!(taken(&[100 << 10, 100 << 10, 100 << 10], BATCH_BYTES), 2);
        assert_eq!(taken(&[16 << 20, 1], BATCH_BYTES), 1);
        assert_eq!(taken(&[100 << 10, 100 << 10, 100 << 10], u64::MAX), 3);
    }

    #[test]
    fn the_last_event_seen_wins_over_the_address() {
        let since = |after: Option<&str>| Since {
            after: after.map(str::to_owned),
            cursor: None,
            limit: None,
            said: None,
        };
        assert_eq!(since(None).seq(None).ok(), Some(0));
        assert_eq!(since(Some("3")).seq(None).ok(), Some(3));
        assert_eq!(since(Some("3")).seq(Some("7")).ok(), Some(7));
        assert!(since(Some("-1")).seq(None).is_err());
        assert!(since(None).seq(Some("18446744073709551615")).is_err());
    }
}
