//! One operation on many runs: on those that are named, or on those of a workflow or a status. A bounded number at once; what is
//! left is told, and asked for again.

use super::{Key, Operations, Refusal, Request, Trace, request::given, runs::error_node};
use crate::access::Principal;
use callboard_catalog::RunFilter;
use callboard_core::{
    Problem,
    id::{RunId, WorkflowId},
    workflow::{Status, view::RunView},
};
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Runs of one request.
const MOST: usize = 100;
/// Further ones that are counted.
const COUNTED: usize = 900;
/// Asked at once.
const AT_ONCE: usize = 8;

/// Runs to cancel: by their ids, or by workflow and status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkCancel {
    /// Up to 100 ids.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub ids: Vec<String>,
    /// Those of a stored workflow, the newest first.
    pub workflow_id: Option<WorkflowId>,
    /// Those of these statuses; of all that have not ended unless it is given.
    #[serde(default)]
    pub status: BTreeSet<OpenStatus>,
}

/// Ended runs to run again: by their ids, or by workflow and status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRerun {
    /// Up to 100 ids.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub ids: Vec<String>,
    /// Those of a stored workflow, the newest first.
    pub workflow_id: Option<WorkflowId>,
    /// Those of these statuses; `failed` unless it is given.
    #[serde(default)]
    pub status: BTreeSet<EndedStatus>,
    /// A node of the runs' own graph; the one where each failed unless it is given.
    pub from: Option<String>,
    /// Any JSON; each run's own input unless it is given.
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Value>,
}

/// Of a run that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenStatus {
    Pending,
    Running,
    Waiting,
    Paused,
}

/// Of a run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedStatus {
    Completed,
    Failed,
    Cancelled,
}

/// What became of each run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BulkView {
    pub items: Vec<BulkItem>,
    /// Runs that the request is about and that were not asked: it can be sent again. 900 are 900 or more.
    pub left: usize,
    /// Every run had done this before, under the same key. The API says it in a header.
    #[serde(skip)]
    #[schemars(skip)]
    pub replayed: bool,
}

/// What became of one run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BulkItem {
    pub id: String,
    /// As the operation leaves it; null where it was refused.
    pub status: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<BulkError>,
}

/// Why one run did not do it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BulkError {
    pub code: String,
    pub message: String,
}

/// Who asks, under which name.
#[derive(Debug)]
pub struct BulkCall {
    pub principal: Principal,
    pub trace: Trace,
    /// Each run does it once under this key.
    pub key: Option<Key>,
}

/// Which runs: these, or those of a filter.
enum Which {
    Named(Vec<String>),
    Of(RunFilter),
}

/// A run to ask, or why it can't be asked.
type Picked = (String, Result<RunId, Refusal>);

impl Request for BulkCancel {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        which(body)
    }
}

impl Request for BulkRerun {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        which(body)
    }
}

/// Runs are named, or described, not both and not neither.
fn which(body: &Map<String, Value>) -> Vec<Problem> {
    let is_given = |name: &str| match body.get(name) {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Null) | None => false,
        Some(_) => true,
    };
    let count = body.get("ids").and_then(Value::as_array).map_or(0, Vec::len);
    if count > MOST {
        return vec![Problem::new("ids", "out_of_range", format!("{count} ids are more than {MOST}"))];
    }
    let (named, described) = (is_given("ids"), is_given("workflow_id") || is_given("status"));
    match (named, described) {
        (true, true) => {
            vec![Problem::new("ids", "invalid", "runs are named, or described by workflow_id and status")]
        }
        (false, false) => {
            vec![Problem::new("ids", "missing_field", "name ids, or give workflow_id or status")]
        }
        (true, false) | (false, true) => Vec::new(),
    }
}

// === impl Operations ===

impl Operations {
    /// Ends runs, newest first.
    pub async fn cancel_runs(&self, call: BulkCall, body: BulkCancel) -> Result<BulkView, Refusal> {
        let statuses = match body.status.is_empty() {
            true => vec![Status::Pending, Status::Running, Status::Waiting, Status::Paused],
            false => body.status.iter().map(|status| status.status()).collect(),
        };
        let which = Which::read(body.ids, body.workflow_id, &statuses);
        self.each(call, which, "cancel", |_| Ok(json!({}))).await
    }

