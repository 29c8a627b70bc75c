//! What happens to a run, as it happens: a stream over its history from any place on.
//!
//! A feed reads history, waits for a notice, and reads history again from where it was: what it tells is numbered
//! without a gap, however many notices were lost, and a feed that broke off is resumed at the last seq that was seen.
//! Words of agents pass beside it, best effort. It ends after the run's end is told. However many feeds a run has, each event
//! is read once for all of those that are not behind (`followed`).

mod followed;

use super::{Operations, Refusal};
use crate::access::Principal;
use callboard_actors::{Listening, Said};
use callboard_catalog::RunRow;
use callboard_core::{id::RunId, workflow::view::EventView};
use followed::Growth;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::broadcast::{self, error::RecvError};

pub use followed::Followed;

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
    Recorded(Arc<EventView>),
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
            // Models stream only for those who ask to hear them.
            words: said.then(|| live.listen(&run)),
            _listening: live.announce(&run, said),
            growths: operations.feeds.join(&operations, &run),
            operations,
            run,
            after,
            known: None,
            ready: None,
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
    /// Up to where it was told.
    after: u64,
    /// How far the history goes and whether the run has ended there; nothing where that must be looked up.
    known: Option<(u64, bool)>,
    /// What was read, and how much of it was told.
    ready: Option<(Arc<Growth>, usize)>,
    growths: broadcast::Receiver<Arc<Growth>>,
    words: Option<broadcast::Receiver<Said>>,
    _listening: Listening,
}

/// The feed is over.
#[derive(Debug)]
struct Over;

// === impl Reader ===

impl Reader {
    /// Returns the next news, or nothing once the run's end is told or the server stops.
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(event) = self.take() {
                return Some(News::Recorded(event));
            }
            match self.known {
                Some((seq, ended)) if self.after >= seq => {
                    if ended {
                        return None;
                    }
                }
                // The reader resumes where it was; what went wrong is in the log.
                _ => match self.catch_up().await {
                    Ok(()) => continue,
                    Err(Over) => return None,
                },
            }
            tokio::select! {
                growth = self.growths.recv() => match growth {
                    Ok(growth) => self.hear(growth),
                    Err(RecvError::Lagged(_)) => self.known = None,
                    Err(RecvError::Closed) => return None,
                },
                said = heard(&mut self.words) => match said {
                    Ok(said) => return Some(News::Said(said)),
                    // Words that were missed are missed: the whole answer comes with its event.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => self.words = None,
                },
                () = self.operations.stop.cancelled() => return None,
            }
        }
    }

    /// Takes the next event of what is ready, and gives its room back at the end.
    fn take(&mut self) -> Option<Arc<EventView>> {
        let (growth, told) = self.ready.as_mut()?;
        let event = growth.events.get(*told).cloned();
        *told += 1;
        match &event {
            Some(event) => self.after = event.seq,
            None => self.ready = None,
        }
        event
    }

    /// Takes what everybody is told, if it goes on from here; else it is read alone.
    fn hear(&mut self, growth: Arc<Growth>) {
        // Looked at before this feed read on its own.
        if growth.seq < self.after {
            return;
        }
        self.known = Some((growth.seq, growth.ended));
        let told = growth.events.partition_point(|event| event.seq <= self.after);
        if growth.events.get(told).is_some_and(|event| event.seq == self.after + 1) {
            self.ready = Some((growth, told));
        }
    }

    /// Reads what came since.
    async fn catch_up(&mut self) -> Result<(), Over> {
        let known = match self.known {
            Some(known) => known,
            // The row is read first: whatever it counts is in the history that is read after it.
            None => {
                let row = self.operations.runs.row(&self.run).await.map_err(|_| Over)?;
                (row.seq, row.ended_at.is_some())
            }
        };
        self.known = Some(known);
        if self.after < known.0 {
            let growth = Growth::read(&self.operations, &self.run, self.after, known).await?;
            if growth.events.is_empty() {
                // It is not there yet: the next growth tells.
                self.known = Some((self.after, false));
            }
            self.ready = Some((Arc::new(growth), 0));
        }
        Ok(())
    }
}

/// Returns the next words, or waits for ever where nobody asked for any.
async fn heard(words: &mut Option<broadcast::Receiver<Said>>) -> Result<Said, RecvError> {
    match words {
        Some(words) => words.recv().await,
        None => std::future::pending().await,
    }
}
