//! Rules that are broken from outside: the store, the bus, the scheduler and the catalog see every message, so what the
//! product would do without such a rule can be done to its messages on the way. Nothing of this stands in the product.

use crate::{
    store::{Fence, Write},
    world::World,
};
use bytes::Bytes;
use callboard_actors::mutant::{Rule, holds};
use callboard_catalog::Append;
use callboard_core::workflow::StepKey;
use serde_json::Value;

/// Whether the rule is off.
pub fn is_off(rule: Rule) -> bool {
    !holds(rule)
}

/// A save of a document: without its fence, or with another expiry.
pub fn write(mut write: Write) -> Write {
    let (run, agent) = (write.key.ends_with("}.doc"), write.key.contains("}.a"));
    let is_first = write.fence == Fence::First;
    if run && is_first && is_off(Rule::FirstTtl) || run && !is_first && is_off(Rule::KeepFirst) {
        write.ttl = None;
    }
    if run && !is_first && is_off(Rule::Fence) || agent && is_off(Rule::AgentFence) {
        write.fence = Fence::None;
    }
    write
}

/// Whether calls are changed on the way: then their signatures do not fit.
pub fn writes_messages_anew() -> bool {
    is_off(Rule::OperationIds) || is_off(Rule::AttemptFence)
}

/// A call of a run: with an operation id of its own each time, or with the attempt that would count.
pub fn call(world: &World, kind: &str, run: &str, method: &str, body: Bytes) -> Bytes {
    let (operations, attempts) = (is_off(Rule::OperationIds), is_off(Rule::AttemptFence));
    if kind != callboard_actors::WORKFLOW || !(operations || attempts) {
        return body;
    }
    let Ok(mut read) = serde_json::from_slice::<Value>(&body) else { return body };
    if operations && let Some(op) = read["op"].as_str().filter(|_| method != "start" && method != "reserve") {
        read["op"] = format!("{op}-{:x}", world.draw()).into();
    }
    if attempts
        && method == "answer"
        && let Some(latest) = latest(world, run, &read["step"])
    {
        read["attempt"] = latest.into();
    }
    read.to_string().into()
}

/// Returns the latest attempt of a step that is on record.
fn latest(world: &World, run: &str, step: &Value) -> Option<u32> {
    let step = serde_json::from_value::<StepKey>(step.clone()).ok()?.to_string();
    let state = world.state.lock();
    let started = &state.book.0.get(run)?.started;
    started.iter().filter(|(name, _)| *name == step).map(|(_, attempt)| *attempt).max()
}

/// A journaled batch: without its values.
pub fn append(mut batch: Append) -> Append {
    if is_off(Rule::JournalValues) {
        batch.values.clear();
    }
    batch
}
