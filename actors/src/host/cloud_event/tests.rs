//! Events in every form that somebody sends, and what becomes of each.

use super::*;
use axum::http::{HeaderName, HeaderValue};
use serde_json::json;

const STRUCTURED: &str = "application/cloudevents+json";

fn headers(given: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

fn read_one(given: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Event, Refused> {
    match read(&headers(given), &body.into()) {
        Messages::One(message) => message.event,
        other => panic!("one message: {other:?}"),
    }
}

fn code(read: Result<Event, Refused>) -> String {
    read.expect_err("refused").code.into_owned()
}

/// The event that all these say.
fn said() -> Event {
    let Value::Object(data) = json!({"run_id": "r", "name": "gö"}) else { unreachable!("an object") };
    Event { id: "e-1".into(), source: "shop".into(), kind: "callboard.run.signal".into(), trace: None, data }
}

/// The event with other attributes; null takes one out.
fn with(changes: Value) -> Value {
    let mut event = json!({"specversion": "1.0", "id": "e-1", "source": "shop", "type": "callboard.run.signal",
        "datacontenttype": "application/json", "data": {"run_id": "r", "name": "gö"}});
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(event.as_object_mut().expect("an object").shift_remove(name)),
            value => event[name] = value.clone(),
        }
    }
    event
}

fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64[0].encode(text)
}

#[test]
fn structured_json_is_read_under_every_name_it_has() {
    let body = with(json!({})).to_string();
    for kind in [
        STRUCTURED,
        "Application/CloudEvents+JSON",
        "application/cloudevents+json; charset=utf-8",
        "application/cloudevents+json;charset=\"UTF-8\"",
        "application/cloudevents+json; charset=us-ascii",
        "application/json",
        "text/plain",
        "application/octet-stream",
        "",
    ] {
        assert_eq!(read_one(&[("content-type", kind)], body.clone()), Ok(said()), "{kind}");
    }
    assert_eq!(read_one(&[], body.clone()), Ok(said()));
    assert_eq!(read_one(&[], format!("\u{feff}{body}")), Ok(said()), "a byte order mark");
    assert_eq!(read_one(&[], format!(" \r\n{body}\n")), Ok(said()));
    for (kind, refusal) in [
        ("application/cloudevents+json; charset=iso-8859-1", UNSUPPORTED_CHARSET),
        ("application/cloudevents+json; charset=utf-16", UNSUPPORTED_CHARSET),
        ("application/cloudevents+avro", UNSUPPORTED_FORMAT),
        ("application/cloudevents+protobuf", UNSUPPORTED_FORMAT),
    ] {
        assert_eq!(code(read_one(&[("content-type", kind)], body.clone())), refusal, "{kind}");
    }
}

#[test]
fn data_is_read_in_every_form_it_has() {
    let text = r#"{"run_id": "r", "name": "gö"}"#;
    let quoted = Value::from(text).to_string();
    for (why, changes) in [
        ("as it is", json!({})),
        ("no content type", json!({"datacontenttype": null})),
        ("a charset", json!({"datacontenttype": "application/json; charset=utf-8"})),
        ("another JSON", json!({"datacontenttype": "application/vnd.shop+json"})),
        ("an object called a text", json!({"datacontenttype": "text/plain"})),
        ("a text that holds JSON", json!({"datacontenttype": "text/plain", "data": text})),
        ("a text that holds JSON, called JSON", json!({"data": text})),
        ("a text in a text", json!({"data": quoted})),
        ("a text with a mark", json!({"data": format!("\u{feff}{text}")})),
        ("a text of no type", json!({"datacontenttype": null, "data": text})),
        ("base64", json!({"data": null, "data_base64": base64(text)})),
        (
            "base64 of bytes",
            json!({"datacontenttype": "application/octet-stream", "data": null, "data_base64": base64(text)}),
        ),
        ("base64 of no type", json!({"datacontenttype": null, "data": null, "data_base64": base64(text)})),
        ("base64 of a mark", json!({"data": null, "data_base64": base64(format!("\u{feff}{text}"))})),
        ("base64 of a quoted text", json!({"data": null, "data_base64": base64(&quoted)})),
        ("base64 without padding", json!({"data": null, "data_base64": base64(text).trim_end_matches('=')})),
        (
            "base64 for addresses",
            json!({"data": null, "data_base64": base64(text).replace('+', "-").replace('/', "_")}),
        ),
        ("base64 in lines", json!({"data": null, "data_base64": base64(text).replacen('J', "J\r\n", 1)})),
    ] {
        assert_eq!(read_one(&[("content-type", STRUCTURED)], with(changes).to_string()), Ok(said()), "{why}");
    }
    // Null stands for nothing: both may be named.
    let mut both = with(json!({}));
    both["data_base64"] = Value::Null;
    assert_eq!(read_one(&[], both.to_string()), Ok(said()));
}

