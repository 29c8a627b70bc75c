//! Agents that are changed while runs are under way: who has begun goes on as it was, who begins is as the file says now.

use super::*;
use crate::{
    AGENT,
    agent::Document as AgentDocument,
    document::{self, Document, Version},
};
use async_trait::async_trait;
use callboard_catalog::Pins as _;
use callboard_connectors::model::{ChatModel, OnDelta};
use callboard_core::{
    Datum, Hash, Timestamp,
    agent::message::{Finish, ModelReply, ModelRequest, Role, ToolCall},
    call::{CallError, Usage},
    id::{AgentId, ProjectId},
    workflow::{Event, What, event::RunSettings},
};
use callboard_sidecar::client::{Fence, Save, Ttl};
use parking_lot::Mutex;

/// A provider that asks for the first tool it is offered, and answers after it; or is away by then.
#[derive(Default)]
struct Provider {
    seen: Mutex<Vec<ModelRequest>>,
    is_away: bool,
}

#[async_trait]
impl ChatModel for Provider {
    async fn call(&self, request: &ModelRequest, _: OnDelta<'_>) -> Result<ModelReply, CallError> {
        self.seen.lock().push(request.clone());
        let is_told = request.messages.iter().any(|message| message.role == Role::Tool);
        let asks = request.tools.first().filter(|_| !is_told);
        if asks.is_none() && self.is_away {
            return Err(CallError::transient("model_unavailable", "it is away"));
        }
        let tool_calls =
            asks.map(|tool| ToolCall { id: "c".into(), name: tool.name.clone(), arguments: "{}".into() });
        let usage =
            Usage { calls: 1, prompt_tokens: 1, completion_tokens: 1, estimated: false, ..Usage::default() };
        Ok(ModelReply {
            text: format!("{} says so", request.model),
            tool_calls: tool_calls.into_iter().collect(),
            usage,
            cached: 0,
            model: request.model.clone(),
            finish: Finish::Complete,
            extras: None,
        })
    }
}

impl Provider {
    /// Returns what a call was told of the agent: model, system text, largest answer, tools.
    fn told(&self, n: usize) -> Option<(String, String, Option<u32>, Vec<String>)> {
        let seen = self.seen.lock();
        let request = seen.get(n)?;
        let tools = request.tools.iter().map(|tool| tool.name.clone()).collect();
        Some((request.model.clone(), request.messages[0].content.clone(), request.max_tokens, tools))
    }

