//! Which runs of a project begin and end: told at once where this process records them, else found by looking.
//!
//! A notice says only that a run has moved; what is told of it is its row. One task looks for all who listen to a project,
//! and only while somebody does.

use super::{Operations, Refusal, outline::open};
use crate::access::Principal;
use callboard_catalog::{Error, RunFilter, RunRow};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast::{self, error::RecvError};

/// Moves that a slow listener may be behind before it is told that it lagged.
const KEPT: usize = 256;
/// How often it is looked, whatever notices come.
const LOOK: Duration = Duration::from_secs(2);
/// Runs that are looked at together, the newest ones.
const LOOKED_AT: u32 = 200;
/// Runs that are looked at in a row, and open ones that are kept in mind.
const MOST: usize = 2000;
/// A run may be recorded so long after others that began later, by other clocks.
const LATE: Duration = Duration::from_secs(60);

/// A run has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub run: RunId,
    pub workflow: Option<WorkflowId>,
    pub version: Option<u32>,
    pub status: String,
    /// Of the last event.
    pub seq: u64,
    pub at: Timestamp,
    pub what: Move,
}

/// What has become of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Began,
    /// It had ended, and is run again.
    BeganAgain,
    Ended,
}

/// The projects that somebody listens to; a clone is the same.
#[derive(Clone, Default)]
pub struct Boards(Arc<Mutex<HashMap<ProjectId, broadcast::Sender<Arc<Moved>>>>>);

/// Who looks at a project for all who listen to it.
struct Watcher {
    operations: Operations,
    project: ProjectId,
    moves: broadcast::Sender<Arc<Moved>>,
    notices: broadcast::Receiver<RunId>,
    known: Known,
}

/// What was told of the runs.
#[derive(Debug, Default)]
struct Known {
    /// Runs that have not ended.
    open: BTreeMap<RunId, Timestamp>,
    /// Runs that have, as long as one of their time may still be new.
    ended: BTreeMap<RunId, Timestamp>,
    /// When the newest of all began.
    newest: Timestamp,
    /// There were more open runs than are looked at.
    is_cut: bool,
}

// === impl Operations ===

impl Operations {
    /// Returns what begins and ends in the caller's project from now on.
    pub async fn moves(&self, principal: &Principal) -> Result<broadcast::Receiver<Arc<Moved>>, Refusal> {
        let project = &principal.project;
        if let Some(moves) = self.boards.all().get(project) {
            return Ok(moves.subscribe());
        }
        let mut watcher = Watcher {
            operations: self.clone(),
            project: project.clone(),
            moves: broadcast::channel(KEPT).0,
            // From before what there is is learned: none begins unheard.
            notices: self.runs.live.moves(project),
            known: Known::default(),
        };
        watcher.look(true).await?;
        Ok(self.boards.begin(watcher))
    }
}

// === impl Boards ===

impl Boards {
    /// Lets the watcher watch, unless somebody does by now.
    fn begin(&self, watcher: Watcher) -> broadcast::Receiver<Arc<Moved>> {
        let mut all = self.all();
        if let Some(moves) = all.get(&watcher.project) {
            return moves.subscribe();
        }
        all.insert(watcher.project.clone(), watcher.moves.clone());
        let receiver = watcher.moves.subscribe();
        tokio::spawn(watcher.go());
        receiver
    }