#[test]
fn data_that_is_none_is_refused_by_what_is_wrong_with_it() {
    for (changes, refusal) in [
        (json!({"data": null}), NO_DATA),
        (json!({"data_base64": base64("{}")}), TWO_DATA),
        (json!({"data": null, "data_base64": "***"}), INVALID_BASE64),
        (json!({"data": null, "data_base64": 7}), INVALID_BASE64),
        (json!({"data": null, "data_base64": base64([0xff, 0xfe, 0])}), DATA_NOT_JSON),
        (
            json!({"data": null, "data_base64": base64("<signal/>"), "datacontenttype": "application/xml"}),
            DATA_NOT_JSON,
        ),
        (
            json!({"data": null, "data_base64": base64("{}"), "datacontenttype": "application/json; charset=latin1"}),
            UNSUPPORTED_CHARSET,
        ),
        (json!({"data": "go"}), DATA_NOT_JSON),
        (json!({"data": ""}), DATA_NOT_JSON),
        (json!({"data": [1]}), DATA_NOT_AN_OBJECT),
        (json!({"data": 7}), DATA_NOT_AN_OBJECT),
        (json!({"data": false}), DATA_NOT_AN_OBJECT),
        (json!({"data": "[1]"}), DATA_NOT_AN_OBJECT),
        (json!({"data": "null"}), DATA_NOT_AN_OBJECT),
    ] {
        assert_eq!(code(read_one(&[], with(changes.clone()).to_string())), refusal, "{changes}");
    }
}

#[test]
fn attributes_are_those_that_tell_one_event_from_another() {
    for (why, changes) in [
        (
            "extensions of any kind",
            json!({"comexample": "x", "tries": 3, "urgent": true, "nested": {"a": 1}}),
        ),
        (
            "what a sidecar adds",
            json!({"topic": "callboard.commands", "pubsubname": "pubsub", "tracestate": ""}),
        ),
        ("a time with an offset", json!({"time": "2026-11-27T10:00:00.123456789+05:30"})),
        ("a time that is none", json!({"time": "yesterday"})),
        ("no version", json!({"specversion": null})),
        ("a later version of the first", json!({"specversion": "1.0.2"})),
        ("a trace that is no text", json!({"traceid": 17})),
    ] {
        assert_eq!(read_one(&[], with(changes).to_string()), Ok(said()), "{why}");
    }
    let no_source = read_one(&[], with(json!({"source": null})).to_string()).expect("an event");
    assert_eq!(no_source.source, "");
    let traced = read_one(&[], with(json!({"traceid": "00-a-b-01"})).to_string()).expect("an event");
    assert_eq!(traced.trace.as_deref(), Some("00-a-b-01"));
    for (changes, refusal) in [
        (json!({"id": null}), MISSING_ATTRIBUTE),
        (json!({"id": ""}), MISSING_ATTRIBUTE),
        (json!({"id": 17}), INVALID_ATTRIBUTE),
        (json!({"id": "x".repeat(NAME + 1)}), INVALID_ATTRIBUTE),
        (json!({"source": ["shop"]}), INVALID_ATTRIBUTE),
        (json!({"type": null}), MISSING_ATTRIBUTE),
        (json!({"type": {"a": 1}}), INVALID_ATTRIBUTE),
        (json!({"specversion": "0.3"}), UNSUPPORTED_VERSION),
        (json!({"specversion": "10"}), UNSUPPORTED_VERSION),
        (json!({"specversion": 1.0}), INVALID_ATTRIBUTE),
    ] {
        assert_eq!(code(read_one(&[], with(changes.clone()).to_string())), refusal, "{changes}");
    }
}