    async fn until_asked(&self, times: usize) {
        for _ in 0..400 {
            if self.seen.lock().len() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the model is asked {} times, not {times}", self.seen.lock().len());
    }
}

/// One agent of an operator's file, by the file's `edition`.
fn file(edition: &str) -> Value {
    let patient = json!({"max_retries": 100, "backoff": "constant", "initial": "2s", "jitter": false});
    json!({
        "agents": {"clerk": {"model": format!("{edition}-model"), "instructions": format!("The {edition} way."),
            "max_tokens": edition.len(), "tools": [format!("{edition}_count")], "retry_policy": patient}},
        "tools": {format!("{edition}_count"): {"description": "Counts.", "type": "expression", "config": {"value": "1"}}}
    })
}

fn told(edition: &str) -> Option<(String, String, Option<u32>, Vec<String>)> {
    Some((
        format!("{edition}-model"),
        format!("The {edition} way."),
        u32::try_from(edition.len()).ok(),
        vec![format!("{edition}_count")],
    ))
}

/// A process with an edition of the agents' file, and its model.
async fn process(folder: &Path, edition: &str, is_away: bool) -> (World, Arc<Provider>) {
    process_of(folder, file(edition), is_away).await
}

async fn process_of(folder: &Path, agents: Value, is_away: bool) -> (World, Arc<Provider>) {
    let provider = Arc::new(Provider { is_away, ..Provider::default() });
    let models = Models::only(provider.clone());
    let nothing = (Vec::new(), BTreeMap::new());
    let world = World::open(folder, Settings::default(), agents, models, Clock::system(), nothing).await;
    (world, provider)
}

fn ask() -> Value {
    json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": "clerk", "prompt": "count"}}]})
}

/// The same behind a signal.
fn later() -> Value {
    let mut definition = ask();
    definition["nodes"]
        .as_array_mut()
        .expect("nodes")
        .push(json!({"id": "go", "type": "signal", "config": {"name": "go"}}));
    definition["edges"] = json!([{"source": "go", "target": "ask"}]);
    definition
}

/// Returns the hash that a run's record names.
async fn pin_of(world: &World, run: &str) -> Hash {
    let history = world.catalog.history(&run_id(run), 0, 1).await.expect("a history");
    let created: Event = serde_json::from_str(&history[0].event).expect("an event");
    let What::RunCreated { plan: Datum::Inline(plan), .. } = created.what else { panic!("{created:?}") };
    let hash = plan["metadata"]["callboard.pin"]["agents"].as_str().and_then(Hash::parse);
    hash.unwrap_or_else(|| panic!("no pin: {plan:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_between_two_calls_of_its_model_goes_on_as_it_was_when_its_run_began() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, before) = process(folder.path(), "old", true).await;
    world.call("r1", "start", json!({"definition": ask()})).await;
    before.until_asked(2).await;
    assert_eq!((before.told(0), before.told(1)), (told("old"), told("old")));
    world.stop().await;

    let (world, now) = process(folder.path(), "other", false).await;
    // The task again, as the release before sends it.
    let task = json!({"agent": "clerk", "input": {"v": {"agent": "clerk", "prompt": "count"}}, "key": "r1/1/ask//1",
        "attempt": 1});
    let step = json!({"generation": 1, "node": "ask", "iteration": ""});
    let again = json!({"run": "r1", "step": step, "task": task});
    let taken = world.invoke(AGENT, "r1.ask.1._", "task", again).await;
    assert!(taken["error"].is_null(), "{taken:#}");
    assert_eq!(world.until("r1", "completed").await["output"], "old-model says so");
    assert_eq!(now.told(0), told("old"), "the one that was under way");
    world.call("r2", "start", json!({"definition": ask()})).await;
    assert_eq!(world.until("r2", "completed").await["output"], "other-model says so");
    assert_eq!((now.told(1), now.told(2)), (told("other"), told("other")), "one that begins");
    let again = world.call("r1", "start", json!({"definition": ask()})).await;
    assert_eq!(
        again["status"], "completed",
        "the same start is the same run, whoever the agents are: {again}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_begins_later_asks_the_agent_of_its_runs_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, _) = process(folder.path(), "old", false).await;
    world.call("r1", "start", json!({"definition": later()})).await;
    world.until("r1", "waiting").await;
    world.stop().await;
    let (world, now) = process(folder.path(), "other", false).await;
    world.call("r1", "signal", json!({"name": "go"})).await;
    world.until("r1", "completed").await;
    assert_eq!((now.told(0), now.told(1)), (told("old"), told("old")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_kept_once_for_all_runs_and_come_back_if_the_store_loses_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, _) = process(folder.path(), "old", false).await;
    for run in ["r1", "r2", "r3"] {
        world.call(run, "start", json!({"definition": later()})).await;
        world.until(run, "waiting").await;
    }
    let hash = pin_of(&world, "r1").await;
    assert_eq!((pin_of(&world, "r2").await, pin_of(&world, "r3").await), (hash, hash));
    let key = format!("pin.{hash}");
    let entry = world.sidecar.get("statestore", &key).await.expect("a store").expect("the agents");
    assert_eq!((entry.etag.as_str(), Hash::of(&entry.data)), ("1", hash), "one write for three starts");
    assert_eq!(
        world.catalog.pin(&ProjectId::DEFAULT, hash).await.expect("a catalog"),
        Some(entry.data.clone())
    );
    world.sidecar.delete("statestore", &key, None).await.expect("deleted");
    world.stop().await;

    let (world, now) = process(folder.path(), "other", false).await;
    for run in ["r1", "r2"] {
        world.call(run, "signal", json!({"name": "go"})).await;
        world.until(run, "completed").await;
    }
    assert_eq!((now.told(0), now.told(2)), (told("old"), told("old")));
    let again = world.sidecar.get("statestore", &key).await.expect("a store").expect("saved again");
    assert_eq!((again.data, again.etag.as_str()), (entry.data, "1"), "it was looked for once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_without_a_run_goes_on_as_it_was_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, before) = process(folder.path(), "old", true).await;
    let (sidecar, body) = (world.sidecar.clone(), json!({"agent": "clerk", "prompt": "count"}).to_string());
    let waits = tokio::spawn(async move {
        let _ = sidecar.invoke_actor(AGENT, "alone", "execute", Bytes::from(body)).await;
    });
    before.until_asked(2).await;
    let stored: AgentDocument =
        document::versioned(&world.stored(&"alone".parse::<AgentId>().expect("an id").document_key()).await)
            .expect("one");
    assert_eq!(stored.v, Version::Named, "the pin of one at work is what version 1 can't say");
    waits.abort();
    world.stop().await;

    let (world, now) = process(folder.path(), "other", false).await;
    let mut seen = Value::Null;
    for _ in 0..400 {
        seen = world.invoke(AGENT, "alone", "status", json!({})).await;
        if seen["status"] == "completed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((&seen["output"], now.told(0)), (&json!("old-model says so"), told("old")), "{seen:#}");
    let next = world.invoke(AGENT, "alone", "execute", json!({"agent": "clerk", "prompt": "count"})).await;
    assert_eq!((&next["output"], now.told(1)), (&json!("other-model says so"), told("other")), "{next:#}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_of_an_agent_that_is_done_is_read_by_the_release_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, _) = process(folder.path(), "old", false).await;
    world.call("r1", "start", json!({"definition": ask()})).await;
    world.until("r1", "completed").await;
    let run = Document::decode(&world.stored(&run_id("r1").document_key()).await).expect("a document");
    assert_eq!(run.version(), Version::Positional);
    let alone = json!({"agent": "clerk", "prompt": "count"});
    assert_eq!(world.invoke(AGENT, "alone", "execute", alone).await["status"], "completed");
    let agent: AgentDocument =
        document::versioned(&world.stored(&"alone".parse::<AgentId>().expect("an id").document_key()).await)
            .expect("one");
    let task = agent.run.task.expect("its task");
    assert_eq!((agent.v, task.pin), (Version::Positional, None));
    world.stop().await;
}

/// Saves a run as it stands after its creation.
async fn put(world: &World, run: &str, definition: Value) {
    let settings = RunSettings {
        dispatch: 8,
        retention: 0,
        max_tokens: BTreeMap::new(),
        otherwise: None,
        prices: BTreeMap::new(),
    };
    let what = What::RunCreated {
        op: "op".into(),
        workflow_id: None,
        version: 0,
        plan: Datum::inline(definition),
        input: Datum::inline(json!({})),
        settings,
        body: None,
    };
    let mut doc = Document::empty();
    doc.push(Event { at: Timestamp(1_790_000_000_000), what });
    let data = Bytes::from(doc.encode());
    let save = Save { key: run_id(run).document_key(), data, fence: Fence::None, ttl: Ttl::Persist };
    world.sidecar.save("statestore", vec![save]).await.expect("saved");
    world.call(run, "sweep", json!({})).await;
}

/// As the release before has recorded it: nothing says who its agents are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_release_before_asks_the_agents_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, now) = process(folder.path(), "other", false).await;
    put(&world, "r1", ask()).await;
    assert_eq!(world.until("r1", "completed").await["output"], "other-model says so");
    assert_eq!(now.told(0), told("other"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_the_place_of_an_agent_that_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, now) = process(folder.path(), "other", false).await;
    let mut definition = ask();
    definition["metadata"] = json!({"callboard.pin": {"agents": Hash::of(b"nobody").to_string()}});
    put(&world, "r1", definition).await;
    let seen = world.until("r1", "failed").await;
    assert_eq!(seen["error"]["code"], "unknown_agent", "{seen:#}");
    assert_eq!(now.told(0), None);
    world.stop().await;
}

/// The agents' document fills two keys to the last byte, or one byte of a third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_fill_several_keys_are_read_as_they_were() {
    for more in [0, 1] {
        let mut large = file("old");
        let agents: Agents = serde_json::from_value(large.clone()).expect("agents");
        let length = (2 << 20) + more - serde_json::to_vec(&agents).expect("JSON").len();
        let instructions = format!("The old way.{}", "x".repeat(length));
        large["agents"]["clerk"]["instructions"] = json!(instructions);
        let folder = tempfile::tempdir().expect("a folder");
        let (world, _) = process_of(folder.path(), large, false).await;
        world.call("r1", "start", json!({"definition": later()})).await;
        world.until("r1", "waiting").await;
        let hash = pin_of(&world, "r1").await;
        let mut lengths = Vec::new();
        for key in [format!("pin.{hash}"), format!("pin.{hash}.1"), format!("pin.{hash}.2")] {
            let chunk = world.sidecar.get("statestore", &key).await.expect("a store");
            lengths.extend(chunk.map(|chunk| chunk.data.len()));
        }
        assert_eq!(lengths, [vec![1 << 20; 2], vec![1; more]].concat());
        world.stop().await;

        let (world, now) = process(folder.path(), "other", false).await;
        world.call("r1", "signal", json!({"name": "go"})).await;
        now.until_asked(1).await;
        assert!(now.told(0).is_some_and(|(_, text, ..)| text == instructions));
        let entry = world.sidecar.get("statestore", &format!("pin.{hash}")).await.expect("a store");
        assert_eq!(entry.map(|entry| entry.etag).as_deref(), Some("1"), "the catalog had to give it back");
        world.stop().await;
    }
}
