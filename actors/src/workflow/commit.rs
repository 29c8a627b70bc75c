//! The commit: new values first, then the document by one single-key save with its etag.
//!
//! daprd reports any failure of such a save as a mismatch, so every error means unknown: the caller reloads.

use super::{
    Workflows,
    actor::{Actor, Mem},
    contents::{Adopted, references, state_references},
    snapshot,
};
use crate::{
    document::TAIL_LIMIT,
    failpoint::failpoint,
    mutant::rule,
    stored_values::{self, NewValue},
};
use bytes::Bytes;
use callboard_core::{Hash, id::RunId, workflow::Event};
use callboard_sidecar::client::Ttl;

/// Seconds after which a first document goes that nobody journaled.
const FIRST_TTL: u32 = 600;

/// A save that was refused, or whose outcome is unknown: what its turn made, to be cleaned up once the document has
/// moved on.
pub(super) struct Refused {
    /// Of the document that it was to replace.
    pub etag: Option<String>,
    /// Names and sizes.
    pub made: Vec<(String, u64)>,
}

/// An event as it goes on from the document to the catalog.
struct Recorded {
    seq: u64,
    event: Event,
    hash: Hash,
    json: String,
    values: Vec<(String, Bytes)>,
}

impl Workflows {
    /// Saves what the events make of the run, and arms `wake` beside it. On failure the state is worthless, and what
    /// was made is returned for cleaning up.
    pub(super) async fn commit(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &mut Mem,
        events: Vec<Event>,
        adopted: Option<Adopted>,
    ) -> Result<(), Option<Refused>> {
        let turn = if rule!(TurnKeys, true) { self.turn_id() } else { format!("{}", mem.doc.seq + 1) };
        let mut made: Vec<NewValue> = Vec::new();
        mem.doc.raise(self.services.settings.version());
        let recorded = record(mem, events, adopted, &turn, &mut made);
        // The tail is folded before the save: the snapshot's parts are written with the values, and the document
        // names them.
        let superseded = fold_tail(actor, mem, &turn, &mut made);
        mem.doc.published =
            if rule!(RememberPublished, true) { actor.outgoing.published() } else { mem.doc.seq };
        // The values go first, so that a document never names what is not there.
        self.save_values(run, &made).await?;
        // What the catalog has certainly never heard of goes by itself if nobody comes back to it.
        let unheard = mem.saved.unheard && actor.outgoing.journaled() == 0;
        self.save_document(actor, run, mem, unheard, &made).await?;
        mem.saved.expires = mem.saved.etag.is_none() || mem.saved.expires && unheard;
        // If the etag can't be had the save may stand all the same, so the state counts as lost.
        let etag = self.document_of(run).next_etag(mem.saved.etag.as_deref()).await;
        mem.saved.etag = etag.map_err(|_| None)?;
        for value in made {
            if let Some(content) = value.value {
                mem.values.insert(value.key, content);
            }
        }
        // The events go out from here on, since they are committed.
        for Recorded { seq, event, hash, json, values } in recorded {
            actor.outgoing.push(seq, &event, hash, json, values);
        }
        self.delete_superseded(run, superseded);
        Ok(())
    }

    async fn save_values(&self, run: &RunId, made: &[NewValue]) -> Result<(), Option<Refused>> {
        failpoint!("commit.before_values");
        if let Err(error) = stored_values::save(&self.services, run, made).await {
            tracing::debug!(%run, %error, "values are not saved");
            // The document never left, so nothing names them.
            let _ = stored_values::delete(&self.services, run, &names(made)).await;
            return Err(None);
        }
        failpoint!("commit.after_values");
        Ok(())
    }

    /// Saves the document over the one that was read, and arms `wake` beside it.
    async fn save_document(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &Mem,
        unheard: bool,
        made: &[NewValue],
    ) -> Result<(), Option<Refused>> {
        let first = Ttl::Seconds(self.services.settings.expiry(FIRST_TTL));
        let ttl = match &mem.saved {
            saved if saved.etag.is_none() => first,
            saved if saved.expires && unheard => first,
            saved if saved.expires => Ttl::Persist,
            _ => Ttl::Keep,
        };
        let document = self.document_of(run);
        // Neither needs the other, so both run at once. A reminder of a run that was not saved finds nothing to do.
        let (saved, ()) = tokio::join!(
            document.save(mem.doc.encode(), mem.saved.etag.as_deref(), ttl),
            self.arm(actor, run, &mem.run, false),
        );
        if let Err(error) = saved {
            tracing::debug!(%run, %error, "the document's save is refused or unknown");
            // The save may still arrive, so what it names can't be deleted yet.
            return Err(Some(Refused { etag: mem.saved.etag.clone(), made: names(made) }));
        }
        failpoint!("commit.after_document");
        Ok(())
    }