#[test]
fn what_is_no_event_is_told_apart() {
    for (body, refusal) in [
        (&b""[..], NOT_JSON),
        (b"hello", NOT_JSON),
        (b"{", NOT_JSON),
        (b"\xff\xfe{\0}\0", NOT_JSON),
        (b"{\"id\": \"\xe9\"}", NOT_JSON),
        (b"7", NOT_AN_EVENT),
        (b"\"text\"", NOT_AN_EVENT),
        (b"null", NOT_AN_EVENT),
        (b"{}", MISSING_ATTRIBUTE),
        (b"{\"run_id\": \"r\"}", MISSING_ATTRIBUTE),
    ] {
        assert_eq!(code(read_one(&[], body)), refusal, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn attributes_may_be_headers_and_the_body_the_data() {
    let attributes = |kind: &'static str| {
        [
            ("ce-specversion", "1.0"),
            ("ce-id", "e-1"),
            ("ce-source", "shop"),
            ("ce-type", "callboard.run.signal"),
            ("ce-comexample", "x"),
            ("content-type", kind),
        ]
    };
    let text = r#"{"run_id": "r", "name": "gö"}"#;
    for kind in
        ["application/json", "application/json; charset=utf-8", "text/plain", "application/octet-stream", ""]
    {
        assert_eq!(read_one(&attributes(kind), text), Ok(said()), "{kind}");
    }
    let mut escaped = attributes("application/json").to_vec();
    escaped[2] = ("ce-source", "%73hop%20%C3%A9%zz%");
    assert_eq!(read_one(&escaped, text).expect("an event").source, "shop é%zz%");
    let mut traced = attributes("application/json").to_vec();
    traced.push(("traceparent", "00-a-b-01"));
    assert_eq!(read_one(&traced, text).expect("an event").trace.as_deref(), Some("00-a-b-01"));
    assert_eq!(code(read_one(&attributes("application/json"), "")), NO_DATA);
    assert_eq!(code(read_one(&attributes("application/json"), "<a/>")), DATA_NOT_JSON);
    assert_eq!(code(read_one(&attributes("application/json; charset=latin1"), text)), UNSUPPORTED_CHARSET);
    let without: Vec<_> = attributes("text/plain").into_iter().filter(|(name, _)| *name != "ce-id").collect();
    assert_eq!(code(read_one(&without, text)), MISSING_ATTRIBUTE);
    // Where the body says that it is an event, it is.
    let body = with(json!({"id": "e-2"})).to_string();
    assert_eq!(read_one(&attributes(STRUCTURED), body).expect("an event").id, "e-2");
}

/// As a sidecar wraps what it was not told to be an event.
fn wrapped(kind: &str, data: Value) -> Value {
    let field = if kind == "application/octet-stream" { "data_base64" } else { "data" };
    json!({"specversion": "1.0", "id": "the sidecar's", "source": "app", "type": SENT, "datacontenttype": kind,
        "topic": "callboard.commands", "pubsubname": "pubsub", "time": "2026-11-27T10:00:00Z", "traceid": "00-c-d-01", field: data})
}

#[test]
fn an_event_that_a_sidecar_has_wrapped_is_the_event() {
    let event = with(json!({}));
    let raw = wrapped("application/octet-stream", base64(event.to_string()).into());
    let told = Event { trace: Some("00-c-d-01".into()), ..said() };
    for (why, outer) in [
        ("published as JSON", wrapped("application/json", event.clone())),
        ("published as text", wrapped("text/plain", event.to_string().into())),
        ("published raw", raw.clone()),
        ("twice", wrapped("application/json", raw)),
    ] {
        assert_eq!(read_one(&[("content-type", STRUCTURED)], outer.to_string()), Ok(told.clone()), "{why}");
    }
    let mut deep = event;
    for _ in 0..=WRAPPED {
        deep = wrapped("application/json", deep);
    }
    assert_eq!(code(read_one(&[], deep.to_string())), WRAPPED_TOO_DEEP);
    let bare = wrapped("application/json", json!({"run_id": "r", "name": "go"}));
    assert_eq!(code(read_one(&[], bare.to_string())), UNKNOWN_TYPE);
    assert_eq!(code(read_one(&[], wrapped("text/plain", "hello".into()).to_string())), DATA_NOT_JSON);
    let nameless = wrapped("application/json", with(json!({"id": null})));
    assert_eq!(
        code(read_one(&[], nameless.to_string())),
        MISSING_ATTRIBUTE,
        "the sidecar's id is another at each try"
    );
}

#[test]
fn a_batch_and_a_bulk_are_their_events() {
    let (one, two) = (with(json!({})), with(json!({"id": ""})));
    let body = json!([one, two, 7]).to_string();
    for kind in [
        "application/cloudevents-batch+json",
        "application/cloudevents-batch+json; charset=utf-8",
        STRUCTURED,
        "",
    ] {
        let Messages::Batch(batch) = read(&headers(&[("content-type", kind)]), &body.clone().into()) else {
            panic!("a batch under {kind}")
        };
        let codes: Vec<_> = batch.into_iter().map(|message| message.event.map_err(|e| e.code)).collect();
        assert_eq!(codes, [Ok(said()), Err(MISSING_ATTRIBUTE.into()), Err(NOT_AN_EVENT.into())], "{kind}");
    }
    let Messages::Batch(none) = read(&HeaderMap::new(), &"[]".into()) else { panic!("a batch of none") };
    assert!(none.is_empty());

    let bulk = json!({"id": "b", "type": BULK, "topic": "callboard.commands", "entries": [
        {"entryId": "1", "event": one, "contentType": STRUCTURED},
        {"entryId": "2", "event": base64(with(json!({})).to_string()), "contentType": "application/octet-stream"},
        {"entryId": "3", "event": "hello"},
        {"entryId": "4"}]});
    let Messages::Bulk(entries) = read(&HeaderMap::new(), &bulk.to_string().into()) else { panic!("a bulk") };
    let read: Vec<_> =
        entries.into_iter().map(|(id, m)| (id, m.event.map_err(|e| e.code.into_owned()))).collect();
    let not = |id: &str| (id.to_owned(), Err(NOT_AN_EVENT.to_owned()));
    assert_eq!(read, [("1".to_owned(), Ok(said())), ("2".to_owned(), Ok(said())), not("3"), not("4")]);
}

#[test]
fn every_code_is_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
    let docs = std::fs::read_to_string(page).expect("the page");
    for code in CODES {
        assert!(docs.contains(&format!("`{code}`")), "{code} is not in docs/api.md");
    }
}
