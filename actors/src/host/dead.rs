//! Dead letters: what was refused, with the reason, for whoever looks after it. They are published here, for a sidecar that
//! buries a message says nothing of why.

use super::cloud_event::Refused;
use crate::{protocol::Fault, services::Services};
use bytes::Bytes;
use callboard_core::{Hash, json};
use callboard_sidecar::client::{Error, Publish};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Attributes that a dead letter has beside those of its event.
const CODE: &str = "callboardcode";
const REASON: &str = "callboardreason";
/// The type of what was no event.
const REFUSED: &str = "callboard.message.refused";
/// A reason in bytes, at most.
const LONGEST: usize = 2048;
/// Mistakes that a reason lists at most.
const PROBLEMS: usize = 10;

/// Returns the topic for what a topic's subscribers refuse.
pub fn topic_of(topic: &str) -> String {
    format!("{topic}.dead")
}

/// Publishes a message that was refused.
pub async fn bury(services: &Services, topic: &str, original: &[u8], why: &Refused) -> Result<(), Error> {
    let message = Publish {
        pubsub: services.settings.pubsub.clone(),
        topic: topic_of(topic),
        data: Bytes::from(letter(original, why).to_string()),
        content_type: "application/cloudevents+json".to_owned(),
        metadata: BTreeMap::new(),
    };
    services.sidecar.publish(message).await
}

/// Returns the event with the reason; what was none is put into one, as it came.
fn letter(original: &[u8], why: &Refused) -> Value {
    let read = json::read(original, &json::Limits::default()).ok();
    let mut event =
        match read.and_then(|read| if let Value::Object(event) = read { Some(event) } else { None }) {
            Some(event) => completed(event),
            None => wrapped(original),
        };
    let reason = &why.detail[..why.detail.floor_char_boundary(LONGEST)];
    event.insert(CODE.to_owned(), why.code.as_ref().into());
    event.insert(REASON.to_owned(), reason.into());
    Value::Object(event)
}

/// Gives an event what it lacks, so that it can be read as one: its id may be what was wrong with it.
fn completed(mut event: Map<String, Value>) -> Map<String, Value> {
    let text = |event: &Map<String, Value>, name: &str| event.get(name).is_some_and(Value::is_string);
    let id = Hash::of(Value::Object(event.clone()).to_string().as_bytes()).to_string();
    for (name, value) in [("specversion", "1.0"), ("id", &id), ("source", "callboard"), ("type", REFUSED)] {
        if !text(&event, name) || event.get(name).is_some_and(|value| value == "") {
            event.insert(name.to_owned(), value.into());
        }
    }
    event.insert("specversion".to_owned(), "1.0".into());
    // Some releases of Dapr do not bear another one.
    for trace in ["traceid", "traceparent"] {
        if !text(&event, trace) {
            event.shift_remove(trace);
        }
    }
    event
}

fn wrapped(original: &[u8]) -> Map<String, Value> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let id = Hash::of(original).to_string();
    let event = json!({"specversion": "1.0", "id": id, "source": "callboard", "type": REFUSED,
        "datacontenttype": "application/octet-stream", "data_base64": BASE64_STANDARD.encode(original)});
    match event {
        Value::Object(event) => event,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let problems = fault.problems.iter().take(PROBLEMS).map(|p| format!("; {}: {}", p.path, p.message));
        let detail = std::iter::once(fault.detail.clone()).chain(problems).collect();
        Self { code: fault.code.as_str().into(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> Refused {
        Refused { code: "no_data".into(), detail: "the event has no data".into() }
    }

    #[test]
    fn a_dead_letter_is_its_event_with_the_reason() {
        let event = json!({"specversion": "1.0", "id": "e-1", "source": "shop", "type": "callboard.run.signal", "comexample": 3});
        let mut expected = event.clone();
        expected["callboardcode"] = "no_data".into();
        expected["callboardreason"] = "the event has no data".into();
        assert_eq!(letter(event.to_string().as_bytes(), &why()), expected);
        let long = Refused { detail: "ä".repeat(2000), ..why() };
        let reason = letter(event.to_string().as_bytes(), &long)["callboardreason"].as_str().map(str::len);
        assert_eq!(reason, Some(LONGEST));
    }

    #[test]
    fn what_lacks_a_name_gets_one_and_what_is_no_event_is_kept_as_it_came() {
        let nameless = letter(br#"{"data": {"a": 1}, "id": 17, "traceid": 5, "specversion": "0.3"}"#, &why());
        assert_eq!((&nameless["data"], &nameless["type"]), (&json!({"a": 1}), &json!(REFUSED)));
        assert_eq!((&nameless["specversion"], nameless.get("traceid")), (&json!("1.0"), None));
        assert_eq!(nameless["id"].as_str().map(str::len), Some(32));
        for original in [&b"hello"[..], b"\xff\x00", b"", b"[1]"] {
            let kept = letter(original, &why());
            assert_eq!((&kept["type"], &kept["callboardcode"]), (&json!(REFUSED), &json!("no_data")));
            use base64::{Engine, prelude::BASE64_STANDARD};
            let data = kept["data_base64"].as_str().expect("base64");
            assert_eq!(BASE64_STANDARD.decode(data).expect("bytes"), original);
        }
    }
}
