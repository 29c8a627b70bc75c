//! What an ended run used, moved into the catalog's sums: by day, agent and model, once for each part of its history.
//!
//! It is read off the history, so it is the same whoever counts, and a place of the history is counted up to. An event says how much was
//! used; by whom, the run's definition says and its agents, or the fallbacks of the attempt.

use super::{Workflows, actor::Mem};
use crate::document;
use callboard_catalog::{Error, Used};
use callboard_core::{
    Timestamp,
    agent::spec::Agents,
    call::{Fallback, Usage},
    id::{RunId, WorkflowId},
    workflow::{Event, Plan, StepKey, What},
};
use std::{collections::BTreeMap, sync::Arc};

/// Entries of a history read at once.
const PAGE: u32 = 1000;

/// Whom the usage of a run belongs to.
struct Counting<'a> {
    workflow: Option<&'a WorkflowId>,
    plan: Option<&'a Plan>,
    agents: Option<Arc<Agents>>,
    sums: BTreeMap<(String, String, String), Usage>,
}

impl Workflows {
    /// Adds what was used since the last time. Errs if the catalog does not answer: it is to be tried again.
    pub(super) async fn count_usage(&self, run: &RunId, mem: &Mem) -> Result<(), Error> {
        if mem.run.usage == Usage::default() {
            return Ok(());
        }
        let (catalog, to) = (&self.services.catalog, mem.doc.seq);
        // What was not run again has not been counted, as a rule: if it was, the catalog adds nothing, and is asked.
        let is_first = mem.run.generation() == 1;
        if is_first && catalog.count(run, 0, to, self.used(run, mem, 0).await?).await? {
            return Ok(());
        }
        let Some(from) = catalog.counted(run).await?.filter(|from| *from < to) else { return Ok(()) };
        if !catalog.count(run, from, to, self.used(run, mem, from).await?).await? {
            tracing::debug!(%run, "somebody else has counted what the run used");
        }
        Ok(())
    }

    /// Sums up what was used after a place of the history.
    async fn used(&self, run: &RunId, mem: &Mem, from: u64) -> Result<Vec<Used>, Error> {
        let workflow = mem.run.created.as_ref().and_then(|created| created.workflow_id.as_ref());
        let plan = mem.run.plan.as_deref();
        let agents = match plan.and_then(|plan| plan.pin.as_ref()) {
            // Without them the models are not known; the rest is.
            Some(pin) => self.pins.get(run.project(), pin.agents).await.ok(),
            None => None,
        };
        let mut counting = Counting { workflow, plan, agents, sums: BTreeMap::new() };
        if mem.doc.tail_from <= from + 1 {
            mem.doc.after(from).for_each(|(_, kept)| counting.add(&kept.event));
            return Ok(counting.used());
        }
        let (mut seq, to) = (from, mem.doc.seq);
        while seq < to {
            let page = self.services.catalog.history(run, seq, PAGE).await?;
            let Some(last) = page.last() else { break };
            seq = last.seq;
            // What can't be read can't be counted, now or later.
            let read = page.iter().filter(|entry| entry.seq <= to);
            read.filter_map(|entry| document::decode_event(entry.seq, &entry.event).ok())
                .for_each(|event| counting.add(&event));
        }
        Ok(counting.used())
    }
}

// === impl Counting ===

impl Counting<'_> {
    fn add(&mut self, event: &Event) {
        let (step, usage, fallbacks) = match &event.what {
            What::StepCompleted { step, usage: Some(usage), fallbacks, .. }
            | What::StepFailed { step, usage: Some(usage), fallbacks, .. } => (step, usage, fallbacks),
            What::StepCompleted { .. }
            | What::StepFailed { .. }
            | What::RunCreated { .. }
            | What::StepStarted { .. }
            | What::StepSkipped { .. }
            | What::StepCancelled { .. }
            | What::StepUnknown { .. }
            | What::StepGranted { .. }
            | What::IterationStarted { .. }
            | What::IterationEnded { .. }
            | What::SignalReceived { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunRerun { .. }
            | What::RunCompleted { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::DecisionCut {}
            | What::RunPurging {}
            | What::RunTried { .. } => return,
        };
        let (agent, model) = self.whose(step, fallbacks);
        *self.sums.entry((day(event.at), agent, model)).or_default() += *usage;
    }

    /// Returns the agent that a step asks, and the model that answered: the last one that was asked.
    fn whose(&self, step: &StepKey, fallbacks: &[Fallback]) -> (String, String) {
        let node = self.plan.and_then(|plan| Some(plan.node(*plan.by_id.get(&*step.node)?)));
        let Some(asked) = node.and_then(|node| node.node.kind.agent()) else { return Default::default() };
        let own = || {
            let ours = node.and_then(|node| node.node.kind.asks_agent())?;
            Some(self.agents.as_ref()?.agents.get(&ours.agent)?.model.clone())
        };
        let model = fallbacks.last().map(|last| last.next.clone()).or_else(own);
        (asked.agent.clone(), model.unwrap_or_default())
    }

    fn used(self) -> Vec<Used> {
        let workflow_id = self.workflow.cloned();
        let part = |((day, agent, model), usage)| Used {
            day,
            workflow_id: workflow_id.clone(),
            agent,
            model,
            usage,
        };
        self.sums.into_iter().map(part).collect()
    }
}

/// Of UTC, as 2027-01-31.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
