//! Drafts: what is edited beside the published versions, by one or by several, and what is published of it.
//!
//! Whoever changes a draft says what the change was made on, by the tag of what was read: `d7` is a draft, `v3` a version
//! without a draft. What is there by then is told to whoever comes second.

use super::{
    Answered, Kind, Naming, Operations, Refusal, Request, Text,
    definitions::Checked,
    now, off_the_reactor,
    once::{Answering, Changed},
    workflows::{Accepted, Saved, metadata},
};
use crate::{access::Principal, document};
use callboard_catalog::{
    Change, DraftMark, Error as CatalogError, Expected, NewDraft, NewVersion, Provenance, Workflow,
};
use callboard_core::{
    Problem,
    document::{Format, write},
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Characters of a note.
const NOTE: usize = 2000;

/// What is edited: the draft, or the latest version where there is none.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Draft")]
pub struct DraftView {
    pub id: WorkflowId,
    /// Names what a change is made on: `d7` is a draft, `v3` a version.
    pub etag: String,
    /// The latest published version; 0 before the first.
    pub version: u32,
    /// The version that was the latest when the draft was begun.
    pub base: u32,
    /// Who saved it.
    pub author: Option<String>,
    pub updated_at: String,
    /// Of what it says: neither positions nor the order of fields count.
    pub hash: String,
    /// `application/yaml` where its text is kept as it came.
    pub media_type: &'static str,
    /// What stands against publishing it.
    pub problems: Vec<Problem>,
    pub definition: Value,
}

/// What there is to edit, with its text.
pub struct Edited {
    pub view: DraftView,
    source: Option<String>,
}

/// Makes a version of the draft.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// What is new; up to 2,000 characters.
    #[serde(default)]
    pub note: Option<String>,
    /// The version that it is to follow; any unless it is given.
    #[serde(default)]
    pub version: Option<u32>,
}

impl Request for Publish {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        too_long(body)
    }
}

/// Returns what is wrong with the note of a body.
pub(super) fn too_long(body: &Map<String, Value>) -> Vec<Problem> {
    let note = body.get("note").and_then(Value::as_str);
    let is_long = note.is_some_and(|note| note.chars().count() > NOTE);
    let problem = || Problem::new("note", "invalid", format!("a note has at most {NOTE} characters"));
    is_long.then(problem).into_iter().collect()
}

// === impl Operations ===

impl Operations {
    /// Returns what is edited.
    pub async fn draft(&self, principal: &Principal, id: &WorkflowId) -> Result<Edited, Refusal> {
        let project = &principal.project;
        let draft = self.catalog.draft(project, id).await?;
        let workflow = self.existing(project, id).await?;
        let version = workflow.version;
        let Some(draft) = draft else { return Ok(Edited::of(workflow)) };
        let view = DraftView {
            id: id.clone(),
            etag: tag(draft.revision),
            version,
            base: draft.base,
            author: draft.from.author,
            updated_at: draft.updated_at.to_string(),
            hash: content::hash(&draft.definition).to_string(),
            media_type: media_type(draft.from.source.as_ref()),
            problems: draft.problems,
            definition: draft.definition,
        };
        Ok(Edited { view, source: draft.from.source })
    }

    /// Saves the draft, whatever is wrong with it.
    pub async fn save_draft(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        expected: Option<Expected>,
        text: Text,
    ) -> Result<Saved, Refusal> {
        let Some(expected) = expected else { return Err(self.unconditional(principal, id).await) };
        let accepted = self.accepted(Text { draft: true, ..text }).await?;
        let (change, turn) = accepted.into_draft(principal, expected);
        let saved = self.catalog.save_draft(&principal.project, id, change).await;
        let saved = self.unless_stale(principal, id, saved).await?;
        drop(turn);
        Ok(Saved::of_draft(&saved))
    }

