//! Both models from outside: a provider that misbehaves in every way, and a script.

#![allow(clippy::unwrap_used, clippy::panic)]

mod dialects;
mod learning;

use super::*;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use callboard_core::agent::message::{Role, ToolCall, ToolSpec};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value, json};

type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A provider whose behaviour is in its path.
async fn provider() -> (String, Seen) {
    let seen = Seen::default();
    let app = Router::new().route("/{how}/chat/completions", post(answer)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}"), seen)
}

async fn answer(
    State(seen): State<Seen>,
    Path(how): Path<String>,
    headers: HeaderMap,
    body: axum::Json<Value>,
) -> Response {
    seen.lock().push((headers, body.0));
    let sse = |pieces: Vec<Result<String, std::io::Error>>| {
        let body = Body::from_stream(stream::iter(pieces));
        ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
    };
    let event = |v: Value| Ok(format!("data: {v}\n\n"));
    let text = |t: &str| event(json!({"choices": [{"delta": {"content": t}}]}));
    let json_text = |text: String| ([(CONTENT_TYPE, "application/json")], text).into_response();
    match how.as_str() {
        "plain" => json_text(
            json!({
                "id": "x", "model": "gpt-4-0613", "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "more": {}}
            })
            .to_string(),
        ),
        "bare" => json_text(r#"{"choices":[{"message":{"content":"12345678"},"finish_reason":"length"}]}"#.to_owned()),
        "tools" => json_text(
            json!({"choices": [{"finish_reason": "tool_calls", "message": {"content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                {"function": {"name": "now", "arguments": {}}}]}}]})
            .to_string(),
        ),
        "stream" => sse(vec![
            Ok(": comment\r\n\r\n".to_owned()),
            event(json!({"model": "m1", "choices": [{"delta": {"role": "assistant", "content": ""}}]})),
            Ok("data: {\"choices\":[{\"delta\":{\"con".to_owned()),
            Ok("tent\":\"hel\"}}]}\r\n\r\n".to_owned()),
            text("lö"),
            event(json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c9", "function": {"name": "add", "arguments": "{\"a\""}}]}}]})),
            event(json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, "finish_reason": "tool_calls"}]})),
            event(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})),
            Ok("data: [DONE]\n\n".to_owned()),
        ]),
        "key" => json_text(
            json!({"choices": [{"finish_reason": "tool_calls", "message": {"content": "It is sk-secret-key or c2stc2VjcmV0LWtleQ==.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"k\":\"sk\\u002dsecret-key\"}"}}]}}]})
            .to_string(),
        ),
        "key-stream" => sse(vec![
            text("It is sk-"), text("secret"), text("-key, or s"), text("k."),
            event(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
            Ok("data: [DONE]\n\n".to_owned()),
        ]),
        "no-done" => sse(vec![text("a"), event(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}))]),
        "cut" => sse(vec![text("a")]),
        "reset" => {
            let (first, second) = (text("a"), Err(std::io::Error::other("gone")));
            let later = stream::once(async {
                // The first piece has to leave before the connection breaks.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                second
            });
            let body = Body::from_stream(stream::iter([first]).chain(later));
            ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        "bad-event" => sse(vec![text("a"), Ok("data: {oops\n\n".to_owned())]),
        "late-error" => sse(vec![text("a"), event(json!({"error": {"message": "overloaded"}}))]),
        "long-line" => sse(vec![Ok(format!("data: {}", "x".repeat(2 << 20)))]),
        "huge" => json_text("x".repeat(50 << 20)),
        "huge-stream" => sse((0..100).map(|_| Ok(format!(": {}\n", "x".repeat(1 << 19)))).collect()),
        "invalid" => json_text("{\"choices\": [".to_owned()),
        "html" => ([(CONTENT_TYPE, "text/html")], "<html>").into_response(),
        "empty" => json_text(r#"{"choices":[]}"#.to_owned()),
        "filtered" => json_text(r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#.to_owned()),
        "silent" => futures::future::pending().await,
        "quota" => (StatusCode::TOO_MANY_REQUESTS, json!({"error": {"message": "pay", "code": "insufficient_quota"}}).to_string()).into_response(),
        status => {
            let status = StatusCode::from_u16(status.parse().unwrap()).unwrap();
            (status, [("retry-after", "3")], json!({"error": {"message": "no, sk-secret-key is wrong"}}).to_string()).into_response()
        }
    }
}

fn model(base: &str, how: &str) -> OpenAi {
    let base_url = format!("{base}/{how}/");
    OpenAi::new(&Provider {
        base_url,
        api_key: Secret::new("sk-secret-key"),
        timeout: Some(Span(2000)),
        ..Provider::default()
    })
    .unwrap()
}

fn request(question: &str) -> ModelRequest {
    ModelRequest {
        model: "gpt-4".to_owned(),
        messages: vec![
            Message::new(Role::System, "You are a Researcher"),
            Message::new(Role::User, question),
        ],
        tools: vec![],
        temperature: Some(0.7),
        max_tokens: Some(20),
        output_schema: None,
        idempotency_key: "run/step/1".to_owned(),
    }
}

#[tokio::test]
async fn an_answer_is_read_with_its_usage_or_an_estimate() {
    let (base, seen) = provider().await;
    let reply = model(&base, "plain").call(&request("q"), None).await.unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.model.as_str(), reply.finish),
        ("hi", "gpt-4-0613", Finish::Complete)
    );
    assert_eq!(
        reply.usage,
        Usage { calls: 1, prompt_tokens: 7, completion_tokens: 2, estimated: false, ..Usage::default() }
    );
    let (headers, body) = seen.lock().remove(0);
    assert_eq!(headers["authorization"], "Bearer sk-secret-key");
    assert_eq!(headers["idempotency-key"], "run/step/1");
    let expected = json!({
        "model": "gpt-4", "temperature": 0.7, "max_tokens": 20,
        "messages": [{"role": "system", "content": "You are a Researcher"}, {"role": "user", "content": "q"}]
    });
    assert_eq!(body, expected);
    let bare = model(&base, "bare").call(&request("q"), None).await.unwrap();
    assert_eq!(
        bare.usage,
        Usage { calls: 1, prompt_tokens: 6, completion_tokens: 2, estimated: true, ..Usage::default() }
    );
    assert_eq!((bare.model.as_str(), bare.finish), ("gpt-4", Finish::Cut));
}

