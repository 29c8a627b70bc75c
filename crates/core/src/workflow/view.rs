//! A run as users see it: one small object, made of the state, kept as a row beside the history.

use super::run::{Ending, Run, Status};
use crate::{Datum, Timestamp, ValueRef, call::Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The summary of a run. Data stays by reference until someone looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub id: String,
    pub workflow_id: Option<String>,
    pub version: u32,
    pub status: Status,
    pub generation: u32,
    pub input: Datum,
    pub output: Option<Datum>,
    pub error: Option<super::event::RunError>,
    pub usage: Usage,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

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
            id: run.id.to_string(),
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
        })
    }

    /// Returns the values that `resolve` will ask for.
    pub fn references(&self) -> Vec<&ValueRef> {
        std::iter::once(&self.input).chain(&self.output).filter_map(Datum::reference).collect()
    }

    /// Returns the public JSON. A value that can't be had any more shows as its reference.
    pub fn resolve(&self, mut value: impl FnMut(&ValueRef) -> Option<Value>) -> Value {
        let mut show = |datum: &Datum| match datum {
            Datum::Inline(v) => (**v).clone(),
            Datum::Stored(r) => {
                value(r).unwrap_or_else(|| json!({"unavailable": {"hash": r.hash, "size": r.size}}))
            }
        };
        json!({
            "id": self.id,
            "workflow_id": self.workflow_id,
            "version": self.version,
            "status": self.status,
            "generation": self.generation,
            "input": show(&self.input),
            "output": self.output.as_ref().map(show),
            "error": self.error,
            "usage": self.usage,
            "created_at": self.created_at.to_string(),
            "started_at": self.started_at.map(|t| t.to_string()),
            "ended_at": self.ended_at.map(|t| t.to_string()),
        })
    }
}
