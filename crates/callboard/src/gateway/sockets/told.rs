//! News of a run as the messages that a client gets: fields that are named here, and nothing else of an event.
//!
//! Each event is told by exactly one message with its seq, `run:update` or `step:update`; what an agent's step says comes once
//! more as `agent:update`. Data stays where it is: it may be large, and it is one request away.

use crate::operations::{Move, Moved, News};
use callboard_actors::Said;
use callboard_core::{
    id::{RunId, WorkflowId},
    workflow::view::{EventView, Shape},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Characters of an error's message.
const SHOWN: usize = 1000;

/// A message: its name, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub name: &'static str,
    pub body: Value,
    /// Nobody misses it but who hears it: it may be left out.
    pub is_extra: bool,
}

/// Whose news it is.
pub struct Teller {
    pub run: RunId,
    pub workflow: Option<WorkflowId>,
    pub shape: Arc<Shape>,
    /// Of the last event that was told.
    pub seq: u64,
}

// === impl Teller ===

impl Teller {
    pub fn messages(&mut self, news: &News) -> Vec<Message> {
        match news {
            News::Recorded(event) => {
                self.seq = event.seq;
                self.recorded(event)
            }
            News::Said(said) => vec![self.said(said)],
        }
    }

    fn recorded(&self, event: &EventView) -> Vec<Message> {
        let mut body = self.of(event.seq);
        body.insert("at".to_owned(), json!(event.at));
        body.insert("type".to_owned(), json!(event.r#type));
        if let Some(generation) = event.generation {
            body.insert("generation".to_owned(), json!(generation));
        }
        let Some(node) = &event.node else {
            put(&mut body, "status", status_of_run(&event.r#type).map(Value::from));
            put(&mut body, "error", error(event));
            return vec![Message::new("run:update", body)];
        };
        body.insert("node".to_owned(), json!(node));
        body.insert("iteration".to_owned(), json!(event.iteration));
        put(&mut body, "attempt", event.attempt.map(Value::from));
        put(&mut body, "status", self.status_of_step(event).map(Value::from));
        for name in ["branch", "index", "args_hash", "usage"] {
            put(&mut body, name, event.data.get(name).cloned());
        }
        put(&mut body, "error", error(event));
        let mut agent = body.clone();
        let mut messages = vec![Message::new("step:update", body)];
        if self.shape.is_agent(node) && agent.contains_key("status") {
            for name in ["type", "branch", "index", "args_hash"] {
                agent.remove(name);
            }
            messages.push(Message::new("agent:update", agent));
        }
        messages
    }

    fn said(&self, said: &Said) -> Message {
        let mut body = self.of(self.seq);
        let Said { node, generation, iteration, attempt, text } = said;
        let more = json!({"node": node, "generation": generation, "iteration": iteration, "attempt": attempt,
            "status": "running", "said": text});
        if let Value::Object(more) = more {
            body.extend(more);
        }
        Message { is_extra: true, ..Message::new("agent:update", body) }
    }

    fn of(&self, seq: u64) -> Map<String, Value> {
        Map::from_iter([
            ("workflowId".to_owned(), json!(self.workflow)),
            ("runId".to_owned(), json!(self.run)),
            ("seq".to_owned(), json!(seq)),
        ])
    }

    fn status_of_step(&self, event: &EventView) -> Option<&'static str> {
        let node = event.node.as_deref().unwrap_or_default();
        Some(match &*event.r#type {
            "step.started" if self.shape.waits(node) => "waiting",
            "step.started" => "running",
            "step.completed" => "completed",
            "step.retrying" => "pending",
            "step.failed" => "failed",
            "step.skipped" => "skipped",
            "step.cancelled" => "cancelled",
            "step.unknown" => "unknown",
            _ => return None,
        })
    }
}

/// The status that an event gives the run; most give it none.
fn status_of_run(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "run.created" | "run.resumed" | "run.rerun" => "running",
        "run.paused" => "paused",
        "run.completed" => "completed",
        "run.failed" => "failed",
        "run.cancelled" => "cancelled",
        _ => return None,
    })
}

