//! What a run recorded beside its steps: the definition that it runs, with who its agents are, and its stored values.

use super::{Kind, Operations, Refusal, Trace, Turn, data::Data, history::event};
use crate::access::Principal;
use bytes::Bytes;
use callboard_core::{
    Datum, Hash, ValueRef,
    id::{RunId, WorkflowId},
    workflow::{Pin, Plan, What},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Entries of a history read at once. More than that to look through takes a place.
const ENTRIES: u32 = 1000;

/// What a run runs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunDefinition")]
pub struct RunDefinitionView {
    pub run_id: RunId,
    /// The stored workflow it was started from; null where the definition came along.
    pub workflow_id: Option<WorkflowId>,
    pub version: u32,
    /// As it was when the run began, with its defaults left out.
    pub definition: Value,
    /// Its agents and their tools as they were then, as in an agents' file; null where it asks none, and where they are not
    /// kept any more.
    pub agents: Option<Value>,
    /// The hash of those agents.
    #[schemars(with = "Option<String>")]
    pub agents_hash: Option<Hash>,
}

/// A stored value, as JSON text.
pub struct StoredValue {
    pub hash: Hash,
    pub text: Bytes,
    /// The room that it takes.
    pub room: Option<Turn>,
}

// === impl Operations ===

impl Operations {
    /// Returns the definition that the run was pinned to when it began.
    pub async fn run_definition(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
    ) -> Result<RunDefinitionView, Refusal> {
        principal.owns(run)?;
        self.runs.caught_up(trace, run).await?;
        let unavailable = || {
            let detail = format!("the plan of run {run} can't be had");
            Refusal::new(Kind::Conflict, "plan_unavailable", detail)
        };
        let first = self.catalog.history(run, 0, 1).await?;
        let created = first.first().and_then(|entry| event(run, entry)).map(|event| event.what);
        let Some(What::RunCreated { workflow_id, version, plan, .. }) = created else {
            return Err(unavailable());
        };
        let mut data = Data::default();
        data.want(&plan);
        data.load(&*self.catalog, run).await?;
        let recorded = match &plan {
            Datum::Inline(value) => Some((**value).clone()),
            Datum::Stored(reference) => data.content(reference),
        };
        // Shown as it was recorded: a later version may have written what this one can't run.
        let (definition, pin) = Plan::recorded(recorded.ok_or_else(unavailable)?);
        let agents = match &pin {
            Some(Pin { agents, .. }) => self.catalog.pin(run.project(), *agents).await?,
            None => None,
        };
        let agents = agents.and_then(|document| serde_json::from_slice(&document).ok());
        let agents_hash = pin.map(|pin| pin.agents);
        Ok(RunDefinitionView { run_id: run.clone(), workflow_id, version, definition, agents, agents_hash })
    }

    /// Returns a stored value of the run by its hash, as lists of steps name it.
    pub async fn value(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
        hash: &str,
    ) -> Result<StoredValue, Refusal> {
        principal.owns(run)?;
        let unknown = || Refusal::not_found("value", "of this hash in the run");
        let hash = Hash::parse(hash).ok_or_else(unknown)?;
        self.runs.caught_up(trace, run).await?;
        let reference = self.reference(run, hash).await?.ok_or_else(unknown)?;
        let room = self.heavy.data(reference.size).await?;
        let mut found = self.catalog.values(run, std::slice::from_ref(&reference.key)).await?;
        let text = found.remove(&reference.key).ok_or_else(|| {
            Refusal::new(Kind::Lost, "value_lost", format!("the value {hash} of run {run} is lost"))
        })?;
        Ok(StoredValue { hash, text, room })
    }

    /// Finds where a value of this hash is stored: in the first event that names it.
    async fn reference(&self, run: &RunId, hash: Hash) -> Result<Option<ValueRef>, Refusal> {
        let end = self.runs.row(run).await?.seq;
        let _turn = if end > u64::from(ENTRIES) { Some(self.heavy.fold().await?) } else { None };
        let (digits, mut seq) = (hash.to_string(), 0);
        while seq < end {
            let entries = self.catalog.history(run, seq, ENTRIES).await?;
            let Some(last) = entries.last() else { break };
            seq = last.seq;
            // Most events are not read for it: their text does not have the digits.
            for entry in entries.iter().filter(|entry| entry.event.contains(&digits)) {
                let Some(event) = event(run, entry) else { continue };
                let mut references = event.what.data().into_iter().filter_map(Datum::reference);
                if let Some(reference) = references.find(|reference| reference.hash == hash) {
                    return Ok(Some(reference.clone()));
                }
            }
        }
        Ok(None)
    }
}
