//! One recorded event as users see it.

use super::Data;
use callboard_catalog::Entry;
use callboard_core::{
    Datum,
    workflow::{Event, StepKey, What},
};
use serde::Serialize;
use serde_json::{Map, Value};

/// An item of `GET /runs/{id}/history`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    pub seq: u64,
    pub at: String,
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    pub data: Value,
    pub hash: String,
}

/// Fields that stand beside `data`, not in it.
const LIFTED: [&str; 2] = ["step", "attempt"];

/// Shows an entry; stored data must have been loaded before.
pub fn item(entry: &Entry, event: &Event, data: &Data) -> Item {
    let (step, attempt) = event.what.step().map_or((None, None), |(step, attempt)| (Some(step), attempt));
    let of_step = |part: fn(&StepKey) -> String| step.map(part);
    Item {
        seq: entry.seq,
        at: event.at.to_string(),
        r#type: event.what.name(),
        node: of_step(|step| step.node.to_string()),
        generation: step.map(|step| step.generation),
        iteration: of_step(|step| step.iteration.to_string()),
        attempt,
        data: fields(&event.what, data),
        hash: entry.hash.to_string(),
    }
}

/// Shows an entry whose event can't be read: damaged, or written by a later version.
pub fn unreadable(entry: &Entry) -> Item {
    Item {
        seq: entry.seq,
        at: entry.at.to_string(),
        r#type: "unreadable",
        node: None,
        generation: None,
        iteration: None,
        attempt: None,
        data: Value::Null,
        hash: entry.hash.to_string(),
    }
}

/// Returns what the event says beside its step, data in full.
fn fields(what: &What, data: &Data) -> Value {
    // An event is written as `{"step_started": {…}}`; its name is already told.
    let Ok(Value::Object(written)) = serde_json::to_value(what) else { return Value::Null };
    let mut fields = match written.into_iter().next() {
        Some((_, Value::Object(fields))) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, value| !LIFTED.contains(&name.as_str()) && !value.is_null());
    for (name, datum) in named_data(what) {
        fields.insert(name.to_owned(), data.show(datum));
    }
    if let Some(hash) = what.args_hash() {
        fields.insert("args_hash".to_owned(), hash.into());
    }
    Value::Object(fields)
}

/// Returns the data of an event with the names of their fields.
fn named_data(what: &What) -> Vec<(&'static str, &Datum)> {
    match what {
        What::RunCreated { plan, input, .. } => vec![("plan", plan), ("input", input)],
        What::StepStarted { input, .. } | What::RunRerun { input, .. } => {
            input.iter().map(|input| ("input", input)).collect()
        }
        What::IterationEnded { output, .. } => output.iter().map(|output| ("output", output)).collect(),
        What::StepCompleted { output, .. } | What::RunCompleted { output } => vec![("output", output)],
        What::SignalReceived { data, .. } => vec![("data", data)],
        What::StepFailed { .. }
        | What::StepSkipped { .. }
        | What::StepCancelled { .. }
        | What::StepUnknown { .. }
        | What::StepGranted { .. }
        | What::IterationStarted { .. }
        | What::BudgetReserved { .. }
        | What::BudgetBreached { .. }
        | What::RunPaused { .. }
        | What::RunResumed { .. }
        | What::RunFailed { .. }
        | What::RunCancelled { .. }
        | What::DecisionCut {}
        | What::RunPurging {} => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::{Hash, Timestamp};
    use serde_json::json;

    fn shown(what: What) -> Value {
        let at = Timestamp::parse("2027-01-01T00:00:00Z").expect("an instant");
        let entry = Entry { seq: 3, at, hash: Hash::of(b"x"), event: String::new() };
        serde_json::to_value(item(&entry, &Event { at, what }, &Data::default())).expect("JSON")
    }

    #[test]
    fn an_event_of_a_step_names_it_beside_its_data() {
        let item = shown(What::StepCompleted {
            step: StepKey::new(1, "each", "3.17"),
            attempt: 2,
            output: Datum::inline(json!({"n": 4})),
            branch: None,
            usage: None,
            error: None,
            op: None,
            signal: None,
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
        let item = shown(What::RunPaused { op: "o".into() });
        assert_eq!((&item["type"], &item["data"]), (&json!("run.paused"), &json!({"op": "o"})));
        assert_eq!(item.get("node"), None);
    }
}
