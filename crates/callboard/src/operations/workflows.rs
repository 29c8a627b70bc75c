//! Definitions and their versions.

use super::{
    Answered, Items, Naming, Operations, Page, Refusal, Turn,
    definitions::{self, Checked},
    now, off_the_reactor,
    once::{Answering, Changed},
    page::page,
};
use crate::access::Principal;
use bytes::Bytes;
use callboard_catalog::{Change, NewVersion, NewWorkflow, Workflow};
use callboard_core::{Hash, Problem, document::Format, id::WorkflowId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields that the server adds to a definition when it shows it; a client may send them back.
const OURS: [&str; 6] = ["id", "version", "status", "problems", "created_at", "updated_at"];

/// A definition as somebody wrote it.
#[derive(Debug)]
pub struct Text {
    pub bytes: Bytes,
    pub format: Format,
    /// It is saved although it has problems; it can't be started then.
    pub draft: bool,
}

/// What a save answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SavedWorkflow")]
pub struct Saved {
    pub id: WorkflowId,
    pub name: String,
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    pub problems: Vec<Problem>,
}

/// What a check finds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckedWorkflow")]
pub struct CheckedView {
    pub name: String,
    /// Everything that is wrong with it; it could be saved and started if this is empty.
    pub problems: Vec<Problem>,
}

/// A workflow in a list: without its nodes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkflowLine {
    pub id: WorkflowId,
    pub name: String,
    pub description: Option<String>,
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    pub problems: Vec<Problem>,
    pub created_at: String,
    /// When this version was made.
    pub updated_at: String,
}

/// A definition, with what the server knows about it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workflow")]
pub struct WorkflowView {
    /// The definition's own fields.
    #[serde(flatten)]
    pub definition: Map<String, Value>,
    pub id: WorkflowId,
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    pub problems: Vec<Problem>,
    pub created_at: String,
    /// When this version was made.
    pub updated_at: String,
}

// === impl Operations ===

impl Operations {
    /// Saves a definition as version 1 of a new workflow.
    pub async fn create_workflow(
        &self,
        principal: &Principal,
        naming: Option<Naming>,
        text: Text,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let Accepted { checked, metadata, turn, .. } = self.accepted(text).await?;
        let id = WorkflowId::new(Uuid::now_v7().to_string());
        let changed =
            Changed { object: Some(id.to_string()), before: None, after: Some(content(&checked.document)) };
        let new = NewWorkflow {
            project: project.clone(),
            id,
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: checked.problems,
            metadata,
            at: now(),
        };
        let answered = match &naming {
            Some(naming) => self.once(project, naming, Change::CreateWorkflow(new), answer).await?,
            None => {
                let saved = Saved::from(&self.catalog.create_workflow(new).await?);
                Answered::now(answer(Some(&saved)))
            }
        };
        drop(turn);
        Ok(answered.having(changed))
    }

    /// Says everything that is wrong with a definition; saves nothing.
    pub async fn check_workflow(&self, text: Text) -> Result<CheckedView, Refusal> {
        let Accepted { checked, .. } = self.accepted(Text { draft: true, ..text }).await?;
        Ok(CheckedView { name: checked.name, problems: checked.problems })
    }

    /// Saves the next version; running runs keep theirs. Without `expected` the definition itself may name the version
    /// that it was made on.
    pub async fn update_workflow(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        expected: Option<u32>,
        text: Text,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let Accepted { checked, metadata, version, turn } = self.accepted(text).await?;
        let expected = expected.or(version);
        // Where nobody says which version is replaced, it is the latest one now, unless another change comes in between.
        let before = self.catalog.workflow(project, id, expected).await?;
        let changed = Changed {
            object: None,
            before: before.map(|before| content(&before.definition)),
            after: Some(content(&checked.document)),
        };
        let change = NewVersion {
            expected,
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: checked.problems,
            metadata,
            at: now(),
        };
        let answered = match &naming {
            Some(naming) => {
                let change = Change::UpdateWorkflow { project: project.clone(), id: id.clone(), change };
                self.once(project, naming, change, answer).await?
            }
            None => {
                let saved = Saved::from(&self.catalog.update_workflow(project, id, change).await?);
                Answered::now(answer(Some(&saved)))
            }
        };
        drop(turn);
        Ok(answered.having(changed))
    }

