//! Agents as the model sees them: tools, limits, loops, answers that must fit a schema.

use crate::e2e::{
    history::lines,
    world::{Case, World, cases},
};
use crate::harness::{Recorded, Reply};
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        tools_are_called_and_their_answers_told,
        invalid_arguments_are_told_to_the_model,
        arguments_that_stay_invalid_fail_the_step,
        a_tool_that_fails_is_told_to_the_model,
        a_tool_nobody_knows_is_told_to_the_model,
        the_same_call_again_and_again_is_a_loop,
        rounds_are_limited,
        calls_are_limited,
        an_agents_time_is_limited,
        an_answer_that_does_not_fit_is_asked_for_again,
        an_answer_that_never_fits_fails_the_step,
        another_model_helps_when_the_first_is_away,
        an_agent_is_asked_without_a_run,
        use_that_nobody_told_is_marked_as_an_estimate,
    ]
}

fn ask(agent: &str, prompt: &str) -> Value {
    json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": agent, "prompt": prompt}}]})
}

/// Returns what the model was told by tools in a call.
fn told(request: &Recorded) -> Vec<String> {
    let body = request.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn failed_with(w: &World, agent: &str, prompt: &str, code: &str) -> Value {
    let run = w.api.run(&ask(agent, prompt), json!({})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!(code), &json!("ask")), "{seen:#}");
    assert_eq!(lines(&steps), ["ask failed"]);
    seen
}

async fn tools_are_called_and_their_answers_told(w: World) {
    w.serves("/lookup", Reply::text("a harbour town"));
    let both = vec![
        ("add".to_owned(), json!({"a": 2, "b": 3})),
        ("lookup".to_owned(), json!({"q": "Lübeck & more"})),
    ];
    w.says_in_turn("two-tools", vec![Reply::Tools(both), Reply::text("5, a harbour town")]);
    let run = w.api.run(&ask("tooler", "two-tools"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("5, a harbour town"), &json!(2)));
    assert_eq!((lines(&steps), &steps[0]["usage"]["calls"]), (vec!["ask completed".to_owned()], &json!(2)));
    let calls = w.asked("two-tools");
    assert_eq!(calls.len(), 2);
    let offered: Vec<_> = calls[0].json()["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|t| t["function"]["name"].clone())
        .collect();
    assert_eq!(offered, ["add", "broken", "lookup"]);
    let answers = told(&calls[1]);
    assert_eq!(answers[0], "5");
    assert!(answers[1].contains("a harbour town"), "{answers:?}");
    assert!(w.served("/lookup").iter().any(|r| r.target == "/lookup?q=L%C3%BCbeck%20%26%20more"));
    assert_ne!(calls[0].idempotency_key(), calls[1].idempotency_key());
}

async fn invalid_arguments_are_told_to_the_model(w: World) {
    let wrong = Reply::tool("add", json!({"a": "two", "c": 3}));
    let right = Reply::tool("add", json!({"a": 2, "b": 3}));
    w.says_in_turn("wrong-arguments", vec![wrong, right, Reply::text("5")]);
    let run = w.api.run(&ask("tooler", "wrong-arguments"), json!({})).await;
    w.ended(&run, "completed").await;
    let calls = w.asked("wrong-arguments");
    let complaint: Value = serde_json::from_str(&told(&calls[1])[0]).expect("JSON");
    assert_eq!(complaint["error"]["code"], "invalid_arguments");
    assert_eq!(told(&calls[2])[1], "5");
}

async fn arguments_that_stay_invalid_fail_the_step(w: World) {
    let wrong = |n: u32| Reply::tool("add", json!({ "x": n }));
    w.says_in_turn("stubborn", vec![wrong(1), wrong(2), wrong(3), wrong(4)]);
    failed_with(&w, "tooler", "stubborn", "invalid_tool_arguments").await;
    assert_eq!(w.asked("stubborn").len(), 3);
}

async fn a_tool_that_fails_is_told_to_the_model(w: World) {
    w.serves("/broken", Reply::Status(500, None));
    w.says_in_turn(
        "failing-tool",
        vec![Reply::tool("broken", json!({"q": "x"})), Reply::text("it is broken")],
    );
    let run = w.api.run(&ask("tooler", "failing-tool"), json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "it is broken");
    let complaint: Value = serde_json::from_str(&told(&w.asked("failing-tool")[1])[0]).expect("JSON");
    assert_eq!(complaint["error"]["code"], "http_status");
}

async fn a_tool_nobody_knows_is_told_to_the_model(w: World) {
    w.says_in_turn("no-such-tool", vec![Reply::tool("erase", json!({})), Reply::text("sorry")]);
    let run = w.api.run(&ask("tooler", "no-such-tool"), json!({})).await;
    w.ended(&run, "completed").await;
    let complaint = &told(&w.asked("no-such-tool")[1])[0];
    assert!(complaint.contains("no tool erase"), "{complaint}");
}

async fn the_same_call_again_and_again_is_a_loop(w: World) {
    // The same arguments, written otherwise.
    w.says("going-round", Reply::tool("add", json!({"b": 1, "a": 1})));
    let seen = failed_with(&w, "tooler", "going-round", "loop_detected").await;
    assert!(seen["error"]["message"].as_str().is_some_and(|m| m.contains("add")), "{seen:#}");
    assert_eq!(w.asked("going-round").len(), 3);
}

async fn rounds_are_limited(w: World) {
    w.says("many-rounds", Reply::tool("add", json!({"a": 1, "b": 1})));
    failed_with(&w, "capped", "many-rounds", "agent_limit").await;
    let calls = w.asked("many-rounds");
    assert_eq!((calls.len(), told(&calls[3]).len()), (4, 3), "three rounds, and the answer after them");
}

async fn calls_are_limited(w: World) {
    w.says("many-calls", Reply::tool("add", json!({"a": 1, "b": 1})));
    let seen = failed_with(&w, "thrifty", "many-calls", "agent_limit").await;
    assert_eq!((&seen["usage"]["calls"], w.asked("many-calls").len()), (&json!(2), 2));
}

async fn an_agents_time_is_limited(w: World) {
    let slow = Reply::tool("add", json!({"a": 1, "b": 1})).after(std::time::Duration::from_secs(20));
    w.says("much-time", slow);
    let began = std::time::Instant::now();
    failed_with(&w, "hurried", "much-time", "agent_limit").await;
    assert!(began.elapsed().as_secs() < 10, "a limit of 1 s took {:?}", began.elapsed());
}

fn schema(prompt: &str) -> Value {
    let mut definition = ask("quick", prompt);
    definition["nodes"][0]["config"]["output_schema"] =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    definition["output"] = json!("{{ steps.ask.output.n + 1 }}");
    definition
}

async fn an_answer_that_does_not_fit_is_asked_for_again(w: World) {
    let answers = vec![
        Reply::text("about four"),
        Reply::Json(json!({"n": "4"})),
        Reply::text("```json\n{\"n\": 4}\n```"),
    ];
    w.says_in_turn("fit-in", answers);
    let run = w.api.run(&schema("fit-in"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["output"]), (&json!(5), &json!({"n": 4})));
    let calls = w.asked("fit-in");
    assert_eq!((calls.len(), &seen["usage"]["calls"]), (3, &json!(3)));
    assert!(calls[0].json()["response_format"].is_object(), "the schema is told");
    assert!(calls[1].prompt().contains("not JSON"), "{}", calls[1].prompt());
    assert!(calls[2].prompt().contains("n:"), "{}", calls[2].prompt());
}

async fn an_answer_that_never_fits_fails_the_step(w: World) {
    w.says("never-fits", Reply::text("four"));
    let run = w.api.run(&schema("never-fits"), json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("never-fits").len()), (&json!("output_invalid"), 3));
}

