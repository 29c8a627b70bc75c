//! Public events and tasks as CloudEvents on the bus.

use crate::{services::Services, trace};
use bytes::Bytes;
use callboard_core::{
    Timestamp, ValueRef,
    id::RunId,
    workflow::{
        Event,
        view::{EventView, Telling},
    },
};
use callboard_sidecar::client::Error;
use serde::Serialize;
use serde_json::json;

pub const COMMANDS: &str = "callboard.commands";
pub const TASKS: &str = "callboard.tasks";
pub const EVENTS: &str = "callboard.events";
pub const OFFERS: &str = "callboard.offers";
pub const RESULTS: &str = "callboard.results";
pub const TASK_READY: &str = "callboard.task.ready";
pub const TASK_OFFERED: &str = "callboard.task.offered";
pub const TASK_FINISHED: &str = "callboard.task.finished";
const SOURCE: &str = "callboard";

#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'a str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'a str,
    /// Of what only our own processes say.
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
    data: &'a D,
    /// The whole W3C value, as Dapr has it. Its subscribers get it as `traceparent`, for which Dapr takes it where the
    /// event names no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceid: Option<&'a str>,
}

/// Publishes recorded events, in order, but for the runs' bookkeeping. Consumers tell repetitions by (run, seq).
pub async fn publish(services: &Services, run: &RunId, events: &[(u64, Event)]) -> Result<(), Error> {
    // Topics are read by whoever is let in, and events have no other address.
    let is_heard = services.sidecar.is_heard(&services.settings.pubsub, EVENTS);
    if !is_heard || !services.projects.is_open(run.project()) {
        return Ok(());
    }
    let trace = trace::current();
    let messages: Vec<Bytes> = events
        .iter()
        .filter(|(_, event)| !event.what.is_bookkeeping())
        .map(|(seq, event)| item(run, *seq, event, trace.as_deref()))
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    send(services, EVENTS, messages).await
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
    services.batcher.send(&services.sidecar, component, topic, messages).await
}

/// Wraps data in a CloudEvent.
pub fn envelope(id: &str, kind: &str, subject: &str, at: Timestamp, data: &impl Serialize) -> Bytes {
    let trace = trace::current();
    wrap(id, kind, subject, &at.to_string(), data, Beside { trace: trace.as_deref(), mac: None })
}

/// The same of a task, with the MAC of its data.
pub fn task(id: &str, run: &RunId, at: Timestamp, data: &impl Serialize, mac: &str) -> Bytes {
    let trace = trace::current();
    wrap(
        id,
        TASK_READY,
        run.as_str(),
        &at.to_string(),
        data,
        Beside { trace: trace.as_deref(), mac: Some(mac) },
    )
}

/// What stands beside the data of some events.
#[derive(Clone, Copy)]
struct Beside<'a> {
    trace: Option<&'a str>,
    mac: Option<&'a str>,
}

fn wrap(
    id: &str,
    kind: &str,
    subject: &str,
    time: &str,
    data: &impl Serialize,
    Beside { trace, mac }: Beside<'_>,
) -> Bytes {
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source: SOURCE,
        kind,
        subject,
        time,
        datacontenttype: "application/json",
        mac,
        data,
        traceid: trace,
    };
    // What is serialized here has text for keys, and numbers that JSON has.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

/// Returns an event as the public sees it: as the history shows it, but that it names its run and refers to large values.
fn item(run: &RunId, seq: u64, event: &Event, trace: Option<&str>) -> Bytes {
    let value = |reference: &ValueRef| json!({"ref": reference});
    let telling = Telling { run: Some(run), hash: None, nothing_reserved: false, value: &value };
    let data = EventView::of(seq, event, &telling);
    let (id, kind) = (format!("{run}/{seq}"), format!("callboard.{}", data.r#type));
    wrap(&id, &kind, run.as_str(), &data.at, &data, Beside { trace, mac: None })
}