    /// Runs ended runs again, newest first.
    pub async fn rerun_runs(&self, call: BulkCall, body: BulkRerun) -> Result<BulkView, Refusal> {
        let statuses = match body.status.is_empty() {
            true => vec![Status::Failed],
            false => body.status.iter().map(|status| status.status()).collect(),
        };
        let which = Which::read(body.ids, body.workflow_id, &statuses);
        let (from, input) = (body.from, body.input);
        let of_run = |failed_at: Option<String>| {
            let Some(from) = from.clone().or(failed_at) else {
                let detail = "the run did not fail in a node: name the one to run from";
                return Err(Refusal::new(super::Kind::Invalid, "unknown_node", detail));
            };
            let mut body = json!({ "from": from });
            if let Some(input) = &input {
                body["input"] = input.clone();
            }
            Ok(body)
        };
        self.each(call, which, "rerun", of_run).await
    }

    /// Asks each of the runs. `body` makes what is asked of a run that failed in a node.
    async fn each(
        &self,
        call: BulkCall,
        which: Which,
        method: &str,
        body: impl Fn(Option<String>) -> Result<Value, Refusal> + Send + Sync,
    ) -> Result<BulkView, Refusal> {
        let (picked, left) = self.picked(&call.principal, which).await?;
        let (call, body) = (&call, &body);
        let asked = stream::iter(picked).map(|(name, run)| async move {
            let done = match run {
                Ok(run) => self.ask(call, &run, method, body).await,
                Err(refusal) => Err(refusal),
            };
            (name, done)
        });
        let done: Vec<_> = asked.buffered(AT_ONCE).collect().await;
        let again = |done: &Result<RunView, Refusal>| done.as_ref().is_ok_and(|run| run.replayed);
        let replayed = call.key.is_some() && !done.is_empty() && done.iter().all(|(_, done)| again(done));
        let items = done.into_iter().map(|(id, done)| BulkItem::of(id, done)).collect();
        Ok(BulkView { items, left, replayed })
    }

    async fn picked(&self, principal: &Principal, which: Which) -> Result<(Vec<Picked>, usize), Refusal> {
        let project = &principal.project;
        let filter = match which {
            Which::Named(names) => {
                let run = |name: String| {
                    let run =
                        RunId::called(project, &name).ok_or_else(|| Refusal::not_found("run", "of this id"));
                    (name, run)
                };
                return Ok((names.into_iter().map(run).collect(), 0));
            }
            Which::Of(filter) => filter,
        };
        let most = u32::try_from(MOST + COUNTED).unwrap_or(u32::MAX);
        let rows = self.catalog.runs(project, filter, None, most).await?;
        let left = rows.len().saturating_sub(MOST);
        Ok((rows.into_iter().take(MOST).map(|row| (row.id.to_string(), Ok(row.id))).collect(), left))
    }

    async fn ask(
        &self,
        call: &BulkCall,
        run: &RunId,
        method: &str,
        body: impl Fn(Option<String>) -> Result<Value, Refusal> + Send + Sync,
    ) -> Result<RunView, Refusal> {
        call.principal.owns(run)?;
        let row = self.runs.row(run).await?;
        let mut body = body(error_node(&row))?;
        body["op"] = Key::or_fresh(call.key.clone()).as_str().into();
        self.runs.operate(&call.trace, run, method, &body).await
    }
}

// === impl Which ===

impl Which {
    fn read(ids: Vec<String>, workflow_id: Option<WorkflowId>, statuses: &[Status]) -> Self {
        if !ids.is_empty() {
            return Self::Named(ids);
        }
        let statuses = statuses.iter().map(|status| status.name().to_owned()).collect();
        Self::Of(RunFilter { workflow_id, statuses, ..RunFilter::default() })
    }
}

// === impl BulkItem ===

impl BulkItem {
    fn of(id: String, done: Result<RunView, Refusal>) -> Self {
        match done {
            Ok(run) => Self { id, status: Some(run.status), error: None },
            Err(refusal) => {
                let error = BulkError { code: refusal.code.into_owned(), message: refusal.detail };
                Self { id, status: None, error: Some(error) }
            }
        }
    }
}

impl OpenStatus {
    fn status(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Running => Status::Running,
            Self::Waiting => Status::Waiting,
            Self::Paused => Status::Paused,
        }
    }
}

impl EndedStatus {
    fn status(self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::read, *};

    #[test]
    fn runs_are_named_or_described() {
        let wrong = |body: Value| read::<BulkCancel>(Some(body)).err().and_then(|refusal| refusal.problems);
        assert!(wrong(json!({"ids": ["a"]})).is_none() && wrong(json!({"status": ["running"]})).is_none());
        for body in [
            json!({}),
            json!({"ids": []}),
            json!({"ids": ["a"], "status": ["running"]}),
            json!({"status": ["failed"]}),
        ] {
            assert!(wrong(body.clone()).is_some_and(|problems| !problems.is_empty()), "{body}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("r{n}")).collect();
        assert!(wrong(json!({ "ids": many })).is_some());
    }
}
