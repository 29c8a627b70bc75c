//! Messages from the bus: tasks for agents, commands and workers' answers for runs. Each is handed to its actor
//! through the sidecar.
//!
//! A message is dropped when it can never be handled, tried again when it can't be handled now.

use super::Host;
use crate::{
    AGENT, WORKFLOW, events,
    failpoint::failpoint,
    live::bus,
    protocol::{
        self, Message, Unanswered,
        agent::TaskReady,
        run::{Finished, Start},
        sealed,
    },
    trace, workflow,
};
use axum::{Json, body::Bytes, extract::State};
use callboard_core::{
    Hash,
    id::{AgentId, RunId},
    json,
    workflow::StepKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::time::Duration;

pub const TASKS_ROUTE: &str = "/events/tasks";
pub const COMMANDS_ROUTE: &str = "/events/commands";
pub const RESULTS_ROUTE: &str = "/events/results";
pub const LIVE_ROUTE: &str = "/events/live";

/// An event's id, source and type, in bytes.
const NAME: usize = 1024;

/// A CloudEvent as far as it is read here.
#[derive(Deserialize)]
struct CloudEvent<D> {
    id: String,
    #[serde(default)]
    source: String,
    r#type: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    traceparent: Option<String>,
    /// What stands for it in events of Dapr's.
    #[serde(default)]
    traceid: Value,
    /// Of our own tasks: over `data`, and whom it is for.
    #[serde(default)]
    mac: Option<String>,
    #[serde(default)]
    data: D,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verdict {
    Success,
    Retry,
    Drop,
}

/// A verdict as the sidecar reads it.
#[derive(Debug, Serialize)]
pub struct Ruling {
    status: Verdict,
}

/// What a sidecar is told of a topic that is wanted here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pubsubname: String,
    topic: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_topic: Option<String>,
    routes: Routes,
}

#[derive(Debug, Serialize)]
struct Routes {
    default: &'static str,
}

pub async fn subscriptions(State(host): State<Host>) -> Json<Vec<Subscription>> {
    let pubsub = &host.0.services.settings.pubsub;
    let subscription = |topic: &'static str, route: &'static str| Subscription {
        pubsubname: pubsub.clone(),
        topic,
        dead_letter_topic: Some(format!("{topic}.dead")),
        routes: Routes { default: route },
    };
    let mut all = Vec::new();
    if host.0.roles.ai {
        all.push(subscription(events::TASKS, TASKS_ROUTE));
    }
    if host.0.roles.workflow {
        all.push(subscription(events::COMMANDS, COMMANDS_ROUTE));
        all.push(subscription(events::RESULTS, RESULTS_ROUTE));
    }
    if let Some(broadcast) = &host.0.services.settings.broadcast {
        // Best effort: nothing is tried again, nothing is buried.
        all.push(Subscription {
            pubsubname: broadcast.clone(),
            topic: bus::TOPIC,
            dead_letter_topic: None,
            routes: Routes { default: LIVE_ROUTE },
        });
    }
    Json(all)
}

/// Gives a task to its agent. Accepted in memory is enough: the run's wake is the recovery.
pub async fn task(State(host): State<Host>, body: Bytes) -> Json<Ruling> {
    #[derive(Deserialize)]
    struct Task {
        run: RunId,
        step: StepKey,
    }
    let event = serde_json::from_slice::<CloudEvent<Box<RawValue>>>(&body);
    let Ok(event) = event else { return verdict(Verdict::Drop) };
    if event.r#type != events::TASK_READY {
        return verdict(Verdict::Drop);
    }
    let Ok(task) = serde_json::from_str::<Task>(event.data.get()) else { return verdict(Verdict::Drop) };
    let Ok(id) = task.step.agent(&task.run).as_str().parse::<AgentId>() else {
        return verdict(Verdict::Drop);
    };
    let said = json::from_slice::<Value>(event.data.get().as_bytes(), &json::Limits::default());
    let Ok(said) = said else { return verdict(Verdict::Drop) };
    if sealed::open_task(&host.0.services, &id, event.mac.as_deref(), &said).await.is_err() {
        return verdict(Verdict::Drop);
    }
    let span = tracing::info_span!("task", otel.kind = "consumer", %id);
    failpoint!("tasks.before_accept");
    let data = Bytes::from(event.data.get().to_owned());
    let done =
        trace::within(event.trace(), span, hand_over(&host, AGENT, id.as_str(), TaskReady::METHOD, data))
            .await;
    failpoint!("tasks.after_accept");
    verdict(done)
}

