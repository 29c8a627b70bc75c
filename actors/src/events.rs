//! Public events and tasks as CloudEvents on the bus.

use crate::{services::Services, trace};
use bytes::Bytes;
use callboard_core::{
    Timestamp,
    workflow::{Event, What},
};
use callboard_sidecar::client::Error;
use serde_json::{Map, Value, json};

pub const COMMANDS: &str = "callboard.commands";
pub const TASKS: &str = "callboard.tasks";
pub const EVENTS: &str = "callboard.events";
pub const OFFERS: &str = "callboard.offers";
pub const RESULTS: &str = "callboard.results";
pub const TASK_READY: &str = "callboard.task.ready";
pub const TASK_OFFERED: &str = "callboard.task.offered";
pub const TASK_FINISHED: &str = "callboard.task.finished";
const SOURCE: &str = "callboard";

/// Publishes recorded events, in order. Consumers tell repetitions by (run, seq).
pub async fn publish(services: &Services, run: &str, events: &[(u64, Event)]) -> Result<(), Error> {
    let messages = events.iter().map(|(seq, event)| {
        let id = format!("{run}/{seq}");
        envelope(&id, &format!("callboard.{}", event.what.name()), run, event.at, &item(run, *seq, event))
    });
    send(services, EVENTS, messages.collect()).await
}

/// Publishes CloudEvents on one topic, in one call where there are several.
pub async fn send(services: &Services, topic: &str, messages: Vec<Bytes>) -> Result<(), Error> {
    send_on(services, &services.settings.pubsub, topic, messages).await
}

/// The same on another component.
pub async fn send_on(
    services: &Services,
    component: &str,
    topic: &str,
    messages: Vec<Bytes>,
) -> Result<(), Error> {
    services.outbox.send(&services.sidecar, component, topic, messages).await
}

/// Wraps data in a CloudEvent.
pub fn envelope(id: &str, kind: &str, subject: &str, at: Timestamp, data: &Value) -> Bytes {
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    });
    if let Some(trace) = trace::current() {
        // Dapr takes both to be the whole W3C value, and fills them itself where the first is missing.
        event["traceid"] = trace.clone().into();
        event["traceparent"] = trace.into();
    }
    event.to_string().into()
}

/// Returns an event as the public sees it: the same on the bus and in the history.
pub fn item(run: &str, seq: u64, event: &Event) -> Value {
    let mut out = json!({"run": run, "seq": seq, "at": event.at.to_string(), "type": event.what.name()});
    if let Some((step, attempt)) = event.what.step() {
        out["node"] = (*step.node).into();
        out["generation"] = step.generation.into();
        out["iteration"] = (*step.iteration).into();
        if let Some(attempt) = attempt {
            out["attempt"] = attempt.into();
        }
    }
    out["data"] = Value::Object(fields(&event.what));
    out
}

/// Returns an event's own fields, without those that stand beside it.
fn fields(what: &What) -> Map<String, Value> {
    let Ok(Value::Object(tagged)) = serde_json::to_value(what) else { return Map::new() };
    let Some((_, Value::Object(fields))) = tagged.into_iter().next() else { return Map::new() };
    fields
        .into_iter()
        .filter(|(name, value)| name != "step" && name != "attempt" && !value.is_null())
        .map(|(name, value)| {
            // A datum shows as its value; one that is stored elsewhere as its reference.
            let plain = match (name.as_str(), value.get("v")) {
                ("plan" | "input" | "output" | "data", Some(inner)) => inner.clone(),
                _ => value,
            };
            (name, plain)
        })
        .collect()
}
