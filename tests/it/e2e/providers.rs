//! Providers as they are: what they repeat, cut, refuse, wrap and want back, seen from outside.

use super::{
    history::lines,
    world::{Stage, Where, World, cases},
};
use crate::harness::{Callboard, Model, Recorded, Reply, http, scratch};
use axum::{Json, Router, extract::Request};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_are_taken_as_they_are() {
    let stage = Stage::start(Where::Embedded).await;
    stage
        .play(cases![
            calls_with_one_id_are_all_performed,
            a_cut_answer_is_a_failure_of_its_own,
            a_filtered_and_a_refused_answer_are_failures_of_their_own,
            another_model_is_asked_where_it_can_help,
            only_the_request_itself_cannot_be_helped,
            whoever_listens_changes_nothing,
            a_schema_that_is_refused_stands_in_the_prompt,
            json_is_found_in_prose_and_thinking_is_no_answer,
            what_a_provider_wants_back_it_gets,
            the_agents_time_limit_binds_its_tools,
            a_billed_answer_is_taken_whatever_stands_around_it,
        ])
        .await;
}

fn ask(agent: &str, marker: &str) -> Value {
    json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": agent, "prompt": marker}}]})
}

fn call(id: Value, city: &str) -> Value {
    let mut call = json!({"type": "function", "function": {"name": "lookup", "arguments": json!({"q": city}).to_string()}});
    if !id.is_null() {
        call["id"] = id;
    }
    call
}

async fn calls_with_one_id_are_all_performed(w: World) {
    for (marker, ids) in [
        ("twice-the-same-id", [json!("call_0"), json!("call_0")]),
        ("one-id-and-none", [json!("call_1"), Value::Null]),
        ("empty-ids", [json!(""), json!("")]),
    ] {
        let calls = json!([call(ids[0].clone(), "Oslo"), call(ids[1].clone(), "Rome")]);
        w.says_in_turn(
            marker,
            vec![
                Reply::Says(json!({"content": null, "tool_calls": calls}), "tool_calls"),
                Reply::text("both"),
            ],
        );
        let run = w.api.run(&ask("research-tools", marker), json!({})).await;
        let (seen, _) = w.ended(&run, "completed").await;
        assert_eq!(seen["output"], "both", "{marker}");
        let asked = w.asked(marker);
        assert_eq!(asked.len(), 2, "{marker}");
        let messages = asked[1].json()["messages"].as_array().cloned().unwrap_or_default();
        let answers: Vec<&Value> = messages.iter().filter(|m| m["role"] == "tool").collect();
        let sent: Vec<&Value> =
            messages.iter().filter_map(|m| m["tool_calls"].as_array()).flatten().collect();
        assert_eq!((answers.len(), sent.len()), (2, 2), "{marker}: {messages:#?}");
        assert_ne!(sent[0]["id"], sent[1]["id"], "{marker}");
        for (n, city) in ["Oslo", "Rome"].iter().enumerate() {
            assert_eq!(answers[n]["tool_call_id"], sent[n]["id"], "{marker}");
            assert!(answers[n]["content"].to_string().contains(city), "{marker}: {messages:#?}");
        }
    }
}

