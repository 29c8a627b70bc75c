//! Publishing and the CloudEvents envelope (`dapr-contract` 3.1, 3.2, 3.6).

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use callboard_sidecar::Publish;
use dapr::dapr::proto::runtime::v1::*;
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::conformance::app::Asked;
use crate::conformance::case::Case;
use crate::conformance::documents::APP_ID;
use crate::conformance::releases::{BULK_PUBLISH_PATH, EMPTY_TOPIC, EVENT_SUBJECT, METADATA_HEADER};
use crate::conformance::target::code;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn publish(case: &Case, topic: &str, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) {
    let reply = case.send("POST", &format!("/v1.0/publish/pubsub/{topic}"), headers, body).await;
    case.same(topic, (reply.status, reply.text()), (204, String::new()));
}

async fn delivered(case: &Case, topic: &str) -> Asked {
    case.app.called(&format!("/on/{topic}"), 1).await.remove(0)
}

pub async fn json_arrives_in_an_envelope(case: &Case) {
    let body = r#"{"n": 1.50, "text": "é"}"#;
    publish(case, "json", &[("content-type", "application/json")], body).await;
    let asked = delivered(case, "json").await;
    case.same("method", asked.method.as_str(), "POST");
    case.same("content type", asked.header("content-type").as_deref(), Some("application/cloudevents+json"));
    let event = asked.json();
    let id = event["id"].as_str().unwrap_or_default();
    case.holds("an id that is a UUID", uuid::Uuid::parse_str(id).is_ok(), id);
    case.holds("a time", event["time"].as_str().is_some_and(|time| time.len() >= 20), &event["time"]);
    case.holds(
        "a trace",
        event["traceparent"].as_str().is_some_and(|t| t.len() == 55),
        &event["traceparent"],
    );
    case.same("the trace twice", &event["traceid"], &event["traceparent"]);
    for (field, value) in [
        ("specversion", json!("1.0")),
        ("source", json!(APP_ID)),
        ("type", json!("com.dapr.event.sent")),
        ("datacontenttype", json!("application/json")),
        ("pubsubname", json!("pubsub")),
        ("topic", json!("json")),
        ("data", json!({"n": 1.5, "text": "é"})),
        ("data_base64", Value::Null),
        ("expiration", Value::Null),
        ("subject", Value::Null),
    ] {
        case.same(field, event[field].clone(), value);
    }
}

pub async fn other_content_is_text_or_base64(case: &Case) {
    publish(case, "text", &[("content-type", "text/plain")], "plain words").await;
    let event = delivered(case, "text").await.json();
    case.same(
        "text",
        (&event["data"], &event["datacontenttype"]),
        (&json!("plain words"), &json!("text/plain")),
    );
    publish(case, "untyped", &[], "no type").await;
    let event = delivered(case, "untyped").await.json();
    case.same(
        "no type",
        (&event["data"], &event["datacontenttype"]),
        (&json!("no type"), &json!("text/plain")),
    );
    let bytes: Vec<u8> = (0..=255).collect();
    publish(case, "binary", &[("content-type", "application/octet-stream")], bytes.clone()).await;
    let event = delivered(case, "binary").await.json();
    case.same("binary", event["data_base64"].as_str(), Some(BASE64_STANDARD.encode(bytes).as_str()));
    case.same("binary", event["data"].clone(), Value::Null);
}

pub async fn metadata_names_the_event(case: &Case) {
    let query = "metadata.cloudevent.id=e1&metadata.cloudevent.source=somewhere&metadata.cloudevent.type=urgent\
                 &metadata.cloudevent.subject=s&metadata.other=kept";
    publish(case, &format!("named?{query}"), &[("content-type", "application/json")], "1").await;
    let asked = delivered(case, "named").await;
    let event = asked.json();
    for (field, value) in [("id", "e1"), ("source", "somewhere"), ("type", "urgent")] {
        case.same(field, event[field].as_str(), Some(value));
    }
    case.same("component metadata", asked.header("metadata.other").as_deref(), case.row(&METADATA_HEADER));
    case.same("subject", event["subject"].as_str(), case.row(&EVENT_SUBJECT));
}

