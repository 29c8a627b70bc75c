//! What happens to a run, as it happens: a stream over its history from any place on.
//!
//! A feed reads history, waits for a notice, and reads history again from where it was: what it tells is numbered
//! without a gap, however many notices were lost, and a feed that broke off is resumed at the last seq that was seen.
//! Words of agents pass beside it, best effort. It ends after the run's end is told.

use super::{Operations, Refusal, Turn, history::Batch};
use crate::access::Principal;
use callboard_actors::{Listening, Recorded, Said};
use callboard_catalog::RunRow;
use callboard_core::{id::RunId, workflow::view::EventView};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::broadcast;

/// Events read at once, and bytes of them beside the first one.
const BATCH: u32 = 100;
pub(super) const BATCH_BYTES: u64 = 256 << 10;
/// After a notice that says nothing more will be said.
const PAUSE: Duration = Duration::from_millis(500);

/// A place in a run's history after which something may still come.
pub struct Cursor {
    operations: Operations,
    run: RunId,
    after: u64,
}

/// What a feed tells next.
#[derive(Debug)]
pub enum News {
    Recorded(Box<EventView>),
    Said(Said),
}

/// A run's feed. What it has told is held in memory until it is asked for more.
pub struct RunFeed(BoxStream<'static, News>);

// === impl Operations ===

impl Operations {
    /// Returns the place after the seq `after`; nothing if the run has ended and its end is before it.
    pub async fn cursor(
        &self,
        principal: &Principal,
        run: &RunId,
        after: u64,
    ) -> Result<Option<Cursor>, Refusal> {
        principal.owns(run)?;
        let row = self.runs.row(run).await?;
        let cursor = || Cursor { operations: self.clone(), run: run.clone(), after };
        Ok((!is_told(&row, after)).then(cursor))
    }
}

/// Whether the run has ended and everything up to its end is behind `after`.
fn is_told(row: &RunRow, after: u64) -> bool {
    row.ended_at.is_some() && after >= row.seq
}

// === impl Cursor ===

impl Cursor {
    /// Tells what comes after this place; with `said` also what agents say while they say it.
    pub fn follow(self, said: bool) -> RunFeed {
        let Self { operations, run, after } = self;
        let live = &operations.runs.live;
        let reader = Reader {
            notices: operations.runs.watch(&run),
            // Models stream only for those who ask to hear them.
            words: said.then(|| live.listen(&run)),
            _listening: live.announce(&run, said),
            operations,
            run,
            after,
            ready: Vec::new().into_iter(),
            room: None,
        };
        let news = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        RunFeed(news.boxed())
    }
}

impl Stream for RunFeed {
    type Item = News;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<News>> {
        self.0.as_mut().poll_next(context)
    }
}

/// A feed under way.
struct Reader {
    operations: Operations,
    run: RunId,
    after: u64,
    ready: std::vec::IntoIter<EventView>,
    /// Of what is ready, until it is handed on.
    room: Option<Turn>,
    notices: broadcast::Receiver<Recorded>,
    words: Option<broadcast::Receiver<Said>>,
    _listening: Listening,
}

/// The feed is over.
struct Over;

// === impl Reader ===

impl Reader {
    /// Returns the next news, or nothing once the run's end is told or the server stops.
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(event) = self.ready.next() {
                self.after = event.seq;
                return Some(News::Recorded(Box::new(event)));
            }
            // Asked again: what was ready is on its way.
            self.room = None;
            match self.load().await {
                Ok(true) => continue,
                Ok(false) => {}
                // The reader resumes where it was; what went wrong is in the log.
                Err(Over) => return None,
            }
            let stop = self.operations.stop.clone();
            tokio::select! {
                notice = self.notices.recv() => {
                    if let Err(broadcast::error::RecvError::Closed) = notice {
                        self.notices = self.operations.runs.watch(&self.run);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                said = heard(&mut self.words) => match said {
                    Ok(said) => return Some(News::Said(said)),
                    // Words that were missed are missed: the whole answer comes with its event.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => self.words = None,
                },
                () = tokio::time::sleep(self.operations.told.every()) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Reads what came since; false if nothing did.
    async fn load(&mut self) -> Result<bool, Over> {
        let operations = &self.operations;
        // The row is read first: whatever it counts is in the history that is read after it.
        let row = operations.runs.row(&self.run).await.map_err(|_| Over)?;
        if is_told(&row, self.after) {
            return Err(Over);
        }
        let entries = operations.catalog.history(&self.run, self.after, BATCH).await;
        let entries = entries.map_err(|error| {
            tracing::warn!(run = %self.run, %error, "a feed ends early");
            Over
        })?;
        let batch = Batch::of(&self.run, &entries, BATCH_BYTES);
        if !entries.is_empty() {
            // A feed that nobody reads keeps its room until its connection is cut, and others wait for theirs.
            tokio::select! {
                room = operations.heavy.show(batch.bytes) => self.room = room,
                () = operations.stop.cancelled() => return Err(Over),
            }
        }
        let (events, _) = batch.show(&*operations.catalog, &self.run).await.map_err(|_| Over)?;
        self.ready = events.into_iter();
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
