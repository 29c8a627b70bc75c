//! Models that name several tool calls alike: each call is performed and answered, whatever its id is.

use super::target::Target;
use crate::harness::{Recorded, Reply};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a provider answered: ids and tools, a list for each round.
type Rounds = Vec<Vec<(Option<&'static str>, &'static str, &'static str)>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tool_calls_under_one_id_are_each_performed_and_answered() {
    let forms: Vec<(&str, Rounds)> = vec![
        ("the same id twice", vec![vec![(Some("call_0"), "look", "oslo"), (Some("call_0"), "look", "rome")]]),
        (
            "an id like the one that is made for a missing one",
            vec![vec![(Some("call_1"), "look", "oslo"), (None, "look", "rome")]],
        ),
        ("two tools under one id", vec![vec![(Some("x"), "look", "oslo"), (Some("x"), "find", "rome")]]),
        (
            "one id in every round",
            vec![vec![(Some("same"), "look", "oslo")], vec![(Some("same"), "look", "rome")]],
        ),
        ("no id at all", vec![vec![(None, "look", "oslo"), (None, "look", "rome")]]),
        ("empty ids", vec![vec![(Some(""), "look", "oslo"), (Some(""), "find", "rome")]]),
        (
            "three of which two are alike",
            vec![vec![(Some("a"), "look", "oslo"), (Some("b"), "find", "bern"), (Some("a"), "look", "rome")]],
        ),
        ("the same call twice", vec![vec![(Some("a"), "look", "oslo"), (Some("a"), "look", "oslo")]]),
    ];
    let agents = json!({"looker": {"model": "test", "tools": ["look", "find"], "limits": {"repeats": 100}, "retry_policy": {"max_retries": 0}}});
    let target = Target::with().agents(agents).tools(tools).start().await;
    let mut wrong = Vec::new();
    for (n, (name, rounds)) in forms.iter().enumerate() {
        for streamed in [false, true] {
            let marker = format!("form-{n}-{streamed}");
            let prefix = marker.clone();
            let wanted: usize = rounds.iter().map(Vec::len).sum();
            let rounds = rounds.clone();
            let of_form = marker.clone();
            target.model.script().answer(
                move |request| task(request).contains(&of_form),
                move |request| {
                    let done = answered(request).len();
                    let round = rounds
                        .iter()
                        .scan(0, |sum, round| {
                            *sum += round.len();
                            Some(*sum)
                        })
                        .position(|sum| sum > done);
                    match round {
                        Some(at) => calls(&prefix, &rounds[at], request.json()["stream"] == true),
                        None => Reply::text("found"),
                    }
                },
            );
            let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "looker", "prompt": marker}});
            let run = target.begin(&json!({"name": "tools", "nodes": [ask]}), json!({})).await;
            let listening = streamed.then(|| listen(&target, &run));
            let began = Instant::now();
            let status = loop {
                let run = target.api.get(&format!("/runs/{run}")).await;
                if ["completed", "failed"].iter().any(|status| run["status"] == *status)
                    || began.elapsed() > Duration::from_secs(6)
                {
                    break run["status"].clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let served = target
                .upstream()
                .requests()
                .iter()
                .filter(|request| request.target.contains(&marker))
                .count();
            let last =
                target.model.script().requests().into_iter().rfind(|request| task(request).contains(&marker));
            let told = last.map(|request| answered(&request)).unwrap_or_default();
            if status != "completed" || served != wanted || told.len() != wanted {
                wrong.push(format!("{name}, streamed {streamed}: {status} after {:.1?}, {served} of {wanted} calls made, {} answered: {told:?}", began.elapsed(), told.len()));
            }
            // What stands for ever would also stand in the way of the next.
            target.api.request("POST", &format!("/runs/{run}/cancel"), Some(json!({}))).await;
            if let Some(listening) = listening {
                listening.abort();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn tools(upstream: &str) -> Value {
    let word = json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]});
    let tool = |name: &str| {
        json!({"description": "Looks.", "parameters": word, "type": "http",
        "config": {"url": format!("{upstream}/{name}"), "query": {"q": "{{ args.q }}"}}})
    };
    json!({"look": tool("look"), "find": tool("find")})
}

/// Reads what an agent says while it says it: models are then asked to stream.
fn listen(target: &Target, run: &str) -> tokio::task::JoinHandle<()> {
    let url = format!("{}/api/v1/runs/{run}/history?said=true", target.api.url);
    let request = target.api.client.get(url).header("accept", "text/event-stream");
    tokio::spawn(async move {
        if let Ok(answer) = request.send().await {
            let _ = answer.bytes().await;
        }
    })
}

fn task(request: &Recorded) -> String {
    let body = request.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .find(|message| message["role"] == "user")
        .map(|message| message["content"].to_string())
        .unwrap_or_default()
}

/// What the model was told about its calls.
fn answered(request: &Recorded) -> Vec<String> {
    let body = request.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].to_string())
        .collect()
}

fn calls(marker: &str, round: &[(Option<&str>, &str, &str)], streamed: bool) -> Reply {
    let calls: Vec<_> = round.iter().enumerate().map(|(index, (id, tool, q))| {
        let arguments = json!({"q": format!("{marker} {q}")}).to_string();
        let mut call = json!({"index": index, "type": "function", "function": {"name": tool, "arguments": arguments}});
        if let Some(id) = id {
            call["id"] = json!(id);
        }
        call
    }).collect();
    let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    if !streamed {
        let whole = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "test", "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
        return Reply::Raw("application/json", whole.to_string());
    }
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "test",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let lines = [chunk(message, Value::Null), chunk(json!({}), json!("tool_calls"))];
    let text: String = lines.iter().map(|line| format!("data: {line}\n\n")).collect();
    Reply::Raw("text/event-stream", text + "data: [DONE]\n\n")
}
