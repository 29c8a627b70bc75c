//! Starting runs: of a stored workflow, or of a definition that comes along.
//!
//! The run's actor finds the workflow, checks definition and input, and says what is wrong: it does so for every
//! way to start a run, not only this one.

use super::{Key, Kind, Operations, Refusal, Request, RunItem, Trace, request::given};
use crate::access::{Permission, Principal};
use callboard_actors::Recorded;
use callboard_catalog::Role;
use callboard_core::{
    Problem, Span,
    id::{ProjectId, RunId, WorkflowId},
    workflow::{Status, content, view::RunView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::broadcast;
use uuid::Uuid;

/// The longest wait for an end.
const LONGEST: Span = Span::secs(300);

/// The namespace of run ids that are made of keys.
const RUNS: Uuid = Uuid::from_u128(0x7c1a_4f0e_52b8_4d7b_9a64_0a3d_58e1_c0fb);

/// The start of a stored workflow.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Any JSON that fits the workflow's schema; `{}` unless it is given.
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Value>,
    /// The draft is run instead of the latest version, as version 0; this takes the role of an editor.
    #[serde(default)]
    pub draft: bool,
    /// As in `POST /runs`, of a draft: what is published is not tried.
    #[serde(default)]
    pub pins: BTreeMap<String, Pin>,
    /// As `pins`.
    pub until: Option<String>,
    /// As `pins`.
    pub only: Option<String>,
}

/// The start of a definition that is not stored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartInline {
    /// Up to 3 MiB.
    pub definition: Value,
    /// Any JSON that fits the definition's schema; `{}` unless it is given.
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Value>,
    /// Outputs that are given, by the ids of their nodes: such a node completes at once.
    #[serde(default)]
    pub pins: BTreeMap<String, Pin>,
    /// The run ends behind this node, and nothing runs that does not lead to it.
    pub until: Option<String>,
    /// Nothing runs but this node, and what has its output given.
    pub only: Option<String>,
}

/// An output that is given: a value, or that of the same node in another run.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Any JSON; either this or `run`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The run whose output it is: its name, or the whole id.
    #[serde(rename = "run", skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// The latest in which the node completed, unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Of a node in a body: `"2"`, or `"2.0"` in a body within a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration: Option<String>,
}

impl Request for Start {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        if body.get("draft") == Some(&true.into()) {
            return trial_mistakes(body);
        }
        let message =
            "a published version runs as it is: a draft can be tried, and a definition that comes along";
        let given = ["pins", "until", "only"]
            .into_iter()
            .filter(|field| body.get(*field).is_some_and(|v| !v.is_null()));
        given.map(|field| Problem::new(field, "not_for_published", message)).collect()
    }
}

impl Request for StartInline {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        trial_mistakes(body)
    }
}

/// Finds what is wrong with how a run is to be tried, whatever its definition says.
fn trial_mistakes(body: &Map<String, Value>) -> Vec<Problem> {
    let has = |fields: &Value, name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let mut found = Vec::new();
    for (node, pin) in body.get("pins").and_then(Value::as_object).into_iter().flatten() {
        let mut wrong = |message: &str| {
            found.push(Problem::new(format!("pins.{node}"), "invalid", message));
        };
        if pin.get("value").is_some() == has(pin, "run") {
            wrong("either `value` or `run` is given");
        } else if !has(pin, "run") && (has(pin, "generation") || has(pin, "iteration")) {
            wrong("`generation` and `iteration` are those of a `run`");
        }
    }
    if ["until", "only"].iter().all(|field| body.get(*field).is_some_and(|value| !value.is_null())) {
        found.push(Problem::new("only", "invalid", "either `until` or `only` is given"));
    }
    found
}

/// Puts how a run is tried into the body of its start.
fn put_trial(start: &mut Value, pins: &BTreeMap<String, Pin>, until: Option<String>, only: Option<String>) {
    if !pins.is_empty() {
        start["pins"] = json!(pins);
    }
    for (field, node) in [("until", until), ("only", only)] {
        if let Some(node) = node {
            start[field] = node.into();
        }
    }
}

/// What a start answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Started")]
pub struct StartedView {
    pub run_id: RunId,
    pub workflow_id: Option<WorkflowId>,
    #[schemars(with = "Status")]
    pub status: String,
}

/// A run that was started.
pub struct Started {
    pub view: StartedView,
    /// It had begun before.
    pub replayed: bool,
    /// From before the start, so that none is missed.
    pub(super) notices: broadcast::Receiver<Recorded>,
}

// === impl Operations ===

impl Operations {
    /// Starts a run of the latest version, or of the draft. The same key is the same run.
    pub async fn start(
        &self,
        principal: &Principal,
        trace: &Trace,
        workflow: &WorkflowId,
        key: Option<Key>,
        body: Start,
    ) -> Result<Started, Refusal> {
        if body.draft && !principal.may(Permission::Edit) {
            let detail =
                format!("a draft can say anything: to run one needs the role {}", Role::Editor.as_str());
            return Err(Refusal::new(Kind::Forbidden, "forbidden", detail));
        }
        let mut of = json!({"workflow_id": workflow});
        if body.draft {
            of["draft"] = true.into();
        }
        put_trial(&mut of, &body.pins, body.until, body.only);
        let run = run_id(&principal.project, workflow.as_str(), key.as_ref());
        let start = start_body(of, key, body.input);
        self.started(trace, run, Some(workflow), start).await
    }

