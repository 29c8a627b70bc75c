//! The CloudEvents envelope, as daprd makes it.

use serde_json::{Value, json};

use super::*;

fn outgoing(data: &str, content_type: &str, metadata: &[(&str, &str)]) -> Outgoing {
    Outgoing {
        data: data.to_owned().into(),
        content_type: content_type.to_owned(),
        metadata: metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        traceparent: Some("00-1-2-01".to_owned()),
        tracestate: None,
    }
}

fn wrapped(data: &str, content_type: &str, metadata: &[(&str, &str)]) -> Value {
    let message = wrap(outgoing(data, content_type, metadata), "pubsub", "orders", "app").unwrap();
    serde_json::from_slice(&message.event).unwrap()
}

#[test]
fn json_keeps_its_numbers_and_everything_is_filled_in() {
    let event = wrapped(r#"{"n":12345678901234567890123}"#, "application/json", &[]);
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "com.dapr.event.sent");
    assert_eq!(event["source"], "app");
    assert_eq!(event["topic"], "orders");
    assert_eq!(event["pubsubname"], "pubsub");
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(event["traceid"], "00-1-2-01");
    assert_eq!(event["traceparent"], "00-1-2-01");
    assert_eq!(event["tracestate"], "");
    assert_eq!(event["id"].as_str().unwrap().len(), 36);
    assert!(event["time"].as_str().unwrap().ends_with('Z'));
    let message = wrap(outgoing("[1.10]", "application/json", &[]), "p", "t", "a").unwrap();
    assert!(std::str::from_utf8(&message.event).unwrap().contains(r#""data":[1.10]"#));
}

#[test]
fn text_is_a_string_and_bytes_are_base64() {
    assert_eq!(wrapped("5", "", &[])["data"], "5");
    assert_eq!(wrapped("5", "", &[])["datacontenttype"], "text/plain");
    assert_eq!(wrapped("not json", "application/json", &[])["data"], "not json");
    let bytes = wrapped("hi", "application/octet-stream", &[]);
    assert_eq!((&bytes["data_base64"], &bytes["data"]), (&json!("aGk="), &Value::Null));
}

#[test]
fn metadata_overrides_the_envelope() {
    let event = wrapped(
        "1",
        "application/json",
        &[
            ("cloudevent.id", "7"),
            ("cloudevent.type", "x"),
            ("cloudevent.source", "s"),
            ("cloudevent.subject", "z"),
        ],
    );
    assert_eq!(
        (&event["id"], &event["type"], &event["source"], &event["subject"]),
        (&json!("7"), &json!("x"), &json!("s"), &json!("z"))
    );
}

#[test]
fn a_ready_event_passes_through_with_its_topic_forced() {
    let event = wrapped(
        r#"{"id":"9","source":"me","type":"t","specversion":"1.0","topic":"lies","data":{"a":1},"ext":true}"#,
        "application/cloudevents+json; charset=utf-8",
        &[("cloudevent.id", "ignored")],
    );
    assert_eq!(event["id"], "9");
    assert_eq!(event["topic"], "orders");
    assert_eq!(event["data"], json!({"a": 1}));
    assert_eq!(event["ext"], true);
    assert_eq!(event["traceid"], "00-1-2-01");
    let bare = wrapped("{}", "application/cloudevents+json", &[]);
    assert_eq!(bare["source"], "Dapr");
    assert_eq!(bare.get("id"), None);
}

#[test]
fn a_ttl_becomes_an_expiration() {
    let message = wrap(outgoing("1", "", &[("ttlInSeconds", "60")]), "p", "t", "a").unwrap();
    assert!(message.expires.unwrap() > times::now());
    assert!(wrap(outgoing("1", "", &[("ttlInSeconds", "soon")]), "p", "t", "a").is_err());
    let event = r#"{"id":"1","expiration":"2000-01-01T00:00:00Z"}"#;
    let message = wrap(outgoing(event, CLOUD_EVENT, &[]), "p", "t", "a").unwrap();
    assert!(message.expired());
}

#[test]
fn garbage_and_endless_ids_are_refused() {
    assert!(wrap(outgoing("[]", CLOUD_EVENT, &[]), "p", "t", "a").is_err());
    let long = "x".repeat(3000);
    assert!(wrap(outgoing("1", "", &[("cloudevent.id", &long)]), "p", "t", "a").is_err());
}

#[test]
fn a_raw_payload_stays_as_it_is_until_it_is_delivered() {
    let message = wrap(outgoing("raw", "", &[("rawPayload", "true")]), "p", "t", "a").unwrap();
    assert_eq!(&message.event[..], b"raw");
    let event: Value = serde_json::from_slice(&around_raw(b"raw", "p", "t", "a")).unwrap();
    assert_eq!(event["data_base64"], "cmF3");
    assert_eq!(event["datacontenttype"], "application/octet-stream");
}

#[test]
fn a_stream_gets_the_event_in_parts() {
    let event = br#"{"id":"1","source":"s","type":"t","specversion":"1.0","datacontenttype":"application/json","data":{"a":1},"traceid":"x"}"#;
    let request = as_request(event, "p", "t").unwrap();
    assert_eq!((request.id.as_str(), &request.data[..]), ("1", &br#"{"a":1}"#[..]));
    assert!(request.extensions.unwrap().fields.contains_key("traceid"));
    let text = as_request(br#"{"datacontenttype":"text/plain","data":"hi"}"#, "p", "t").unwrap();
    assert_eq!(&text.data[..], b"hi");
    assert!(as_request(b"[]", "p", "t").is_err());
}
