//! Loading a run past the cache: the document, checked against the history, which wins where they differ.

use super::{
    Workflows,
    actor::{Actor, Mem, Saved},
    contents::{Unread, references, state_references},
    reconcile::{Next, Seen, Stored, reconcile},
    snapshot,
};
use crate::{
    document::{self, Document, Said, Snapshot, Unreadable},
    marks::Work,
    mutant::{mutant, rule},
    protocol::Fault,
    stored_values,
};
use callboard_catalog::Tip;
use callboard_core::{
    Code, Datum, Hash, ValueRef,
    id::RunId,
    workflow::{Definition, Event, Plan, Run, What},
};
use callboard_sidecar::client::Ttl;
use std::{collections::BTreeMap, sync::Arc};

/// Entries of a history in one read.
const PAGE: u32 = 1000;

/// What a load finds.
pub(super) enum Loaded {
    Run(Box<Mem>),
    Unknown,
    /// The catalog says that the run was purged; with `came_back` its document stood in the store again.
    Purged {
        came_back: bool,
    },
    /// Nothing may be done with it for now.
    Stopped(Fault),
}

/// A run's document as it stands in the store.
struct Read {
    /// `None` if there is nothing, or nothing that can be read.
    doc: Option<Document>,
    /// The etag of whatever is there.
    etag: Option<String>,
}

impl Workflows {
    /// Reads the run past the cache and, where the document is not what the history says, repairs and saves it. Over a gap only
    /// somebody who `gives_up` on the run gets it, as its history has it.
    pub(super) async fn load(
        &self,
        actor: &mut Actor,
        run: &RunId,
        gives_up: bool,
    ) -> Result<Loaded, Unread> {
        let outgoing = Arc::clone(&actor.outgoing);
        let _still = outgoing.still().await;
        let entry = self.document_of(run).read().await?;
        // From here on this run's own data is worked on, so the run is marked: it may be what kills the process.
        let _under_way = if entry.is_some() { Some(self.marks.enter(run, Work::Load).await) } else { None };
        #[cfg(debug_assertions)]
        crate::failpoint::hit(&format!("turn.of.{run}"));
        let read = match entry.map(|entry| (Document::decode(&entry.data), entry.etag)) {
            None => Read { doc: None, etag: None },
            Some((Ok(doc), etag)) => Read { doc: Some(doc), etag: Some(etag) },
            Some((Err(error @ Unreadable::Newer(_)), _)) => {
                tracing::warn!(%run, %error, "the document can't be read");
                let message = format!("the document of run {run} can't be read: {error}");
                return Ok(Loaded::Stopped(Fault::new(503, Code::NewerVersion, message)));
            }
            // The history can rebuild a damaged document.
            Some((Err(Unreadable::Damaged(error)), etag)) => {
                tracing::error!(%run, error, "the document is damaged");
                Read { doc: None, etag: Some(etag) }
            }
        };
        let tip = self.tip_of(run, &read).await?;
        let stored = match (&read.doc, &read.etag) {
            (Some(doc), _) => Stored::Document(doc),
            (None, Some(_)) => Stored::Damaged,
            (None, None) => Stored::Nothing,
        };
        let seen = match &tip {
            None => Seen::Away,
            Some(None) => Seen::Unknown,
            Some(Some(tip)) => Seen::History(tip),
        };
        let next = reconcile(stored, seen);
        let is_given_up = gives_up && matches!(next, Next::Gap { history: 1.., .. });
        let next = if is_given_up { Next::Rebuild } else { next };
        self.follow_up(actor, run, next, read, tip).await
    }

