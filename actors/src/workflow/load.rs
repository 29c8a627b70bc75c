//! Loading a run past the cache: the document, checked against the history, which wins where they fork.
//!
//! The store may have gone back in time, or a zombie may have written late; the catalog never loses what it has.

use super::{
    Workflows,
    actor::{Actor, Mem},
    document_key,
};
use crate::{
    document::{self, Document, HeadPart, Page, Said, Snapshot, Unreadable},
    marks::Work,
    mutant::{Rule, holds},
    reply::Fault,
    values,
};
use bytes::Bytes;
use callboard_catalog::Tip;
use callboard_core::{
    Datum, Hash, ValueRef,
    workflow::{Definition, Event, Plan, Run, run::Archived},
};
use callboard_sidecar::client::{Fence, Save, Ttl};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// What a load finds.
pub(super) enum Loaded {
    Run(Box<Mem>),
    Unknown,
    /// The catalog says that the run was purged; `found`: its document had come back.
    Purged {
        found: bool,
    },
    /// Nothing may be done with it for now.
    Stopped(Fault),
}

/// A state that was put together from a snapshot, and the pages it came from.
pub(super) struct Restored {
    pub state: Run,
    pub pages: Vec<Page>,
    pub listed: Vec<Page>,
}

/// The store or the catalog does not answer, or not yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Store(#[from] callboard_sidecar::client::Error),
    #[error(transparent)]
    Catalog(#[from] callboard_catalog::Error),
    #[error("{0}")]
    Lost(String),
    /// Another process may go on with it; this one must not write over it.
    #[error("{0}")]
    Newer(String),
}