    /// Starts a run of a definition that is not stored. The same key is the same run.
    pub async fn start_inline(
        &self,
        principal: &Principal,
        trace: &Trace,
        key: Option<Key>,
        body: StartInline,
    ) -> Result<Started, Refusal> {
        let run = run_id(&principal.project, "", key.as_ref());
        let StartInline { definition, input, pins, until, only } = body;
        let mut whole = json!({"definition": content::joined(definition)});
        put_trial(&mut whole, &pins, until, only);
        let start = start_body(whole, key, input);
        self.started(trace, run, None, start).await
    }

    pub(super) async fn started(
        &self,
        trace: &Trace,
        run: RunId,
        workflow: Option<&WorkflowId>,
        start: Value,
    ) -> Result<Started, Refusal> {
        if self.stop.is_cancelled() {
            let detail = "this server is stopping and starts no run; nothing was done: send it again";
            return Err(Refusal::unavailable("stopping", detail, 5));
        }
        let notices = self.runs.watch(&run);
        let named = start.get("first").is_none();
        let RunView { status, replayed, .. } = self.runs.start(trace, &run, &start).await?;
        let view = StartedView { run_id: run, workflow_id: workflow.cloned(), status };
        Ok(Started { view, replayed: replayed && named, notices })
    }

    /// Returns the whole run when it has ended, or as it is when the time is up or the server stops.
    pub async fn end_of(&self, trace: &Trace, started: Started, wait: Duration) -> Result<RunItem, Refusal> {
        let Started { view: StartedView { run_id, status, .. }, mut notices, .. } = started;
        let mut running = !Status::is_final(&status);
        let until = tokio::time::Instant::now() + wait;
        let seen = loop {
            if running {
                tokio::select! {
                    () = maybe_ended(&mut notices) => {}
                    () = tokio::time::sleep(self.told.every()) => {}
                    () = tokio::time::sleep_until(until) => {}
                    () = self.stop.cancelled() => {}
                }
            }
            running = true;
            // The catalog knows an end at once, and is not in the way of the run's turns.
            let row = self.runs.row(&run_id).await?;
            if Status::is_final(&row.status) {
                break self.runs.recorded(&row).await?;
            }
            if tokio::time::Instant::now() >= until || self.stop.is_cancelled() {
                break self.runs.read(trace, &run_id).await?;
            }
        };
        Ok(match seen {
            RunItem::Run(run) => RunItem::Run(Box::new(RunView { run_id: Some(run_id), ..*run })),
            unreadable @ RunItem::Unreadable(_) => unreadable,
        })
    }
}

/// Returns the body of the actor's `start`. Without a key the run's id is made up, so that nobody can have used it.
pub(super) fn start_body(mut body: Value, key: Option<Key>, input: Option<Value>) -> Value {
    if key.is_none() {
        body["first"] = true.into();
    }
    body["op"] = Key::or_fresh(key).as_str().into();
    if let Some(input) = input {
        body["input"] = input;
    }
    body
}

/// Returns at a notice of an end, or of what may be one.
async fn maybe_ended(notices: &mut broadcast::Receiver<Recorded>) {
    while let Ok(Recorded { ended: Some(false), .. }) = notices.recv().await {}
}

/// A start with a key names its run by it, so that a repetition finds the same run.
pub(super) fn run_id(project: &ProjectId, of: &str, key: Option<&Key>) -> RunId {
    let name = match key {
        Some(key) => {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            let name = format!("{project} {} {of} {}", of.len(), key.as_str());
            Uuid::new_v5(&RUNS, name.as_bytes())
        }
        None => Uuid::now_v7(),
    };
    RunId::new(project, &name.to_string()).expect("a UUID can be a run's name")
}

/// Reads how long to wait for an end: a duration such as `30s`, at most 5 minutes.
pub fn wait(text: &str) -> Result<Duration, String> {
    // A bare number means seconds: curl users write `?wait=30`.
    let span = text.parse().ok().map(Span::secs).or_else(|| Span::parse(text));
    match span {
        Some(span) if span <= LONGEST => Ok(Duration::from_millis(span.0)),
        Some(_) => Err(format!("must be at most {LONGEST}")),
        None => Err("must be a duration such as 30s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_run_of_its_workflow() {
        let run_id =
            |of: &str, key: Option<&str>| run_id(&ProjectId::DEFAULT, of, key.and_then(Key::parse).as_ref());
        // As it was before there were projects.
        assert_eq!(run_id("w", Some("k")).as_str(), "3223464e-9779-54c5-833d-b5443ab6d83a");
        assert_eq!(run_id("w", Some("k")), run_id("w", Some("k")));
        assert_ne!(run_id("w", Some("k")), run_id("v", Some("k")));
        assert_ne!(run_id("a", Some("bc")), run_id("ab", Some("c")));
        assert_ne!(run_id("w", None), run_id("w", None));
    }

    #[test]
    fn a_wait_is_bounded() {
        let wait = |text: &str| wait(text).ok();
        assert_eq!(wait("30s"), Some(Duration::from_secs(30)));
        assert_eq!(wait("30"), Some(Duration::from_secs(30)));
        assert_eq!(wait("5m"), Some(Duration::from_secs(300)));
        assert_eq!((wait("6m"), wait("soon"), wait("-1s")), (None, None, None));
    }
}
