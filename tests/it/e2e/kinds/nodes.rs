//! Nodes that work by themselves: agent, transform, condition, wait, http; and no node at all.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        an_agent_is_asked_once_and_its_text_is_the_output,
        rules_filter_map_and_reduce,
        a_condition_takes_one_way_and_skips_the_other,
        a_wait_lasts_as_long_as_it_says,
        a_wait_until_nonsense_fails,
        a_call_goes_out_with_query_header_and_key,
        a_call_keeps_the_types_of_its_body,
        an_unexpected_status_fails_the_step,
        a_private_address_is_refused,
        no_nodes_complete_at_once,
        several_last_nodes_make_an_object,
        an_output_that_cannot_be_rendered_fails_the_run,
        large_values_arrive_whole,
    ]
}

async fn an_agent_is_asked_once_and_its_text_is_the_output(w: World) {
    w.says("a-marker-of-one", Reply::text("forty-two"));
    let run = w.api.run(&example("agent"), json!({"question": "a-marker-of-one?"})).await;
    let (run_seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(run_seen["output"], "forty-two");
    assert_eq!(run_seen["usage"]["calls"], 1);
    assert_eq!(lines(&steps), ["answer completed"]);
    assert_eq!((&steps[0]["attempt"], &steps[0]["output"]), (&json!(1), &json!("forty-two")));
    assert_eq!(steps[0]["input"]["prompt"], "a-marker-of-one?");
    let history = w.recorded(&run).await;
    assert_eq!(types(&history), ["run.created", "step.started", "step.completed", "run.completed"]);
    let calls = w.asked("a-marker-of-one");
    assert_eq!(calls.len(), 1);
    let body = calls[0].json();
    let system = body["messages"][0].to_string();
    assert!(system.contains("Researcher") && system.contains("Gather and analyze"), "{system}");
    assert_eq!((&body["model"], &body["temperature"]), (&json!("gpt-4"), &json!(0.7)));
    assert!(calls[0].idempotency_key().is_some_and(|key| key.contains(&run)), "{:?}", calls[0].headers);
}

async fn rules_filter_map_and_reduce(w: World) {
    let orders = json!({"orders": [{"name": "tea", "price": 4}, {"name": "desk", "price": 240}]});
    let run = w.api.run(&example("transform"), orders).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    let expected = json!({"large": [{"name": "desk", "price": 240}], "names": ["DESK"], "sum": 244});
    assert_eq!((&seen["output"], &steps[0]["output"]), (&expected, &expected));
}

async fn a_condition_takes_one_way_and_skips_the_other(w: World) {
    let definition = example("condition");
    let large = w.api.run(&definition, json!({"amount": 1200})).await;
    let (seen, steps) = w.ended(&large, "completed").await;
    assert_eq!(lines(&steps), ["careful completed", "done completed", "large completed", "quick skipped"]);
    assert_eq!(seen["output"], json!({"amounts": [1200]}));
    let small = w.api.run(&definition, json!({"amount": 3})).await;
    let (_, steps) = w.ended(&small, "completed").await;
    assert_eq!(lines(&steps), ["careful skipped", "done completed", "large completed", "quick completed"]);
}

async fn a_wait_lasts_as_long_as_it_says(w: World) {
    let run = w.api.run(&example("wait"), json!({})).await;
    w.api.until_step(&run, "moment", "waiting").await;
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "waiting");
    w.ended(&run, "completed").await;
    let history = w.recorded(&run).await;
    let at = |kind: &str, node: &str| {
        let item = history.iter().find(|item| item["type"] == kind && item["node"] == node);
        instant(&item.expect("the event")["at"])
    };
    let lasted = at("step.completed", "moment") - at("step.started", "moment");
    assert!((2000..6000).contains(&lasted), "2 s took {lasted} ms");
    let passed = at("step.completed", "instant") - at("step.completed", "moment");
    assert!(passed < 2000, "an instant that has passed took {passed} ms");
}

fn instant(text: &Value) -> i64 {
    let text = text.as_str().expect("an instant");
    callboard_core::Timestamp::parse(text).expect("RFC 3339").0
}

async fn a_wait_until_nonsense_fails(w: World) {
    let run = w.api.run(&example("wait"), json!({"until": "tomorrow"})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!(
        (&seen["error"]["code"], &seen["error"]["node"]),
        (&json!("invalid_instant"), &json!("instant"))
    );
}

async fn a_call_goes_out_with_query_header_and_key(w: World) {
    let run = w.api.run(&example("http"), json!({"url": format!("{}/one-call", w.http_url)})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"]["status"], 200);
    assert_eq!(seen["output"]["body"]["query"], format!("run={run}"));
    assert_eq!(lines(&steps), ["get completed"]);
    let calls = w.served("/one-call");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].header("accept"), Some("application/json, text/*;q=0.5"));
    assert_eq!(calls[0].idempotency_key(), Some(format!("{run}/1/get//1").as_str()));
}