impl Workflows {
    /// Reads the run past the cache and, where the document is not what the history says, repairs and saves it.
    pub(super) async fn load(&self, actor: &mut Actor, run: &str) -> Result<Loaded, Unread> {
        let services = &self.services;
        let tail = Arc::clone(&actor.tail);
        let _still = tail.still().await;
        let entry = services.sidecar.get(&services.settings.statestore, &document_key(run)).await?;
        // From here on it is this run's own data that is worked on.
        let _under_way = if entry.is_some() { Some(self.marks.enter(run, Work::Load).await) } else { None };
        #[cfg(debug_assertions)]
        crate::failpoint::hit(&format!("turn.of.{run}"));
        let (doc, etag) = match entry {
            Some(entry) => match Document::decode(&entry.data) {
                Ok(doc) => (Some(doc), Some(entry.etag)),
                Err(error @ Unreadable::Newer(_)) => {
                    tracing::warn!(run, %error, "the document can't be read");
                    let message = format!("the document of run {run} can't be read: {error}");
                    return Ok(Loaded::Stopped(Fault::new(503, "newer_version", message)));
                }
                // The history can rebuild a damaged document.
                Err(Unreadable::Damaged(error)) => {
                    tracing::error!(run, error, "the document is damaged");
                    (None, Some(entry.etag))
                }
            },
            None => (None, None),
        };
        let tip = match services.catalog.tip(run, doc.as_ref().map(|d| d.seq)).await {
            Ok(tip) => Some(tip),
            // Where the store can't roll back, what it says is enough to go on.
            Err(error) if !services.settings.strict && doc.is_some() => {
                tracing::warn!(run, %error, "going on without the catalog");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let tip = if doc.is_some() && !holds(Rule::ReadTip) { None } else { tip };
        let known = tip.as_ref().map(|t| t.clone().unwrap_or(NO_TIP));
        if known.as_ref().is_some_and(|t| t.purged) {
            let found = etag.is_some();
            if let Some(etag) = etag {
                self.delete_zombie(run, doc.as_ref(), &etag).await?;
            }
            return Ok(Loaded::Purged { found });
        }
        if known.as_ref().is_some_and(|t| t.purging) && holds(Rule::PurgeAsIs) {
            // Never repaired: what is left to do is to delete, by the names in the history.
            let mem = self.folded(run, etag, doc.as_ref().and_then(|d| d.snapshot.clone())).await?;
            let (seq, hash) = (mem.doc.seq, mem.doc.hash);
            let published = doc.map_or(0, |d| d.published).max(known.as_ref().map_or(0, |t| t.cleaned_seq));
            actor.tail.reset(seq, hash, published);
            self.queue_published(actor, run, published, seq).await?;
            return Ok(Loaded::Run(Box::new(mem)));
        }
        let Some(doc) = doc else {
            return match tip {
                Some(Some(_)) => self.repair(actor, run, etag).await,
                _ if etag.is_none() => Ok(Loaded::Unknown),
                _ => Err(Unread::Lost(format!("the document of run {run} is damaged and has no history"))),
            };
        };
        if let Some(tip) = &known {
            match doc.hash_at(tip.seq) {
                _ if doc.seq < tip.seq => return self.repair(actor, run, etag).await,
                Some(hash) if hash == tip.hash || !holds(Rule::CompareHash) => {}
                Some(_) => return self.repair(actor, run, etag).await,
                None => {
                    tracing::error!(
                        run,
                        history = tip.seq,
                        document = doc.tail_from,
                        "the history lacks events"
                    );
                    let message = format!("the history of run {run} ends before its document begins");
                    return Ok(Loaded::Stopped(Fault::new(500, "history_gap", message)));
                }
            }
            if services.settings.strict && holds(Rule::LostTail) && self.tail_lost(run, &doc, tip.seq).await?
            {
                if tip.seq == 0 {
                    services
                        .sidecar
                        .delete(&services.settings.statestore, &document_key(run), etag.as_deref())
                        .await?;
                    return Ok(Loaded::Unknown);
                }
                return self.repair(actor, run, etag).await;
            }
        }
        let mut mem = self.build(run, doc, etag).await?;
        mem.expires = mem.doc.tail_from == 1;
        mem.unheard = known.as_ref().is_some_and(|tip| tip.seq == 0);
        mem.unsure = mem.expires && known.is_none();
        self.queue_tail(actor, run, &mem, known.as_ref()).await?;
        Ok(Loaded::Run(Box::new(mem)))
    }

    /// Whether the unjournaled tail names a value that neither store nor catalog has.
    async fn tail_lost(&self, run: &str, doc: &Document, journaled: u64) -> Result<bool, Unread> {
        let refs: Vec<ValueRef> =
            doc.after(journaled).flat_map(|(_, kept)| references(&kept.event)).collect();
        let found = self.fetch(run, &refs).await?;
        Ok(refs.iter().any(|r| !found.contains_key(&r.key)))
    }

    /// Puts the state together: the snapshot's parts, then the tail.
    async fn build(&self, run: &str, doc: Document, etag: Option<String>) -> Result<Mem, Unread> {
        let (mut pages, mut listed) = (Vec::new(), Vec::new());
        let (mut state, included) = match &doc.snapshot {
            None => (Run::new(run), 0),
            Some(snapshot) => match self.snapshot(run, snapshot).await? {
                Some(found) => {
                    (pages, listed) = (found.pages, found.listed);
                    (found.state, snapshot.seq)
                }
                None => {
                    tracing::error!(run, "a part of the snapshot is missing or damaged: the history has it");
                    // Everything before the tail is there.
                    let events = self.history(run, doc.tail_from - 1).await?;
                    if (events.len() as u64) < doc.tail_from - 1 {
                        return Err(Unread::Lost(format!("run {run} lacks a snapshot part and its history")));
                    }
                    let mut state = Run::new(run);
                    self.attach(run, &mut state, events.first()).await?;
                    events.iter().for_each(|e| state.apply(e));
                    (state, doc.tail_from - 1)
                }
            },
        };
        if state.plan.is_none() {
            self.attach(run, &mut state, doc.tail.first().map(|kept| &kept.event)).await?;
        }
        for (_, kept) in doc.after(included) {
            state.apply(&kept.event);
        }
        let paged = pages.iter().map(|page| page.items as usize).sum();
        Ok(Mem { pages, listed, paged, ..Mem::of(doc, state, etag) })
    }

    /// Reads a snapshot; nothing if a part is missing or damaged.
    pub(super) async fn snapshot(&self, run: &str, snapshot: &Snapshot) -> Result<Option<Restored>, Unread> {
        let head = values::load(&self.services, run, &[(snapshot.key.clone(), snapshot.size)]).await?;
        let Some(head) = head.get(&snapshot.key) else { return Ok(None) };
        let Ok(part) = document::decode::<HeadPart>(head) else { return Ok(None) };
        let mut listed = Vec::new();
        let mut leaves = part.pages.clone();
        while leaves.iter().any(|page| page.level > 0) {
            let (lists, _): (Vec<Page>, Vec<Page>) = leaves.iter().cloned().partition(|page| page.level > 0);
            let found = self.parts(run, &lists).await?;
            let mut next = Vec::new();
            for page in leaves {
                if page.level == 0 {
                    next.push(page);
                    continue;
                }
                let list = found.get(&page.key).and_then(|data| document::decode::<Vec<Page>>(data).ok());
                // A list is of the level below: one that leads back would never end.
                let Some(list) = list.filter(|list| list.iter().all(|inner| inner.level < page.level)) else {
                    return Ok(None);
                };
                listed.extend(list.iter().cloned());
                next.extend(list);
            }
            leaves = next;
        }
        let found = self.parts(run, &leaves).await?;
        let mut archive = imbl::Vector::new();
        for page in &leaves {
            let items = found.get(&page.key).and_then(|data| document::decode::<Vec<Archived>>(data).ok());
            let Some(items) = items else { return Ok(None) };
            archive.extend(items);
        }
        archive.extend(part.rest.iter().cloned());
        if part.head.archived != archive.len() as u64 {
            return Ok(None);
        }
        let mut state = Run::restore(run, part.head.clone(), archive);
        match self.attach(run, &mut state, None).await {
            Ok(()) => Ok(Some(Restored { state, pages: part.pages, listed })),
            // It names a plan that there is not: so it is damaged.
            Err(Unread::Lost(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn parts(&self, run: &str, pages: &[Page]) -> Result<BTreeMap<String, Bytes>, Unread> {
        let wanted: Vec<(String, u64)> = pages.iter().map(|page| (page.key.clone(), page.size)).collect();
        Ok(values::load(&self.services, run, &wanted).await?)
    }

    /// Compiles the pinned definition into the state. It was checked when it was pinned.
    pub(super) async fn attach(
        &self,
        run: &str,
        state: &mut Run,
        first: Option<&Event>,
    ) -> Result<(), Unread> {
        let pinned =
            state.created.as_ref().map(|c| c.plan.clone()).or_else(|| match first.map(|e| &e.what) {
                Some(callboard_core::workflow::What::RunCreated { plan, .. }) => Some(plan.clone()),
                _ => None,
            });
        let Some(pinned) = pinned else { return Ok(()) };
        let mut found = BTreeMap::new();
        if let Some(reference) = pinned.reference() {
            found = self.fetch(run, std::slice::from_ref(reference)).await?;
        }
        let value = match &pinned {
            callboard_core::Datum::Inline(value) => Some(value.clone()),
            callboard_core::Datum::Stored(reference) => found.remove(&reference.key),
        };
        let value = value.ok_or_else(|| Unread::Lost(format!("the plan of run {run} is lost")))?;
        let definition: Definition = serde_json::from_value((*value).clone())
            .map_err(|e| Unread::Lost(format!("the plan of run {run} can't be read: {e}")))?;
        let plan = Plan::pinned(definition)
            .map_err(|_| Unread::Lost(format!("the plan of run {run} is not one that this version runs")))?;
        state.attach(Arc::new(plan));
        Ok(())
    }

    /// Rebuilds the document from the history, restores the values it names, and saves it by the etag just read.
    async fn repair(&self, actor: &mut Actor, run: &str, etag: Option<String>) -> Result<Loaded, Unread> {
        let services = &self.services;
        let mut mem = self.folded(run, etag, None).await?;
        services.metrics.rolled_forward.inc();
        tracing::info!(run, seq = mem.doc.seq, "the document is rebuilt from the history");
        let refs = state_references(&mem.run);
        let found = self.fetch(run, &refs).await?;
        if let Some(lost) = refs.iter().find(|r| !found.contains_key(&r.key)) {
            return Err(Unread::Lost(format!(
                "value {} of run {run} is in neither store nor catalog",
                lost.key
            )));
        }
        let turn = self.turn_id();
        let mut made = Vec::new();
        let seq = mem.doc.seq;
        super::commit::fold_into_snapshot(&mut mem, &turn, seq, &mut made);
        if !holds(Rule::SaveRepair) {
            actor.tail.reset(mem.doc.seq, mem.doc.hash, 0);
            return Ok(Loaded::Run(Box::new(mem)));
        }
        values::save(services, run, &made).await?;
        let fence = mem.etag.clone().map_or(Fence::FirstWrite, Fence::Etag);
        let data = Bytes::from(mem.doc.encode());
        let save = Save { key: document_key(run), data, fence, ttl: Ttl::Persist };
        services.sidecar.save(&services.settings.statestore, vec![save]).await?;
        mem.etag = super::commit::next_etag(self, run, mem.etag.as_deref()).await?;
        actor.tail.reset(mem.doc.seq, mem.doc.hash, 0);
        self.queue_published(actor, run, 0, mem.doc.seq).await?;
        Ok(Loaded::Run(Box::new(mem)))
    }

    /// Folds the whole history.
    async fn folded(&self, run: &str, etag: Option<String>, parts: Option<Snapshot>) -> Result<Mem, Unread> {
        let entries = self.entries(run, 0, u64::MAX).await?;
        let (seq, hash) = entries.last().map_or((0, Hash::default()), |(seq, hash, _)| (*seq, *hash));
        let mut state = Run::new(run);
        self.attach(run, &mut state, entries.first().map(|(_, _, e)| e)).await?;
        entries.iter().for_each(|(_, _, event)| state.apply(event));
        let mut doc = Document::at(seq, hash, parts);
        let said = entries.iter().map(|(_, _, event)| document::version_for(Said::Event(event)));
        doc.raise(said.max().unwrap_or_default().max(self.services.settings.version()));
        Ok(Mem::of(doc, state, etag))
    }

    async fn history(&self, run: &str, until: u64) -> Result<Vec<Event>, Unread> {
        Ok(self.entries(run, 0, until).await?.into_iter().map(|(_, _, event)| event).collect())
    }

    /// Reads the history after `after`, up to and including `until`.
    pub(super) async fn entries(
        &self,
        run: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<(u64, Hash, Event)>, Unread> {
        let mut out: Vec<(u64, Hash, Event)> = Vec::new();
        loop {
            let from = out.last().map_or(after, |(seq, _, _)| *seq);
            let page = self.services.catalog.history(run, from, 1000).await?;
            let full = page.len() == 1000;
            for entry in page {
                if entry.seq > until {
                    return Ok(out);
                }
                let event = document::decode_event(entry.seq, &entry.event).map_err(|error| {
                    let message = format!("the history of run {run} can't be read: {error}");
                    match error {
                        Unreadable::Newer(_) => Unread::Newer(message),
                        Unreadable::Damaged(_) => Unread::Lost(message),
                    }
                })?;
                out.push((entry.seq, entry.hash, event));
            }
            if !full {
                return Ok(out);
            }
        }
    }

    /// Queues what the document has and the catalog lacks, and what was not published.
    async fn queue_tail(
        &self,
        actor: &mut Actor,
        run: &str,
        mem: &Mem,
        tip: Option<&Tip>,
    ) -> Result<(), Unread> {
        let doc = &mem.doc;
        // Without the catalog: what left the document, and what was published, was journaled before.
        let journaled = tip.map_or(doc.published.max(doc.tail_from - 1), |t| t.seq);
        let journaled = if holds(Rule::WholeTail) { journaled } else { doc.seq };
        // A run that was cleaned up had everything published, and its document was not saved again to say so.
        let published = doc.published.max(tip.map_or(0, |t| t.cleaned_seq)).min(doc.seq);
        let hash = doc.hash_at(journaled).unwrap_or_default();
        actor.tail.reset(journaled, hash, published);
        self.queue_published(actor, run, published, (doc.tail_from - 1).min(journaled)).await?;
        for (seq, kept) in doc.after(published.min(journaled)) {
            let mut contents = Vec::new();
            if seq > journaled {
                let refs = references(&kept.event);
                let wanted: Vec<(String, u64)> = refs.iter().map(|r| (r.key.clone(), r.size)).collect();
                let found = values::load(&self.services, run, &wanted).await?;
                if self.services.settings.strict && found.len() < wanted.len() {
                    return Err(Unread::Lost(format!("values of event {seq} of run {run} can't be read")));
                }
                // In lazy mode a value that is gone from the store is nowhere: the history shows its reference.
                contents.extend(found);
            }
            actor.tail.push(seq, &kept.event, kept.hash, kept.json().into_owned(), contents);
        }
        Ok(())
    }

    /// Queues events to publish that are no longer in the document.
    async fn queue_published(
        &self,
        actor: &mut Actor,
        run: &str,
        after: u64,
        until: u64,
    ) -> Result<(), Unread> {
        if after < until {
            for (seq, hash, event) in self.entries(run, after, until).await? {
                actor.tail.push(seq, &event, hash, String::new(), Vec::new());
            }
        }
        Ok(())
    }

    /// Returns a datum's value, nothing if it can't be read now.
    pub(super) async fn content(&self, run: &str, datum: &Datum) -> Option<Arc<Value>> {
        match datum {
            Datum::Inline(value) => Some(value.clone()),
            Datum::Stored(reference) => {
                self.fetch(run, std::slice::from_ref(reference)).await.ok()?.remove(&reference.key)
            }
        }
    }

    /// Returns values from the store, else from the catalog (and saves them again); absent ones are in neither.
    pub(super) async fn fetch(
        &self,
        run: &str,
        refs: &[ValueRef],
    ) -> Result<BTreeMap<String, Arc<Value>>, Unread> {
        let mut out = BTreeMap::new();
        if refs.is_empty() {
            return Ok(out);
        }
        let wanted: Vec<(String, u64)> = refs.iter().map(|r| (r.key.clone(), r.size)).collect();
        let found = values::load(&self.services, run, &wanted).await?;
        let mut lost = Vec::new();
        for r in refs {
            match found.get(&r.key).filter(|data| Hash::of(data) == r.hash) {
                Some(data) => insert(&mut out, &r.key, data)?,
                None => lost.push(r.clone()),
            }
        }
        if lost.is_empty() {
            return Ok(out);
        }
        let keys: Vec<String> = lost.iter().map(|r| r.key.clone()).collect();
        if !holds(Rule::RestoreValues) {
            return Ok(out);
        }
        let kept = self.services.catalog.values(run, &keys).await?;
        let mut again = Vec::new();
        for r in lost {
            if let Some(data) = kept.get(&r.key).filter(|data| Hash::of(data) == r.hash) {
                insert(&mut out, &r.key, data)?;
                again.push(values::Made { key: r.key, data: data.clone(), value: None });
            }
        }
        values::save(&self.services, run, &again).await?;
        Ok(out)
    }
}

fn insert(out: &mut BTreeMap<String, Arc<Value>>, key: &str, data: &[u8]) -> Result<(), Unread> {
    let value =
        serde_json::from_slice(data).map_err(|e| Unread::Lost(format!("value {key} is not JSON: {e}")))?;
    out.insert(key.to_owned(), Arc::new(value));
    Ok(())
}

/// Returns the stored values an event names.
pub(super) fn references(event: &Event) -> Vec<ValueRef> {
    event.what.data().into_iter().filter_map(|d| d.reference().cloned()).collect()
}

/// Returns every stored value a state names.
pub(super) fn state_references(run: &Run) -> Vec<ValueRef> {
    use callboard_core::workflow::run::{Ending, StepState};
    let mut data = Vec::new();
    if let Some(created) = &run.created {
        data.extend([&created.plan, &created.input]);
    }
    data.extend(run.generations.iter().filter_map(|g| g.input.as_ref()));
    data.extend(run.signals.values().flatten());
    for step in run.steps.values() {
        data.extend(&step.input);
        if let StepState::Completed { output, .. } = &step.state {
            data.push(output);
        }
        data.extend(step.iterations.iter().flat_map(|i| i.outputs.values()));
    }
    if let Some(Ending::Completed(output)) = run.ended.as_ref().map(|e| &e.how) {
        data.push(output);
    }
    let mut refs: Vec<ValueRef> = data.into_iter().filter_map(|d| d.reference().cloned()).collect();
    refs.sort();
    refs.dedup();
    refs
}

/// The end of a history that does not exist.
const NO_TIP: Tip =
    Tip { seq: 0, hash: Hash([0; 16]), hash_at: None, purged: false, purging: false, cleaned_seq: 0 };
