//! Prompts and answers that are larger than a message of a sidecar (4 MiB at most): the model is asked all of it, or nobody
//! is and the limit is named.

use super::world::{Stage, Where, World};
use crate::harness::Reply;
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_larger_than_a_message_is_asked_whole_or_not_at_all_over_the_embedded_sidecar() {
    large(&Stage::start(Where::Embedded).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_larger_than_a_message_is_asked_whole_or_not_at_all_beside_real_dapr() {
    large(&Stage::start(Where::Beside).await).await;
}

async fn large(stage: &Stage) {
    let w = &stage.world;
    given_with_the_start(w).await;
    made_of_what_a_step_got(w).await;
    given_to_an_agent_itself(w).await;
    larger_than_a_value(w).await;
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

/// A text of so many bytes that begins with `marker`.
fn text(marker: &str, bytes: usize) -> String {
    format!("{marker}{}", "-".repeat(bytes - marker.len()))
}

/// Returns what the model was asked, once, about `marker`.
fn asked(w: &World, marker: &str) -> String {
    let asked = w.asked(marker);
    assert_eq!(asked.len(), 1, "{marker}: nothing is paid twice");
    asked[0].prompt()
}

/// 2.5 MiB in one message; the answer has as much, and comes back in one.
async fn given_with_the_start(w: &World) {
    let given = text("given-with-the-start", 5 * MIB / 2);
    let definition = json!({"name": "given", "output": "{{ steps.say.output }}", "nodes": [
        {"id": "say", "type": "agent", "config": {"agent": "quick", "prompt": "{{ input.text }}"}}]});
    let began = w.api.post("/runs", json!({"definition": definition, "input": {"text": given}})).await;
    let seen = w.ends(began["run_id"].as_str().expect("an id"), "completed").await;
    assert!(asked(w, "given-with-the-start") == given, "the model is asked the whole text");
    assert!(seen["output"] == json!(given), "it answers with the same, and all of it is the output");
}

/// 9 MiB, which no message holds.
async fn made_of_what_a_step_got(w: &World) {
    let got = text("", 9 * MIB);
    w.serves("/of-nine-mib", Reply::Raw("text/plain", got.clone()));
    w.says("made-of-what-a-step-got", Reply::text("short"));
    let definition = json!({"name": "made", "output": "{{ steps.say.output }}", "nodes": [
        {"id": "get", "type": "http", "config": {"url": format!("{}/of-nine-mib", w.http_url), "max_body": 16 * MIB}},
        {"id": "say", "type": "agent", "config": {"agent": "quick",
            "prompt": "made-of-what-a-step-got\n{{ steps.get.output.body }}"}}],
        "edges": [{"source": "get", "target": "say"}]});
    let run = w.api.run(&definition, json!({})).await;
    assert_eq!(w.ends(&run, "completed").await["output"], "short");
    assert!(asked(w, "made-of-what-a-step-got") == format!("made-of-what-a-step-got\n{got}"));
}

/// An agent that works for no run is asked by one message, and answers in one.
async fn given_to_an_agent_itself(w: &World) {
    let prompt = text("given-to-an-agent", 5 * MIB / 2);
    let body = json!({"agent": "quick", "prompt": prompt});
    let answer = w.api.actor("Agent", "given-a-large-prompt", "execute", body).await;
    assert_eq!(answer["status"], "completed");
    assert!(asked(w, "given-to-an-agent") == prompt && answer["output"] == json!(prompt));
}

/// What no step may have as its input fails before the model is asked, by the limit's name.
async fn larger_than_a_value(w: &World) {
    w.serves("/of-nine-mib-more", Reply::Raw("text/plain", text("", 9 * MIB)));
    let body = "{{ steps.get.output.body }}";
    let definition = json!({"name": "too-large", "nodes": [
        {"id": "get", "type": "http",
            "config": {"url": format!("{}/of-nine-mib-more", w.http_url), "max_body": 16 * MIB}},
        {"id": "say", "type": "agent",
            "config": {"agent": "quick", "prompt": format!("larger-than-a-value\n{body}\n{body}")}}],
        "edges": [{"source": "get", "target": "say"}]});
    let run = w.api.run(&definition, json!({})).await;
    let error: Value = w.ends(&run, "failed").await["error"].clone();
    assert_eq!((&error["code"], &error["node"]), (&json!("template_error"), &json!("say")), "{error}");
    let said = error["message"].as_str().expect("a sentence");
    assert!(said.contains("what is passed on is larger than 16777216 bytes together"), "{said}");
    assert_eq!(w.asked("larger-than-a-value").len(), 0);
}
