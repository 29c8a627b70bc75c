//! Agents that have others do a part of their task.

use crate::e2e::{
    history::lines,
    world::{Case, World, cases},
};
use crate::harness::{Recorded, Reply};
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        another_agents_answer_is_the_tools_and_its_use_counts,
        a_delegates_failure_is_told_to_the_model,
        who_is_asked_must_exist,
        work_is_passed_on_five_times_at_most,
        a_budget_counts_what_delegates_use,
        an_agent_outside_a_run_delegates_too,
    ]
}

fn ask(prompt: &str) -> Value {
    json!({"name": "lead", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": "lead", "prompt": prompt}}]})
}

fn delegate(agent: &str, task: &str) -> Reply {
    Reply::tool("delegate", json!({"agent": agent, "task": task}))
}

fn told(request: &Recorded) -> String {
    let body = request.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let tool = messages.iter().rfind(|message| message["role"] == "tool");
    tool.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}

async fn another_agents_answer_is_the_tools_and_its_use_counts(w: World) {
    w.says_in_turn("lead-two", vec![delegate("quick", "part-of-two"), Reply::text("both done")]);
    // Larger than what stands in a document.
    let part = "found ".repeat(500);
    w.says("part-of-two", Reply::text(part.clone()));
    let run = w.api.run(&ask("lead-two"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("both done"), &json!(3)));
    assert_eq!(lines(&steps), ["ask completed"]);
    let calls = w.asked("lead-two");
    assert_eq!((calls.len(), told(&calls[1])), (2, part));
    let tools = calls[0].json()["tools"].as_array().cloned().unwrap_or_default();
    assert_eq!(tools[0]["function"]["name"], "delegate");
    let who = &tools[0]["function"]["parameters"]["properties"]["agent"]["enum"];
    assert!(who.to_string().contains("quick") && !who.to_string().contains("lead"), "{who}");
    let part = w.asked("part-of-two");
    assert_eq!((part.len(), part[0].json()["max_tokens"].clone()), (1, json!(100)));
    assert!(part[0].json()["tools"].is_null(), "it has no tools of its own");
    w.recorded(&run).await;
}

async fn a_delegates_failure_is_told_to_the_model(w: World) {
    w.says_in_turn("lead-failing", vec![delegate("once", "part-failing"), Reply::text("I did it myself")]);
    w.says("part-failing", Reply::Status(400, None));
    let run = w.api.run(&ask("lead-failing"), json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "I did it myself");
    let complaint: Value = serde_json::from_str(&told(&w.asked("lead-failing")[1])).expect("JSON");
    assert_eq!(complaint["error"]["code"], "model_rejected");
}

async fn who_is_asked_must_exist(w: World) {
    w.says_in_turn("lead-nobody", vec![delegate("nobody", "x"), delegate("lead", "x"), Reply::text("alone")]);
    let run = w.api.run(&ask("lead-nobody"), json!({})).await;
    w.ended(&run, "completed").await;
    let calls = w.asked("lead-nobody");
    for call in &calls[1..] {
        let complaint: Value = serde_json::from_str(&told(call)).expect("JSON");
        assert_eq!(complaint["error"]["code"], "invalid_arguments");
    }
}

async fn work_is_passed_on_five_times_at_most(w: World) {
    // Eight agents of which each may ask all others pass it on from one to the next for as long as they can.
    let can = |request: &Recorded| request.json()["tools"].to_string().contains("delegate");
    let passes = |request: &Recorded| {
        let messages = request.json()["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().any(|m| m["role"] == "user" && m["content"].to_string().contains("pass-it-on"))
    };
    w.model.answer(passes, move |request| {
        let text = request.json()["messages"].to_string();
        if !can(request) {
            return Reply::text("the last one");
        }
        if text.contains("tool_call_id") {
            return Reply::text(format!("{} and one more", told(request)));
        }
        let body = request.json();
        let at: u32 =
            body["model"].as_str().and_then(|m| m.strip_prefix("chain")?.parse().ok()).expect("a number");
        delegate(&format!("chain{}", at + 1), "pass-it-on")
    });
    let mut first = ask("pass-it-on");
    first["nodes"][0]["config"]["agent"] = json!("chain0");
    let run = w.api.run(&first, json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    let expected = format!("the last one{}", " and one more".repeat(5));
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!(expected), &json!(11)));
}

async fn a_budget_counts_what_delegates_use(w: World) {
    w.says_in_turn("lead-poor", vec![delegate("quick", "part-poor"), Reply::text("not reached")]);
    w.says("part-poor", Reply::text("done"));
    let mut definition = ask("lead-poor");
    definition["settings"] = json!({"budget": {"calls": 2}});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["usage"]["calls"]), (&json!("budget_exceeded"), &json!(2)));
    assert_eq!((w.asked("lead-poor").len(), w.asked("part-poor").len()), (1, 1));

    w.says_in_turn("lead-broke", vec![delegate("quick", "part-never")]);
    definition["nodes"][0]["config"]["prompt"] = json!("lead-broke");
    definition["settings"] = json!({"budget": {"calls": 1}});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("part-never").len()), (&json!("budget_exceeded"), 0));
}

async fn an_agent_outside_a_run_delegates_too(w: World) {
    w.says_in_turn("lead-outside", vec![delegate("quick", "part-outside"), Reply::text("thanks to quick")]);
    w.says("part-outside", Reply::text("here"));
    let body = json!({"agent": "lead", "prompt": "lead-outside"});
    let answer = w.api.actor("Agent", "lead-of-nobody", "execute", body).await;
    assert_eq!((&answer["status"], &answer["output"]), (&json!("completed"), &json!("thanks to quick")));
    assert_eq!(answer["usage"]["calls"], 3);
}