async fn a_cut_answer_is_a_failure_of_its_own(w: World) {
    let cut = |text: &str| Reply::Says(json!({"content": text}), "length");
    w.says("cut-in-a-word", cut("The three steps are: first, open the"));
    let mut definition = ask("quick", "cut-in-a-word");
    definition["nodes"][0]["on_error"] = json!("branch");
    let why = json!({"agent": "once", "prompt": "because of {{ steps.ask.error.code }}"});
    definition["nodes"].as_array_mut().unwrap().push(json!({"id": "why", "type": "agent", "config": why}));
    definition["edges"] = json!([{"source": "ask", "target": "why", "config": {"branch": "error"}}]);
    let run = w.api.run(&definition, json!({})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(
        (&steps[0]["error"]["code"], &steps[1]["output"]),
        (&json!("model_cut"), &json!("because of model_cut"))
    );
    assert!(steps[0]["error"]["message"].to_string().contains("100 tokens"), "{steps:#?}");
    assert_eq!((w.asked("cut-in-a-word").len(), &steps[0]["usage"]["calls"]), (1, &json!(1)));

    w.says("cut-with-a-schema", cut(r#"{"answer": "it is a very lo"#));
    let mut definition = ask("quick", "cut-with-a-schema");
    definition["nodes"][0]["config"]["output_schema"] = json!({"type": "object"});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("cut-with-a-schema").len()), (&json!("model_cut"), 1));
}

async fn a_filtered_and_a_refused_answer_are_failures_of_their_own(w: World) {
    w.says("filtered-half", Reply::Says(json!({"content": "How to"}), "content_filter"));
    w.says("refused-politely", Reply::Says(json!({"content": null, "refusal": "I will not."}), "stop"));
    for (marker, code) in [("filtered-half", "model_filtered"), ("refused-politely", "model_refused")] {
        let run = w.api.run(&ask("quick", marker), json!({})).await;
        let (seen, steps) = w.ended(&run, "failed").await;
        assert_eq!((&seen["error"]["code"], w.asked(marker).len()), (&json!(code), 1), "{seen:#}");
        assert_eq!(steps[0]["usage"]["calls"], 1);
    }
}

/// The answers of `backed`: its own model fails as told, the other one answers.
fn fails_first(w: &World, marker: &'static str, status: u16, body: Value) {
    let is_spare = |request: &Recorded| request.json()["model"] == "spare";
    w.model.answer(
        move |request| request.prompt().contains(marker),
        move |request| {
            if is_spare(request) {
                Reply::text("the spare one")
            } else {
                Reply::Refused(status, body.clone())
            }
        },
    );
}

async fn another_model_is_asked_where_it_can_help(w: World) {
    let error = |code: &str, message: &str| json!({"error": {"code": code, "message": message, "type": "x"}});
    for (marker, status, body) in [
        ("fails-with-quota", 429, error("insufficient_quota", "You exceeded your current quota")),
        ("fails-with-payment", 402, error("", "Insufficient Balance")),
        ("fails-with-model", 404, error("model_not_found", "The model does not exist")),
        ("fails-with-key", 401, error("invalid_api_key", "Incorrect API key provided")),
        ("fails-with-403", 403, error("", "This key's monthly quota is used up")),
        ("fails-with-length", 400, error("context_length_exceeded", "maximum context length is 8192 tokens")),
        ("fails-with-filter", 400, error("content_filter", "filtered")),
    ] {
        fails_first(&w, marker, status, body);
        let run = w.api.run(&ask("backed", marker), json!({})).await;
        let (seen, _) = w.ended(&run, "completed").await;
        assert_eq!(
            (&seen["output"], w.asked(marker).len()),
            (&json!("the spare one"), 2),
            "{marker}: {seen:#}"
        );
    }
}

async fn only_the_request_itself_cannot_be_helped(w: World) {
    fails_first(
        &w,
        "fails-of-itself",
        400,
        json!({"error": {"message": "Invalid 'tools[0].function.name'"}}),
    );
    let run = w.api.run(&ask("backed", "fails-of-itself"), json!({})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("fails-of-itself").len()), (&json!("model_rejected"), 1));
    assert_eq!(lines(&steps), ["ask failed"]);
}

async fn whoever_listens_changes_nothing(w: World) {
    let refuse = |marker: &'static str, field: &'static str, status: u16| {
        w.model.answer(
            move |request| request.prompt().contains(marker),
            move |request| match request.json().get(field) {
                Some(_) => Reply::Refused(
                    status,
                    json!({"detail": [{"loc": ["body", field], "msg": "Extra inputs are not permitted"}]}),
                ),
                None => Reply::text("fine"),
            },
        );
    };
    refuse("no-stream-options", "stream_options", 422);
    refuse("no-stream", "stream", 400);
    for marker in ["no-stream-options", "no-stream"] {
        let definition = json!({
            "name": "words",
            "nodes": [
                {"id": "go", "type": "signal", "config": {"name": "go"}},
                {"id": "speak", "type": "agent", "config": {"agent": "once", "prompt": marker}}
            ],
            "edges": [{"source": "go", "target": "speak"}]
        });
        let run = w.api.run(&definition, json!({})).await;
        let request = http()
            .get(format!("{}/api/v1/runs/{run}/history?said=true", w.api.url))
            .timeout(Duration::from_secs(25));
        let stream = request.header("accept", "text/event-stream").send().await.expect("a stream");
        w.api.post(&format!("/runs/{run}/signal"), json!({"name": "go"})).await;
        let text = stream.text().await.expect("events");
        let (seen, _) = w.ended(&run, "completed").await;
        assert_eq!(seen["output"], "fine", "{marker}");
        assert!(text.contains("event: agent.said"), "{marker}: {text}");
    }
}

