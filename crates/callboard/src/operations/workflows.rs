//! Definitions: saved as a version or as a draft, read, listed, called something else, hidden.

use super::{
    Answered, Naming, Operations, Refusal, Request, Turn,
    definitions::{self, Checked},
    drafts::tag,
    now, off_the_reactor,
    once::{Answering, Changed},
};
use crate::access::Principal;
use bytes::Bytes;
use callboard_catalog::{Change, Expected, NewVersion, NewWorkflow, Provenance, Renaming, Workflow};
use callboard_core::{
    Problem,
    document::Format,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields that the server adds to a definition when it shows it; a client may send them back.
const OURS: [&str; 6] = ["id", "version", "status", "problems", "created_at", "updated_at"];

/// A definition as somebody wrote it.
#[derive(Debug)]
pub struct Text {
    pub bytes: Bytes,
    pub format: Format,
    /// It is saved as the draft, whatever is wrong with it.
    pub draft: bool,
}

/// What a save answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SavedWorkflow")]
pub struct Saved {
    pub id: WorkflowId,
    pub name: String,
    /// The latest published version; 0 before the first.
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    /// Of what was saved.
    pub problems: Vec<Problem>,
    /// The tag of the draft, where that was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// What a check finds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckedWorkflow")]
pub struct CheckedView {
    pub name: String,
    /// Everything that is wrong with it; it could be saved and started if this is empty.
    pub problems: Vec<Problem>,
}

/// A definition, with what the server knows about it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workflow")]
pub struct WorkflowView {
    /// The definition's own fields.
    #[serde(flatten)]
    pub definition: Map<String, Value>,
    pub id: WorkflowId,
    /// The latest published one; 0 of a draft that was never published.
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    pub problems: Vec<Problem>,
    pub created_at: String,
    /// When this version was made.
    pub updated_at: String,
}

/// What people are to call a workflow, until a version says something else.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// It stays as it is unless it is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Null for none; it stays as it is unless it is given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Request for Rename {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let is_empty = matches!(body.get("name"), Some(Value::String(name)) if name.is_empty());
        let problem = || Problem::new("name", "invalid", "a name is not empty");
        is_empty.then(problem).into_iter().collect()
    }
}

// === impl Operations ===

impl Operations {
    /// Saves a definition as version 1 of a new workflow, or as the draft of one.
    pub async fn create_workflow(
        &self,
        principal: &Principal,
        naming: Option<Naming>,
        text: Text,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        if let Some(answered) = self.answered(&principal.project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let is_draft = text.draft;
        let accepted = self.accepted(text).await?;
        self.created(principal, naming, accepted, is_draft, answer).await
    }

    /// Says everything that is wrong with a definition; saves nothing.
    pub async fn check_workflow(&self, text: Text) -> Result<CheckedView, Refusal> {
        let Accepted { checked, .. } = self.accepted(Text { draft: true, ..text }).await?;
        Ok(CheckedView { name: checked.name, problems: checked.problems })
    }

    /// Saves the next version, or the draft; running runs keep theirs. Without `expected` the definition itself may name the
    /// version that it was made on.
    pub async fn update_workflow(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        (expected, text): (Option<Expected>, Text),
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let is_draft = text.draft;
        let accepted = self.accepted(text).await?;
        let expected = expected.or(accepted.version.map(Expected::Version));
        let after = Some(content::hash(&accepted.checked.document));
        if is_draft {
            let (change, turn) = accepted.into_draft(principal, expected.unwrap_or(Expected::Anything));
            let answered = self.save_draft_once(principal, id, naming, change, answer).await?;
            drop(turn);
            return Ok(answered.having(Changed { after, ..Changed::default() }));
        }
        let expected = match expected {
            Some(Expected::Version(version)) => Some(version),
            Some(Expected::Anything | Expected::Latest(_) | Expected::Draft(_) | Expected::NoDraft)
            | None => None,
        };
        // Where nobody says which version is replaced, it is the latest one now, unless another change comes in between.
        let before = self.catalog.workflow(project, id, expected.filter(|version| *version > 0)).await?;
        let before = before.map(|before| content::hash(&before.definition));
        let changed = Changed { object: None, before, after };
        let (change, turn) = accepted.into_version(principal, expected);
        let answered = self.update_once(principal, id, naming, change, answer).await?;
        drop(turn);
        Ok(answered.having(changed))
    }

    /// Returns the latest version, or the draft of what was never published.
    pub async fn workflow(&self, principal: &Principal, id: &WorkflowId) -> Result<WorkflowView, Refusal> {
        let stored = self.existing(&principal.project, id).await?;
        let status = status(&stored);
        let Value::Object(mut definition) = stored.definition else { return Err(Refusal::internal()) };
        definition.retain(|name, _| !OURS.contains(&name.as_str()));
        // It may be called something else by now.
        let is_called = |name: &str, value: &str| {
            definition.get(name).and_then(Value::as_str).unwrap_or_default() == value
        };
        let renamed = !is_called("name", &stored.name);
        let about = stored.description.unwrap_or_default();
        let described = !is_called("description", &about);
        if renamed {
            definition.insert("name".to_owned(), stored.name.into());
        }
        match (described, about.is_empty()) {
            (true, false) => drop(definition.insert("description".to_owned(), about.into())),
            (true, true) => drop(definition.shift_remove("description")),
            (false, _) => {}
        }
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

    /// Calls a workflow something else. Its versions say what they said.
    pub async fn rename_workflow(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        body: Rename,
    ) -> Result<WorkflowView, Refusal> {
        let renaming = Renaming { name: body.name, description: body.description };
        self.catalog.rename_workflow(&principal.project, id, renaming).await?;
        self.workflow(principal, id).await
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
                Answered::of(self.once(project, naming, change, answer).await?)?
            }
            None if self.catalog.hide_workflow(project, id).await? => Answered::now(answer(None)),
            None => return Err(Refusal::not_found("workflow", id)),
        };
        let before = before.map(|before| content::hash(&before.definition));
        Ok(answered.having(Changed { before, ..Changed::default() }))
    }