    /// Takes the project out if nobody listens any more.
    fn leave(&self, watcher: &Watcher) -> bool {
        let mut all = self.all();
        let is_over = watcher.moves.receiver_count() == 0;
        if is_over {
            all.remove(&watcher.project);
        }
        is_over
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ProjectId, broadcast::Sender<Arc<Moved>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Watcher ===

impl Watcher {
    async fn go(mut self) {
        let Operations { boards, stop, .. } = self.operations.clone();
        while !boards.leave(&self) {
            if let Err(error) = self.look(false).await {
                // It is looked again.
                tracing::debug!(%error, "runs that begin and end can't be looked at now");
            }
            let again = tokio::time::sleep(LOOK);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    notice = self.notices.recv() => match notice {
                        Ok(run) => self.look_at(&run).await,
                        Err(RecvError::Lagged(_)) => break,
                        // Nobody has said anything yet, or for long.
                        Err(RecvError::Closed) => self.notices = self.operations.runs.live.moves(&self.project),
                    },
                    () = &mut again => break,
                    () = self.moves.closed() => break,
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// Looks at the project; the first time it only learns what there is.
    async fn look(&mut self, is_first: bool) -> Result<(), Error> {
        let catalog = self.operations.catalog.clone();
        let all = RunFilter { statuses: open(), ..RunFilter::default() };
        let open = catalog.runs(&self.project, all, None, LOOKED_AT).await?;
        let new = self.began_since((!is_first).then(|| self.known.late())).await?;
        if is_first {
            self.known.learn(&open, &new);
            return Ok(());
        }
        // Of a list that was cut, an old run may just have come into sight.
        let known_before = if self.known.is_cut { &[][..] } else { &open[..] };
        for row in new.iter().chain(known_before) {
            self.tell(row);
        }
        let is_cut = open.len() == LOOKED_AT as usize;
        let listed: BTreeSet<&RunId> = open.iter().map(|row| &row.id).collect();
        let oldest = open.last().map(|row| row.created_at).filter(|_| is_cut);
        for run in self.known.gone(&listed, oldest) {
            if let Some(row) = catalog.run(&run).await? {
                self.tell(&row);
            }
        }
        self.known.is_cut = is_cut;
        self.known.forget();
        Ok(())
    }

    /// Returns the runs that began then or later, in the order in which they did; without a time the newest ones.
    async fn began_since(&self, from: Option<Timestamp>) -> Result<Vec<RunRow>, Error> {
        let mut found: Vec<RunRow> = Vec::new();
        loop {
            let filter = RunFilter { from, ..RunFilter::default() };
            let after = found.last().map(|row| &row.id);
            let page = self.operations.catalog.runs(&self.project, filter, after, LOOKED_AT).await?;
            let is_last =
                page.len() < LOOKED_AT as usize || page.last().is_none_or(|row| self.known.has(&row.id));
            found.extend(page);
            if is_last || from.is_none() || found.len() >= MOST {
                found.reverse();
                return Ok(found);
            }
        }
    }

    async fn look_at(&mut self, run: &RunId) {
        match self.operations.catalog.run(run).await {
            Ok(Some(row)) => self.tell(&row),
            Ok(None) => {}
            Err(error) => tracing::debug!(%run, %error, "a run that moved can't be looked at now"),
        }
    }

    /// Tells what is new of a run. Where nobody listens there is nobody to be told.
    fn tell(&mut self, row: &RunRow) {
        for what in self.known.moved(row) {
            let at = row.ended_at.filter(|_| what == Move::Ended).unwrap_or(row.created_at);
            let moved = Moved {
                run: row.id.clone(),
                workflow: row.workflow_id.clone(),
                version: row.version,
                status: row.status.clone(),
                seq: row.seq,
                at,
                what,
            };
            let _ = self.moves.send(Arc::new(moved));
        }
    }
}

// === impl Known ===

impl Known {
    fn has(&self, run: &RunId) -> bool {
        self.open.contains_key(run) || self.ended.contains_key(run)
    }

    /// No run that began before then is new.
    fn late(&self) -> Timestamp {
        Timestamp(self.newest.0.saturating_sub(LATE.as_millis() as i64))
    }

    /// Takes in what there is, of which nothing is told.
    fn learn(&mut self, open: &[RunRow], new: &[RunRow]) {
        for row in open.iter().chain(new) {
            let _ = self.moved(row);
        }
        self.is_cut = open.len() == LOOKED_AT as usize;
        self.forget();
    }

    /// Notes how a run is now. Returns what is new of it, in order.
    fn moved(&mut self, row: &RunRow) -> Vec<Move> {
        let (id, ended) = (&row.id, row.ended_at.is_some());
        let (was_open, had_ended) = (self.open.contains_key(id), self.ended.contains_key(id));
        self.newest = self.newest.max(row.created_at);
        match ended {
            true => {
                self.open.remove(id);
                self.ended.insert(id.clone(), row.created_at);
            }
            false => {
                self.ended.remove(id);
                self.open.insert(id.clone(), row.created_at);
            }
        }
        match (was_open, had_ended, ended) {
            (true, _, true) => vec![Move::Ended],
            (false, true, false) => vec![Move::BeganAgain],
            // What began long ago and was not looked at has ended meanwhile.
            (false, false, false) if row.created_at < self.late() => vec![Move::BeganAgain],
            (false, false, false) => vec![Move::Began],
            // An old one that was not looked at, of which more was recorded after its end.
            (false, false, true) if row.created_at < self.late() => Vec::new(),
            (false, false, true) => vec![Move::Began, Move::Ended],
            (true, _, false) | (false, true, true) => Vec::new(),
        }
    }

    /// Returns open runs that are not listed among the open ones any more. Where the list is cut, what is older than its last
    /// one may just not be on it.
    fn gone(&self, listed: &BTreeSet<&RunId>, oldest: Option<Timestamp>) -> Vec<RunId> {
        let gone = self
            .open
            .iter()
            .filter(|(run, began)| !listed.contains(run) && oldest.is_none_or(|oldest| **began > oldest));
        gone.map(|(run, _)| run.clone()).collect()
    }

    /// Forgets the ends of runs that can't be new any more, and the oldest open ones of very many.
    fn forget(&mut self) {
        let late = self.late();
        self.ended.retain(|_, began| *began >= late);
        while self.open.len() > MOST {
            let oldest = self.open.iter().min_by_key(|(_, began)| **began).map(|(run, _)| run.clone());
            let Some(oldest) = oldest else { return };
            self.open.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, began: i64, ended: bool) -> RunRow {
        RunRow {
            id: id.parse().expect("an id"),
            workflow_id: None,
            version: None,
            summary: String::new(),
            status: if ended { "completed" } else { "running" }.to_owned(),
            seq: 1,
            created_at: Timestamp(began),
            ended_at: ended.then_some(Timestamp(began + 1)),
            next_check_at: None,
            purged: false,
            cleaned_seq: 0,
        }
    }

    #[test]
    fn a_run_is_told_to_begin_and_to_end_once_however_often_it_is_looked_at() {
        let mut known = Known::default();
        known.learn(&[row("old", 1_000_000, false)], &[row("done", 1_000_000, true)]);
        assert!(known.moved(&row("old", 1_000_000, false)).is_empty());
        assert!(known.moved(&row("done", 1_000_000, true)).is_empty());
        assert_eq!(known.moved(&row("new", 1_000_001, false)), [Move::Began]);
        assert!(known.moved(&row("new", 1_000_001, false)).is_empty());
        assert_eq!(known.moved(&row("new", 1_000_001, true)), [Move::Ended]);
        assert!(known.moved(&row("new", 1_000_001, true)).is_empty());
        assert_eq!(known.moved(&row("short", 1_000_002, true)), [Move::Began, Move::Ended]);
        assert_eq!(known.moved(&row("done", 1_000_000, false)), [Move::BeganAgain], "it was run again");
    }

    #[test]
    fn what_was_purged_long_after_its_end_has_not_begun_and_ended_again() {
        let mut known = Known::default();
        known.learn(&[], &[row("a", 9_000_000, true)]);
        assert!(known.moved(&row("purged", 1_000_000, true)).is_empty());
    }

    #[test]
    fn an_open_run_that_is_not_listed_is_looked_at_unless_the_list_does_not_reach_it() {
        let mut known = Known::default();
        known.learn(&[row("a", 10, false), row("b", 20, false)], &[]);
        let listed = BTreeSet::new();
        let ids = |runs: Vec<RunId>| runs.iter().map(|run| run.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(known.gone(&listed, None)), ["a", "b"]);
        assert_eq!(ids(known.gone(&listed, Some(Timestamp(15)))), ["b"]);
    }
}