async fn a_schema_that_is_refused_stands_in_the_prompt(w: World) {
    w.model.answer(
        |request| request.prompt().contains("no-json-schema"),
        |request| {
            let body = request.json();
            if body["response_format"]["type"] == "json_schema" {
                return Reply::Refused(
                    400,
                    json!({"error": {"message": "This response_format type is unavailable now"}}),
                );
            }
            let is_told = body["messages"].to_string().contains("the_answer");
            Reply::text(if is_told { r#"{"the_answer": "yes"}"# } else { "what?" })
        },
    );
    let mut definition = ask("once", "no-json-schema");
    definition["nodes"][0]["config"]["output_schema"] = json!({"type": "object", "properties": {"the_answer": {"type": "string"}}, "required": ["the_answer"]});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"the_answer": "yes"}));
}

async fn json_is_found_in_prose_and_thinking_is_no_answer(w: World) {
    for (marker, text) in [
        ("aloud-with-json", "<think>\nyes or {no}?\n</think>\n\n{\"answer\":\"yes\"}"),
        ("prose-and-fence", "Here you go:\n```json\n{\"answer\":\"yes\"}\n```\nDone."),
        ("loud-fence", "```JSON\n{\"answer\":\"yes\"}\n```"),
        ("mark-first", "\u{feff}{\"answer\":\"yes\"}"),
    ] {
        w.says(marker, Reply::text(text));
        let mut definition = ask("once", marker);
        definition["nodes"][0]["config"]["output_schema"] = json!({"type": "object", "required": ["answer"]});
        let run = w.api.run(&definition, json!({})).await;
        let (seen, _) = w.ended(&run, "completed").await;
        assert_eq!((&seen["output"], w.asked(marker).len()), (&json!({"answer": "yes"}), 1), "{marker}");
    }
    w.says("aloud-with-text", Reply::text("<think>hm</think>\n\nOslo is cold."));
    let run = w.api.run(&ask("once", "aloud-with-text"), json!({})).await;
    assert_eq!(w.ended(&run, "completed").await.0["output"], "Oslo is cold.");
}

async fn what_a_provider_wants_back_it_gets(w: World) {
    let mut signed = call(json!("c"), "Oslo");
    signed["extra_content"] = json!({"google": {"thought_signature": "c2ln"}});
    w.model.answer(
        |request| request.prompt().contains("wants-it-back"),
        move |request| {
            let messages = request.json()["messages"].as_array().cloned().unwrap_or_default();
            let Some(own) = messages.iter().find(|message| message["role"] == "assistant") else {
                let message =
                    json!({"content": null, "reasoning_content": "I look.", "tool_calls": [signed]});
                return Reply::Says(message, "tool_calls");
            };
            let has = own["reasoning_content"] == "I look."
                && own["tool_calls"][0]["extra_content"]["google"]["thought_signature"] == "c2ln";
            if has {
                Reply::text("thanks")
            } else {
                Reply::Refused(400, json!({"error": {"message": "it lacks my thoughts"}}))
            }
        },
    );
    let run = w.api.run(&ask("research-tools", "wants-it-back"), json!({})).await;
    assert_eq!(w.ended(&run, "completed").await.0["output"], "thanks");
}