    /// Deletes the snapshot's parts that the commit replaced. What is left by a failure goes by its expiry.
    fn delete_superseded(&self, run: &RunId, superseded: Vec<(String, u64)>) {
        if superseded.is_empty() {
            return;
        }
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            failpoint!("commit.before_superseded");
            let _ = stored_values::delete(&this.services, &run, &superseded).await;
        });
    }

    /// Deletes what refused turns made, once the document has moved past them and names none of it.
    pub(super) async fn clean_refused(&self, run: &RunId, mem: &Mem, refused: &mut Vec<Refused>) {
        // An etag that is no number counts as 0, so nothing is deleted by it.
        let version = |etag: Option<&String>| etag.and_then(|e| e.parse::<u64>().ok()).unwrap_or(0);
        let now = version(mem.saved.etag.as_ref());
        let mut rest = Vec::new();
        for lost in refused.drain(..) {
            if rule!(EtagMoved, now <= version(lost.etag.as_ref())) {
                // Its save may still arrive.
                rest.push(lost);
                continue;
            }
            let named = state_references(&mem.run);
            let parts: Vec<&String> =
                mem.doc.snapshot.iter().map(|s| &s.key).chain(mem.pages.all().map(|p| &p.key)).collect();
            let is_named =
                lost.made.iter().any(|(key, _)| named.iter().any(|r| r.key == *key) || parts.contains(&key));
            if !is_named {
                let _ = stored_values::delete(&self.services, run, &lost.made).await;
            }
        }
        *refused = rest;
    }

    /// Returns an id for the keys of one turn: two turns never share one, so each can delete its own.
    pub(super) fn turn_id(&self) -> String {
        format!("{:x}", self.services.clock.id())
    }
}

/// Applies the events to the state and to the document; large values move out under keys of this turn.
fn record(
    mem: &mut Mem,
    events: Vec<Event>,
    mut adopted: Option<Adopted>,
    turn: &str,
    made: &mut Vec<NewValue>,
) -> Vec<Recorded> {
    let mut recorded = Vec::with_capacity(events.len());
    for mut event in events {
        let from = made.len();
        stored_values::move_out(event.what.data_mut(), turn, made);
        let mut values: Vec<(String, Bytes)> =
            made[from..].iter().map(|m| (m.key.clone(), m.data.clone())).collect();
        // A value that came by reference (an agent's answer) is journaled with the first event that names it.
        let named = references(&event);
        values.extend(adopted.take_if(|(key, _)| named.iter().any(|r| r.key == *key)));
        mem.run.apply(&event);
        let json = mem.doc.push(event.clone());
        mem.sizes.push(json.len());
        recorded.push(Recorded { seq: mem.doc.seq, event, hash: mem.doc.hash, json, values });
    }
    recorded
}

/// Folds a long tail into a snapshot. Returns the parts it replaces.
fn fold_tail(actor: &Actor, mem: &mut Mem, turn: &str, made: &mut Vec<NewValue>) -> Vec<(String, u64)> {
    let journaled = if rule!(KeepUnjournaled, true) { actor.outgoing.journaled() } else { mem.doc.seq };
    // The tail keeps what is not journaled: a snapshot can't give the events back.
    let droppable = (journaled + 1).saturating_sub(mem.doc.tail_from) as usize;
    let total: usize = mem.sizes.iter().sum();
    let gain: usize = mem.sizes.iter().take(droppable).sum();
    if total <= TAIL_LIMIT {
        return Vec::new();
    }
    // Folding would write a snapshot and free next to nothing.
    if gain < TAIL_LIMIT / 2 {
        // Each save carries it until it is journaled.
        actor.outgoing.hurry();
        return Vec::new();
    }
    let old = mem.doc.snapshot.clone();
    snapshot::fold(mem, turn, journaled, made);
    old.into_iter().map(|snapshot| (snapshot.key, snapshot.size)).collect()
}

/// Returns the keys and sizes of new values, as they are deleted by.
fn names(made: &[NewValue]) -> Vec<(String, u64)> {
    made.iter().map(|m| (m.key.clone(), m.data.len() as u64)).collect()
}