#[tokio::test]
async fn tools_and_schemas_are_sent_and_calls_are_read() {
    let (base, seen) = provider().await;
    let mut asked = request("q");
    asked.model = "gpt-5-mini".to_owned();
    asked.output_schema = Some(json!({"type": "object"}));
    asked.tools = vec![ToolSpec {
        name: "add".to_owned(),
        description: "adds".to_owned(),
        parameters: json!({"type": "object"}),
    }];
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    asked
        .messages
        .push(Message { tool_calls: vec![call("c0", "add", "{}")], ..Message::new(Role::Assistant, "") });
    asked.messages.push(Message { tool_call_id: Some("c0".to_owned()), ..Message::new(Role::Tool, "3") });
    let reply = model(&base, "tools").call(&asked, None).await.unwrap();
    assert_eq!(reply.tool_calls, [call("c1", "add", "{\"a\":1}"), call("call_1", "now", "{}")]);
    let (_, body) = seen.lock().remove(0);
    assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(20), &Value::Null));
    assert_eq!(
        body["response_format"],
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}})
    );
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}])
    );
    assert_eq!(
        body["messages"][2],
        json!({"role": "assistant", "tool_calls": [{"id": "c0", "type": "function", "function": {"name": "add", "arguments": "{}"}}]})
    );
    assert_eq!(body["messages"][3], json!({"role": "tool", "content": "3", "tool_call_id": "c0"}));
}

#[tokio::test]
async fn a_stream_is_given_in_pieces_and_as_a_whole() {
    let (base, seen) = provider().await;
    let pieces = Mutex::new(Vec::new());
    let on_delta = |piece: &str| pieces.lock().push(piece.to_owned());
    let reply = model(&base, "stream").call(&request("q"), Some(&on_delta)).await.unwrap();
    assert_eq!(*pieces.lock(), ["hel", "lö"]);
    assert_eq!((reply.text.as_str(), reply.model.as_str()), ("hellö", "m1"));
    assert_eq!(reply.tool_calls[0].arguments, "{\"a\":1}");
    assert_eq!(
        reply.usage,
        Usage { calls: 1, prompt_tokens: 3, completion_tokens: 4, estimated: false, ..Usage::default() }
    );
    let (_, body) = seen.lock().remove(0);
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert_eq!(model(&base, "no-done").call(&request("q"), Some(&on_delta)).await.unwrap().text, "a");
    assert_eq!(model(&base, "plain").call(&request("q"), Some(&on_delta)).await.unwrap().text, "hi");
    assert_eq!(pieces.lock().last().unwrap(), "hi");
}