async fn another_model_helps_when_the_first_is_away(w: World) {
    w.model.when(
        |request| request.prompt().contains("first-is-away") && request.json()["model"] == "test",
        Reply::Status(503, None),
    );
    w.says("first-is-away", Reply::text("from the spare"));
    let run = w.api.run(&ask("backed", "first-is-away"), json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "from the spare");
    let models: Vec<_> = w.asked("first-is-away").iter().map(|call| call.json()["model"].clone()).collect();
    assert_eq!(models, ["test", "spare"]);
}

async fn an_agent_is_asked_without_a_run(w: World) {
    w.says_in_turn("by-itself", vec![Reply::tool("add", json!({"a": 1, "b": 1})), Reply::text("two")]);
    let body = json!({"agent": "tooler", "prompt": "by-itself"});
    let answer = w.api.actor("Agent", "alone", "execute", body).await;
    assert_eq!((&answer["status"], &answer["output"]), (&json!("completed"), &json!("two")));
    let status = w.api.actor("Agent", "alone", "status", json!({})).await;
    assert_eq!((&status["status"], &status["usage"]["calls"]), (&json!("completed"), &json!(2)));
    let messages = w.api.actor("Agent", "alone", "messages", json!({})).await;
    let roles: Vec<_> =
        messages["items"].as_array().expect("items").iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    let nobody = w.api.actor("Agent", "alone-2", "execute", json!({"agent": "nobody", "prompt": "x"})).await;
    assert_eq!(nobody["error"]["status"], 422, "{nobody:#}");
}

async fn use_that_nobody_told_is_marked_as_an_estimate(w: World) {
    let message = json!({"role": "assistant", "content": "eight characters, or so"});
    let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "test",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    w.says("says-no-usage", Reply::Raw("application/json", answer.to_string()));
    let run = w.api.run(&ask("once", "says-no-usage"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["usage"]["estimated"], &steps[0]["usage"]["estimated"]), (&json!(true), &json!(true)));
    assert_eq!((&seen["usage"]["calls"], &seen["usage"]["completion_tokens"]), (&json!(1), &json!(6)));
    let told = w.api.run(&ask("once", "says what it used"), json!({})).await;
    let (seen, _) = w.ended(&told, "completed").await;
    assert_eq!(seen["usage"].get("estimated"), None);
}
