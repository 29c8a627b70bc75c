//! One recorded event as everybody outside sees it: on the bus, in a page of the history, in a stream.
//!
//! What differs between them is an argument (`Telling`), so that nothing else can.

use super::super::{Event, StepKey, What};
use crate::{Datum, Hash, Timestamp, ValueRef, id::RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{borrow::Cow, sync::Arc};

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView {
    /// Where the reader did not ask for one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub run: Option<RunId>,
    /// Its place in the history, from 1.
    pub seq: u64,
    #[serde(default)]
    pub at: String,
    /// `run.created`, `step.started`, …; `unreadable` for what is damaged or was written by a later version.
    pub r#type: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What else the event says, by its type.
    #[serde(default)]
    pub data: Value,
    /// Of the event, chained with those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// How an event is told, where ways to tell it differ.
pub struct Telling<'a> {
    /// Names the run in the event.
    pub run: Option<&'a RunId>,
    /// Names the event's hash.
    pub hash: Option<Hash>,
    /// Says of a step also that nothing was set aside for it.
    pub nothing_reserved: bool,
    /// What stands in place of a stored value.
    pub value: &'a dyn Fn(&ValueRef) -> Value,
}

/// Fields that stand beside `data`, not in it.
const LIFTED: [&str; 2] = ["step", "attempt"];

// === impl EventView ===

impl EventView {
    /// Shows the event at `seq` of a history.
    pub fn of(seq: u64, event: &Event, telling: &Telling<'_>) -> Self {
        let (step, attempt) = event.what.step().map_or((None, None), |(step, attempt)| (Some(step), attempt));
        let of_step = |part: fn(&StepKey) -> &Arc<str>| step.map(part).cloned();
        Self {
            run: telling.run.cloned(),
            seq,
            at: event.at.to_string(),
            r#type: event.what.name().into(),
            node: of_step(|step| &step.node),
            generation: step.map(|step| step.generation),
            iteration: of_step(|step| &step.iteration),
            attempt,
            data: fields(&event.what, telling),
            hash: telling.hash.map(|hash| hash.to_string()),
        }
    }

    /// Shows an event that can't be read: damaged, or written by a later version.
    pub fn unreadable(seq: u64, at: Timestamp, hash: Hash) -> Self {
        Self {
            run: None,
            seq,
            at: at.to_string(),
            r#type: "unreadable".into(),
            node: None,
            generation: None,
            iteration: None,
            attempt: None,
            data: Value::Null,
            hash: Some(hash.to_string()),
        }
    }
}

/// Returns what the event says beside its step.
fn fields(what: &What, telling: &Telling<'_>) -> Value {
    // An event is written as `{"step_started": {…}}`; its name is already told.
    let Ok(Value::Object(written)) = serde_json::to_value(what) else { return Value::Null };
    let mut fields = match written.into_iter().next() {
        Some((_, Value::Object(fields))) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, value| {
        let is_told = telling.nothing_reserved || name != "reserved" || value["calls"] != 0;
        is_told && !LIFTED.contains(&name.as_str()) && !value.is_null()
    });
    for (name, datum) in what.named_data() {
        let field = match name.split_once('.') {
            Some((outer, inner)) => fields.get_mut(outer).and_then(|outer| outer.get_mut(inner)),
            None => fields.get_mut(name),
        };
        let Some(field) = field else { continue };
        // An inline value is written as `{"v": …}`; people see the value alone.
        match datum {
            Datum::Inline(_) => *field = field.get_mut("v").map(Value::take).unwrap_or_default(),
            Datum::Stored(reference) => *field = (telling.value)(reference),
        }
    }
    if let Some(hash) = what.args_hash() {
        fields.insert("args_hash".to_owned(), hash.into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::super::super::event::Reserved;
    use super::*;
    use crate::id::OperationId;
    use serde_json::json;

    fn event(what: What) -> Event {
        Event { at: Timestamp::parse("2027-01-01T00:00:00Z").expect("an instant"), what }
    }

    fn paged(what: What) -> Value {
        let value = |reference: &ValueRef| json!({"found": reference.key});
        let telling =
            Telling { run: None, hash: Some(Hash::of(b"x")), nothing_reserved: true, value: &value };
        serde_json::to_value(EventView::of(3, &event(what), &telling)).expect("JSON")
    }

    fn published(what: What) -> String {
        let value = |reference: &ValueRef| json!({"ref": reference});
        let run: RunId = "r".parse().expect("an id");
        let telling = Telling { run: Some(&run), hash: None, nothing_reserved: false, value: &value };
        serde_json::to_string(&EventView::of(3, &event(what), &telling)).expect("JSON")
    }

    fn started(input: Datum) -> What {
        What::StepStarted {
            step: StepKey::new(1, "a", ""),
            attempt: 1,
            input: Some(input),
            deadline: None,
            reserved: Reserved::default(),
        }
    }

    #[test]
    fn an_event_of_a_step_names_it_beside_its_data() {
        let item = paged(What::StepCompleted {
            step: StepKey::new(1, "each", "3.17"),
            attempt: 2,
            output: Datum::inline(json!({"n": 4})),
            branch: None,
            usage: None,
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks: Vec::new(),
        });
        assert_eq!(
            item,
            json!({"seq": 3, "at": "2027-01-01T00:00:00.000Z", "type": "step.completed", "node": "each",
                "generation": 1, "iteration": "3.17", "attempt": 2, "data": {"output": {"n": 4}},
                "hash": Hash::of(b"x").to_string()})
        );
    }

    #[test]
    fn an_event_of_the_run_has_no_step() {
        let item = paged(What::RunPaused { op: OperationId::new("o"), body: None });
        assert_eq!((&item["type"], &item["data"]), (&json!("run.paused"), &json!({"op": "o"})));
        assert_eq!(item.get("node"), None);
    }

    #[test]
    fn the_bus_names_the_run_and_refers_to_what_is_large() {
        let stored = ValueRef { key: "t.1".into(), hash: Hash::of(b"v"), size: 2000 };
        let expected = [
            r#"{"run":"r","seq":3,"at":"2027-01-01T00:00:00.000Z","type":"step.started","node":"a","generation":1,"#,
            r#""iteration":"","attempt":1,"data":{"input":{"ref":{"key":"t.1","hash":"HASH","size":2000}},"#,
            r#""args_hash":"HASH"}}"#,
        ];
        let expected = expected.concat().replace("HASH", &stored.hash.to_string());
        assert_eq!(published(started(Datum::Stored(stored.clone()))), expected);
        let item = paged(started(Datum::Stored(stored)));
        assert_eq!(item["data"]["input"], json!({"found": "t.1"}));
    }

    #[test]
    fn a_value_of_null_is_told_and_an_empty_reservation_only_in_the_history() {
        assert!(published(started(Datum::null())).contains(r#""data":{"input":null}"#));
        let item = paged(started(Datum::null()));
        assert_eq!(item["data"], json!({"input": null, "reserved": {"calls": 0, "tokens": 0}}));
    }
}
