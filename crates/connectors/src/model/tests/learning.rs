//! Endpoints that refuse a part of a request, and are asked without it.

use super::*;
use callboard_core::agent::message::Extras;

/// What an endpoint says to a request; none is a good answer.
type Refuses = fn(&Value) -> Option<(u16, Value)>;
type Asked = Arc<Mutex<Vec<Value>>>;

async fn endpoint(refuses: Refuses) -> (String, Asked) {
    let seen = Asked::default();
    let answer = move |State(seen): State<Asked>, body: axum::Json<Value>| async move {
        seen.lock().push(body.0.clone());
        if let Some((status, error)) = refuses(&body.0) {
            return (StatusCode::from_u16(status).unwrap(), axum::Json(error)).into_response();
        }
        let piece = |of: &str| json!({"choices": [{of: {"content": "{\"answer\":\"yes\"}"}, "finish_reason": "stop"}]});
        if body.0["stream"] == true {
            return (
                [(CONTENT_TYPE, "text/event-stream")],
                format!("data: {}\n\ndata: [DONE]\n\n", piece("delta")),
            )
                .into_response();
        }
        axum::Json(piece("message")).into_response()
    };
    let app = Router::new().route("/v1/chat/completions", post(answer)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}/v1"), seen)
}

fn said(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error"}})
}

fn structured(tools: bool) -> ModelRequest {
    let schema = json!({"type": "object", "required": ["answer"], "title": "TheAnswer"});
    let tool = ToolSpec { name: "t".into(), description: "d".into(), parameters: json!({"type": "object"}) };
    ModelRequest {
        output_schema: Some(schema),
        tools: if tools { vec![tool] } else { Vec::new() },
        ..request("q")
    }
}

fn at(base_url: String) -> OpenAi {
    OpenAi::new(&Provider { base_url, ..Provider::default() }).unwrap()
}