#[tokio::test]
async fn every_misbehaviour_is_a_typed_error_and_one_call() {
    let (base, seen) = provider().await;
    for (how, streams, code, retryable) in [
        ("cut", true, "model_invalid_response", true),
        ("reset", true, "model_invalid_response", true),
        ("bad-event", true, "model_invalid_response", true),
        ("late-error", true, "model_unavailable", true),
        ("long-line", true, "model_invalid_response", false),
        ("huge-stream", true, "model_invalid_response", false),
        ("huge", false, "model_invalid_response", false),
        ("invalid", false, "model_invalid_response", true),
        ("html", false, "model_invalid_response", true),
        ("html", true, "model_invalid_response", true),
        ("empty", false, "model_invalid_response", true),
        ("silent", false, "model_timeout", true),
        ("quota", false, "model_quota", false),
        ("400", false, "model_rejected", false),
        ("401", false, "model_unauthorized", false),
        ("402", false, "model_quota", false),
        ("403", false, "model_unauthorized", false),
        ("404", false, "model_unknown", false),
        ("307", false, "model_rejected", false),
        ("408", false, "model_unavailable", true),
        ("409", false, "model_unavailable", true),
        ("429", false, "model_rate_limited", true),
        ("500", false, "model_unavailable", true),
        ("503", true, "model_unavailable", true),
        ("529", false, "model_unavailable", true),
    ] {
        seen.lock().clear();
        let on_delta = |_: &str| ();
        let on_delta: OnDelta<'_> = if streams { Some(&on_delta) } else { None };
        let error = model(&base, how).call(&request("q"), on_delta).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable), "{how}: {error:?}");
        assert!(!error.message.contains("sk-secret-key"), "{how}: {error:?}");
        let provider_waits = retryable && how.parse::<u16>().is_ok();
        assert_eq!(error.retry_after, provider_waits.then_some(Span::secs(3)), "{how}");
        assert_eq!(seen.lock().len(), 1, "{how}: retries are the core's");
    }
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = model(&format!("http://{closed}"), "plain").call(&request("q"), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("model_unavailable", true));
}

#[tokio::test]
async fn names_choose_the_provider() {
    let (base, seen) = provider().await;
    let config = |default: Option<&str>, base_url: String| {
        let provider = Provider { base_url, ..Provider::default() };
        let providers = BTreeMap::from([("local".to_owned(), provider)]);
        Config { default: default.map(str::to_owned), providers, ..Config::default() }
    };
    let models = Models::new(config(None, format!("{base}/plain"))).unwrap();
    assert!(models.is_scripted());
    let ask = async |models: &Models, name: &str| {
        models.call(&ModelRequest { model: name.to_owned(), ..request("q") }, None).await.unwrap().model
    };
    assert_eq!(ask(&models, "gpt-4").await, "scripted");
    assert_eq!(ask(&models, "unknown/gpt-4").await, "scripted");
    assert_eq!(ask(&models, "local/llama/3").await, "gpt-4-0613");
    assert_eq!(seen.lock()[0].1["model"], "llama/3");
    let models = Models::new(config(Some("local"), format!("{base}/plain"))).unwrap();
    assert!(!models.is_scripted());
    assert_eq!(ask(&models, "gpt-4").await, "gpt-4-0613");
    let wrong = config(Some("nobody"), "ftp://x".to_owned());
    let codes: Vec<_> = Models::new(wrong).err().unwrap().into_iter().map(|p| p.code).collect();
    assert_eq!(codes, ["provider_invalid", "provider_unknown"]);
}

#[tokio::test]
async fn without_rules_the_script_echoes_and_says_so() {
    let model = Scripted::new(Script::default());
    let reply = model.call(&request("what?"), None).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.model.as_str()), ("[scripted] what?", "scripted"));
    assert_eq!(
        reply.usage,
        Usage { calls: 1, prompt_tokens: 7, completion_tokens: 4, estimated: true, ..Usage::default() }
    );
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    let asked = ModelRequest { output_schema: Some(schema), ..request("what?") };
    assert_eq!(model.call(&asked, None).await.unwrap().text, r#"{"answer":"[scripted] what?"}"#);
}

