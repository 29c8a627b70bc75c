//! What was used, summed up by day: added once for each part of a history.

use crate::Error;
use async_trait::async_trait;
use callboard_core::{
    call::Usage,
    id::{ProjectId, RunId, WorkflowId},
};

/// Sums of what runs used, by day, workflow, agent and model.
#[async_trait]
pub trait Meter: Send + Sync + 'static {
    /// Returns the seq up to which a run's usage is in the sums; nothing for an unknown run.
    async fn counted(&self, run: &RunId) -> Result<Option<u64>, Error>;

    /// Adds what a run used between two places of its history. False, and nothing is added, if it was not counted up to the first.
    async fn count(&self, run: &RunId, from: u64, to: u64, used: Vec<Used>) -> Result<bool, Error>;

    /// Returns sums, by what `by` says, in that order.
    async fn usage(
        &self,
        project: &ProjectId,
        asked: UsageSpan,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Used>, Error>;
}

/// A sum. What it is not divided by is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Of UTC, as 2027-01-31.
    pub day: String,
    /// Nothing where the definition came along.
    pub workflow_id: Option<WorkflowId>,
    pub agent: String,
    /// Empty of a worker outside.
    pub model: String,
    pub usage: Usage,
}

/// Which days, and what sums are divided by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSpan {
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    pub by: Vec<UsageBy>,
}

/// What sums are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageBy {
    Day,
    Workflow,
    Agent,
    Model,
}

// === impl Used ===

impl Used {
    /// As the column has it.
    pub(crate) fn workflow(&self) -> &str {
        self.workflow_id.as_ref().map_or("", WorkflowId::as_str)
    }
}

// === impl UsageSpan ===

impl UsageSpan {
    /// Returns the statement: `$1` is the project, `$2` and `$3` are days, `$4` and `$5` how many are skipped, and the limit. Its text is
    /// ours alone.
    pub(crate) fn statement(&self) -> String {
        let all = [
            (UsageBy::Day, "day"),
            (UsageBy::Workflow, "workflow_id"),
            (UsageBy::Agent, "agent"),
            (UsageBy::Model, "model"),
        ];
        let is_asked = |by: &UsageBy| self.by.contains(by);
        let columns = all.map(|(by, name)| if is_asked(&by) { name } else { "''" });
        let order: Vec<&str> = all.iter().filter(|(by, _)| is_asked(by)).map(|(_, name)| *name).collect();
        let order = order.join(", ");
        let (group, order) = match order.is_empty() {
            true => (String::new(), String::new()),
            false => (format!("group by {order}"), format!("order by {order}")),
        };
        format!(
            "select {}, cast(coalesce(sum(calls), 0) as bigint), cast(coalesce(sum(prompt_tokens), 0) as bigint), \
             cast(coalesce(sum(completion_tokens), 0) as bigint), cast(coalesce(sum(priced_calls), 0) as bigint), \
             cast(coalesce(sum(cost), 0) as bigint) from usage_by_day \
             where project = $1 and day >= $2 and day <= $3 {group} {order} limit $5 offset $4",
            columns.join(", ")
        )
    }
}

/// A sum as the statement returns it.
pub(crate) type Row = (String, String, String, String, i64, i64, i64, i64, i64);

pub(crate) fn summed((day, workflow, agent, model, calls, prompt, completion, priced, cost): Row) -> Used {
    let whole = |n: i64| u64::try_from(n).unwrap_or_default();
    let usage = Usage {
        calls: whole(calls),
        prompt_tokens: whole(prompt),
        completion_tokens: whole(completion),
        estimated: false,
        priced: whole(priced),
        cost: whole(cost),
    };
    let workflow_id = (!workflow.is_empty()).then(|| WorkflowId::new(workflow));
    Used { day, workflow_id, agent, model, usage }
}
