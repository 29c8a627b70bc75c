//! The outside that steps call: a model and an HTTP service whose every answer is unlike any other, so that any
//! answer recorded twice, or never given, shows.

use crate::{ledger::CallKey, world::World};
use async_trait::async_trait;
use callboard_connectors::{
    http::{Request, Response, StandIn},
    model::{ChatModel, OnDelta},
};
use callboard_core::{
    agent::{
        message::{Finish, ModelReply, ModelRequest, ToolCall},
        spec::Agents,
    },
    call::{CallError, Usage},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

pub struct Model(pub Arc<World>);

/// The agents that definitions name.
pub fn agents() -> Agents {
    let none = json!({"max_retries": 0, "backoff": "constant", "initial": "1s", "max": "1s"});
    let some = json!({"max_retries": 3, "backoff": "constant", "initial": "200ms", "max": "1s"});
    serde_json::from_value(json!({
        "agents": {
            "plain": {"model": "plain", "retry_policy": some, "max_tokens": 100},
            "frail": {"model": "frail", "retry_policy": none, "max_tokens": 100},
            "tools": {"model": "tools", "retry_policy": some, "tools": ["add"], "max_tokens": 100},
        },
        "tools": {"add": {"description": "adds", "type": "expression", "config": {"value": "args.a + 1"}}}
    }))
    .expect("the agents are a constant and valid")
}

#[async_trait]
impl ChatModel for Model {
    async fn call(&self, request: &ModelRequest, _: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let world = &self.0;
        let key = CallKey::read(&request.idempotency_key).expect("a task's key");
        let once = request.messages.iter().any(|m| m.content.contains("at most once"));
        begin(world, &key, once);
        sleep(Duration::from_millis(duration(world))).await;
        let fails = match request.model.as_str() {
            "frail" => world.chance(0.35),
            _ => !world.plan.calm && world.chance(0.05),
        };
        if fails {
            let now = world.now();
            world.state.lock().ledger.calls.entry(key).or_default().ended = now;
            return Err(unavailable());
        }
        let usage =
            Usage { calls: 1, prompt_tokens: 10, completion_tokens: 5, estimated: false, ..Usage::default() };
        let mut reply = ModelReply {
            text: unlike(world),
            tool_calls: Vec::new(),
            usage,
            cached: 0,
            model: request.model.clone(),
            finish: Finish::Complete,
            extras: None,
        };
        let said = request.messages.len();
        if request.model == "tools" && said < 6 && (said < 3 || world.chance(0.6)) {
            let arguments = json!({"a": world.draw() % 1000}).to_string();
            reply.tool_calls = vec![ToolCall { id: format!("t{said}"), name: "add".into(), arguments }];
        }
        answered(world, &key, &reply.text);
        Ok(reply)
    }
}

/// An HTTP service in place of the network.
pub fn network(world: &Arc<World>) -> StandIn {
    let world = Arc::downgrade(world);
    Arc::new(move |request: Request| {
        let world = world.clone();
        Box::pin(async move {
            let Some(world) = world.upgrade() else { return Err(unavailable()) };
            let key =
                request.headers.get("idempotency-key").and_then(|k| k.to_str().ok()).unwrap_or_default();
            let key = CallKey::read(key).expect("a step's key");
            begin(&world, &key, request.url.contains("once"));
            sleep(Duration::from_millis(duration(&world))).await;
            let text = unlike(&world);
            answered(&world, &key, &text);
            let body = json!(text).to_string().into();
            let headers = http::HeaderMap::from_iter([(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static("application/json"),
            )]);
            Ok(Response { status: 200, headers, body, ..Response::default() })
        })
    })
}

fn duration(world: &World) -> u64 {
    match world.chance(0.1) {
        true => world.between(500, 4000),
        false => world.between(5, 400),
    }
}

/// A text that nobody else says; sometimes too long for the event itself.
fn unlike(world: &World) -> String {
    let long = if world.chance(0.35) { "x".repeat(1100) } else { String::new() };
    format!("says {:x} {long}", world.draw())
}

fn begin(world: &World, key: &CallKey, at_most_once: bool) {
    world.log(|| format!("call {}/{} attempt {} round {}", key.run, key.step, key.attempt, key.round));
    let now = world.now();
    let mut state = world.state.lock();
    let record = state.book.0.get(&key.run);
    let durable = record.is_some_and(|r| r.started.contains(&(key.step.clone(), key.attempt)));
    let purged = record.is_some_and(|r| r.purged);
    state.ledger.late_calls += u64::from(purged);
    let calls = state.ledger.calls.entry(key.clone()).or_default();
    if calls.made == 0 {
        calls.began = now;
    }
    calls.made += 1;
    calls.at_most_once |= at_most_once;
    let twice = calls.made > 1 && at_most_once;
    drop(state);
    if world.plan.strict && !durable {
        world.violated(format!(
            "INV-14 step {} of run {} was performed before its start was recorded",
            key.step, key.run
        ));
    }
    if twice {
        world.violated(format!(
            "INV-13 at_most_once step {} of run {} was performed twice",
            key.step, key.run
        ));
    }
}

fn answered(world: &World, key: &CallKey, text: &str) {
    let now = world.now();
    let mut state = world.state.lock();
    let calls = state.ledger.calls.entry(key.clone()).or_default();
    calls.answered += 1;
    calls.ended = now;
    calls.answers.insert(text.to_owned());
}

fn unavailable() -> CallError {
    CallError::transient("model_unavailable", "not now")
}
