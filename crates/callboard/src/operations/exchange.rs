//! Definitions on their way from one place to another: copies within a project, texts that leave it.

use super::{
    Answered, Naming, Operations, Refusal, Request,
    once::{Answering, Changed},
    workflows::{Accepted, metadata},
};
use crate::access::Principal;
use callboard_core::{Problem, id::WorkflowId, workflow::content};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a copy is to be.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// What it is called; `copy of` and the name of the other one, unless it is given.
    #[serde(default)]
    pub name: Option<String>,
}

impl Request for Duplicate {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let is_empty = body.get("name").and_then(Value::as_str) == Some("");
        let problem = || Problem::new("name", "invalid", "a name is not empty");
        is_empty.then(problem).into_iter().collect()
    }
}

/// Which text of a workflow leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    /// The latest version, or the draft of what was never published.
    Latest,
    Version(u32),
    Draft,
}

// === impl Operations ===

impl Operations {
    /// Makes another workflow that says the same. What can't be published any more is a draft there, too.
    pub async fn duplicate(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        naming: Option<Naming>,
        body: Duplicate,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let project = &principal.project;
        if let Some(answered) = self.answered(project, naming.as_ref()).await? {
            return Ok(answered);
        }
        let workflow = self.existing(project, id).await?;
        let name = body.name.unwrap_or_else(|| format!("copy of {}", workflow.name));
        let mut definition = workflow.definition;
        if let Some(fields) = definition.as_object_mut() {
            fields.insert("name".to_owned(), name.into());
        }
        let (checked, turn) = self.checked_again(definition).await?;
        let is_draft = workflow.version == 0 || !checked.problems.is_empty();
        let metadata = metadata(&checked.document);
        let accepted = Accepted { checked, metadata, version: None, source: None, turn };
        self.created(principal, naming, accepted, is_draft, answer).await
    }

    /// Returns a definition in the form in which it is handed on, and its hash for the audit of who reads it.
    pub async fn export(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        which: Exported,
    ) -> Result<Value, Refusal> {
        let project = &principal.project;
        let definition = match which {
            Exported::Latest => self.existing(project, id).await?.definition,
            Exported::Draft => self.draft(principal, id).await?.view.definition,
            Exported::Version(version) => {
                self.existing(project, id).await?;
                self.version_of(project, id, version).await?.definition
            }
        };
        Ok(content::exported(&definition))
    }

    /// Saves what a change made of a new workflow: as its first version, or as its draft.
    pub(super) async fn created(
        &self,
        principal: &Principal,
        naming: Option<Naming>,
        accepted: Accepted,
        is_draft: bool,
        answer: Answering,
    ) -> Result<Answered, Refusal> {
        let (new, turn) = accepted.into_workflow(principal);
        let changed = Changed {
            object: Some(new.id.to_string()),
            before: None,
            after: Some(content::hash(&new.definition)),
        };
        let answered = self.create_once(&principal.project, naming, new, is_draft, answer).await?;
        drop(turn);
        Ok(answered.having(changed))
    }
}