/// Why something failed, without what came all the same.
fn error(event: &EventView) -> Option<Value> {
    let error = event.data.get("error")?;
    let message: String = error["message"].as_str().unwrap_or_default().chars().take(SHOWN).collect();
    Some(json!({"code": error["code"], "message": message}))
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

// === impl Message ===

impl Message {
    fn new(name: &'static str, body: Map<String, Value>) -> Self {
        Self { name, body: Value::Object(body), is_extra: false }
    }

    /// That a run has begun or ended.
    pub fn moved(moved: &Moved) -> Self {
        let Moved { run, workflow, version, status, seq, at, what } = moved;
        let body = json!({"workflowId": workflow, "runId": run, "version": version, "status": status, "seq": seq,
            "at": at.to_string()});
        let name = match what {
            Move::Began | Move::BeganAgain => "run:begin",
            Move::Ended => "run:end",
        };
        Self { name, body, is_extra: false }
    }

    /// That something was left out: what the client knows has to be asked for anew.
    pub fn resync(of: Value) -> Self {
        Self { name: "resync", body: of, is_extra: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller() -> Teller {
        let definition = json!({"nodes": [{"id": "a", "type": "agent"}, {"id": "w", "type": "signal"}]});
        Teller {
            run: "r".parse().expect("an id"),
            workflow: None,
            shape: Arc::new(Shape::of(&definition)),
            seq: 0,
        }
    }

    fn event(seq: u64, kind: &str, node: Option<&str>, data: Value) -> News {
        News::Recorded(Arc::new(EventView {
            run: None,
            seq,
            at: "2027-01-01T00:00:00.000Z".into(),
            r#type: kind.to_owned().into(),
            node: node.map(Into::into),
            generation: node.map(|_| 1),
            iteration: node.map(|_| "".into()),
            attempt: node.map(|_| 1),
            data,
            hash: Some("h".into()),
        }))
    }

    #[test]
    fn an_event_is_told_once_and_an_agents_step_once_more() {
        let mut teller = teller();
        let done = event(7, "step.completed", Some("a"), json!({"output": "secret", "usage": {"calls": 1}}));
        let told = teller.messages(&done);
        let names: Vec<_> = told.iter().map(|message| message.name).collect();
        assert_eq!(names, ["step:update", "agent:update"]);
        assert_eq!(
            told[1].body,
            json!({"workflowId": null, "runId": "r", "seq": 7, "at": "2027-01-01T00:00:00.000Z", "generation": 1,
                "node": "a", "iteration": "", "attempt": 1, "status": "completed", "usage": {"calls": 1}})
        );
        let waits = teller.messages(&event(8, "step.started", Some("w"), json!({"input": 1})));
        assert_eq!((waits.len(), &waits[0].body["status"]), (1, &json!("waiting")));
        let created = teller.messages(&event(9, "run.created", None, json!({"plan": {}, "input": "secret"})));
        assert_eq!((created[0].name, &created[0].body["status"]), ("run:update", &json!("running")));
        for message in told.iter().chain(&waits).chain(&created) {
            assert!(!message.body.to_string().contains("secret"), "{message:?}");
        }
    }

    #[test]
    fn words_have_the_seq_of_what_was_told_before_them() {
        let mut teller = teller();
        teller.messages(&event(3, "step.started", Some("a"), json!({})));
        let said =
            Said { node: "a".into(), generation: 1, iteration: "".into(), attempt: 1, text: "hi".into() };
        let told = teller.messages(&News::Said(said));
        assert_eq!(
            (told[0].name, &told[0].body["seq"], &told[0].body["said"]),
            ("agent:update", &json!(3), &json!("hi"))
        );
        assert!(told[0].is_extra);
    }

    #[test]
    fn an_error_is_told_without_what_came_all_the_same_and_not_at_any_length() {
        let data = json!({"error": {"code": "http_status", "message": "x".repeat(5000), "details": {"body": "secret"}}});
        let told = teller().messages(&event(3, "step.failed", Some("a"), data));
        assert_eq!(told[0].body["error"]["message"].as_str().map(str::len), Some(SHOWN));
        assert_eq!(told[0].body["error"].get("details"), None);
    }
}
