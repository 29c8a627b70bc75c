//! A simulated catalog: histories that only grow, their values, and what the sweeper asks. It never loses anything,
//! but it can be away, fail after it did what it was asked, or do it later.

use crate::{
    broken::{self, is_off},
    world::{EPOCH, Fault, World},
};
use async_trait::async_trait;
use bytes::Bytes;
use callboard_actors::mutant::Rule;
use callboard_catalog::{
    Answering, Append, AppendError, AskedPlace, AskedRow, Catalog, Change, Definitions, Draft, Drafts, Early,
    EarlyMessage, Entry, Error, Expected, Idempotency, Journal, Keys, Meter, NO_HASH, NewDraft, NewVersion,
    NewWorkflow, Once, OpenRun, Pins, Quotas, Renaming, Request, RunFilter, RunProjection, RunRow, Search,
    Signing, Standing, Survey, Sweep, Tip, UsageSpan, Used, Version, Workflow,
};
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId, WorkflowId},
    workflow::{Event, What},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// Everything recorded.
#[derive(Default)]
pub struct Book(pub BTreeMap<String, Record>);

/// One run as recorded.
#[derive(Default)]
pub struct Record {
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub values: BTreeMap<String, Bytes>,
    pub row: RunProjection,
    pub next_check_at: Option<Timestamp>,
    pub cleaned_seq: u64,
    /// How long after a run's end it was marked as cleaned up, at most, in milliseconds.
    pub cleaned_after: u64,
    pub purged: bool,
    /// How far its usage is in the sums, and the calls that are in them.
    pub counted_seq: u64,
    pub counted_calls: u64,
    /// Attempts whose start is durable, as `step` and attempt.
    pub started: BTreeSet<(String, u32)>,
    pub ended: bool,
}

/// One host's way to the catalog.
pub struct Desk(pub Arc<World>);

// === impl Record ===

impl Record {
    fn seq(&self) -> u64 {
        self.entries.len() as u64
    }

    fn hash(&self) -> callboard_core::Hash {
        self.entries.last().map_or(NO_HASH, |e| e.hash)
    }

    fn append(&mut self, world: &World, batch: &Append) -> Result<(), AppendError> {
        let base = batch.first_seq - 1;
        if base > self.seq() {
            return Err(AppendError::Gap { last: self.seq() });
        }
        let at_base = base.checked_sub(1).map_or(NO_HASH, |i| self.entries[i as usize].hash);
        if at_base != batch.prev_hash {
            return Err(AppendError::Conflict);
        }
        for entry in &batch.entries {
            if self.entries.get(entry.seq as usize - 1).is_some_and(|known| known.hash != entry.hash) {
                return Err(AppendError::Conflict);
            }
        }
        for entry in batch.entries.iter().filter(|e| e.seq > base) {
            if entry.seq <= self.seq() {
                continue;
            }
            let Ok(event) = serde_json::from_str::<Event>(&entry.event) else {
                world.violated(format!("event {} of run {} can't be read back", entry.seq, batch.run));
                return Err(AppendError::Conflict);
            };
            world.log(|| format!("journal {}/{} {}", batch.run, entry.seq, shown(&event)));
            self.note(&event);
            self.entries.push(entry.clone());
            self.events.push(event);
        }
        for (key, data) in &batch.values {
            self.values.entry(key.clone()).or_insert_with(|| data.clone());
        }
        if batch.last_seq() == self.seq() && self.seq() > 0 && !self.purged {
            self.row = batch.row.clone();
            self.next_check_at = batch.next_check_at.or(self.next_check_at).or(Some(batch.row.created_at));
        }
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        match &event.what {
            What::StepStarted { step, attempt, .. } => {
                self.started.insert((step.to_string(), *attempt));
            }
            What::RunCompleted { .. } | What::RunFailed { .. } | What::RunCancelled { .. } => {
                self.ended = true
            }
            What::RunRerun { .. } => self.ended = false,
            _ => {}
        }
    }
}