    /// Returns the latest version.
    pub async fn workflow(&self, principal: &Principal, id: &WorkflowId) -> Result<WorkflowView, Refusal> {
        let stored = self.catalog.workflow(&principal.project, id, None).await?;
        let stored = stored.ok_or_else(|| Refusal::not_found("workflow", id))?;
        let status = status(&stored);
        let Value::Object(mut definition) = stored.definition else { return Err(Refusal::internal()) };
        definition.retain(|name, _| !OURS.contains(&name.as_str()));
        Ok(WorkflowView {
            definition,
            id: stored.id,
            version: stored.version,
            status,
            problems: stored.problems,
            created_at: stored.created_at.to_string(),
            updated_at: stored.updated_at.to_string(),
        })
    }

    /// Hides a workflow; its runs go on.
    pub async fn delete_workflow(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        let before = self.catalog.workflow(project, id, None).await?;
        let answered = match &naming {
            Some(naming) => {
                let change = Change::HideWorkflow { project: project.clone(), id: id.clone() };
                self.once(project, naming, change, answer).await?
            }
            None if self.catalog.hide_workflow(project, id).await? => Answered::now(answer(None)),
            None => return Err(Refusal::not_found("workflow", id)),
        };
        let before = before.map(|before| content(&before.definition));
        Ok(answered.having(Changed { before, ..Changed::default() }))
    }

    /// Returns a page of workflows, newest first.
    pub async fn list_workflows(
        &self,
        principal: &Principal,
        of: &Page,
    ) -> Result<Items<WorkflowLine>, Refusal> {
        let limit = of.limit()?;
        let found =
            self.catalog.workflows(&principal.project, of.after_workflow()?.as_ref(), limit + 1).await?;
        let (found, next) = page(found, limit, |workflow| workflow.id.to_string());
        Ok(Items { items: found.into_iter().map(WorkflowLine::from).collect(), next })
    }

    /// Reads and checks a definition; refuses one with problems, unless it is a draft.
    async fn accepted(&self, text: Text) -> Result<Accepted, Refusal> {
        let Text { bytes, format, draft } = text;
        if bytes.is_empty() {
            return Err(Refusal::malformed("empty_body", "the body is empty; it should be a definition"));
        }
        let (agents, bound) = (self.agents.clone(), self.bound_secrets.clone());
        let turn = self.heavy.check(bytes.len()).await?;
        off_the_reactor(move || {
            let mut version = None;
            let checked = definitions::read(&bytes, format, &agents, &bound, |document| {
                // What a read added comes back with the edited document.
                version = document.get("version").and_then(Value::as_u64).and_then(|v| u32::try_from(v).ok());
                document.retain(|name, _| !OURS.contains(&name.as_str()));
            })?;
            if !checked.problems.is_empty() && !draft {
                return Err(Refusal::invalid("invalid_definition", "the definition", checked.problems));
            }
            let metadata =
                checked.document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            // With the place, which is given back with the work even if the client has gone.
            Ok(Accepted { checked, metadata, version, turn })
        })
        .await
    }
}

/// A definition that may be saved.
struct Accepted {
    checked: Checked,
    metadata: Map<String, Value>,
    /// The version the body says it was made on.
    version: Option<u32>,
    /// Held until it is saved: a document takes much more memory than its text.
    turn: Turn,
}

/// Returns the hash of a definition, as the audit has it.
fn content(definition: &Value) -> Hash {
    Hash::of(definition.to_string().as_bytes())
}

fn status(workflow: &Workflow) -> String {
    workflow.status.clone().unwrap_or_else(|| "draft".into())
}

impl From<&Workflow> for Saved {
    fn from(workflow: &Workflow) -> Self {
        let status = status(workflow);
        let Workflow { id, name, version, problems, .. } = workflow;
        Self { id: id.clone(), name: name.clone(), version: *version, status, problems: problems.clone() }
    }
}

impl From<Workflow> for WorkflowLine {
    fn from(workflow: Workflow) -> Self {
        let status = status(&workflow);
        let Workflow { id, name, description, version, problems, created_at, updated_at, .. } = workflow;
        let (created_at, updated_at) = (created_at.to_string(), updated_at.to_string());
        Self { id, name, description, version, status, problems, created_at, updated_at }
    }
}