    /// Forgets the draft. Of what was never published it is all that there is.
    pub async fn discard_draft(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        expected: Option<Expected>,
    ) -> Result<Changed, Refusal> {
        let Some(expected) = expected else { return Err(self.unconditional(principal, id).await) };
        let edited = self.draft(principal, id).await?;
        if edited.view.version == 0 {
            let detail = format!(
                "workflow {id} was never published, so its draft is all there is: delete the workflow"
            );
            return Err(Refusal::new(Kind::Conflict, "not_published", detail));
        }
        let discarded = self.catalog.discard_draft(&principal.project, id, expected).await;
        self.unless_stale(principal, id, discarded).await?;
        Ok(Changed { before: Some(content::hash(&edited.view.definition)), ..Changed::default() })
    }

    /// Makes the next version of the draft, which is checked once more.
    pub async fn publish(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        (expected, body): (Option<Expected>, Publish),
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let Some(draft) = self.catalog.draft(project, id).await? else {
            let workflow = self.existing(project, id).await?;
            let detail =
                format!("workflow {id} has no draft: its version {} is all there is", workflow.version);
            return Err(Refusal::new(Kind::Conflict, "no_draft", detail));
        };
        if !matches!(expected, None | Some(Expected::Anything))
            && expected != Some(Expected::Draft(draft.revision))
        {
            return Err(self.stale(principal, id).await);
        }
        let (checked, turn) = self.checked_again(draft.definition).await?;
        if !checked.problems.is_empty() {
            return Err(Refusal::invalid("invalid_definition", "the draft", checked.problems));
        }
        let before = self.existing(project, id).await?;
        let before = (before.version > 0).then(|| content::hash(&before.definition));
        let changed = Changed { object: None, before, after: Some(content::hash(&checked.document)) };
        let metadata = metadata(&checked.document);
        let author = Some(principal.subject.to_string());
        let change = NewVersion {
            expected: body.version,
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: Vec::new(),
            metadata,
            at: now(),
            from: Provenance { author, note: body.note, source: draft.from.source },
            publishes: Some(draft.revision),
        };
        let answered = self.update_once(principal, id, naming, change, answer).await?;
        drop(turn);
        Ok(answered.having(changed))
    }

    /// Writes an old version into the draft. One that is there has to be named.
    pub async fn restore(
        &self,
        principal: &Principal,
        (id, version): (&WorkflowId, u32),
        naming: Option<Naming>,
        expected: Option<Expected>,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let latest = self.existing(project, id).await?;
        let expected = match (expected, &latest.draft) {
            (Some(expected), _) => expected,
            (None, None) => Expected::NoDraft,
            (None, Some(_)) => return Err(self.unconditional(principal, id).await),
        };
        let old = self.version_of(project, id, version).await?;
        let (checked, turn) = self.checked_again(old.definition).await?;
        let after = Some(content::hash(&checked.document));
        let accepted = Accepted {
            source: old.from.source,
            metadata: metadata(&checked.document),
            checked,
            version: None,
            turn,
        };
        let (change, turn) = accepted.into_draft(principal, expected);
        let answered = self.save_draft_once(principal, id, naming, change, answer).await?;
        drop(turn);
        Ok(answered.having(Changed { after, ..Changed::default() }))
    }

    /// Saves a draft under a key, or without one.
    pub(super) async fn save_draft_once(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        change: NewDraft,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        match &naming {
            Some(naming) => {
                let change = Change::SaveDraft { project: project.clone(), id: id.clone(), change };
                let done = self.once(project, naming, change, answer).await;
                Answered::of(self.unless_stale(principal, id, done).await?)
            }
            None => {
                let saved = self.catalog.save_draft(project, id, change).await;
                let saved = self.unless_stale(principal, id, saved).await?;
                Ok(Answered::now(answer(Some(&Saved::of_draft(&saved)))))
            }
        }
    }

    /// Publishes a version under a key, or without one.
    pub(super) async fn update_once(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        change: NewVersion,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        match &naming {
            Some(naming) => {
                let change = Change::UpdateWorkflow { project: project.clone(), id: id.clone(), change };
                let done = self.once(project, naming, change, answer).await;
                Answered::of(self.unless_stale(principal, id, done).await?)
            }
            None => {
                let saved = self.catalog.update_workflow(project, id, change).await;
                let saved = self.unless_stale(principal, id, saved).await?;
                Ok(Answered::now(answer(Some(&Saved::of(&saved)))))
            }
        }
    }

