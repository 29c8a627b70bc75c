//! Retention is a turn: delete the agents' documents, values and parts by name, then the document, then mark the run.
//!
//! Because a rollback or a late save can bring keys back, a purged run is looked at again until a look finds nothing.

use super::{
    Workflows,
    actor::{Actor, Mem},
    contents::{Unread, references, state_references},
    reason::Turn,
};
use crate::{agent, document::Document, failpoint::failpoint, mutant::rule, protocol::Fault, stored_values};
use callboard_core::{
    Span, Timestamp,
    id::RunId,
    workflow::{Event, StepKey, What},
};
use std::collections::BTreeSet;

/// A purged run is looked at again after this.
const LOOK_AGAIN: Span = Span::secs(3600);

impl Workflows {
    /// Deletes everything of the run from the store and marks it as purged. Errs if any part can't be done now; the
    /// next wake begins again.
    pub(super) async fn purge(&self, actor: &mut Actor, run: &RunId, mem: &Mem) -> Result<(), Fault> {
        let unavailable = |e: Unread| Fault::unavailable(format!("run {run} is not purged yet: {e}"));
        // Only the document remembers what is still to be published.
        if !actor.outgoing.publish(&self.services, run).await {
            return Err(Fault::unavailable(format!(
                "run {run} is not purged yet: its events are not published"
            )));
        }
        let entries = self.entries(run, 0, u64::MAX).await.map_err(unavailable)?;
        let events: Vec<Event> = entries.into_iter().map(|(_, _, event)| event).collect();
        #[cfg(feature = "mutants")]
        self.audit(run, mem, &events).await;
        failpoint!("purge.before_values");
        self.delete_all(run, &events, Some(&mem.doc)).await.map_err(unavailable)?;
        failpoint!("purge.before_document");
        self.document_of(run).delete(None).await.map_err(|e| unavailable(e.into()))?;
        // This comes before the mark, because the sweeper does not come back to a purged run for an hour.
        if !self.disarm(actor, run).await {
            return Err(Fault::unavailable(format!(
                "run {run} is not purged yet: its reminder is not removed"
            )));
        }
        failpoint!("purge.before_mark");
        let again = Some(self.look_again_at());
        self.services.catalog.mark_purged(run, again).await.map_err(|e| unavailable(e.into()))?;
        failpoint!("purge.after_mark");
        self.alarms.set(run, None);
        tracing::debug!(%run, "purged from the state store");
        Ok(())
    }

    /// The law of event sourcing, checked where a run is read for the last time: the state is the fold of its history.
    #[cfg(feature = "mutants")]
    async fn audit(&self, run: &RunId, mem: &Mem, events: &[Event]) {
        let mut folded = callboard_core::workflow::Run::new(run);
        if mem.doc.seq != events.len() as u64 || self.attach(run, &mut folded, events.first()).await.is_err()
        {
            return;
        }
        events.iter().for_each(|event| folded.apply(event));
        if folded.head() != mem.run.head() || folded.archive != mem.run.archive {
            crate::mutant::note(format!("INV-10 the state of run {run} is not the fold of its history"));
        }
    }

    /// Returns when a purged run is to be looked at next.
    fn look_again_at(&self) -> Timestamp {
        self.services.clock.now() + self.services.settings.paced(LOOK_AGAIN)
    }

    /// Deletes every value, part and agent document that the history or the document names.
    async fn delete_all(&self, run: &RunId, events: &[Event], doc: Option<&Document>) -> Result<(), Unread> {
        let services = &self.services;
        let mut names: BTreeSet<(String, u64)> = BTreeSet::new();
        let mut agents: BTreeSet<StepKey> = BTreeSet::new();
        let tail = doc.into_iter().flat_map(|d| d.tail.iter().map(|kept| &kept.event));
        for event in events.iter().chain(tail) {
            names.extend(references(event).into_iter().map(|r| (r.key, r.size)));
            if let What::StepStarted { step, .. } = &event.what {
                agents.insert(step.clone());
            }
        }
        if let Some(snapshot) = doc.and_then(|d| d.snapshot.as_ref()) {
            if let Ok(Some(found)) = self.restore(run, snapshot).await {
                names.extend(state_references(&found.state).into_iter().map(|r| (r.key, r.size)));
                names.extend(found.pages.all().map(|p| (p.key.clone(), p.size)));
            }
            names.insert((snapshot.key.clone(), snapshot.size));
        }
        for steps in agents.into_iter().collect::<Vec<_>>().chunks(64) {
            let keys: Vec<String> = steps.iter().map(|step| step.agent(run).document_key()).collect();
            // This goes in waves, because only an agent's document names those that it asked.
            let mut wave = keys;
            while !wave.is_empty() {
                let found = services.sidecar.get_bulk(&services.settings.statestore, wave).await?;
                names.extend(found.values().flat_map(|entry| agent::named(&entry.data)));
                // Agents that worked for these agents go with them.
                let children = found.values().flat_map(|entry| agent::children(&entry.data));
                wave = children.map(|id| id.document_key()).collect();
                let keys: Vec<String> = found.into_keys().collect();
                services.sidecar.delete_bulk(&services.settings.statestore, keys).await?;
            }
        }
        let names: Vec<(String, u64)> = names.into_iter().collect();
        stored_values::delete(services, run, &names).await?;
        Ok(())
    }

    /// Deletes a document that came back although the catalog calls its run purged, with all that it names.
    pub(super) async fn delete_zombie(
        &self,
        run: &RunId,
        doc: Option<&Document>,
        etag: &str,
    ) -> Result<(), Unread> {
        let entries = self.entries(run, 0, u64::MAX).await?;
        let events: Vec<Event> = entries.into_iter().map(|(_, _, event)| event).collect();
        if rule!(ZombieValues, true) {
            self.delete_all(run, &events, doc).await?;
        }
        Ok(self.document_of(run).delete(Some(etag)).await?)
    }

    /// Whether the sweep is the one scheduled after the purge. A delayed or repeated call does not count. The
    /// scheduled one has just moved the time of the next sweep to a minute or two from now.
    async fn is_look_due(&self, run: &RunId) -> bool {
        let half = self.services.clock.now() + self.services.settings.paced(Span(LOOK_AGAIN.0 / 2));
        let row = self.services.catalog.run(run).await;
        let later = |at: Timestamp| rule!(LookDue, at >= half);
        row.is_ok_and(|row| row.is_some_and(|row| row.next_check_at.is_some_and(|at| !later(at))))
    }

    /// Looks at a purged run. If nothing came back, this was the last look.
    pub(super) async fn look_at_purged(&self, actor: &mut Actor, run: &RunId, turn: &Turn, came_back: bool) {
        if !turn.is_wake() {
            return;
        }
        self.disarm(actor, run).await;
        if matches!(turn, Turn::Sweep) && self.is_look_due(run).await {
            let again = came_back.then(|| self.look_again_at());
            if let Err(error) = self.services.catalog.mark_purged(run, again).await {
                tracing::debug!(%run, %error, "the purged run is looked at again later");
            }
        }
    }
}
