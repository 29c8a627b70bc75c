//! Who may say what to a run, on one machine: whoever cancels its agent, approves what was not shown, reports what
//! nobody can have used, or starts something else under a name that is taken.

use super::target::Target;
use crate::harness::{Reply, eventually, when};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_an_agent_never_strands_its_run() {
    let target = Target::start().await;
    target.model.script().then([Reply::text("late").after(Duration::from_secs(4))]);
    let ask = json!({"id": "a", "type": "agent", "config": {"agent": "once", "prompt": "hello"}});
    let run = target.begin(&json!({"name": "ask", "nodes": [ask]}), json!({})).await;
    target.model.script().called(1, Duration::from_secs(10)).await;
    for body in [json!({}), json!({"attempt": 1})] {
        target.api.actor("Agent", &format!("{run}.a.1._"), "cancel", body).await;
    }
    let began = Instant::now();
    let ended = loop {
        let seen = target.api.get(&format!("/runs/{run}")).await;
        if ["completed", "failed"].iter().any(|status| seen["status"] == *status)
            || began.elapsed() > Duration::from_secs(12)
        {
            break seen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(
        ended["status"] == "completed" || ended["status"] == "failed",
        "it stands after {:.1?}: {ended:#}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_covers_what_is_sent_and_needs_its_hash() {
    let target = Target::start().await;
    let mut wrong = Vec::new();
    // Without anything that it guards, what is asked is shown all the same.
    let plain = json!({"name": "plain", "nodes": [{"id": "ask", "type": "approval", "config": {"title": "Pay {{ input.to }}?"}}]});
    let run = target.begin(&plain, json!({"to": "anna"})).await;
    let step = target.api.until_step(&run, "ask", "waiting").await;
    if !step["args_hash"].is_string() {
        wrong.push(format!("the step shows no args_hash: {step}"));
    }
    let history = target.api.history(&run).await;
    if !history.iter().any(|event| event.to_string().contains("args_hash")) {
        wrong.push("no event of the history has an args_hash".to_owned());
    }
    let pay = json!({"id": "pay", "type": "http", "config": {"method": "POST", "url": format!("{}/pay", target.http.url()), "body": {"to": "{{ input.to }}", "amount": "{{ input.amount }}"}}});
    let ask = json!({"id": "ask", "type": "approval", "config": {"title": "Pay?", "guards": "pay"}});
    let guarded = json!({"name": "guarded", "nodes": [ask, pay], "edges": [{"source": "ask", "target": "pay", "config": {"branch": "approved"}}]});
    let (status, began) = target
        .api
        .request("POST", "/runs", Some(json!({"definition": guarded, "input": {"to": "anna", "amount": 5}})))
        .await;
    let Some(run) = began["run_id"].as_str().filter(|_| status == 200) else {
        panic!("`guards` is not taken: {status} {began}; {wrong:#?}");
    };
    let step = target.api.until_step(run, "ask", "waiting").await;
    let hash = step["args_hash"].as_str().unwrap_or_default().to_owned();
    if !step.to_string().contains("anna") {
        wrong.push(format!("what will be sent is not shown: {step}"));
    }
    // Of the same question about another amount.
    let other = target.begin(&guarded, json!({"to": "anna", "amount": 500_000})).await;
    let others = target.api.until_step(&other, "ask", "waiting").await["args_hash"].clone();
    if others == hash.as_str() {
        wrong.push("two payments have one hash".to_owned());
    }
    for args_hash in [Value::Null, json!(""), json!("0"), others.clone(), json!(hash.to_uppercase() + "x")] {
        let mut body = json!({"node": "ask", "approved": true});
        if !args_hash.is_null() {
            body["args_hash"] = args_hash.clone();
        }
        for through in ["rest", "actor", "bus"] {
            match through {
                "rest" => {
                    let (status, answer) =
                        target.api.request("POST", &format!("/runs/{run}/approve"), Some(body.clone())).await;
                    if status < 400 {
                        wrong.push(format!("{args_hash} was taken by REST: {answer}"));
                    }
                }
                "actor" => _ = target.api.actor("Workflow", run, "approve", body.clone()).await,
                _ => {
                    let mut data = body.clone();
                    data["run_id"] = json!(run);
                    target.api.command("callboard.run.approve", data).await;
                }
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let paid = || target.upstream().requests().iter().filter(|request| request.target == "/pay").count();
    if paid() > 0 {
        wrong.push("it was paid without the hash".to_owned());
    }
    let (status, answer) = target
        .api
        .request(
            "POST",
            &format!("/runs/{run}/approve"),
            Some(json!({"node": "ask", "approved": true, "args_hash": hash})),
        )
        .await;
    if status != 200 {
        wrong.push(format!("the right hash was refused: {status} {answer}"));
    } else {
        target.api.until(run, "completed").await;
        if paid() != 1 {
            wrong.push(format!("it was paid {} times", paid()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_usage_that_is_reported_wraps_a_budget() {
    let target = Target::start().await;
    let mut wrong = Vec::new();
    for (n, usage) in [
        json!({"calls": u64::MAX}),
        json!({"calls": u64::MAX - 4}),
        json!({"calls": 1u64 << 63}),
        json!({"prompt_tokens": u64::MAX, "completion_tokens": 1}),
        json!({"calls": u64::MAX, "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}),
    ]
    .into_iter()
    .enumerate()
    {
        let outside = |id: &str| json!({"id": id, "type": "agent", "config": {"agent": "x", "prompt": "x", "worker": "external"}});
        let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "once", "prompt": format!("usage {n}")}});
        let edges = json!([{"source": "one", "target": "ask"}, {"source": "two", "target": "ask"}]);
        // The first worker uses up the whole budget; the second one's number must not give any of it back.
        let definition = json!({"name": "budget", "nodes": [outside("one"), outside("two"), ask], "edges": edges,
            "settings": {"budget": {"calls": 5, "tokens": 1000, "on_breach": "stop"}}});
        let run = target.begin(&definition, json!({})).await;
        for (node, usage) in [("one", json!({"calls": 5, "prompt_tokens": 1000})), ("two", usage.clone())] {
            let there = eventually(Duration::from_secs(10), || async {
                let run = target.api.get(&format!("/runs/{run}")).await;
                let step = target.api.step(run["id"].as_str().unwrap_or_default(), node).await;
                if step["status"] == "running" || run["status"] == "failed" {
                    Ok(run["status"] != "failed")
                } else {
                    Err(format!("{run} {step}"))
                }
            })
            .await;
            if there {
                finished(&target, &run, node, usage).await;
            }
        }
        let began = Instant::now();
        let ended = loop {
            let run = target.api.get(&format!("/runs/{run}")).await;
            if ["completed", "failed"].iter().any(|status| run["status"] == *status)
                || began.elapsed() > Duration::from_secs(8)
            {
                break run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let calls = target
            .model
            .script()
            .requests()
            .iter()
            .filter(|request| request.prompt() == format!("usage {n}"))
            .count();
        if ended["error"]["code"] != "budget_exceeded" || calls > 0 {
            wrong.push(format!(
                "{usage}: the run is {} {}, its model was called {calls} times",
                ended["status"], ended["error"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn finished(target: &Target, run: &str, node: &str, usage: Value) {
    let data = json!({"run_id": run, "step": {"generation": 1, "node": node, "iteration": ""}, "attempt": 1, "output": "done", "usage": usage});
    let event = json!({"specversion": "1.0", "id": uuid::Uuid::new_v4().to_string(), "source": "worker", "type": "callboard.task.finished",
        "datacontenttype": "application/json", "data": data});
    let request =
        target.api.client.post(format!("{}/v1.0/publish/pubsub/callboard.results", target.api.dapr));
    let sent =
        request.header("content-type", "application/cloudevents+json").body(event.to_string()).send().await;
    assert_eq!(sent.expect("an answer").status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_passes_work_on_to_nobody_it_does_not_name() {
    let never = json!({"max_retries": 0});
    let agents = json!({
        "reader": {"model": "test", "allow_delegation": true, "delegate_to": ["helper"], "retry_policy": never},
        "helper": {"model": "test", "retry_policy": never},
        "spender": {"model": "test", "tools": ["order"], "retry_policy": never},
    });
    let target = Target::with().agents(agents).tools(|upstream| {
        json!({"order": {"description": "Orders.", "parameters": {"type": "object"}, "type": "http", "config": {"method": "POST", "url": format!("{upstream}/order")}}})
    });
    let target = target.start().await;
    let script = target.model.script();
    script.when(|request| request.prompt() == "spend", Reply::tool("order", json!({})));
    let to = |agent: &str| Reply::tool("delegate", json!({"agent": agent, "task": "spend"}));
    script.then([to("spender"), to("reader"), to("Spender"), to("spender "), Reply::text("done")]);
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "reader", "prompt": "read"}});
    let run = target.begin(&json!({"name": "ask", "nodes": [ask]}), json!({})).await;
    eventually(Duration::from_secs(20), || async {
        when(target.api.get(&format!("/runs/{run}")).await, |run| {
            ["completed", "failed"].iter().any(|s| run["status"] == *s)
        })
    })
    .await;
    assert_eq!(target.upstream().calls(), 0, "an order was placed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_starts_nothing_else() {
    let target = Target::start().await;
    let mut wrong = Vec::new();
    let named = |name: &str| json!({"definition": {"name": name, "nodes": [{"id": "a", "type": "condition", "config": {"if": "true"}}]}, "input": {}});
    target.api.actor("Workflow", "taken", "start", named("first")).await;
    let again = target.api.actor("Workflow", "taken", "start", named("first")).await;
    if again["id"] != "taken" && again["run_id"] != "taken" {
        wrong.push(format!("the same start again is not the same run: {again}"));
    }
    let other = target.api.actor("Workflow", "taken", "start", named("second")).await;
    if other["error"]["status"] != 409 {
        wrong.push(format!("another definition under its id: {other}"));
    }
    for (first, second) in [(json!({"n": 1}), json!({"n": 2}))] {
        let mut body = named("keyed");
        body["input"] = first;
        let (status, _) = target.api.keyed("/runs", "the-key", body.clone()).await;
        assert_eq!(status, 200);
        body["input"] = second;
        let (status, answer) = target.api.keyed("/runs", "the-key", body).await;
        if status != 422 {
            wrong.push(format!("the same Idempotency-Key with another body: {status} {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