fn shown(event: &Event) -> String {
    let step = event.what.step().map(|(s, a)| format!(" {s} {}", a.unwrap_or(0))).unwrap_or_default();
    format!("{}{step}", event.what.name())
}

// === impl Desk ===

impl Desk {
    /// Fails when the catalog is away.
    async fn ask(&self) -> Result<(), Error> {
        self.0.hop().await;
        let away = self.0.now() < self.0.state.lock().catalog_down_until;
        if away || self.0.fault(Fault::CatalogFails, 0.015) {
            return Err(Error::Unavailable("it is away".into()));
        }
        Ok(())
    }

    fn with<T>(&self, run: &RunId, f: impl FnOnce(&mut Record) -> T) -> Option<T> {
        self.0.state.lock().book.0.get_mut(run.as_str()).map(f)
    }
}

/// What was appended is of a run.
fn known(id: &str) -> RunId {
    id.parse().expect("a run's id")
}

fn append_now(world: &World, batch: &Append) -> Result<(), AppendError> {
    let mut book = std::mem::take(&mut world.state.lock().book);
    let result = book.0.entry(batch.run.to_string()).or_default().append(world, batch);
    // A refused first append leaves no run behind.
    book.0.retain(|_, record| record.seq() > 0);
    world.state.lock().book = book;
    result
}

