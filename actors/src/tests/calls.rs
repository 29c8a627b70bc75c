//! Agents that use tools and pass work on, over a provider that calls its calls what it likes.

use super::*;
use axum::{Json, routing::post};
use callboard_connectors::model::{Provider, Script};
use parking_lot::Mutex;

type Seen = Arc<Mutex<Vec<Value>>>;

/// A provider that asks for two tools, under the given ids, and then has its answer. It refuses what is not consistent.
async fn provider(ids: [Option<&'static str>; 2], rounds: usize) -> (ModelsConfig, Seen) {
    let seen: Seen = Arc::default();
    let asked = Arc::clone(&seen);
    let answer = move |Json(body): Json<Value>| {
        let asked = Arc::clone(&asked);
        async move {
            asked.lock().push(body.clone());
            let messages = body["messages"].as_array().cloned().unwrap_or_default();
            let round = messages.iter().filter(|m| m["role"] == "assistant").count();
            let call = |id: Option<&str>, a: u32| {
                let arguments = json!({"a": a, "round": round}).to_string();
                let mut call =
                    json!({"type": "function", "function": {"name": "echo", "arguments": arguments}});
                if let Some(id) = id {
                    call["id"] = id.into();
                }
                call
            };
            let message = if round < rounds {
                json!({"role": "assistant", "content": null, "tool_calls": [call(ids[0], 1), call(ids[1], 2)]})
            } else {
                json!({"role": "assistant", "content": "done"})
            };
            let reason = if round < rounds { "tool_calls" } else { "stop" };
            Json(json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let router = axum::Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fake = Provider { base_url, ..Provider::default() };
    (ModelsConfig { providers: [("fake".to_owned(), fake)].into(), ..ModelsConfig::default() }, seen)
}

fn tooler() -> Value {
    json!({
        "agents": {"a": {"model": "fake/m", "tools": ["echo"]}},
        "tools": {"echo": {"description": "Echoes.", "type": "expression", "config": {"value": "args"}}}
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_id_are_all_performed_and_answered() {
    let huge: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    for ids in [
        [Some("call_0"), Some("call_0")],
        [Some("call_1"), None],
        [None, Some("call_0")],
        [Some(""), Some("")],
        [None, None],
        [Some("one"), Some("two")],
        [Some(huge), Some(huge)],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (models, seen) = provider(ids, 2).await;
        let world = World::with(folder.path(), Settings::default(), tooler(), models).await;
        let started = world
            .call("r1", "start", json!({"definition": {"name": "x", "nodes": [agent("one", "p")]}}))
            .await;
        assert!(started["error"].is_null(), "{started}");
        let done = world.until("r1", "completed").await;
        assert_eq!(
            (&done["output"], &done["usage"]["calls"]),
            (&json!("done"), &json!(3)),
            "{:?}",
            ids[0].map(str::len)
        );
        let last = seen.lock().last().cloned().unwrap_or_default();
        let messages = last["messages"].as_array().cloned().unwrap_or_default();
        assert_eq!(messages.len(), 7, "a question, and twice two calls and their answers");
        for round in [1, 4] {
            let calls = &messages[round]["tool_calls"];
            assert_ne!(calls[0]["id"], calls[1]["id"]);
            for i in [0, 1] {
                let (call, answer) = (&calls[i], &messages[round + 1 + i]);
                assert_eq!((&answer["role"], &answer["tool_call_id"]), (&json!("tool"), &call["id"]));
                assert_eq!(answer["content"], call["function"]["arguments"], "its own answer");
            }
            if ids == [Some("one"), Some("two")] {
                assert_eq!((&calls[0]["id"], &calls[1]["id"]), (&json!("one"), &json!("two")));
            }
        }
        let said = world.invoke(crate::AGENT, "r1.one.1._", "messages", json!({})).await;
        assert_eq!(said["items"][2]["tool_call_id"], said["items"][1]["tool_calls"][0]["id"]);
        world.stop().await;
    }
}

fn scripted(script: &str) -> ModelsConfig {
    ModelsConfig { script: Script::read(script).expect("a script"), ..ModelsConfig::default() }
}

/// The desk reads what strangers write; the clerk may ask the bank, the desk may not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_by_an_ask_to_whom_they_could_not_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let agents = json!({"agents": {
        "a": {"model": "scripted", "role": "Desk", "allow_delegation": true, "delegate_to": ["clerk"]},
        "boss": {"model": "scripted", "role": "Boss", "allow_delegation": true, "delegate_to": ["clerk", "bank"]},
        "clerk": {"model": "scripted", "role": "Clerk", "allow_delegation": true, "delegate_to": ["bank"]},
        "bank": {"model": "scripted", "role": "Bank"},
    }});
    let call =
        |agent: &str, task: &str| format!("{{name: delegate, arguments: {{agent: {agent}, task: {task}}}}}");
    let script = format!(
        "rules:
           - {{when: {{system: Desk}}, replies: [{{tool_calls: [{}, {}]}}, {{text: done}}]}}
           - {{when: {{system: Boss}}, replies: [{{tool_calls: [{}]}}, {{text: done}}]}}
           - {{when: {{system: Clerk}}, replies: [{{tool_calls: [{}]}}, {{text: asked}}]}}
           - {{when: {{system: Bank}}, replies: [{{text: PAID}}]}}",
        call("clerk", "pay"),
        call("bank", "pay"),
        call("clerk", "pay"),
        call("bank", "pay"),
    );
    let world = World::with(folder.path(), Settings::default(), agents, scripted(&script)).await;
    let ask = |agent: &str| {
        json!({"definition": {"name": "x", "nodes": [
        {"id": "one", "type": "agent", "config": {"agent": agent, "prompt": "p"}}]}})
    };
    world.call("desk", "start", ask("a")).await;
    let done = world.until("desk", "completed").await;
    assert_eq!(done["usage"]["calls"], 4, "the desk twice, the clerk twice, the bank never: {done:#}");
    world.call("boss", "start", ask("boss")).await;
    let done = world.until("boss", "completed").await;
    assert_eq!(done["usage"]["calls"], 5, "whoever may ask the bank may have the clerk ask it: {done:#}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_time_limit_binds_what_it_waits_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let agents = json!({"agents": {
        "a": {"model": "scripted", "role": "Lead", "allow_delegation": true, "delegate_to": ["slow"],
            "limits": {"seconds": 1}},
        "slow": {"model": "scripted", "role": "Slow"},
    }});
    let script = "rules:
        - {when: {system: Lead}, replies: [{tool_calls: [{name: delegate, arguments: {agent: slow, task: x}}]}, {text: done}]}
        - {when: {system: Slow}, replies: [{text: late, delay: 60s}]}";
    let world = World::with(folder.path(), Settings::default(), agents, scripted(script)).await;
    let began = std::time::Instant::now();
    world.call("r1", "start", json!({"definition": {"name": "x", "nodes": [agent("one", "p")]}})).await;
    let done = world.until("r1", "failed").await;
    assert_eq!(done["error"]["code"], "agent_limit", "{done:#}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    world.stop().await;
}