#[tokio::test(start_paused = true)]
async fn rules_answer_round_by_round_and_fail_as_told() {
    let script = Script::read(
        r#"
rules:
  - when: {contains: weather, system: Researcher}
    replies:
      - {tool_calls: [{name: get, arguments: {city: Bonn}}], delay: 2s}
      - {text: "it rains"}
  - when: {model: gpt-4, contains: flaky}
    replies:
      - {text: fine, error: {code: model_unavailable, retryable: true, retry_after: 1s, times: 2}}
  - when: {contains: broken}
    replies:
      - error: {code: model_rejected}
"#,
    )
    .unwrap();
    let model = Scripted::new(script);
    let started = tokio::time::Instant::now();
    let first = model.call(&request("the weather"), None).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!((first.text.as_str(), first.tool_calls[0].arguments.as_str()), ("", r#"{"city":"Bonn"}"#));
    let mut second = request("the weather");
    second.messages.push(Message { tool_calls: first.tool_calls, ..Message::new(Role::Assistant, "") });
    second.messages.push(Message::new(Role::Tool, "rain"));
    let pieces = Mutex::new(String::new());
    let on_delta = |piece: &str| pieces.lock().push_str(piece);
    assert_eq!(model.call(&second, Some(&on_delta)).await.unwrap().text, "it rains");
    assert_eq!(*pieces.lock(), "it rains");
    for _ in 0..2 {
        let error = model.call(&request("flaky"), None).await.unwrap_err();
        assert_eq!((error.retryable, error.retry_after), (true, Some(Span::secs(1))));
    }
    assert_eq!(model.call(&request("flaky"), None).await.unwrap().text, "fine");
    assert_eq!(model.call(&request("broken"), None).await.unwrap_err().code, "model_rejected");
    assert_eq!(model.call(&request("other"), None).await.unwrap().text, "[scripted] other");
    assert!(Script::read("rules: [{replies: []}]").is_err());
    assert!(Script::read("rulez: []").is_err());
}

#[test]
fn the_shipped_files_are_readable() {
    let script = Script::read(include_str!("../../../../config/scripted.yaml")).unwrap();
    assert!(!script.rules.is_empty());
    let agents: callboard_core::agent::spec::Agents =
        serde_saphyr::from_str(include_str!("../../../../config/agents.yaml")).unwrap();
    let found: Vec<_> = agents
        .agents
        .iter()
        .map(|(name, a)| (name.as_str(), a.model.as_str(), a.temperature, a.max_tokens))
        .collect();
    assert_eq!(
        found,
        [
            ("analysis", "gpt-4", Some(0.3), Some(1024)),
            ("implementation", "gpt-4", Some(0.2), Some(4096)),
            ("qa", "gpt-3.5-turbo", Some(0.1), Some(1024)),
            ("research", "gpt-4", Some(0.7), Some(2048)),
        ]
    );
    assert_eq!(agents.agents["research"].retry_policy.as_ref().unwrap().max_retries, 3);
}

#[tokio::test]
async fn a_providers_answer_does_not_hold_its_key() {
    let (base, _) = provider().await;
    let said = Mutex::new(Vec::new());
    let on_delta = |text: &str| said.lock().push(text.to_owned());
    for heard in [None, Some(&on_delta as &(dyn Fn(&str) + Send + Sync))] {
        let reply = model(&base, "key").call(&request("q"), heard).await.unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.tool_calls[0].arguments.as_str()),
            ("It is *** or ***.", r#"{"k":"***"}"#)
        );
    }
    assert_eq!(said.lock().drain(..).collect::<String>(), "It is *** or ***.");
    let reply = model(&base, "key-stream").call(&request("q"), Some(&on_delta)).await.unwrap();
    assert_eq!(reply.text, "It is ***, or sk.");
    let pieces: Vec<String> = said.lock().drain(..).collect();
    assert_eq!(pieces.concat(), "It is ***, or sk.");
    assert_eq!(pieces[0], "It is ", "what may be no key is not held back");
    // The same for the secrets of a run.
    let models = Models::only(Arc::new(model(&base, "plain")));
    let scrub = Scrub::new(&[Secret::new("gpt-4-0613")]);
    let reply = models.call_scrubbed(&request("q"), None, &scrub).await.unwrap();
    assert_eq!(reply.model, "***");
}