#[async_trait]
impl Journal for Desk {
    async fn append(&self, batch: Append) -> Result<(), AppendError> {
        let (world, batch) = (&self.0, broken::append(batch));
        let away = || AppendError::Unavailable("it is away".into());
        self.ask().await.map_err(|_| away())?;
        if world.fault(Fault::AppendLost, 0.015) {
            return Err(away());
        }
        if world.fault(Fault::AppendLate, 0.01) {
            let world = world.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(world.late())).await;
                let _ = append_now(&world, &batch);
            });
            return Err(away());
        }
        let result = append_now(world, &batch);
        if let Err(error) = &result {
            world.log(|| format!("journal {} from {}: {error}", batch.run, batch.first_seq));
            world.see("refused appends");
        }
        if world.fault(Fault::AppendUnheard, 0.02) {
            return Err(away());
        }
        result
    }

    async fn tip(&self, run: &RunId, at: Option<u64>) -> Result<Option<Tip>, Error> {
        self.ask().await?;
        let tip = self.with(run, |r| Tip {
            seq: r.seq(),
            hash: r.hash(),
            hash_at: at.and_then(|at| match at {
                0 => Some(NO_HASH),
                _ => r.entries.get(at as usize - 1).map(|e| e.hash),
            }),
            purged: r.purged,
            purging: r.row.purging,
            cleaned_seq: r.cleaned_seq,
        });
        self.0.hop().await;
        Ok(tip)
    }

    async fn history(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Entry>, Error> {
        self.ask().await?;
        let page = |r: &mut Record| {
            r.entries.iter().filter(|e| e.seq > after).take(limit as usize).cloned().collect()
        };
        Ok(self.with(run, page).unwrap_or_default())
    }

    async fn values(&self, run: &RunId, keys: &[String]) -> Result<BTreeMap<String, Bytes>, Error> {
        self.ask().await?;
        if is_off(Rule::RestoreValues) {
            return Ok(BTreeMap::new());
        }
        let some = |r: &mut Record| {
            keys.iter().filter_map(|k| Some((k.clone(), r.values.get(k)?.clone()))).collect()
        };
        Ok(self.with(run, some).unwrap_or_default())
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, Error> {
        self.ask().await?;
        Ok(self.with(id, |r| RunRow {
            id: id.clone(),
            workflow_id: r.row.workflow_id.clone(),
            version: r.row.version,
            summary: r.row.summary.clone(),
            status: r.row.status.clone(),
            seq: r.seq(),
            created_at: r.row.created_at,
            ended_at: r.row.ended_at,
            next_check_at: r.next_check_at,
            purged: r.purged,
            cleaned_seq: r.cleaned_seq,
        }))
    }

    // Not asked by the actors.
    async fn runs(
        &self,
        _: &ProjectId,
        _: RunFilter,
        _: Option<&RunId>,
        _: u32,
    ) -> Result<Vec<RunRow>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

#[async_trait]
impl Pins for Desk {
    async fn keep_pin(&self, _: &ProjectId, hash: Hash, document: Bytes, _: Timestamp) -> Result<(), Error> {
        self.ask().await?;
        self.0.state.lock().pins.insert(hash, document);
        self.0.hop().await;
        Ok(())
    }

    async fn pin(&self, _: &ProjectId, hash: Hash) -> Result<Option<Bytes>, Error> {
        self.ask().await?;
        Ok(self.0.state.lock().pins.get(&hash).cloned())
    }

    /// A day is longer than any seed.
    async fn forget_pins(&self, _: &ProjectId, _: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }
}

#[async_trait]
impl Sweep for Desk {
    async fn projects(&self) -> Result<Vec<ProjectId>, Error> {
        self.ask().await?;
        let ids: BTreeSet<ProjectId> =
            self.0.state.lock().book.0.keys().map(|id| known(id).project().clone()).collect();
        Ok(ids.into_iter().collect())
    }

    async fn open_runs(
        &self,
        project: &ProjectId,
        status: &str,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<OpenRun>, Error> {
        self.ask().await?;
        if is_off(Rule::Sweeper) {
            return Ok(Vec::new());
        }
        let state = self.0.state.lock();
        let open = state
            .book
            .0
            .iter()
            .map(|(id, r)| (known(id), r))
            .filter(|(id, r)| id.project() == project && r.row.status == status)
            .filter(|(id, _)| after.is_none_or(|a| id > a));
        let open = open.filter_map(|(id, r)| {
            let last_at = r.entries.last()?.at;
            Some(OpenRun { id, next_check_at: r.next_check_at, last_at })
        });
        Ok(open.take(limit as usize).collect())
    }

    async fn due(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
        self.ask().await?;
        if is_off(Rule::Sweeper) {
            return Ok(Vec::new());
        }
        let mut state = self.0.state.lock();
        let due = state.book.0.iter_mut().filter(|(_, r)| r.next_check_at.is_some_and(|at| at <= now));
        let due = due.take(limit as usize).map(|(id, record)| {
            record.next_check_at = Some(then);
            known(id)
        });
        Ok(due.collect())
    }

    async fn mark_cleaned(&self, run: &RunId, seq: u64) -> Result<bool, Error> {
        self.ask().await?;
        let now = EPOCH + callboard_core::Span(self.0.now());
        let done = self.with(run, |r| {
            let fits = r.seq() == seq || is_off(Rule::CleanedSeq);
            if fits {
                let after = r.row.ended_at.map_or(0, |end| now.since(end).0);
                r.cleaned_after = r.cleaned_after.max(after);
                (r.cleaned_seq, r.next_check_at) = (r.seq(), r.row.retain_until);
            }
            fits
        });
        self.0.log(|| format!("cleaned {run} at {seq}: {done:?}"));
        self.0.hop().await;
        Ok(done.unwrap_or(false))
    }

    async fn mark_purged(&self, run: &RunId, next_check_at: Option<Timestamp>) -> Result<(), Error> {
        self.ask().await?;
        let next_check_at = next_check_at.filter(|_| !is_off(Rule::LookAgain));
        self.with(run, |r| (r.purged, r.next_check_at) = (true, next_check_at));
        self.0.log(|| format!("purged {run}, again {}", next_check_at.is_some()));
        self.0.hop().await;
        Ok(())
    }
}

/// Simulated processes have their key from the world.
#[async_trait]
impl Keys for Desk {
    async fn signing(&self) -> Result<Signing, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn first_key(&self, _: [u8; 32], _: Timestamp) -> Result<(), Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn rotate_key(&self, _: [u8; 32], _: Timestamp) -> Result<u32, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn require_signatures(&self) -> Result<bool, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

#[async_trait]
impl Catalog for Desk {
    async fn health(&self) -> Result<(), Error> {
        self.ask().await
    }

    async fn close(&self) {}
}

/// Not asked by the actors with definitions given in the call.
#[async_trait]
impl Definitions for Desk {
    async fn create_workflow(&self, _: NewWorkflow) -> Result<Workflow, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn update_workflow(&self, _: &ProjectId, _: &WorkflowId, _: NewVersion) -> Result<Workflow, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn workflow(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: Option<u32>,
    ) -> Result<Option<Workflow>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn hide_workflow(&self, _: &ProjectId, _: &WorkflowId) -> Result<bool, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn workflows(&self, _: &ProjectId, _: Option<&WorkflowId>, _: u32) -> Result<Vec<Workflow>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

#[async_trait]
impl Drafts for Desk {
    async fn create_draft(&self, _: NewWorkflow) -> Result<Workflow, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn draft(&self, _: &ProjectId, _: &WorkflowId) -> Result<Option<Draft>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn save_draft(&self, _: &ProjectId, _: &WorkflowId, _: NewDraft) -> Result<Workflow, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn discard_draft(&self, _: &ProjectId, _: &WorkflowId, _: Expected) -> Result<(), Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn versions(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: Option<u32>,
        _: u32,
    ) -> Result<Vec<Version>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn note_version(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: u32,
        _: Option<String>,
    ) -> Result<(), Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn rename_workflow(&self, _: &ProjectId, _: &WorkflowId, _: Renaming) -> Result<Workflow, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
    async fn runs_by_version(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: &[&str],
    ) -> Result<BTreeMap<u32, u64>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

/// No commands come by the simulated bus, and no workflow is changed.
#[async_trait]
impl Idempotency for Desk {
    async fn answered(&self, _: &Request) -> Result<Option<Once>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn once(&self, _: Request, _: Change, _: Answering) -> Result<Once, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn forget_answers(&self, _: Timestamp, _: u32) -> Result<u64, Error> {
        Ok(0)
    }
}

#[async_trait]
impl Early for Desk {
    async fn keep_early(&self, _: EarlyMessage, _: Timestamp, _: u32) -> Result<bool, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn early(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<EarlyMessage>, Error> {
        Ok(Vec::new())
    }

    async fn early_again(&self, _: &str, _: Timestamp) -> Result<(), Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn forget_early(&self, _: &str) -> Result<bool, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

/// Not asked by the actors.
#[async_trait]
impl Survey for Desk {
    async fn search_runs(
        &self,
        _: &ProjectId,
        _: Search,
        _: Option<&RunId>,
        _: u32,
    ) -> Result<Vec<RunRow>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn asked(&self, _: &ProjectId, _: Option<&AskedPlace>, _: u32) -> Result<Vec<AskedRow>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }

    async fn count_asked(&self, _: &ProjectId) -> Result<u64, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}

/// Every project may begin whatever it likes.
#[async_trait]
impl Quotas for Desk {
    async fn standing(&self, _: &ProjectId, _: &str, _: &str) -> Result<Option<Standing>, Error> {
        Ok(Some(Standing::default()))
    }
}

/// Each part of a history is counted once.
#[async_trait]
impl Meter for Desk {
    async fn counted(&self, run: &RunId) -> Result<Option<u64>, Error> {
        Ok(self.with(run, |record| record.counted_seq))
    }

    async fn count(&self, run: &RunId, from: u64, to: u64, used: Vec<Used>) -> Result<bool, Error> {
        let counted = self.with(run, |record| {
            let fits = record.counted_seq == from;
            if fits {
                record.counted_seq = to;
                record.counted_calls += used.iter().map(|part| part.usage.calls).sum::<u64>();
            }
            fits
        });
        Ok(counted.unwrap_or(false))
    }

    async fn usage(&self, _: &ProjectId, _: UsageSpan, _: u32, _: u32) -> Result<Vec<Used>, Error> {
        Err(Error::Unavailable("not simulated".into()))
    }
}