    /// Returns the end of the history: the outer `None` if the catalog is away and need not be asked, the inner one
    /// if it does not know the run.
    async fn tip_of(&self, run: &RunId, read: &Read) -> Result<Option<Option<Tip>>, Unread> {
        mutant!(
            ReadTip,
            if read.doc.is_some() {
                return Ok(None);
            }
        );
        match self.services.catalog.tip(run, read.doc.as_ref().map(|d| d.seq)).await {
            Ok(tip) => Ok(Some(tip)),
            // A store that can't roll back is enough to go on with.
            Err(error) if !self.services.settings.strict && read.doc.is_some() => {
                tracing::warn!(%run, %error, "going on without the catalog");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does what `reconcile` said.
    async fn follow_up(
        &self,
        actor: &mut Actor,
        run: &RunId,
        next: Next,
        read: Read,
        tip: Option<Option<Tip>>,
    ) -> Result<Loaded, Unread> {
        let Read { doc, etag } = read;
        match (next, doc) {
            (Next::Unknown, _) => Ok(Loaded::Unknown),
            (Next::Rebuild, _) => self.rebuild(actor, run, etag).await,
            (Next::Purging, doc) => self.as_is(actor, run, doc, etag, tip.flatten()).await,
            (Next::Purged { came_back }, doc) => {
                if let Some(etag) = etag {
                    self.delete_zombie(run, doc.as_ref(), &etag).await?;
                }
                Ok(Loaded::Purged { came_back })
            }
            (Next::Gap { history, document }, _) => {
                tracing::error!(%run, history, document, "the history lacks events");
                let message = format!(
                    "the catalog lacks events of run {run}: its history ends with event {history}, and what is known of it since \
                     begins with event {document}. It can be read as far as its history goes, and cancelled"
                );
                Ok(Loaded::Stopped(Fault::new(500, Code::HistoryGap, message)))
            }
            (Next::Use, Some(doc)) => self.take_up(actor, run, doc, etag, tip).await,
            (Next::Lost | Next::Use, _) => {
                Err(Unread::Lost(format!("the document of run {run} is damaged and has no history")))
            }
        }
    }

    /// Goes on from a document that the history agrees with.
    async fn take_up(
        &self,
        actor: &mut Actor,
        run: &RunId,
        doc: Document,
        etag: Option<String>,
        tip: Option<Option<Tip>>,
    ) -> Result<Loaded, Unread> {
        let known = tip.as_ref().map(|tip| tip.as_ref().map_or(0, |tip| tip.seq));
        if let Some(journaled) = known
            && rule!(LostTail, self.services.settings.strict)
            && self.tail_lost(run, &doc, journaled).await?
        {
            if journaled > 0 {
                return self.rebuild(actor, run, etag).await;
            }
            // Nobody was told of the run, so it is as if it had never begun.
            self.document_of(run).delete(etag.as_deref()).await?;
            return Ok(Loaded::Unknown);
        }
        let mut mem = self.build(run, doc, etag).await?;
        let expires = mem.doc.tail_from == 1;
        // Nobody knows whether the catalog has the run, and the document may still expire.
        let (unheard, unsure) = (known == Some(0), expires && known.is_none());
        mem.saved = Saved { expires, unheard, unsure, ..mem.saved };
        self.queue_tail(actor, run, &mem, tip.as_ref().map(Option::as_ref)).await?;
        Ok(Loaded::Run(Box::new(mem)))
    }

    /// Takes a run that is being purged as its history says; nothing is saved.
    async fn as_is(
        &self,
        actor: &mut Actor,
        run: &RunId,
        doc: Option<Document>,
        etag: Option<String>,
        tip: Option<Tip>,
    ) -> Result<Loaded, Unread> {
        let published = doc.as_ref().map_or(0, |d| d.published).max(tip.map_or(0, |t| t.cleaned_seq));
        let mem = self.folded(run, etag, doc.and_then(|d| d.snapshot)).await?;
        let (seq, hash) = (mem.doc.seq, mem.doc.hash);
        actor.outgoing.reset(seq, hash, published);
        self.queue_published(actor, run, published, seq).await?;
        Ok(Loaded::Run(Box::new(mem)))
    }

    /// Whether the unjournaled tail names a value that neither store nor catalog has.
    async fn tail_lost(&self, run: &RunId, doc: &Document, journaled: u64) -> Result<bool, Unread> {
        let refs: Vec<ValueRef> =
            doc.after(journaled).flat_map(|(_, kept)| references(&kept.event)).collect();
        let found = self.fetch(run, &refs).await?;
        Ok(refs.iter().any(|r| !found.contains_key(&r.key)))
    }

    /// Puts the state together: the snapshot's parts, then the tail.
    async fn build(&self, run: &RunId, doc: Document, etag: Option<String>) -> Result<Mem, Unread> {
        let (mut state, included, pages) = match &doc.snapshot {
            None => (Run::new(run), 0, Default::default()),
            Some(snapshot) => match self.restore(run, snapshot).await? {
                Some(found) => (found.state, snapshot.seq, found.pages),
                None => (self.replayed(run, doc.tail_from - 1).await?, doc.tail_from - 1, Default::default()),
            },
        };
        if state.plan.is_none() {
            self.attach(run, &mut state, doc.tail.first().map(|kept| &kept.event)).await?;
        }
        // Events that the snapshot includes may still be in the tail, until the catalog has them.
        for (_, kept) in doc.after(included) {
            state.apply(&kept.event);
        }
        Ok(Mem { pages, ..Mem::of(doc, state, etag) })
    }

    /// Folds the history up to `seq`, for a snapshot that can't be read: everything before the tail is there.
    async fn replayed(&self, run: &RunId, seq: u64) -> Result<Run, Unread> {
        tracing::error!(%run, "a part of the snapshot is missing or damaged: the history has it");
        let events: Vec<Event> =
            self.entries(run, 0, seq).await?.into_iter().map(|(_, _, event)| event).collect();
        // The catalog is behind the tail's beginning: neither has these events.
        if (events.len() as u64) < seq {
            return Err(Unread::Lost(format!("run {run} lacks a snapshot part and its history")));
        }
        let mut state = Run::new(run);
        self.attach(run, &mut state, events.first()).await?;
        events.iter().for_each(|event| state.apply(event));
        Ok(state)
    }

    /// Compiles the pinned definition into the state. It was checked when it was pinned.
    pub(super) async fn attach(
        &self,
        run: &RunId,
        state: &mut Run,
        first: Option<&Event>,
    ) -> Result<(), Unread> {
        let begun = || {
            let What::RunCreated { plan, .. } = &first?.what else { return None };
            Some(plan.clone())
        };
        let pinned = state.created.as_ref().map(|c| c.plan.clone()).or_else(begun);
        let Some(pinned) = pinned else { return Ok(()) };
        let mut found = BTreeMap::new();
        if let Some(reference) = pinned.reference() {
            found = self.fetch(run, std::slice::from_ref(reference)).await?;
        }
        let value = match &pinned {
            Datum::Inline(value) => Some(value.clone()),
            Datum::Stored(reference) => found.remove(&reference.key),
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
    async fn rebuild(&self, actor: &mut Actor, run: &RunId, etag: Option<String>) -> Result<Loaded, Unread> {
        let services = &self.services;
        let mut mem = self.folded(run, etag, None).await?;
        services.metrics.rolled_forward.inc();
        tracing::info!(%run, seq = mem.doc.seq, "the document is rebuilt from the history");
        let refs = state_references(&mem.run);
        let found = self.fetch(run, &refs).await?;
        if let Some(lost) = refs.iter().find(|r| !found.contains_key(&r.key)) {
            let message = format!("value {} of run {run} is in neither store nor catalog", lost.key);
            return Err(Unread::Lost(message));
        }
        let (turn, seq, mut made) = (self.turn_id(), mem.doc.seq, Vec::new());
        snapshot::fold(&mut mem, &turn, seq, &mut made);
        mutant!(SaveRepair, actor.outgoing.reset(mem.doc.seq, mem.doc.hash, 0); return Ok(Loaded::Run(Box::new(mem))););
        stored_values::save(services, run, &made).await?;
        let document = self.document_of(run);
        document.save(mem.doc.encode(), mem.saved.etag.as_deref(), Ttl::Persist).await?;
        mem.saved.etag = document.next_etag(mem.saved.etag.as_deref()).await?;
        // `published` is 0: what was published is not in the history. Subscribers see such events once more.
        actor.outgoing.reset(mem.doc.seq, mem.doc.hash, 0);
        self.queue_published(actor, run, 0, mem.doc.seq).await?;
        Ok(Loaded::Run(Box::new(mem)))
    }

    /// Folds the whole history.
    async fn folded(
        &self,
        run: &RunId,
        etag: Option<String>,
        parts: Option<Snapshot>,
    ) -> Result<Mem, Unread> {
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

    /// Reads the history after `after`, up to and including `until`.
    pub(super) async fn entries(
        &self,
        run: &RunId,
        after: u64,
        until: u64,
    ) -> Result<Vec<(u64, Hash, Event)>, Unread> {
        let mut out: Vec<(u64, Hash, Event)> = Vec::new();
        loop {
            let from = out.last().map_or(after, |(seq, _, _)| *seq);
            let page = self.services.catalog.history(run, from, PAGE).await?;
            let full = page.len() == PAGE as usize;
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

    /// Queues what the document has and the catalog lacks, and what was not published yet.
    async fn queue_tail(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &Mem,
        tip: Option<Option<&Tip>>,
    ) -> Result<(), Unread> {
        let doc = &mem.doc;
        let journaled = match tip {
            Some(tip) => tip.map_or(0, |t| t.seq),
            // Without the catalog: what left the document, and what was published, was journaled before.
            None => doc.published.max(doc.tail_from - 1),
        };
        let journaled = if rule!(WholeTail, true) { journaled } else { doc.seq };
        // A run that was cleaned up had everything published, and its document was not saved again to say so.
        let cleaned = tip.flatten().map_or(0, |t| t.cleaned_seq);
        let published = doc.published.max(cleaned).min(doc.seq);
        let hash = doc.hash_at(journaled).unwrap_or_default();
        actor.outgoing.reset(journaled, hash, published);
        self.queue_published(actor, run, published, (doc.tail_from - 1).min(journaled)).await?;
        for (seq, kept) in doc.after(published.min(journaled)) {
            let mut contents = Vec::new();
            if seq > journaled {
                let refs = references(&kept.event);
                let wanted: Vec<(String, u64)> = refs.iter().map(|r| (r.key.clone(), r.size)).collect();
                let found = stored_values::load(&self.services, run, &wanted).await?;
                if self.services.settings.strict && found.len() < wanted.len() {
                    return Err(Unread::Lost(format!("values of event {seq} of run {run} can't be read")));
                }
                // In lazy mode a value that is gone from the store is nowhere: the history shows its reference.
                contents.extend(found);
            }
            actor.outgoing.push(seq, &kept.event, kept.hash, kept.json().into_owned(), contents);
        }
        Ok(())
    }

    /// Queues events to publish that are no longer in the document.
    async fn queue_published(
        &self,
        actor: &mut Actor,
        run: &RunId,
        after: u64,
        until: u64,
    ) -> Result<(), Unread> {
        if after < until {
            for (seq, hash, event) in self.entries(run, after, until).await? {
                actor.outgoing.push(seq, &event, hash, String::new(), Vec::new());
            }
        }
        Ok(())
    }
}
