//! Published versions: which there are, what each says, and what is said about it.

use super::{Items, Operations, Page, Refusal, Request, drafts::too_long, page::page};
use crate::access::Principal;
use callboard_catalog::{Version, Workflow};
use callboard_core::{
    Problem,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Of runs that have not ended.
const OPEN: [&str; 4] = ["pending", "running", "waiting", "paused"];

/// A version in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkflowVersionLine")]
pub struct VersionLine {
    pub version: u32,
    pub name: String,
    /// What is new in it, in its author's words.
    pub note: Option<String>,
    /// Who published it.
    pub author: Option<String>,
    pub created_at: String,
    /// Of what it says: neither positions nor the order of fields count.
    pub hash: String,
    /// Why it can't be started: of a version that was saved as a draft by a release before this one.
    pub problems: Vec<Problem>,
    /// How many runs of it have not ended.
    pub open_runs: u64,
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkflowVersion")]
pub struct VersionView {
    #[serde(flatten)]
    pub line: VersionLine,
    pub definition: Value,
}

/// Says something else about a version.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotate {
    /// What is new in it; up to 2,000 characters, null for nothing.
    #[serde(default)]
    pub note: Option<String>,
}

impl Request for Annotate {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        too_long(body)
    }
}

// === impl Operations ===

impl Operations {
    /// Returns a page of versions, newest first.
    pub async fn versions(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        of: &Page,
    ) -> Result<Items<VersionLine>, Refusal> {
        let (project, limit, before) = (&principal.project, of.limit()?, of.version()?);
        self.existing(project, id).await?;
        let found = self.catalog.versions(project, id, before, limit + 1).await?;
        let (found, next) = page(found, limit, |version| version.version.to_string());
        let open = self.catalog.runs_by_version(project, id, &OPEN).await?;
        let open = |version: &Version| open.get(&version.version).copied().unwrap_or(0);
        let lines = found.into_iter().map(|version| VersionLine::of(open(&version), version));
        Ok(Items { items: lines.collect(), next })
    }

    /// Returns a version as it was published.
    pub async fn version(
        &self,
        principal: &Principal,
        id: &WorkflowId,
        version: u32,
    ) -> Result<VersionView, Refusal> {
        let project = &principal.project;
        self.existing(project, id).await?;
        let Workflow { definition, name, from, problems, updated_at, .. } =
            self.version_of(project, id, version).await?;
        let line = Version {
            version,
            name,
            note: from.note,
            author: from.author,
            hash: content::hash(&definition),
            problems,
            created_at: updated_at,
        };
        let open = self.catalog.runs_by_version(project, id, &OPEN).await?;
        let open = open.get(&version).copied().unwrap_or(0);
        Ok(VersionView { line: VersionLine::of(open, line), definition })
    }

    /// Says something else about a version. What it says itself never changes.
    pub async fn annotate(
        &self,
        principal: &Principal,
        (id, version): (&WorkflowId, u32),
        body: Annotate,
    ) -> Result<VersionView, Refusal> {
        self.catalog.note_version(&principal.project, id, version, body.note).await?;
        self.version(principal, id, version).await
    }

    /// Finds a version of a workflow that is not hidden.
    pub(super) async fn version_of(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: u32,
    ) -> Result<Workflow, Refusal> {
        let found = self.catalog.workflow(project, id, Some(version)).await?.filter(|found| !found.hidden);
        found.ok_or_else(|| Refusal::not_found("version", version))
    }
}

// === impl VersionLine ===

impl VersionLine {
    fn of(open_runs: u64, version: Version) -> Self {
        let Version { version, name, note, author, hash, problems, created_at } = version;
        let (created_at, hash) = (created_at.to_string(), hash.to_string());
        Self { version, name, note, author, created_at, hash, problems, open_runs }
    }
}