async fn a_call_keeps_the_types_of_its_body(w: World) {
    let body = json!({"n": "{{ input.n }}", "text": "n is {{ input.n }}", "list": "{{ input.list }}"});
    let url = format!("{}/types", w.http_url);
    let definition = json!({"name": "types", "nodes": [{"id": "send", "type": "http",
        "config": {"method": "POST", "url": url, "headers": {"x-kind": "{{ input.n }}"}, "body": body}}],
        "output": "{{ steps.send.output.body.body }}"});
    let run = w.api.run(&definition, json!({"n": 7, "list": [1, {"a": null}]})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"n": 7, "text": "n is 7", "list": [1, {"a": null}]}));
    assert_eq!(w.served("/types")[0].header("x-kind"), Some("7"));
}

async fn an_unexpected_status_fails_the_step(w: World) {
    w.serves("/not-here", Reply::Status(404, None));
    let run = w.api.run(&example("http"), json!({"url": format!("{}/not-here", w.http_url)})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("http_status"), &json!("get")));
    assert!(seen["error"]["message"].as_str().is_some_and(|m| m.contains("404")), "{seen:#}");
    assert_eq!(lines(&steps), ["get failed"]);
    assert_eq!(w.served("/not-here").len(), 1, "nothing heals a 404");
}

async fn a_private_address_is_refused(w: World) {
    for url in ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://[::1]/", "http://10.0.0.1/"] {
        let run = w.api.run(&example("http"), json!({"url": url})).await;
        let (seen, _) = w.ended(&run, "failed").await;
        assert_eq!(seen["error"]["code"], "http_forbidden_address", "{url}: {seen:#}");
    }
}

async fn no_nodes_complete_at_once(w: World) {
    let id = w.api.create(&json!({"name": "empty", "nodes": []})).await;
    let seen = w.api.post(&format!("/workflows/{id}/start?wait=10s"), json!({})).await;
    assert_eq!((&seen["status"], &seen["output"]), (&json!("completed"), &json!(null)));
    let run = seen["run_id"].as_str().expect("a run id");
    let (_, steps) = w.ended(run, "completed").await;
    assert_eq!(lines(&steps), Vec::<String>::new());
}

async fn several_last_nodes_make_an_object(w: World) {
    let rule =
        |n: u32| json!([{"source": ".", "target": "n", "type": "map", "config": {"value": n.to_string()}}]);
    let node = |id: &str, n: u32| json!({"id": id, "type": "transform", "config": {"input": "[1]", "rules": rule(n)}});
    let definition = json!({"name": "two", "nodes": [node("a", 1), node("b", 2)]});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"a": {"n": [1]}, "b": {"n": [2]}}));
}

async fn an_output_that_cannot_be_rendered_fails_the_run(w: World) {
    let definition = json!({"name": "wrong", "nodes": [], "output": "{{ input.list | length + 1 }}"});
    let run = w.api.run(&definition, json!({"list": 3})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("output_error"), &json!(null)));
}

/// Above what stands inline, above one chunk, above one message of a sidecar.
async fn large_values_arrive_whole(w: World) {
    let run = |size: usize| {
        let w = w.clone();
        async move {
            w.http.answer(
                move |request| request.target == format!("/large-{size}"),
                move |_| Reply::Text("x".repeat(size)),
            );
            let get = json!({"id": "get", "type": "http", "config": {"url": format!("{}/large-{size}", w.http_url), "max_body": 16 << 20}});
            let run = w.api.run(&json!({"name": "large", "nodes": [get]}), json!({})).await;
            let (seen, steps) = w.ended(&run, "completed").await;
            let length = |output: &Value| output["body"].as_str().map(str::len);
            assert_eq!(length(&seen["output"]), Some(size));
            // A list of steps shows the beginning of what is large, and names the whole.
            let output = match &steps[0]["output"] {
                cut if cut["cut"] == true => {
                    let hash = cut["hash"].as_str().expect("a hash");
                    w.api.get(&format!("/runs/{run}/values/{hash}")).await
                }
                whole => whole.clone(),
            };
            assert_eq!(length(&output), Some(size));
        }
    };
    for size in [1 << 10, (64 << 10) + 1, 5 << 20] {
        run(size).await;
    }
}
