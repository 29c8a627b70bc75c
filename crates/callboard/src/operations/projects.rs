//! Projects. Whoever may call these may see all of them; nobody else learns of any but their own.

use super::{Items, Kind, Operations, Page, Refusal, Request, now, page::page};
use crate::access::Principal;
use callboard_catalog::{self as catalog, Deleted, ProjectChange, ProjectLimits, ProjectRow};
use callboard_core::{Problem, id::ProjectId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Characters of a name.
const NAME: usize = 200;

/// A project to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// A small letter, then up to 31 of `a-z 0-9 -`.
    pub id: ProjectId,
    /// For people; up to 200 characters.
    #[serde(default)]
    pub name: Option<String>,
}

impl Request for NewProject {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let mut problems = Vec::new();
        if let Some(Err(error)) = text("id").map(str::parse::<ProjectId>) {
            problems.push(Problem::new("id", "invalid_id", error.to_string()));
        }
        if text("name").is_some_and(|name| name.chars().count() > NAME) {
            problems.push(Problem::new("name", "invalid", format!("a name has at most {NAME} characters")));
        }
        problems
    }
}

/// All limits of a project. What is not given, or null, is not bounded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitProject {
    /// Runs that have not ended, at once.
    #[serde(default)]
    pub runs: Option<u64>,
    /// Tokens of a day of UTC.
    #[serde(default)]
    pub tokens_per_day: Option<u64>,
    /// Money of a day of UTC, in millionths of a unit of the currency that the server's prices are in.
    #[serde(default)]
    pub cost_per_day: Option<u64>,
    /// The same of a month of UTC.
    #[serde(default)]
    pub cost_per_month: Option<u64>,
}

impl Request for LimitProject {}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub struct ProjectView {
    pub id: ProjectId,
    pub name: String,
    pub created_at: String,
    /// Since when nothing new begins in it; null while it is not paused.
    pub paused_at: Option<String>,
    /// What it has no limit of is missing.
    pub limits: ProjectLimits,
}

// === impl Operations ===

impl Operations {
    pub async fn list_projects(&self, _: &Principal, of: &Page) -> Result<Items<ProjectView>, Refusal> {
        let limit = of.limit()?;
        let found = self.access.store().all_projects(of.after_project()?.as_ref(), limit + 1).await?;
        let (found, next) = page(found, limit, |project| project.id.to_string());
        Ok(Items { items: found.into_iter().map(ProjectView::from).collect(), next })
    }

    pub async fn create_project(&self, _: &Principal, new: NewProject) -> Result<ProjectView, Refusal> {
        let row = ProjectRow::new(new.id, new.name.unwrap_or_default(), now());
        match self.access.store().make_project(row.clone()).await {
            Ok(()) => {}
            Err(catalog::Error::Conflict { id, .. }) => {
                let detail = format!("there is a project {id}, or was: an id is given once");
                return Err(Refusal::new(Kind::Conflict, "project_exists", detail));
            }
            Err(error) => return Err(error.into()),
        }
        self.access.forget_project(&row.id);
        Ok(row.into())
    }

    pub async fn project(&self, _: &Principal, id: &ProjectId) -> Result<ProjectView, Refusal> {
        let found = self.access.store().project(id).await?;
        found.map(ProjectView::from).ok_or_else(|| Refusal::not_found("project", id))
    }

    /// Sets all limits of a project. Each process goes by them a second later at the latest.
    pub async fn limit_project(
        &self,
        _: &Principal,
        id: &ProjectId,
        to: LimitProject,
    ) -> Result<ProjectView, Refusal> {
        let LimitProject { runs, tokens_per_day, cost_per_day, cost_per_month } = to;
        let limits = ProjectLimits { runs, tokens_per_day, cost_per_day, cost_per_month };
        self.change_project(id, ProjectChange::Limit(limits)).await
    }

    /// Lets nothing new begin in a project. What is under way goes on.
    pub async fn pause_project(&self, _: &Principal, id: &ProjectId) -> Result<ProjectView, Refusal> {
        self.change_project(id, ProjectChange::Pause(now())).await
    }

    pub async fn resume_project(&self, _: &Principal, id: &ProjectId) -> Result<ProjectView, Refusal> {
        self.change_project(id, ProjectChange::Resume).await
    }

    async fn change_project(&self, id: &ProjectId, change: ProjectChange) -> Result<ProjectView, Refusal> {
        let changed = self.access.store().change_project(id, change).await?;
        changed.map(ProjectView::from).ok_or_else(|| Refusal::not_found("project", id))
    }

    /// Deletes a project that has neither workflows nor runs.
    pub async fn delete_project(&self, _: &Principal, id: &ProjectId) -> Result<(), Refusal> {
        if id.is_default() {
            return Err(Refusal::new(
                Kind::Conflict,
                "project_not_empty",
                "the project default always exists",
            ));
        }
        let deleted = self.access.store().delete_project(id, now()).await?;
        self.access.forget_project(id);
        match deleted {
            Deleted::Done => Ok(()),
            Deleted::Unknown => Err(Refusal::not_found("project", id)),
            Deleted::NotEmpty => {
                let detail = format!("the project {id} has workflows or runs");
                Err(Refusal::new(Kind::Conflict, "project_not_empty", detail))
            }
        }
    }
}

impl From<ProjectRow> for ProjectView {
    fn from(row: ProjectRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at.to_string(),
            paused_at: row.paused_at.map(|at| at.to_string()),
            limits: row.limits,
        }
    }
}