#[tokio::test]
async fn what_an_endpoint_refuses_is_left_out_once_and_from_then_on() {
    let streams = |message: &str| message.contains("stream") || message.contains("Not allowed");
    let cases: [(Refuses, ModelRequest, &str); 11] = [
        (
            |b| {
                (b["response_format"]["type"] == "json_schema")
                    .then(|| (400, said("This response_format type is unavailable now")))
            },
            structured(false),
            "",
        ),
        (
            |b| {
                b.get("response_format").map(|_| (422, json!({"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]})))
            },
            structured(false),
            "",
        ),
        (|b| b.get("response_format").map(|_| (400, json!({"error": "bad request"}))), structured(false), ""),
        (
            |b| {
                (b.get("response_format").is_some() && b.get("tools").is_some()).then(|| (400, json!([{"error": {"code": 400, "message": "Function calling with a response mime type: 'application/json' is unsupported"}}])))
            },
            structured(true),
            "",
        ),
        (
            |b| {
                b.get("max_tokens").map(|_| (400, said("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")))
            },
            request("q"),
            "",
        ),
        (
            |b| {
                b.get("temperature").map(|_| (400, said("Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.")))
            },
            request("q"),
            "",
        ),
        (
            |b| {
                (b["messages"][0]["role"] == "system")
                    .then(|| (400, said("Developer instruction is not enabled for models/gemma-3")))
            },
            request("q"),
            "",
        ),
        (
            |b| {
                b.get("stream_options").map(|_| (422, json!({"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]})))
            },
            request("q"),
            "stream",
        ),
        (|b| b.get("stream").map(|_| (400, said("streaming is not supported"))), request("q"), "stream"),
        (|b| b.get("stream").map(|_| (501, said("stream: not implemented"))), request("q"), "stream"),
        (|b| b.get("stream").map(|_| (400, said("Not allowed"))), request("q"), "stream"),
    ];
    for (n, (refuses, asked, how)) in cases.into_iter().enumerate() {
        let (base, seen) = endpoint(refuses).await;
        let model = at(base);
        let on_delta = |_: &str| ();
        let on_delta: OnDelta<'_> = if streams(how) { Some(&on_delta) } else { None };
        let reply = model.call(&asked, on_delta).await.unwrap_or_else(|e| panic!("case {n}: {e:?}"));
        assert_eq!(reply.text, r#"{"answer":"yes"}"#, "case {n}");
        let first = seen.lock().len();
        assert!((2..=3).contains(&first), "case {n}: {first} requests");
        let last = seen.lock().last().unwrap().to_string();
        assert!(
            asked.output_schema.is_none() || last.contains("TheAnswer"),
            "case {n}: the schema is somewhere: {last}"
        );
        model.call(&asked, on_delta).await.unwrap();
        assert_eq!(seen.lock().len(), first + 1, "case {n}: it is remembered");
        // Of another model nothing is known.
        let other = ModelRequest { model: "other".into(), ..asked };
        model.call(&other, on_delta).await.unwrap();
        assert_eq!(seen.lock().len(), 2 * first + 1, "case {n}");
    }
}

/// As llama-cpp-python's server writes it, its own place of the fault included.
fn invalid(field: &str, says: &str) -> (u16, Value) {
    let message = format!(
        "1 validation error:\n  {{'type': 'literal_error', 'loc': ('body', {field}), 'msg': \"{says}\"}}\n\n  File \"llama_cpp/server/app.py\", line 376, in create_chat_completion\n    POST /v1/chat/completions"
    );
    let error = json!({"message": message, "type": "internal_server_error", "param": null, "code": null});
    (500, json!({ "error": error }))
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_whatever_the_status_says() {
    let (base, seen) = endpoint(|b| {
        (b["response_format"]["type"] == "json_schema")
            .then(|| invalid("'response_format', 'type'", "Input should be 'text' or 'json_object'"))
    })
    .await;
    let model = at(base);
    for requests in [2, 3] {
        assert_eq!(model.call(&structured(false), None).await.unwrap().text, r#"{"answer":"yes"}"#);
        assert_eq!(seen.lock().len(), requests, "it is refused once");
    }
    assert_eq!(seen.lock()[2]["response_format"], json!({"type": "json_object"}));
    let (base, seen) = endpoint(|_| Some(invalid("'messages', 0", "Field required"))).await;
    let error = at(base).call(&request("q"), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable, seen.lock().len()), ("model_rejected", false, 1));
    let (base, _) = endpoint(|_| Some((500, said("the engine broke: 1 validation error")))).await;
    let error = at(base).call(&request("q"), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("model_unavailable", true), "its own fault may heal");
}

#[tokio::test]
async fn a_refusal_that_is_none_of_a_part_is_told_as_it_was_first() {
    let (base, seen) = endpoint(|_| Some((400, said("messages: at least one is wrong")))).await;
    let on_delta = |_: &str| ();
    let error = at(base).call(&structured(false), Some(&on_delta)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.elsewhere), ("model_rejected", false));
    assert!(error.message.ends_with("at least one is wrong"), "{}", error.message);
    assert!(seen.lock().len() <= 3, "it is not guessed for ever");
    let (base, seen) = endpoint(|_| {
        Some((400, said("max_tokens is too large: 20. This model supports at most 4 completion tokens")))
    })
    .await;
    let error = at(base).call(&request("q"), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), seen.lock().len()), ("model_rejected", 1), "a value is not a field");
}

#[tokio::test]
async fn what_the_settings_say_is_sent_and_not_second_guessed() {
    let (base, seen) =
        endpoint(|b| b.get("response_format").map(|_| (400, said("response_format is unsupported")))).await;
    let structured_so = Some(Structured::JsonSchema);
    let fixed =
        OpenAi::new(&Provider { base_url: base, structured: structured_so, ..Provider::default() }).unwrap();
    let error = fixed.call(&structured(false), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.elsewhere, seen.lock().len()), ("model_rejected", true, 1));
    let models = BTreeMap::from([
        (
            "gp*".to_owned(),
            Abilities {
                structured: Some(Structured::JsonObject),
                temperature: Some(false),
                ..Abilities::default()
            },
        ),
        (
            "gpt-4".to_owned(),
            Abilities {
                structured: Some(Structured::Prompt),
                token_limit: Some(TokenLimit::None),
                instructions: Some(Instructions::Developer),
                parallel_tool_calls: Some(false),
                stream: Some(false),
                ..Abilities::default()
            },
        ),
    ]);
    let headers = BTreeMap::from([("x-team".to_owned(), Secret::new("blue"))]);
    let (base, seen) = endpoint(|_| None).await;
    let told = OpenAi::new(&Provider { base_url: base, models, headers, ..Provider::default() }).unwrap();
    let heard = Mutex::new(String::new());
    let on_delta = |text: &str| heard.lock().push_str(text);
    told.call(&structured(true), Some(&on_delta)).await.unwrap();
    assert_eq!(*heard.lock(), r#"{"answer":"yes"}"#, "it is said, in one piece");
    let body = seen.lock().remove(0);
    for absent in
        ["response_format", "temperature", "max_tokens", "max_completion_tokens", "stream", "stream_options"]
    {
        assert!(body.get(absent).is_none(), "{absent}: {body}");
    }
    assert_eq!(
        (&body["messages"][0]["role"], &body["parallel_tool_calls"]),
        (&json!("developer"), &json!(false))
    );
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_is_not_asked_for_again_at_once() {
    async fn half(State(seen): State<Asked>, body: axum::Json<Value>) -> Response {
        seen.lock().push(body.0.clone());
        if body.0["stream"] == true {
            return (
                [(CONTENT_TYPE, "text/event-stream")],
                "data: {\"choices\":[{\"delta\":{\"content\":\"ha",
            )
                .into_response();
        }
        axum::Json(json!({"choices": [{"message": {"content": "whole"}}]})).into_response()
    }
    let seen = Asked::default();
    let app = Router::new().route("/chat/completions", post(half)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let model = at(format!("http://{address}"));
    let on_delta = |_: &str| ();
    let error = model.call(&request("q"), Some(&on_delta)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("model_invalid_response", true));
    assert_eq!(model.call(&request("q"), Some(&on_delta)).await.unwrap().text, "whole");
    assert_eq!(seen.lock().len(), 2);
}

#[tokio::test]
async fn what_a_provider_hid_in_an_answer_goes_back_to_it_and_to_no_other() {
    let (base, seen) = endpoint(|_| None).await;
    let of = |url: &str| Provider { base_url: url.to_owned(), ..Provider::default() };
    let providers = BTreeMap::from([("a".to_owned(), of(&base)), ("b".to_owned(), of(&base))]);
    let models = Models::new(Config { default: Some("a".into()), providers, ..Config::default() }).unwrap();
    let map = |value: Value| value.as_object().cloned().unwrap();
    let extras = Extras {
        provider: "a".into(),
        message: map(json!({"reasoning_content": "hm", "x_unknown": [1]})),
        calls: vec![map(json!({"extra_content": {"google": {"thought_signature": "s"}}}))],
    };
    let call = ToolCall { id: "c".into(), name: "t".into(), arguments: "{}".into() };
    let mut asked = request("q");
    asked.messages.push(Message {
        tool_calls: vec![call],
        extras: Some(extras),
        ..Message::new(Role::Assistant, "")
    });
    asked.messages.push(Message { tool_call_id: Some("c".into()), ..Message::new(Role::Tool, "1") });
    let sent_to = async |model: &str| {
        models.call(&ModelRequest { model: model.to_owned(), ..asked.clone() }, None).await.unwrap();
        seen.lock().pop().unwrap()["messages"][2].clone()
    };
    let call = json!({"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}});
    let mut signed = call.clone();
    signed["extra_content"] = json!({"google": {"thought_signature": "s"}});
    let back =
        json!({"role": "assistant", "reasoning_content": "hm", "x_unknown": [1], "tool_calls": [signed]});
    assert_eq!(sent_to("m").await, back);
    assert_eq!(sent_to("a/other").await, back);
    assert_eq!(sent_to("b/m").await, json!({"role": "assistant", "tool_calls": [call]}));
    // One that does not want its own fields back says so, and is not told them again.
    let (base, seen) = endpoint(|b| {
        b["messages"][2]
            .get("reasoning_content")
            .map(|_| (400, said("property 'reasoning_content' is unsupported")))
    })
    .await;
    at(base).call(&asked, None).await.unwrap();
    assert!(seen.lock().pop().unwrap()["messages"][2]["tool_calls"][0]["extra_content"].is_object());
}

#[test]
fn an_address_is_put_together_as_its_provider_wants_it() {
    let url = |provider: &Provider| OpenAi::new(provider).map(|model| model.address()).unwrap();
    let of =
        |base: &str| Provider { base_url: base.to_owned(), api_key: Secret::new("k"), ..Provider::default() };
    assert_eq!(url(&of("https://x/v1/")), "https://x/v1/chat/completions");
    assert_eq!(url(&of("https://x/v1/chat/completions")), "https://x/v1/chat/completions");
    assert_eq!(url(&of("https://x/v1?team=blue")), "https://x/v1/chat/completions?team=blue");
    let azure = "https://r.openai.azure.com/openai/deployments/d";
    assert_eq!(url(&of(azure)), format!("{azure}/chat/completions?api-version=2024-10-21"));
    let own = Provider { api_version: Some("2025-01-01".into()), ..of(azure) };
    assert_eq!(url(&own), format!("{azure}/chat/completions?api-version=2025-01-01"));
    let in_query = Provider { key_query: Some("key".into()), ..of("https://x") };
    assert_eq!(url(&in_query), "https://x/chat/completions?key=k");
    let named = |provider: &Provider| OpenAi::new(provider).unwrap().header_names();
    assert_eq!(named(&of("https://x")), ["authorization"]);
    assert_eq!(named(&of(azure)), ["api-key"]);
    assert_eq!(named(&in_query), Vec::<String>::new());
    assert_eq!(named(&Provider { key_header: Some("x-key".into()), ..of("https://x") }), ["x-key"]);
    for wrong in [
        Provider { key_header: Some("no name".into()), ..of("https://x") },
        Provider { proxy: Secret::new("nowhere"), ..of("https://x") },
        of("ftp://x"),
    ] {
        assert_eq!(OpenAi::new(&wrong).err().unwrap().code, "provider_invalid");
    }
}

#[tokio::test]
async fn a_model_is_asked_through_the_proxy_that_is_named() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let app = Router::new().fallback(move |request: axum::extract::Request| {
        record.lock().push(request.uri().to_string());
        async { axum::Json(json!({"choices": [{"message": {"content": "through"}}]})) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Secret::new(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let provider = Provider { base_url: "http://models.invalid/v1".into(), proxy, ..Provider::default() };
    let reply = OpenAi::new(&provider).unwrap().call(&request("q"), None).await.unwrap();
    assert_eq!(reply.text, "through");
    assert_eq!(*seen.lock(), ["http://models.invalid/v1/chat/completions"]);
    let without = Provider { proxy: Secret::new("none"), ..provider };
    let error = OpenAi::new(&without).unwrap().call(&request("q"), None).await.unwrap_err();
    assert_eq!(error.code, "model_unavailable");
}
