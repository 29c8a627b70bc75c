//! What is shown of an answer, read off it leniently: what is missing or new stops nothing.

use callboard_catalog::ProjectLimits;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, TriggerId, WorkflowId},
    price,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// A workflow in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Workflow {
    pub id: WorkflowId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub version: u32,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub problems: Vec<Value>,
    #[serde(default)]
    pub updated_at: String,
}

/// A published version in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Version {
    pub version: u32,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub created_at: String,
    #[serde(default)]
    pub hash: String,
    #[serde(default)]
    pub problems: Vec<Value>,
    #[serde(default)]
    pub open_runs: u64,
}

/// A run.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub id: RunId,
    #[serde(default)]
    pub workflow_id: Option<WorkflowId>,
    #[serde(default)]
    pub version: Option<u32>,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub generation: u32,
    #[serde(default)]
    pub error: Option<Failure>,
    #[serde(default)]
    pub usage: Usage,
    #[serde(default)]
    pub created_at: String,
    #[serde(default)]
    pub started_at: Option<String>,
    #[serde(default)]
    pub ended_at: Option<String>,
    #[serde(default)]
    pub unreadable: bool,
}

/// A trigger.
#[derive(Debug, Clone, Deserialize)]
pub struct Trigger {
    pub id: TriggerId,
    pub workflow_id: WorkflowId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub enabled: bool,
}

/// Why a run or a step failed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub node: Option<String>,
}

/// What models used.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub estimated: bool,
    /// In millionths; nothing where it is not known.
    pub cost: Option<u64>,
    /// Calls that are not in it.
    pub unpriced_calls: u64,
}

/// A step.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    pub node: String,
    #[serde(default)]
    pub generation: u32,
    #[serde(default)]
    pub iteration: String,
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub input: Value,
    #[serde(default)]
    pub args_hash: Option<String>,
    #[serde(default)]
    pub output: Value,
    #[serde(default)]
    pub error: Option<Failure>,
    #[serde(default, deserialize_with = "or_none")]
    pub usage: Usage,
    #[serde(default)]
    pub started_at: Option<String>,
    #[serde(default)]
    pub ended_at: Option<String>,
}

/// What waits for a person.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    pub run_id: RunId,
    #[serde(default)]
    pub workflow_name: String,
    pub node: String,
    #[serde(default)]
    pub iteration: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub since: String,
}

/// What was used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sum {
    pub day: Option<String>,
    pub workflow_id: Option<WorkflowId>,
    pub agent: Option<String>,
    pub model: Option<String>,
    #[serde(flatten)]
    pub used: Usage,
}

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    pub id: ProjectId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub paused_at: Option<String>,
    #[serde(default)]
    pub limits: ProjectLimits,
}

/// Reads what an answer, or an item of a list, says; nothing if it is something else.
pub fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usage, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

// === impl Usage ===

impl Usage {
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// What it costs, for people; nothing where that is not known.
    pub fn money(&self) -> Option<String> {
        let cost = price::shown(self.cost.filter(|_| self.calls > 0)?);
        // What is not known comes on top.
        Some(if self.unpriced_calls > 0 { format!("{cost}+") } else { cost })
    }
}

// === impl Asked ===

impl Asked {
    pub fn name(&self) -> String {
        name(&self.node, &self.iteration)
    }

    pub fn question(&self) -> &str {
        match &self.title {
            Some(title) => title,
            None if self.kind == "unknown" => "was it performed?",
            None => "",
        }
    }
}

fn name(node: &str, iteration: &str) -> String {
    match iteration {
        "" => node.to_owned(),
        iteration => format!("{node}[{iteration}]"),
    }
}

// === impl Step ===

impl Step {
    /// Its node, with the iteration where it stands in a body: `each[3.17]`.
    pub fn name(&self) -> String {
        name(&self.node, &self.iteration)
    }

    /// Whether a person has to answer it.
    pub fn is_asked(&self) -> bool {
        self.args_hash.is_some() && matches!(self.status.as_str(), "waiting" | "unknown")
    }
}

/// Reads an instant as the API writes it, in milliseconds since the epoch.
pub fn instant(text: Option<&str>) -> Option<i64> {
    text.and_then(Timestamp::parse).map(|at| at.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_newer_server_says_is_read_as_far_as_it_is_known() {
        let step: Step = read(&json!({"node": "a", "iteration": "3.1", "status": "dreaming", "usage": null,
            "more": {}, "error": {"code": "x", "message": "y", "retryable": false, "more": 1}}))
        .expect("a step");
        assert_eq!((step.name(), &*step.status, step.usage.tokens()), ("a[3.1]".into(), "dreaming", 0));
        let damaged: Run =
            read(&json!({"id": "r", "workflow_id": null, "version": null, "status": "running",
            "unreadable": true}))
            .expect("a run");
        assert!(damaged.unreadable);
        assert!(read::<Run>(&json!({"status": "running"})).is_none());
    }
}
