//! Publish routes.

use http::StatusCode;
use serde_json::json;
use tonic::Code;

use super::super::bus::{Entry, Outgoing};
use super::super::fault::Fault;
use super::super::runtime::Runtime;
use super::{Call, Response, body, empty};

pub(super) async fn publish(
    runtime: &Runtime,
    pubsub: &str,
    topic: &str,
    call: Call,
) -> Result<Response, Fault> {
    let message = Outgoing {
        content_type: call.header("content-type").unwrap_or_default(),
        metadata: call.metadata(),
        traceparent: call.header("traceparent"),
        tracestate: call.header("tracestate"),
        data: call.body,
    };
    runtime.bus.publish(pubsub, topic, message).await?;
    Ok(empty())
}

pub(super) async fn publish_bulk(
    runtime: &Runtime,
    pubsub: &str,
    topic: &str,
    call: &Call,
) -> Result<Response, Fault> {
    let unread = |error: serde_json::Error| {
        let message =
            format!("error when unmarshaling the request for topic {topic} pubsub {pubsub}: {error}");
        Fault::new("ERR_PUBSUB_EVENTS_SER", 400, Code::InvalidArgument, message)
    };
    let wanted: Vec<body::BulkEntry> = serde_json::from_slice(&call.body).map_err(unread)?;
    let shared = call.metadata();
    let mut entries = Vec::with_capacity(wanted.len());
    for entry in wanted {
        let event = entry.event.as_ref().map_or("", |event| event.get());
        // A JSON string stands for its text unless JSON was meant.
        let text =
            serde_json::from_str::<String>(event).ok().filter(|_| !entry.content_type.contains("json"));
        let mut metadata = shared.clone();
        metadata.extend(entry.metadata);
        entries.push(Entry {
            id: entry.entry_id,
            message: Outgoing {
                data: text.unwrap_or_else(|| event.to_owned()).into(),
                content_type: entry.content_type,
                metadata,
                traceparent: call.header("traceparent"),
                tracestate: call.header("tracestate"),
            },
        });
    }
    let failed = runtime.bus.publish_bulk(pubsub, topic, entries).await?;
    if failed.is_empty() {
        return Ok(empty());
    }
    let failed: Vec<_> =
        failed.into_iter().map(|(id, error)| json!({"entryId": id, "error": error})).collect();
    let body = json!({"failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE"});
    Ok(super::json(StatusCode::INTERNAL_SERVER_ERROR, &body))
}