async fn the_agents_time_limit_binds_its_tools(w: World) {
    w.serves("/broken", Reply::text("late").after(Duration::from_secs(20)));
    w.says("hurried-by-a-tool", Reply::tool("broken", json!({"q": "x"})));
    let began = Instant::now();
    let run = w.api.run(&ask("hurried-tools", "hurried-by-a-tool"), json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!(seen["error"]["code"], "agent_limit");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

async fn a_billed_answer_is_taken_whatever_stands_around_it(w: World) {
    let answer = |usage: &str| {
        format!(
            r#"{{"choices": [{{"message": {{"content": "fine"}}, "finish_reason": "stop"}}], "usage": {usage}}}"#
        )
    };
    for (marker, kind, body) in [
        (
            "usage-of-nulls",
            "application/json",
            answer(r#"{"prompt_tokens": null, "completion_tokens": null}"#),
        ),
        ("usage-half-null", "application/json", answer(r#"{"prompt_tokens": 3, "completion_tokens": null}"#)),
        (
            "usage-with-points",
            "application/json",
            answer(r#"{"prompt_tokens": 3.0, "completion_tokens": 2.0}"#),
        ),
        ("usage-of-words", "application/json", answer(r#""many""#)),
        ("as-plain-text", "text/plain", answer("null")),
        ("half-a-character", "application/json", answer("null").replace("fine", "fine\\ud83d")),
    ] {
        w.says(marker, Reply::Raw(kind, body));
        let run = w.api.run(&ask("once", marker), json!({})).await;
        let (seen, _) = w.ended(&run, "completed").await;
        let expected = if marker == "half-a-character" { "fine\u{fffd}" } else { "fine" };
        assert_eq!((&seen["output"], w.asked(marker).len()), (&json!(expected), 1), "{marker}");
        let guessed = seen["usage"]["estimated"] == true;
        assert_eq!(guessed, marker != "usage-with-points", "{marker}: {seen:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_asked_through_the_proxy_of_the_environment_and_as_the_settings_say() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let app = Router::new().fallback(move |request: Request| {
        record.lock().unwrap().push(request.uri().to_string());
        async { Json(json!({"choices": [{"message": {"content": "through"}, "finish_reason": "stop"}]})) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let model = Model::start().await;
    let folder = scratch();
    let agents = folder.path().join("agents.json");
    let file = json!({"agents": {
        "far": {"model": "far/m"},
        "near": {"model": "near/special", "instructions": "Be brief.", "temperature": 0.5, "max_tokens": 9},
    }});
    std::fs::write(&agents, file.to_string()).expect("the agents' file");
    let settings = folder.path().join("settings.toml");
    let text = format!(
        "[models]\ndefault = \"near\"\n[models.providers.far]\nbase_url = \"http://models.invalid/v1\"\n\
         [models.providers.near]\nbase_url = \"{}\"\napi_key = \"sk-near\"\nkey_header = \"x-key\"\nheaders = {{x-team = \"blue\"}}\n\
         temperature = false\n[models.providers.near.models.\"spec*\"]\ntoken_limit = \"max_completion_tokens\"\ninstructions = \"developer\"\n",
        model.base_url()
    );
    std::fs::write(&settings, text).expect("the settings");
    let (file, settings) = (agents.display().to_string(), settings.display().to_string());
    let mut dev = Callboard::with()
        .args(["--agents", &file, "--config", &settings])
        .env("HTTP_PROXY", &proxy)
        .start()
        .await;
    let api = super::api::Api::new(&dev.url, &dev.dapr_http());
    let run = api.run(&ask("far", "q"), json!({})).await;
    assert_eq!(api.until(&run, "completed").await["output"], "through");
    assert_eq!(*seen.lock().unwrap(), ["http://models.invalid/v1/chat/completions"]);
    let run = api.run(&ask("near", "hello"), json!({})).await;
    assert_eq!(api.until(&run, "completed").await["output"], "hello");
    assert_eq!(seen.lock().unwrap().len(), 1, "this machine is asked without a proxy");
    let asked = model.script().requests().pop().expect("a request");
    assert_eq!(
        (asked.header("x-key"), asked.header("x-team"), asked.header("authorization")),
        (Some("sk-near"), Some("blue"), None)
    );
    let body = asked.json();
    assert_eq!(
        (&body["messages"][0]["role"], &body["max_completion_tokens"]),
        (&json!("developer"), &json!(9))
    );
    assert!(body.get("temperature").is_none() && body.get("max_tokens").is_none(), "{body}");
    dev.stop().await;
}