/// Gives a command to its run.
pub async fn command(State(host): State<Host>, body: Bytes) -> Json<Ruling> {
    let Some(event) = read(&body) else { return verdict(Verdict::Drop) };
    let Some((_, method)) = workflow::COMMANDS.iter().find(|(kind, _)| *kind == event.r#type) else {
        tracing::warn!(id = event.id, kind = event.r#type, "a command that nobody knows is dropped");
        return verdict(Verdict::Drop);
    };
    to_run(&host, event, method).await
}

/// Gives a worker's answer to its run.
pub async fn result(State(host): State<Host>, body: Bytes) -> Json<Ruling> {
    /// What a token is over.
    #[derive(Deserialize)]
    struct Answered {
        run_id: RunId,
        step: StepKey,
        attempt: u32,
    }
    let Some(mut event) = read(&body) else { return verdict(Verdict::Drop) };
    if event.r#type != events::TASK_FINISHED {
        tracing::warn!(id = event.id, kind = event.r#type, "a result that nobody knows is dropped");
        return verdict(Verdict::Drop);
    }
    let token =
        event.data.as_object_mut().and_then(|data| data.remove("token")).filter(|token| !token.is_null());
    // One that says not even what it answers is refused by its run.
    if let Ok(Answered { run_id, step, attempt }) = Answered::deserialize(&event.data) {
        let token = token.as_ref().map(|token| token.as_str().unwrap_or_default());
        if sealed::open_result(&host.0.services, &run_id, &step, attempt, token).await.is_err() {
            return verdict(Verdict::Drop);
        }
    }
    to_run(&host, event, Finished::METHOD).await
}

/// Reads an event whose names are as long as names are.
fn read(body: &[u8]) -> Option<CloudEvent<Value>> {
    let event = serde_json::from_slice::<CloudEvent<Value>>(body);
    let event = event
        .inspect_err(|error| tracing::warn!(%error, "a message that is no CloudEvent is dropped"))
        .ok()?;
    if let Some(long) = [&event.id, &event.source, &event.r#type].into_iter().find(|name| name.len() > NAME) {
        tracing::warn!(
            bytes = long.len(),
            most = NAME,
            "an event with too long an id, source or type is dropped"
        );
        return None;
    }
    Some(event)
}

/// Hands an event's data to a method of the run it names.
async fn to_run(host: &Host, event: CloudEvent<Value>, method: &str) -> Json<Ruling> {
    let trace = event.trace();
    let Value::Object(mut data) = event.data else {
        tracing::warn!(id = event.id, kind = event.r#type, "an event without an object as data is dropped");
        return verdict(Verdict::Drop);
    };
    // The event's identity is the operation's: delivered again, it does nothing again.
    let identity = Hash::chain(&[event.source.as_bytes(), event.id.as_bytes()]);
    let run = match data.remove("run_id") {
        Some(Value::String(run)) => run,
        None if method == Start::METHOD => identity.to_string(),
        _ => {
            tracing::warn!(id = event.id, kind = event.r#type, "an event without a run_id is dropped");
            return verdict(Verdict::Drop);
        }
    };
    // Whoever publishes may do so in the projects that are open to any app; the runs of others do not exist for them.
    let run = run.parse::<RunId>().ok().filter(|run| host.0.services.projects.is_open(run.project()));
    let Some(run) = run else {
        tracing::warn!(id = event.id, kind = event.r#type, "an event with an invalid run_id is dropped");
        return verdict(Verdict::Drop);
    };
    data.insert("op".into(), identity.to_string().into());
    let span = tracing::info_span!("event", otel.kind = "consumer", %run, method);
    let data = Bytes::from(Value::Object(data).to_string());
    verdict(trace::within(trace, span, hand_over(host, WORKFLOW, run.as_str(), method, data)).await)
}

/// Takes in what other processes say, and who listens there. Nothing of it is worth a second delivery.
pub async fn live(State(host): State<Host>, body: Bytes) -> Json<Ruling> {
    if let Ok(event) = serde_json::from_slice::<CloudEvent<Value>>(&body) {
        let services = &host.0.services;
        let now = services.clock.now();
        if host.0.roles.workflow && host.0.here.is_news(event.time.as_deref(), &event.data) {
            match event.r#type.as_str() {
                bus::AGENTS_CAME => host.0.workflows.ask_again(Duration::ZERO),
                bus::AGENTS_LEFT => host.0.workflows.ask_again(bus::SETTLED),
                _ => {}
            }
        }
        host.0.here.hear(&services.live, &event.r#type, event.time.as_deref(), event.data, now);
    }
    verdict(Verdict::Success)
}

async fn hand_over(host: &Host, kind: &str, id: &str, method: &str, data: Bytes) -> Verdict {
    match protocol::hand_over(&host.0.services, kind, id, method, data).await {
        Ok(()) => Verdict::Success,
        Err(Unanswered::Refused(fault)) => {
            let detail = fault.detail;
            tracing::warn!(kind, id, method, detail, "a message that can't be handled is dropped");
            Verdict::Drop
        }
        Err(Unanswered::Silent(why)) => {
            tracing::debug!(kind, id, method, why, "a message is tried again");
            Verdict::Retry
        }
    }
}

fn verdict(status: Verdict) -> Json<Ruling> {
    Json(Ruling { status })
}

// === impl CloudEvent ===

impl<D> CloudEvent<D> {
    fn trace(&self) -> Option<String> {
        self.traceparent.clone().or_else(|| self.traceid.as_str().map(str::to_owned))
    }
}