pub async fn a_ready_event_is_completed_not_wrapped(case: &Case) {
    let typed = [("content-type", "application/cloudevents+json")];
    let own = json!({
        "specversion": "1.0", "id": "own", "source": "me", "type": "mine", "datacontenttype": "application/json",
        "topic": "elsewhere", "pubsubname": "elsewhere", "data": {"a": 1}, "extra": "kept", "traceid": "t",
    });
    publish(case, "ready", &typed, own.to_string()).await;
    let event = delivered(case, "ready").await.json();
    for (field, value) in [
        ("id", json!("own")),
        ("source", json!("me")),
        ("type", json!("mine")),
        ("topic", json!("ready")),
        ("pubsubname", json!("pubsub")),
        ("data", json!({"a": 1})),
        ("extra", json!("kept")),
        ("traceid", json!("t")),
    ] {
        case.same(field, event[field].clone(), value);
    }
    publish(case, "bare", &typed, json!({"id": "bare", "data": 1}).to_string()).await;
    let event = delivered(case, "bare").await.json();
    for (field, value) in [("source", "Dapr"), ("type", "com.dapr.event.sent"), ("specversion", "1.0")] {
        case.same(field, event[field].as_str(), Some(value));
    }
    case.holds("a time", event["time"].is_string(), &event["time"]);
    let reply = case.send("POST", "/v1.0/publish/pubsub/bare", &typed, "no JSON").await;
    case.same("no JSON", reply.refusal(), (500, "ERR_PUBSUB_CLOUD_EVENTS_SER".to_owned()));
}

