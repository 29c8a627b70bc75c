//! What of a run waits for a person: its open approvals, and steps of which nobody knows whether they were performed.

use super::{
    super::{
        Run, StepKey, args_hash,
        kinds::Branch,
        run::{Step, StepState},
    },
    content,
};
use crate::{
    Datum, Timestamp, ValueRef,
    id::{RunId, WorkflowId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A question of a run to a person, kept as a row beside the history. Data stays by reference until someone looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    pub workflow_id: Option<WorkflowId>,
    /// Of what it runs.
    pub workflow_name: String,
    pub step: StepKey,
    pub attempt: u32,
    pub kind: Question,
    pub input: Datum,
    pub args_hash: String,
    pub since: Timestamp,
    /// When it is answered by itself.
    pub expires_at: Option<Timestamp>,
    /// What follows a yes, and a no.
    pub on_approve: Vec<String>,
    pub on_reject: Vec<String>,
}

/// What a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Whether to go on.
    Approval,
    /// Whether it was performed.
    Unknown,
}

/// What waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Approval")]
pub struct AskedView {
    pub run_id: RunId,
    /// The stored workflow it runs; null where the definition came along.
    pub workflow_id: Option<WorkflowId>,
    /// The workflow's name.
    pub workflow_name: String,
    pub node: String,
    pub generation: u32,
    /// `""` outside bodies, inside a path of indices from 0.
    pub iteration: String,
    pub attempt: u32,
    pub kind: Question,
    /// What an approval asks; null of an `unknown` step.
    pub title: Option<String>,
    pub detail: Option<Value>,
    /// The whole of what a person is asked about: of an `unknown` step, what it was to do.
    pub input: Value,
    /// What an answer names.
    pub args_hash: String,
    pub since: String,
    /// When it is rejected by itself; null where it waits without end.
    pub expires_at: Option<String>,
    /// Nodes that an edge leads to where the answer is yes.
    pub on_approve: Vec<String>,
    /// Nodes that an edge leads to where it is no.
    pub on_reject: Vec<String>,
}

// === impl Asked ===

impl Asked {
    /// Returns up to `most` questions that are open, in the order of their steps.
    pub fn of(run: &Run, most: usize) -> Vec<Asked> {
        if run.ended.is_some() {
            return Vec::new();
        }
        let open = run.open.iter().filter_map(|key| Some((key, run.steps.get(key)?)));
        open.filter_map(|(key, step)| Self::of_step(run, key, step)).take(most).collect()
    }

    fn of_step(run: &Run, key: &StepKey, step: &Step) -> Option<Asked> {
        let (plan, created) = (run.plan.as_ref()?, run.created.as_ref()?);
        let node = plan.node(*plan.by_id.get(&*key.node)?);
        let kind = match step.state {
            StepState::Unknown => Question::Unknown,
            StepState::Started { .. } if node.node.kind.approval().is_some() => Question::Approval,
            StepState::Started { .. }
            | StepState::Retrying { .. }
            | StepState::Completed { .. }
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => return None,
        };
        let after = |branch: Branch| {
            // An edge without a branch is taken whenever the node completes.
            let taken = node.children.iter().filter(|link| link.branch.is_none_or(|by| by == branch));
            taken.map(|link| plan.node(link.node).node.id.clone()).collect()
        };
        let (on_approve, on_reject) = match kind {
            Question::Approval => (after(Branch::Approved), after(Branch::Rejected)),
            Question::Unknown => (Vec::new(), Vec::new()),
        };
        let input = step.input.clone().unwrap_or_else(Datum::null);
        Some(Asked {
            workflow_id: created.workflow_id.clone(),
            workflow_name: plan.definition.name.clone(),
            step: key.clone(),
            attempt: step.attempt,
            kind,
            args_hash: args_hash(&input),
            input,
            since: step.started_at.unwrap_or(created.at),
            expires_at: step.deadline.filter(|_| kind == Question::Approval),
            on_approve,
            on_reject,
        })
    }

    /// Returns the question with its data. A value that can't be had any more shows as its reference.
    pub fn view(&self, run: &RunId, value: impl FnOnce(&ValueRef) -> Option<Value>) -> AskedView {
        let input = content(&self.input, value);
        let asks = self.kind == Question::Approval;
        let title = input.get("title").and_then(Value::as_str).filter(|_| asks).map(str::to_owned);
        let detail = input.get("detail").filter(|detail| asks && !detail.is_null()).cloned();
        AskedView {
            run_id: run.clone(),
            workflow_id: self.workflow_id.clone(),
            workflow_name: self.workflow_name.clone(),
            node: self.step.node.to_string(),
            generation: self.step.generation,
            iteration: self.step.iteration.to_string(),
            attempt: self.attempt,
            kind: self.kind,
            title,
            detail,
            input,
            args_hash: self.args_hash.clone(),
            since: self.since.to_string(),
            expires_at: self.expires_at.map(|at| at.to_string()),
            on_approve: self.on_approve.clone(),
            on_reject: self.on_reject.clone(),
        }
    }
}