    /// Says what is there now, where something else was expected to be the draft.
    pub(super) async fn unless_stale<T>(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        result: Result<T, CatalogError>,
    ) -> Result<T, Refusal> {
        match result {
            Err(CatalogError::Conflict { what: "draft", .. }) => Err(self.stale(principal, id).await),
            other => Ok(other?),
        }
    }

    async fn stale(&self, principal: &Principal, id: &WorkflowId) -> Refusal {
        let now = match self.draft(principal, id).await {
            Ok(edited) => edited.view,
            Err(refusal) => return refusal,
        };
        let by = now.author.as_deref().map(|author| format!(", saved by {author}")).unwrap_or_default();
        let detail = format!("the draft of workflow {id} has changed: it is \"{}\" now{by}", now.etag);
        let current = serde_json::to_value(now).ok().map(Box::new);
        Refusal { current, ..Refusal::new(Kind::Stale, "draft_changed", detail) }
    }

    /// Says that a change of a draft has to say what it was made on, if there is such a workflow.
    async fn unconditional(&self, principal: &Principal, id: &WorkflowId) -> Refusal {
        match self.existing(&principal.project, id).await {
            Ok(_) => {
                let detail = "a change of a draft says what it was made on: If-Match with the ETag that was read, or If-None-Match: *";
                Refusal::new(Kind::Unconditional, "precondition_required", detail)
            }
            Err(refusal) => refusal,
        }
    }

    /// Returns a workflow that is not hidden.
    pub(super) async fn existing(&self, project: &ProjectId, id: &WorkflowId) -> Result<Workflow, Refusal> {
        let found = self.catalog.workflow(project, id, None).await?;
        found.ok_or_else(|| Refusal::not_found("workflow", id))
    }

    /// Checks a stored definition against what there is now.
    pub(super) async fn checked_again(&self, definition: Value) -> Result<(Checked, super::Turn), Refusal> {
        let turn = self.heavy.check(callboard_core::value::json_len(&definition)).await?;
        let (agents, bound) = (self.agents.clone(), self.bound_secrets.clone());
        off_the_reactor(move || Ok((document::check(definition, &agents, &bound), turn))).await
    }
}

// === impl Accepted ===

impl Accepted {
    /// Makes it a draft.
    pub(super) fn into_draft(self, principal: &Principal, expected: Expected) -> (NewDraft, super::Turn) {
        let Self { checked, metadata, source, turn, .. } = self;
        let change = NewDraft {
            expected,
            name: checked.name,
            description: checked.description,
            definition: checked.document,
            problems: checked.problems,
            metadata,
            from: Provenance { author: Some(principal.subject.to_string()), note: None, source },
            at: now(),
        };
        (change, turn)
    }
}

// === impl Edited ===

impl Edited {
    /// The latest version, where there is no draft.
    fn of(workflow: Workflow) -> Self {
        let etag = match &workflow.draft {
            // It was made a moment ago.
            Some(DraftMark { revision, .. }) => tag(*revision),
            None => format!("v{}", workflow.version),
        };
        let view = DraftView {
            id: workflow.id,
            etag,
            version: workflow.version,
            base: workflow.version,
            author: workflow.from.author,
            updated_at: workflow.updated_at.to_string(),
            hash: content::hash(&workflow.definition).to_string(),
            media_type: media_type(workflow.from.source.as_ref()),
            problems: workflow.problems,
            definition: workflow.definition,
        };
        Self { view, source: workflow.from.source }
    }

    /// Returns it as a text: as it came, where it came as YAML.
    pub fn yaml(self) -> String {
        self.source.unwrap_or_else(|| write(&self.view.definition, Format::Yaml))
    }
}

/// Names a draft.
pub(super) fn tag(revision: u32) -> String {
    format!("d{revision}")
}

fn media_type(source: Option<&String>) -> &'static str {
    if source.is_some() { "application/yaml" } else { "application/json" }
}
