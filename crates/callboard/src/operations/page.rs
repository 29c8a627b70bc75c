//! Pages of lists: `limit`, `cursor`, `next`.

use super::{Fields, Query, Refusal};
use callboard_core::id::{KeyId, ProjectId, RunId, TriggerId, WorkflowId};
use schemars::JsonSchema;
use serde::Serialize;

/// Items of a page unless the caller says otherwise.
const DEFAULT: u32 = 100;
pub(super) const MOST: u32 = 1000;

/// What of a list is asked for.
#[derive(Debug, Default, JsonSchema)]
pub struct Page {
    /// Items of a page; 100 unless it is given.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Items<T> {
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
}

// === impl Page ===

impl Query for Page {
    fn read(fields: &mut Fields<'_>) -> Self {
        let count = |text: &str| text.parse().ok().and_then(|count| limit(Some(count)).ok());
        let limit = fields.one("limit", |text| count(text).ok_or_else(bounds));
        Self { limit, cursor: fields.text("cursor") }
    }
}

impl Page {
    pub fn limit(&self) -> Result<u32, Refusal> {
        limit(self.limit)
    }

    /// Returns the cursor of a list whose places are numbers; 0 without one.
    pub fn place(&self) -> Result<u64, Refusal> {
        self.cursor.as_deref().map_or(Ok(0), |cursor| cursor.parse().map_err(|_| no_cursor()))
    }

    /// Returns the cursor of a list of workflows.
    pub fn after_workflow(&self) -> Result<Option<WorkflowId>, Refusal> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the cursor of a list of versions.
    pub fn version(&self) -> Result<Option<u32>, Refusal> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the cursor of a list of keys.
    pub fn after_key(&self) -> Result<Option<KeyId>, Refusal> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the cursor of a list of triggers.
    pub fn after_trigger(&self) -> Result<Option<TriggerId>, Refusal> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the cursor of a list of projects.
    pub fn after_project(&self) -> Result<Option<ProjectId>, Refusal> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the cursor of a list of a project's runs: a run's name.
    pub fn after_run(&self, project: &ProjectId) -> Result<Option<RunId>, Refusal> {
        let run = |name| RunId::new(project, name).map_err(|_| no_cursor());
        self.cursor.as_deref().map(run).transpose()
    }
}

/// Returns how many items a page has.
pub fn limit(given: Option<u32>) -> Result<u32, Refusal> {
    match given {
        None => Ok(DEFAULT),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(Refusal::malformed("invalid_query", format!("limit {}", bounds()))),
    }
}

fn bounds() -> String {
    format!("must be between 1 and {MOST}")
}

/// Reads a place in a history.
pub fn seq(text: &str) -> Result<u64, Refusal> {
    let seq = text.trim().parse::<u64>().ok().filter(|seq| i64::try_from(*seq).is_ok());
    seq.ok_or_else(|| Refusal::malformed("invalid_cursor", "the place in a history is a seq, a number"))
}

pub(super) fn no_cursor() -> Refusal {
    Refusal::malformed("invalid_cursor", "this is no cursor of this list")
}

/// Cuts a list read one item too long into a page.
pub fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(id);
    (items, next)
}
