//! What people see of a run: the run itself, its events, its steps. Each is made only here, for every caller and
//! every transport.

mod asked;
mod drawing;
mod event;
mod overlay;
mod shape;
mod steps;
mod usage;

use super::{
    event::RunError,
    run::{Ending, Run, Status},
    trial::{Trial, TrialView},
};
use crate::{
    Datum, Timestamp, ValueRef,
    call::Usage,
    id::{RunId, WorkflowId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

pub use asked::{Asked, AskedView, Question};
pub use event::{EventView, Telling};
pub use overlay::{EdgeOverlay, NodeOverlay, Overlay, OverlayView, Rounds};
pub use shape::{Shape, is_within};
pub use steps::{Line, StepStatus, StepView, Steps};
pub use usage::UsageView;

/// The summary of a run, kept as a row beside the history. Data stays by reference until someone looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Id of the run.
    pub id: RunId,
    /// The stored workflow it was started from; `None` where the definition came along.
    pub workflow_id: Option<WorkflowId>,
    /// Version of that workflow.
    pub version: u32,
    pub status: Status,
    /// Counts from 1.
    pub generation: u32,
    /// What the current generation sees.
    pub input: Datum,
    /// What the run completed with.
    pub output: Option<Datum>,
    /// Why the run failed.
    pub error: Option<RunError>,
    /// What all generations used.
    pub usage: Usage,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// How it is tried, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialView>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Run")]
pub struct RunView {
    pub id: RunId,
    /// The stored workflow it was started from; null where the definition came along.
    #[serde(default)]
    pub workflow_id: Option<WorkflowId>,
    #[serde(default)]
    pub version: u32,
    // Text, so that what a later version says passes through.
    #[schemars(with = "Status")]
    pub status: String,
    /// Counts from 1; a rerun opens the next.
    #[serde(default)]
    pub generation: u32,
    /// Not in lists.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Null until it has completed; not in lists.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default)]
    pub error: Option<RunError>,
    #[serde(default)]
    pub usage: UsageView,
    #[serde(default)]
    pub created_at: String,
    /// Of the current generation.
    #[serde(default)]
    pub started_at: Option<String>,
    #[serde(default)]
    pub ended_at: Option<String>,
    /// How it is tried: of a run that is not what its definition alone says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialView>,
    /// The id again, as a start answers it; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Of its last event, where the run itself was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The operation that was asked for had been done before. The API says it in a header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub replayed: bool,
}

// === impl Summary ===

impl Summary {
    /// Returns nothing for a run that was never created.
    pub fn of(run: &Run) -> Option<Summary> {
        let created = run.created.as_ref()?;
        let ended = run.ended.as_ref();
        let (output, error) = match ended.map(|e| &e.how) {
            Some(Ending::Completed(output)) => (Some(output.clone()), None),
            Some(Ending::Failed(error)) => (None, Some(error.clone())),
            Some(Ending::Cancelled) | None => (None, None),
        };
        Some(Summary {
            id: run.id.clone(),
            workflow_id: created.workflow_id.clone(),
            version: created.version,
            status: run.status(),
            generation: run.generation(),
            input: run.input().cloned().unwrap_or_else(Datum::null),
            output,
            error,
            usage: run.usage,
            created_at: created.at,
            started_at: run.generations.last().map(|g| g.at),
            ended_at: ended.map(|e| e.at),
            trial: run.trial.as_ref().map(Trial::view),
        })
    }

    /// Returns the stored values that `view` shows: at most the input and the output.
    pub fn references(&self) -> Vec<&ValueRef> {
        std::iter::once(&self.input).chain(&self.output).filter_map(Datum::reference).collect()
    }

    /// Returns the run with its data. A value that can't be had any more shows as its reference.
    pub fn view(&self, mut value: impl FnMut(&ValueRef) -> Option<Value>) -> RunView {
        let input = content(&self.input, &mut value);
        let output = self.output.as_ref().map(|output| content(output, &mut value));
        RunView { input: Some(input), output: Some(output.unwrap_or_default()), ..self.line() }
    }

    /// Returns the run without its data, as lists show it.
    pub fn line(&self) -> RunView {
        RunView {
            id: self.id.clone(),
            workflow_id: self.workflow_id.clone(),
            version: self.version,
            status: self.status.name().to_owned(),
            generation: self.generation,
            input: None,
            output: None,
            error: self.error.clone(),
            usage: self.usage.into(),
            created_at: self.created_at.to_string(),
            started_at: self.started_at.map(|t| t.to_string()),
            ended_at: self.ended_at.map(|t| t.to_string()),
            trial: self.trial.clone(),
            run_id: None,
            seq: None,
            replayed: false,
        }
    }
}

// === impl Status ===

impl Status {
    /// Returns the status as users see it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Paused => "paused",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether a run whose status has this name has ended.
    pub fn is_final(name: &str) -> bool {
        [Status::Completed, Status::Failed, Status::Cancelled].iter().any(|status| status.name() == name)
    }
}

/// Shows a piece of data in full, as far as `value` has it.
pub fn content(datum: &Datum, value: impl FnOnce(&ValueRef) -> Option<Value>) -> Value {
    match datum {
        Datum::Inline(v) => (**v).clone(),
        Datum::Stored(r) => value(r).unwrap_or_else(|| unavailable(r)),
    }
}

/// Shows stored data that can't be had: `{"unavailable": {"hash", "size"}}`.
pub fn unavailable(reference: &ValueRef) -> Value {
    json!({"unavailable": {"hash": reference.hash, "size": reference.size}})
}

/// Reads `null` as a value. Serde alone would take it for a field that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_actor_answers_reads_and_writes_as_it_is() {
        let summary = Summary {
            id: "r".parse().expect("an id"),
            workflow_id: None,
            version: 1,
            status: Status::Running,
            generation: 1,
            input: Datum::null(),
            output: None,
            error: None,
            usage: Usage::default(),
            created_at: Timestamp(0),
            started_at: Some(Timestamp(1)),
            ended_at: None,
            trial: None,
        };
        let shown = serde_json::to_value(summary.view(|_| None)).expect("JSON");
        assert_eq!(
            shown.to_string(),
            r#"{"id":"r","workflow_id":null,"version":1,"status":"running","generation":1,"input":null,"output":null,"#
                .to_owned()
                + r#""error":null,"usage":{"calls":0,"prompt_tokens":0,"completion_tokens":0,"cost":0},"#
                + r#""created_at":"1970-01-01T00:00:00.000Z","started_at":"1970-01-01T00:00:00.001Z","ended_at":null}"#
        );
        let read: RunView = serde_json::from_value(shown.clone()).expect("a run");
        assert_eq!(serde_json::to_value(read).expect("JSON"), shown);
        let line = serde_json::to_value(summary.line()).expect("JSON");
        assert_eq!((line.get("input"), line.get("output"), &line["error"]), (None, None, &Value::Null));
    }

    #[test]
    fn a_status_is_named_as_it_is_recorded() {
        for status in [
            Status::Pending,
            Status::Running,
            Status::Waiting,
            Status::Paused,
            Status::Completed,
            Status::Failed,
            Status::Cancelled,
        ] {
            assert_eq!(serde_json::to_value(status).expect("JSON"), status.name());
        }
        assert!(Status::is_final("failed") && !Status::is_final("paused"));
    }
}