    /// Creates a workflow under a key, or without one.
    pub(super) async fn create_once(
        &self,
        project: &ProjectId,
        naming: Option<Naming>,
        new: NewWorkflow,
        is_draft: bool,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        match (&naming, is_draft) {
            (Some(naming), _) => {
                let change = if is_draft { Change::CreateDraft(new) } else { Change::CreateWorkflow(new) };
                Answered::of(self.once(project, naming, change, answer).await?)
            }
            (None, true) => {
                let saved = Saved::of_draft(&self.catalog.create_draft(new).await?);
                Ok(Answered::now(answer(Some(&saved))))
            }
            (None, false) => {
                let saved = Saved::of(&self.catalog.create_workflow(new).await?);
                Ok(Answered::now(answer(Some(&saved))))
            }
        }
    }

    /// Reads and checks a definition; refuses one with problems, unless it is a draft.
    pub(super) async fn accepted(&self, text: Text) -> Result<Accepted, Refusal> {
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
            let metadata = metadata(&checked.document);
            // What was read is UTF-8.
            let source = match format {
                Format::Yaml => String::from_utf8(bytes.to_vec()).ok(),
                Format::Json => None,
            };
            // With the place, which is given back with the work even if the client has gone.
            Ok(Accepted { checked, metadata, version, source, turn })
        })
        .await
    }
}

/// A definition that may be saved.
pub(super) struct Accepted {
    pub checked: Checked,
    pub metadata: Map<String, Value>,
    /// The version the body says it was made on.
    pub version: Option<u32>,
    /// As it came, if that was YAML.
    pub source: Option<String>,
    /// Held until it is saved: a document takes much more memory than its text.
    pub turn: Turn,
}

// === impl Accepted ===

impl Accepted {
    /// Makes it a new workflow.
    pub(super) fn into_workflow(self, principal: &Principal) -> (NewWorkflow, Turn) {
        let Self { checked, metadata, source, turn, .. } = self;
        let new = NewWorkflow {
            project: principal.project.clone(),
            id: WorkflowId::new(Uuid::now_v7().to_string()),
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: checked.problems,
            metadata,
            at: now(),
            from: from(principal, source),
        };
        (new, turn)
    }

    fn into_version(self, principal: &Principal, expected: Option<u32>) -> (NewVersion, Turn) {
        let Self { checked, metadata, source, turn, .. } = self;
        let change = NewVersion {
            expected,
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: checked.problems,
            metadata,
            at: now(),
            from: from(principal, source),
            publishes: None,
        };
        (change, turn)
    }
}

fn from(principal: &Principal, source: Option<String>) -> Provenance {
    Provenance { author: Some(principal.subject.to_string()), note: None, source }
}

/// Returns the free data of a definition.
pub(super) fn metadata(document: &Value) -> Map<String, Value> {
    document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default()
}

pub(super) fn status(workflow: &Workflow) -> String {
    workflow.status.clone().unwrap_or_else(|| "draft".into())
}

// === impl Saved ===

impl Saved {
    /// What is told of a version.
    pub(super) fn of(workflow: &Workflow) -> Self {
        Self {
            id: workflow.id.clone(),
            name: workflow.name.clone(),
            version: workflow.version,
            status: status(workflow),
            problems: workflow.problems.clone(),
            draft: None,
        }
    }

    /// What is told of a draft.
    pub(super) fn of_draft(workflow: &Workflow) -> Self {
        let mark = workflow.draft.as_ref();
        let problems = mark.map(|mark| mark.problems.clone()).unwrap_or_default();
        Self { problems, draft: mark.map(|mark| tag(mark.revision)), ..Self::of(workflow) }
    }
}