pub async fn a_raw_payload_has_no_envelope(case: &Case) {
    publish(case, "raw?metadata.rawPayload=true", &[("content-type", "application/json")], r#"{"a":1}"#)
        .await;
    let event = delivered(case, "raw").await.json();
    // Its subscription declares raw payloads, too: what comes is an envelope around the bytes.
    case.same("data", event["data_base64"].as_str(), Some(BASE64_STANDARD.encode(r#"{"a":1}"#).as_str()));
    case.same("type", event["datacontenttype"].as_str(), Some("application/octet-stream"));
    case.same("topic", event["topic"].as_str(), Some("raw"));
}

pub async fn a_trace_goes_along(case: &Case) {
    publish(case, "traced", &[("content-type", "application/json"), ("traceparent", TRACE)], "1").await;
    let asked = delivered(case, "traced").await;
    let trace = |text: &str| text.get(3..35).unwrap_or_default().to_owned();
    let event = asked.json();
    case.same("in the event", trace(event["traceparent"].as_str().unwrap_or_default()), trace(TRACE));
    case.same("in the headers", trace(&asked.header("traceparent").unwrap_or_default()), trace(TRACE));
    let publish = PublishEventRequest {
        pubsub_name: "pubsub".into(),
        topic: "proto".into(),
        data: b"{\"n\":1}".to_vec(),
        data_content_type: "application/json".into(),
        metadata: HashMap::from([("cloudevent.type".to_owned(), "over.grpc".to_owned())]),
    };
    let mut request = Request::new(publish);
    request.metadata_mut().insert("traceparent", TRACE.parse().expect("a header"));
    case.same("over gRPC", code(&case.sidecar.raw().publish_event(request).await), Code::Ok);
    let event = delivered(case, "proto").await.json();
    case.same("data over gRPC", &event["data"], &json!({"n": 1}));
    case.same("type over gRPC", event["type"].as_str(), Some("over.grpc"));
    case.same("trace over gRPC", trace(event["traceparent"].as_str().unwrap_or_default()), trace(TRACE));
}

pub async fn messages_are_published_in_bulk(case: &Case) {
    let entry =
        |id: &str, event: Value, kind: &str| json!({"entryId": id, "event": event, "contentType": kind});
    let entries =
        json!([entry("1", json!({"n": 1}), "application/json"), entry("2", json!("two"), "text/plain")]);
    let path = "/v1.0-alpha1/publish/bulk/pubsub/bulk";
    let reply = case.post(path, &entries).await;
    case.same("bulk", (reply.status, reply.text()), (204, String::new()));
    let mut found: Vec<Value> =
        case.app.called("/on/bulk", 2).await.iter().map(|asked| asked.json()["data"].clone()).collect();
    found.sort_by_key(Value::to_string);
    case.same("data", found, vec![json!("two"), json!({"n": 1})]);
    for entries in [
        json!([entry("1", json!(1), "application/json"), entry("1", json!(2), "application/json")]),
        json!([entry("", json!(1), "application/json")]),
    ] {
        case.same(
            "bad ids",
            case.post(path, &entries).await.refusal(),
            (400, "ERR_PUBSUB_EVENTS_SER".to_owned()),
        );
    }
    let (status, error) = case.row(&BULK_PUBLISH_PATH);
    let reply =
        case.post("/v1.0/publish/bulk/pubsub/many", &json!([entry("1", json!(1), "application/json")])).await;
    case.same("the stable path", reply.refusal(), (status, error.to_owned()));
    // The client's own way, which every release has.
    let message = |n: u8| Publish {
        pubsub: "pubsub".into(),
        topic: "bulk-grpc".into(),
        data: format!("{{\"n\":{n}}}").into(),
        content_type: "application/json".into(),
        metadata: Default::default(),
    };
    case.sidecar.publish_all(vec![message(1), message(2), message(3)]).await.expect("bulk over gRPC");
    let mut found: Vec<i64> = case
        .app
        .called("/on/bulk-grpc", 3)
        .await
        .iter()
        .filter_map(|asked| asked.json()["data"]["n"].as_i64())
        .collect();
    found.sort_unstable();
    case.same("bulk over gRPC", found, vec![1, 2, 3]);
}

pub async fn an_event_says_when_it_expires(case: &Case) {
    publish(case, "lasting?metadata.ttlInSeconds=60", &[("content-type", "application/json")], "1").await;
    let event = delivered(case, "lasting").await.json();
    case.holds(
        "an expiration",
        event["expiration"].as_str().is_some_and(|at| at.len() >= 20),
        &event["expiration"],
    );
}

pub async fn mistakes_are_named(case: &Case) {
    let reply = case.post("/v1.0/publish/nowhere/topic", &json!(1)).await;
    case.same("an unknown bus", reply.refusal(), (404, "ERR_PUBSUB_NOT_FOUND".to_owned()));
    case.same("its reason", reply.json()["details"][0]["reason"].as_str(), Some("DAPR_PUBSUB_NOT_FOUND"));
    let reply = case.post("/v1.0/publish/pubsub/", &json!(1)).await;
    case.same("no topic", reply.status, 404);
    let reply = case.post("/v1.0/publish/pubsub/guarded", &json!(1)).await;
    case.same("a protected topic", reply.refusal(), (403, "ERR_PUBSUB_FORBIDDEN".to_owned()));
    let publish = |pubsub: &str, topic: &str| PublishEventRequest {
        pubsub_name: pubsub.into(),
        topic: topic.into(),
        ..Default::default()
    };
    for (pubsub, topic, expected) in [
        ("nowhere", "topic", Code::InvalidArgument),
        ("pubsub", "", case.row(&EMPTY_TOPIC)),
        ("pubsub", "guarded", Code::PermissionDenied),
    ] {
        let answer = case.sidecar.raw().publish_event(publish(pubsub, topic)).await;
        case.same(format!("{pubsub} {topic:?} over gRPC"), code(&answer), expected);
    }
    case.same(
        "a topic with a slash",
        case.post("/v1.0/publish/pubsub/with/slash", &json!(1)).await.status,
        204,
    );
    case.app.called("/on/with/slash", 1).await;
    case.same("PUT", case.send("PUT", "/v1.0/publish/broadcast/live", &[], "1").await.status, 204);
    case.app.called("/on/live", 1).await;
}
