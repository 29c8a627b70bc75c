//! What is asked over all runs of a project: which have these words, what waits for a person, what was used.

use crate::{Error, RunRow, Words};
use async_trait::async_trait;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use serde_json::{Value, json};

/// Looks over all runs of a project at once. None of it reads a history.
#[async_trait]
pub trait Survey: Send + Sync + 'static {
    /// Returns runs that have these words, newest first, those after its run `after`; none if there is no such run.
    async fn search_runs(
        &self,
        project: &ProjectId,
        search: Search,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, Error>;

    /// Returns what waits for a person, the longest first, what comes after that place.
    async fn asked(
        &self,
        project: &ProjectId,
        after: Option<&AskedPlace>,
        limit: u32,
    ) -> Result<Vec<AskedRow>, Error>;

    /// Returns how many wait for a person.
    async fn count_asked(&self, project: &ProjectId) -> Result<u64, Error>;
}

/// Which runs are searched for; what is left out restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub words: Words,
    /// Runs of this stored workflow.
    pub workflow_id: Option<WorkflowId>,
    /// Created then or later.
    pub from: Option<Timestamp>,
    /// Created before then.
    pub to: Option<Timestamp>,
}

/// One step that waits for a person, as a run's row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Tells it from others of its run.
    pub step: String,
    pub since: Timestamp,
    /// JSON.
    pub asked: String,
}

/// One step that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRow {
    pub place: AskedPlace,
    /// JSON.
    pub asked: String,
}

/// Where it stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedPlace {
    pub since: Timestamp,
    pub run: RunId,
    pub step: String,
}

/// As the column `asks` has it: a list of `[step, since, asked]`. What is asked is a text in it, so that nobody looks into it.
pub(crate) fn written(asks: &[Asking]) -> String {
    let parts = asks.iter().map(|ask| json!([ask.step, ask.since.0, ask.asked])).collect();
    Value::Array(parts).to_string()
}
