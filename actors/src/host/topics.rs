//! Messages from the bus: tasks for agents, commands and workers' answers for runs. Each is handed to its actor
//! through the sidecar.
//!
//! A message is tried again when it can't be handled now; it waits when it came before what it is for (`early`), and is a dead
//! letter, with the reason, when it can never be handled (`dead`).

use super::{
    Host,
    cloud_event::{self, Event, Message, Messages, Refused},
    dead, early,
};
use crate::{
    AGENT, WORKFLOW, events,
    failpoint::failpoint,
    live::bus,
    protocol::{
        self, Message as _, Unanswered,
        agent::TaskReady,
        run::{Finished, Start},
        sealed,
    },
    trace, workflow,
};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use callboard_catalog::EarlyMessage;
use callboard_core::{
    Code, Hash,
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

/// A CloudEvent of our own, as far as it is read here.
#[derive(Deserialize)]
struct CloudEvent<D> {
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

/// A task for an agent.
struct Task {
    agent: AgentId,
    event: CloudEvent<Box<RawValue>>,
    /// What its signature is over.
    said: Value,
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

/// Verdicts as the sidecar reads them: one, or one for each entry of a bulk delivery.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Rulings {
    One(Ruling),
    Each { statuses: Vec<Entry> },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    entry_id: String,
    status: Verdict,
}

/// Why a message was not taken.
enum Untaken {
    /// Nobody could take it now.
    Later,
    Refused(Refused),
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
        dead_letter_topic: Some(dead::topic_of(topic)),
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
    let Task { agent, event, said } = match read_task(&body) {
        Ok(task) => task,
        Err(why) => {
            tracing::warn!(topic = events::TASKS, why, "a message that can't be handled is dropped");
            return verdict(Verdict::Drop);
        }
    };
    // What is not signed is said there, once and not each time.
    if sealed::open_task(&host.0.services, &agent, event.mac.as_deref(), &said).await.is_err() {
        return verdict(Verdict::Drop);
    }
    let span = tracing::info_span!("task", otel.kind = "consumer", id = %agent);
    failpoint!("tasks.before_accept");
    let data = Bytes::from(event.data.get().to_owned());
    let handed = hand_over(&host, AGENT, agent.as_str(), TaskReady::METHOD, data);
    let done = trace::within(event.trace(), span, handed).await;
    failpoint!("tasks.after_accept");
    verdict(done)
}

/// Reads a task, or says why it is none. What it asks stands in no reason.
fn read_task(body: &[u8]) -> Result<Task, String> {
    #[derive(Deserialize)]
    struct Whose {
        run: RunId,
        step: StepKey,
    }
    let event: CloudEvent<Box<RawValue>> =
        serde_json::from_slice(body).map_err(|_| "it is no event in JSON".to_owned())?;
    if event.r#type != events::TASK_READY {
        return Err(no_such_type(&event.r#type));
    }
    let data = event.data.get();
    let Whose { run, step } =
        serde_json::from_str(data).map_err(|_| "its data does not say which step of which run".to_owned())?;
    let agent = step.agent(&run);
    let agent = agent.as_str().parse().map_err(|_| "its data names a step that no run has".to_owned())?;
    let said = json::from_slice(data.as_bytes(), &json::Limits::default())
        .map_err(|error| format!("its data: {error}"))?;
    Ok(Task { agent, event, said })
}

/// Gives commands to their runs.
pub async fn command(State(host): State<Host>, headers: HeaderMap, body: Bytes) -> Json<Rulings> {
    take(&host, events::COMMANDS, &headers, &body).await
}

/// Gives workers' answers to their runs.
pub async fn result(State(host): State<Host>, headers: HeaderMap, body: Bytes) -> Json<Rulings> {
    take(&host, events::RESULTS, &headers, &body).await
}

/// Takes all messages of a delivery. A batch is delivered again as a whole if one of it is: what was done is not done again.
async fn take(host: &Host, topic: &'static str, headers: &HeaderMap, body: &Bytes) -> Json<Rulings> {
    Json(match cloud_event::read(headers, body) {
        Messages::One(message) => Rulings::One(Ruling { status: taken(host, topic, message).await }),
        Messages::Batch(batch) => {
            let mut all = Verdict::Success;
            for message in batch {
                match taken(host, topic, message).await {
                    Verdict::Success => {}
                    Verdict::Retry => all = Verdict::Retry,
                    // It would bury the others with it.
                    Verdict::Drop => tracing::error!(topic, "a message of a batch is lost"),
                }
            }
            Rulings::One(Ruling { status: all })
        }
        Messages::Bulk(entries) => {
            let mut statuses = Vec::with_capacity(entries.len());
            for (entry_id, message) in entries {
                statuses.push(Entry { entry_id, status: taken(host, topic, message).await });
            }
            Rulings::Each { statuses }
        }
    })
}

/// Takes one message, or makes a dead letter of it.
async fn taken(host: &Host, topic: &'static str, message: Message) -> Verdict {
    let Message { original, event } = message;
    let taken = match event {
        Ok(event) if topic == events::RESULTS => answered(host, event, &original).await,
        Ok(event) => commanded(host, event, &original).await,
        Err(refused) => Err(Untaken::Refused(refused)),
    };
    match taken {
        Ok(()) => Verdict::Success,
        Err(Untaken::Later) => Verdict::Retry,
        Err(Untaken::Refused(why)) => {
            tracing::warn!(topic, code = %why.code, detail = why.detail, "a message is refused");
            match dead::bury(&host.0.services, topic, &original, &why).await {
                Ok(()) => Verdict::Success,
                // The sidecar buries it without the reason, which is better than not at all.
                Err(error) => {
                    tracing::debug!(topic, %error, "a dead letter can't be published");
                    Verdict::Drop
                }
            }
        }
    }
}

async fn commanded(host: &Host, event: Event, original: &Bytes) -> Result<(), Untaken> {
    match workflow::COMMANDS.iter().find(|(kind, _)| *kind == event.kind) {
        Some((_, method)) => to_run(host, event, method, original).await,
        None => Err(unknown(&event)),
    }
}

async fn answered(host: &Host, mut event: Event, original: &Bytes) -> Result<(), Untaken> {
    /// What a token is over.
    #[derive(Deserialize)]
    struct Answered {
        run_id: RunId,
        step: StepKey,
        attempt: u32,
    }
    if event.kind != events::TASK_FINISHED {
        return Err(unknown(&event));
    }
    let token = event.data.shift_remove("token").filter(|token| !token.is_null());
    // One that says not even what it answers is refused by its run.
    if let Ok(Answered { run_id, step, attempt }) = Answered::deserialize(&event.data) {
        let token = token.as_ref().map(|token| token.as_str().unwrap_or_default());
        let opened = sealed::open_result(&host.0.services, &run_id, &step, attempt, token).await;
        opened.map_err(|fault| Untaken::Refused(fault.into()))?;
    }
    to_run(host, event, Finished::METHOD, original).await
}

fn unknown(event: &Event) -> Untaken {
    refused(cloud_event::UNKNOWN_TYPE, no_such_type(&event.kind))
}

fn no_such_type(kind: &str) -> String {
    format!("nothing here has the type {:?}", kind.chars().take(100).collect::<String>())
}

fn refused(code: &'static str, detail: impl Into<String>) -> Untaken {
    Untaken::Refused(Refused { code: code.into(), detail: detail.into() })
}

/// Hands an event's data to a method of the run it names. One that comes too early waits.
async fn to_run(host: &Host, event: Event, method: &str, original: &Bytes) -> Result<(), Untaken> {
    let Event { id, source, mut data, trace, .. } = event;
    // The event's identity is the operation's: delivered again, it does nothing again.
    let identity = Hash::chain(&[source.as_bytes(), id.as_bytes()]);
    let run = match data.shift_remove("run_id") {
        Some(Value::String(run)) => run,
        None | Some(Value::Null) if method == Start::METHOD => identity.to_string(),
        _ => return Err(refused(cloud_event::MISSING_RUN_ID, "data has no `run_id`, which is a text")),
    };
    let run = run
        .parse::<RunId>()
        .map_err(|error| refused(Code::InvalidId.as_str(), format!("`run_id`: {error}")))?;
    // Whoever publishes may do so in the projects that are open to any app; the runs of others do not exist for them.
    if !host.0.services.projects.is_open(run.project()) {
        return Err(refused(Code::UnknownRun.as_str(), format!("there is no run {run}")));
    }
    data.insert("op".into(), identity.to_string().into());
    let span = tracing::info_span!("event", otel.kind = "consumer", %run, method);
    let data = Bytes::from(Value::Object(data).to_string());
    let handed = protocol::hand_over(&host.0.services, WORKFLOW, run.as_str(), method, data.clone());
    match trace::within(trace, span, handed).await {
        Ok(()) => Ok(()),
        Err(Unanswered::Refused(fault)) if fault.early => {
            // Another body under the same name waits beside the first: the run refuses it when both have come.
            let id = Hash::chain(&[run.as_str().as_bytes(), method.as_bytes(), &data]).to_string();
            let (method, came_at) = (method.to_owned(), host.0.services.clock.now());
            let message = EarlyMessage { id, run, method, message: data, event: original.clone(), came_at };
            match host.0.waiting.keep(message).await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let detail = format!("{}, and {} messages wait already", fault.detail, early::MOST);
                    Err(refused(cloud_event::TOO_MANY_EARLY, detail))
                }
                Err(error) => {
                    tracing::debug!(%error, "a message that came early can't be kept now");
                    Err(Untaken::Later)
                }
            }
        }
        Err(Unanswered::Refused(fault)) => Err(Untaken::Refused(fault.into())),
        Err(Unanswered::Silent(why)) => {
            tracing::debug!(%run, method, why, "a message is tried again");
            Err(Untaken::Later)
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_that_is_no_task_is_dropped_for_a_reason_that_tells_nothing_of_it() {
        let why = |body: &[u8]| read_task(body).err();
        let event = |kind: &str, data: &Value| json!({"type": kind, "data": data}).to_string().into_bytes();
        let task = |node: &str| json!({"run": "r", "step": {"generation": 1, "node": node, "iteration": ""}});
        let ready = events::TASK_READY;
        assert_eq!(why(&event(ready, &task("one"))), None);
        for (body, reason) in [
            (b"a secret".to_vec(), "it is no event in JSON"),
            (event("a.b", &task("one")), "nothing here has the type \"a.b\""),
            (event(ready, &json!(null)), "its data does not say which step of which run"),
            (event(ready, &json!({"run": "a secret"})), "its data does not say which step of which run"),
            (event(ready, &task("a secret")), "its data names a step that no run has"),
        ] {
            assert_eq!(why(&body).as_deref(), Some(reason));
        }
    }
}
