//! The list of workflows: which of them, and what is said of each.

use super::{Fields, Items, Operations, Page, Query, Refusal, drafts::tag, page::page, workflows::status};
use crate::access::Principal;
use callboard_catalog::{RunFilter, RunRow, Workflow};
use callboard_core::{
    Problem,
    id::{ProjectId, RunId, WorkflowId},
    workflow::view::Summary,
};
use futures::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Runs that a summary shows.
const LAST: u32 = 20;
/// Workflows whose runs are read at once.
const AT_ONCE: usize = 4;
/// Workflows that are looked through for one page, and how many of them at a time.
const LOOKED_AT: usize = 10_000;
const AT_A_TIME: u32 = 500;

/// Which workflows to list.
#[derive(Debug, Default, JsonSchema)]
pub struct Listed {
    /// Those whose name or description has words that begin so, all of them; or the one of this id.
    pub search: Option<String>,
    /// Those whose latest run has this status; `draft` are those without a run.
    pub status: Option<String>,
    /// `summary`: with the latest runs, and with the draft.
    pub include: Option<Include>,
}

/// What a list has beside the workflows themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    Summary,
}

/// A workflow in a list: without its nodes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkflowLine {
    pub id: WorkflowId,
    pub name: String,
    pub description: Option<String>,
    /// The latest published version; 0 before the first.
    pub version: u32,
    /// That of its latest run; `draft` before the first.
    pub status: String,
    pub problems: Vec<Problem>,
    pub created_at: String,
    /// When this version was made.
    pub updated_at: String,
    /// With `include=summary`: its latest runs, the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_runs: Option<Vec<LastRun>>,
    /// With `include=summary`: its draft, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<DraftLine>,
}

/// A run in a summary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LastRun {
    pub id: RunId,
    pub status: String,
    pub started_at: String,
    /// How long it took; null while it goes on.
    pub ms: Option<u64>,
}

/// A draft in a summary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DraftLine {
    /// As `GET …/draft` answers it.
    pub etag: String,
    pub problems: Vec<Problem>,
}

// === impl Listed ===

impl Query for Listed {
    fn read(fields: &mut Fields<'_>) -> Self {
        let (search, status) = (fields.text("search"), fields.text("status"));
        Self { search, status, include: fields.word("include") }
    }
}

// === impl Operations ===

impl Operations {
    /// Returns a page of workflows, newest first. A page may hold less than there is: what does not fit is looked through
    /// in pieces.
    pub async fn list_workflows(
        &self,
        principal: &Principal,
        of: &Page,
        wanted: &Listed,
    ) -> Result<Items<WorkflowLine>, Refusal> {
        let (project, limit) = (&principal.project, of.limit()?);
        let with_summary = wanted.include == Some(Include::Summary);
        let after = of.after_workflow()?;
        let (found, next) = match wanted.is_everything() {
            true => {
                let found = self.catalog.workflows(project, after.as_ref(), limit + 1).await?;
                page(found, limit, |workflow| workflow.id.to_string())
            }
            false => self.looked_through(project, after, limit, wanted).await?,
        };
        let lines = found.into_iter().map(|workflow| self.line(project, workflow, with_summary));
        let lines: Vec<_> = lines.collect();
        Ok(Items { items: stream::iter(lines).buffered(AT_ONCE).try_collect().await?, next })
    }

    /// Finds those that fit, and where to go on.
    async fn looked_through(
        &self,
        project: &ProjectId,
        after: Option<WorkflowId>,
        limit: u32,
        wanted: &Listed,
    ) -> Result<(Vec<Workflow>, Option<String>), Refusal> {
        let (words, id) = wanted.words();
        let (mut after, mut found, mut looked) = (after, Vec::new(), 0);
        loop {
            let all = self.catalog.workflows(project, after.as_ref(), AT_A_TIME).await?;
            let is_last = all.len() < AT_A_TIME as usize;
            looked += all.len();
            for workflow in all {
                after = Some(workflow.id.clone());
                if !wanted.fits(&workflow, &words, &id) {
                    continue;
                }
                found.push(workflow);
                if found.len() == limit as usize {
                    return Ok((found, after.map(|after| after.to_string())));
                }
            }
            if is_last {
                return Ok((found, None));
            }
            if looked >= LOOKED_AT {
                return Ok((found, after.map(|after| after.to_string())));
            }
        }
    }

    async fn line(
        &self,
        project: &ProjectId,
        workflow: Workflow,
        with_summary: bool,
    ) -> Result<WorkflowLine, Refusal> {
        let status = status(&workflow);
        let Workflow { id, name, description, version, problems, created_at, updated_at, draft, .. } =
            workflow;
        let (created_at, updated_at) = (created_at.to_string(), updated_at.to_string());
        let (last_runs, draft) = match with_summary {
            false => (None, None),
            true => {
                let of = RunFilter { workflow_id: Some(id.clone()), ..RunFilter::default() };
                let runs = self.catalog.runs(project, of, None, LAST).await?;
                let draft = draft.map(|mark| DraftLine { etag: tag(mark.revision), problems: mark.problems });
                (Some(runs.into_iter().map(LastRun::from).collect()), draft)
            }
        };
        let line = WorkflowLine {
            id,
            name,
            description,
            version,
            status,
            problems,
            created_at,
            updated_at,
            last_runs,
            draft,
        };
        Ok(line)
    }
}

// === impl Listed ===

impl Listed {
    fn is_everything(&self) -> bool {
        self.search.is_none() && self.status.is_none()
    }

    /// Returns the words that are looked for, and the text as a whole, which may be an id.
    fn words(&self) -> (Vec<String>, String) {
        let text = self.search.as_deref().unwrap_or_default().trim();
        (words(text), text.to_owned())
    }

    fn fits(&self, workflow: &Workflow, wanted: &[String], id: &str) -> bool {
        let is_of_status = self.status.as_deref().is_none_or(|wanted| wanted == status(workflow));
        let is_found = || {
            let said = format!("{} {}", workflow.name, workflow.description.as_deref().unwrap_or_default());
            let said = words(&said);
            let begins = |wanted: &String| said.iter().any(|word| word.starts_with(wanted.as_str()));
            !wanted.is_empty() && wanted.iter().all(begins) || workflow.id.as_str() == id
        };
        is_of_status && (self.search.is_none() || is_found())
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

impl From<RunRow> for LastRun {
    fn from(row: RunRow) -> Self {
        // What can't be read says when it was made.
        let summary: Option<Summary> = serde_json::from_str(&row.summary).ok();
        let started_at = summary.and_then(|summary| summary.started_at).unwrap_or(row.created_at);
        let ms = row.ended_at.map(|end| end.since(started_at).0);
        Self { id: row.id, status: row.status, started_at: started_at.to_string(), ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_by_the_beginnings_of_words() {
        assert_eq!(words("Über-Mail  (nightly)"), ["über", "mail", "nightly"]);
        assert_eq!(words(" --- "), Vec::<String>::new());
    }
}
