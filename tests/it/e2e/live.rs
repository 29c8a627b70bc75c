//! What happens to runs, told over Socket.IO to its unmodified client, whatever becomes of the connection.

mod client;

use super::{api::Api, users::Guarded, world::example};
use crate::harness::{Callboard, Model, root};
use client::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Rounds, one after the other, each of which waits for a moment.
fn rounds(rounds: u32) -> Value {
    let body = json!({"nodes": [{"id": "moment", "type": "wait", "config": {"for": "40ms"}}]});
    json!({"name": "rounds", "nodes": [
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "rounds", "type": "loop", "config": {"until": "false", "max": rounds, "body": body}}
    ], "edges": [{"source": "go", "target": "rounds"}]})
}

/// Returns the seqs of a run as an event stream tells them.
async fn streamed(api: &Api, run: &str) -> Vec<u64> {
    let request = api.client.get(format!("{}/api/v1/runs/{run}/history", api.url));
    let stream = request.header("accept", "text/event-stream").send().await.expect("a stream");
    let text = stream.text().await.expect("events");
    text.lines()
        .filter_map(|line| line.strip_prefix("id:"))
        .map(|id| id.trim().parse().expect("a seq"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_followed_over_fifty_cuts_is_told_whole_and_nothing_twice() {
    let dev = Callboard::dev([""; 0]).await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let mut client = Client::start();
    client.connect("page", &dev.url, None).await;
    let run = api.run(&rounds(90), json!({})).await;
    client.order(json!({"do": "follow", "socket": "page", "run": run, "after": 0})).await;
    let streaming = tokio::spawn({
        let (api, run) = (api.clone(), run.clone());
        async move { streamed(&api, &run).await }
    });
    api.operate(&run, "signal", json!({"name": "go"})).await;
    for _ in 0..50 {
        client.event("page", "step:update").await;
        client.order(json!({"do": "cut", "socket": "page"})).await;
        client.event("page", "connect").await;
    }
    let followed: Vec<u64> = serde_json::from_value(client.event("page", "followed").await).expect("seqs");
    let history = api.history(&run).await;
    let whole: Vec<u64> = (1..=history.len() as u64).collect();
    assert!(whole.len() > 300, "there was something to be told: {}", whole.len());
    assert_eq!(followed, whole);
    assert_eq!(streaming.await.expect("a stream"), whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_is_followed_with_the_runs_that_begin_later_and_what_their_agents_say() {
    let model = Model::start().await;
    let agents = root().join("config/agents.yaml").display().to_string();
    let dev = Callboard::with()
        .args(["--agents", &agents])
        .env("OPENAI_BASE_URL", model.base_url())
        .env("OPENAI_API_KEY", "none")
        .start()
        .await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let workflow = api
        .create(&json!({"name": "speak", "nodes": [
            {"id": "go", "type": "signal", "config": {"name": "go"}},
            {"id": "speak", "type": "agent", "config": {"agent": "research", "prompt": "say a few words"}}
        ], "edges": [{"source": "go", "target": "speak"}]}))
        .await;
    let early = api.start(&workflow, json!({})).await;
    api.until_step(&early, "go", "waiting").await;

    let mut client = Client::start();
    client.connect("page", &dev.url, None).await;
    client.connect("list", &dev.url, None).await;
    let answer = client.send("list", "subscribe", json!({"project": true})).await;
    assert_eq!(answer, json!({"ok": true, "runs": {}}));
    let answer = client.send("page", "subscribe", json!({"workflowId": workflow})).await;
    let seq = api.history(&early).await.len();
    assert_eq!(answer, json!({"ok": true, "runs": {(early.as_str()): seq}}));

    let late = api.start(&workflow, json!({})).await;
    let other = api.run(&json!({"name": "other", "nodes": []}), json!({})).await;
    for run in [&early, &late] {
        api.operate(run, "signal", json!({"name": "go"})).await;
    }
    for (run, from) in [(&early, seq as u64 + 1), (&late, 1)] {
        client
            .line(|line| line["body"]["runId"] == json!(run) && line["body"]["type"] == "run.completed")
            .await;
        let whole = api.history(run).await.len() as u64;
        let told = client.taken("page", &["run:update", "step:update"]);
        let (told, others): (Vec<_>, Vec<_>) =
            told.into_iter().map(|line| line["body"].clone()).partition(|body| body["runId"] == json!(run));
        assert!(others.iter().all(|body| body["runId"] != json!(other)), "{others:#?}");
        let mut seqs: Vec<_> = told.iter().filter_map(|body| body["seq"].as_u64()).collect();
        seqs.push(whole);
        assert_eq!(seqs, (from..=whole).collect::<Vec<_>>(), "{told:#?}");
        assert!(told.iter().all(|body| body["workflowId"] == json!(workflow)), "{told:#?}");
        // Those of the other run are looked at in the next round.
        for body in others {
            let event = if body["node"].is_null() { "run:update" } else { "step:update" };
            client.put_back(json!({"socket": "page", "event": event, "body": body}));
        }
    }
    let agent: Vec<_> =
        client.taken("page", &["agent:update"]).into_iter().map(|line| line["body"].clone()).collect();
    for run in [&early, &late] {
        let of_run: Vec<_> = agent.iter().filter(|body| body["runId"] == json!(run)).collect();
        assert!(of_run.iter().all(|body| body["node"] == "speak" && body["seq"].is_u64()), "{of_run:#?}");
        let statuses: Vec<_> =
            of_run.iter().filter(|body| body.get("said").is_none()).map(|body| &body["status"]).collect();
        assert_eq!(statuses, ["running", "completed"], "{of_run:#?}");
        let said: String = of_run.iter().filter_map(|body| body["said"].as_str()).collect();
        // Who begins to listen while an agent speaks may miss words.
        assert!(said == "say a few words" || run == &late, "{said}");
        let done = of_run.iter().find(|body| body["status"] == "completed").expect("an end");
        assert_eq!(done["usage"]["calls"], 1, "{done:#}");
    }
    for run in [&late, &other] {
        client.line(|line| line["event"] == "run:begin" && line["body"]["runId"] == json!(run)).await;
    }
    for run in [&early, &late, &other] {
        let end = client.line(|line| line["event"] == "run:end" && line["body"]["runId"] == json!(run)).await;
        assert_eq!((&end["socket"], &end["body"]["status"]), (&json!("list"), &json!("completed")));
    }
    assert_eq!(client.taken("list", &["run:begin", "run:end"]), Vec::<Value>::new(), "each was told once");
}

/// A page shows one run, and comes back to the list of its workflow's runs again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_followed_already_is_told_on_when_its_workflow_is_subscribed_to() {
    let dev = Callboard::dev([""; 0]).await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let workflow = api.create(&rounds(90)).await;
    let run = api.start(&workflow, json!({})).await;
    let mut client = Client::start();
    client.connect("page", &dev.url, None).await;
    let answer = client.send("page", "subscribe", json!({"runId": run, "after": 0})).await;
    assert_eq!(answer["ok"], true, "{answer:#}");
    api.operate(&run, "signal", json!({"name": "go"})).await;
    let mut times = 0;
    while client.send("page", "subscribe", json!({"workflowId": workflow})).await["runs"][&run].is_u64() {
        times += 1;
    }
    assert!(times > 20, "it was subscribed to while the run went on: {times}");
    client.line(|line| line["body"]["type"] == "run.completed").await;
    let told = client.taken("page", &["run:update", "step:update"]);
    let seqs: Vec<_> = told.iter().filter_map(|line| line["body"]["seq"].as_u64()).collect();
    let whole = api.history(&run).await.len() as u64;
    assert_eq!(seqs, (1..whole).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_asked_for_as_it_has_to_be_is_refused() {
    let dev = Callboard::dev([""; 0]).await;
    let mut client = Client::start();
    client.connect("page", &dev.url, None).await;
    let unknown = "019aa000-0000-7000-8000-000000000000";
    for (event, body, code) in [
        ("subscribe", json!({"workflowId": unknown}), "unknown_workflow"),
        ("subscribe", json!({"workflowId": "no id"}), "unknown_workflow"),
        ("subscribe", json!({"runId": "nobody"}), "unknown_run"),
        ("subscribe", json!({"runId": "a/b"}), "unknown_run"),
        ("subscribe", json!({}), "invalid_body"),
        ("subscribe", json!({"project": false}), "invalid_body"),
        ("subscribe", json!({"runId": "a", "workflowId": unknown}), "invalid_body"),
        ("subscribe", json!({"workflowId": unknown, "after": 1}), "invalid_body"),
        ("subscribe", json!({"runId": 7}), "invalid_body"),
        ("subscribe", json!("all"), "invalid_body"),
        ("unsubscribe", json!({"other": 1}), "invalid_body"),
    ] {
        let answer = client.send("page", event, body.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{event} {body}: {answer:#}");
    }
    let unsubscribed = client.send("page", "unsubscribe", json!({"workflowId": unknown})).await;
    assert_eq!(unsubscribed, json!({"ok": true}));
    // A page of somebody else's.
    let headers = json!({"origin": "https://evil.example"});
    client.order(json!({"do": "connect", "socket": "evil", "url": dev.url, "headers": headers})).await;
    client.event("evil", "connect_error").await;
    client.order(json!({"do": "close", "socket": "evil"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unsubscribed_is_not_told() {
    let dev = Callboard::dev([""; 0]).await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let mut client = Client::start();
    client.connect("page", &dev.url, None).await;
    let (one, two) =
        (api.run(&example("signal"), json!({})).await, api.run(&example("signal"), json!({})).await);
    for run in [&one, &two] {
        api.until_step(run, "payment", "waiting").await;
        assert_eq!(client.send("page", "subscribe", json!({"runId": run})).await["ok"], true);
    }
    assert_eq!(client.send("page", "unsubscribe", json!({"runId": one})).await, json!({"ok": true}));
    for run in [&one, &two] {
        api.operate(run, "signal", json!({"name": "payment", "data": {"amount": 1}})).await;
    }
    client.line(|line| line["body"]["type"] == "run.completed").await;
    api.until(&one, "completed").await;
    let told = client.taken("page", &["run:update", "step:update"]);
    assert!(!told.is_empty() && told.iter().all(|line| line["body"]["runId"] == json!(two)), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_sees_its_project_and_ends_with_its_credential() {
    let server = Guarded::start("").await;
    server.project("acme").await;
    let ours = server.api(&server.admin);
    let workflow = ours.create(&example("signal")).await;
    let run = ours.start(&workflow, json!({})).await;
    let url = server.server.url.clone();

    let mut client = Client::start();
    for (socket, token, code) in [
        ("none", Value::Null, "credential_missing"),
        ("empty", json!(""), "credential_missing"),
        ("wrong", json!("cb_x_y"), "invalid_credential"),
        ("rubbish", json!({"a": 1}), "invalid_credential"),
    ] {
        client.order(json!({"do": "connect", "socket": socket, "url": url, "token": token})).await;
        assert_eq!(client.event(socket, "connect_error").await, json!(code), "{socket}");
    }

    let foreign = server.key("acme", "viewer").await;
    client.connect("acme", &url, Some(&foreign)).await;
    for (body, code) in
        [(json!({"workflowId": workflow}), "unknown_workflow"), (json!({"runId": run}), "unknown_run")]
    {
        let answer = client.send("acme", "subscribe", body).await;
        assert_eq!(answer["error"]["code"], code, "{answer:#}");
    }
    assert_eq!(client.send("acme", "subscribe", json!({"project": true})).await["ok"], true);

    let made = ours.post("/keys", json!({"role": "viewer"})).await;
    let (id, key) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret"));
    client.connect("viewer", &url, Some(key)).await;
    let answer = client.send("viewer", "subscribe", json!({"workflowId": workflow})).await;
    assert!(answer["runs"][&run].is_u64(), "{answer:#}");
    assert_eq!(ours.request("DELETE", &format!("/keys/{id}"), None).await.0, 204);
    let began = Instant::now();
    assert_eq!(client.event("viewer", "disconnect").await, "io server disconnect");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let told = client.taken("acme", &["run:begin", "run:end", "run:update", "step:update"]);
    assert_eq!(told, Vec::<Value>::new(), "nothing of another project");

    // Twenty sockets have one caller, and no more.
    let busy = server.key("default", "viewer").await;
    for n in 0..20 {
        client.connect(&format!("busy{n}"), &url, Some(&busy)).await;
    }
    client.order(json!({"do": "connect", "socket": "busy20", "url": url, "token": busy})).await;
    assert_eq!(client.event("busy20", "connect_error").await, "too_many_sockets");
    client.order(json!({"do": "close", "socket": "busy0"})).await;
    client.event("busy0", "disconnect").await;
    // The server hears of it in a moment.
    for n in 0.. {
        let socket = format!("again{n}");
        client.order(json!({"do": "connect", "socket": socket, "url": url, "token": busy})).await;
        let is_one = |line: &Value| line["event"] == "connect" || line["event"] == "connect_error";
        if client.line(|line| line["socket"] == json!(socket) && is_one(line)).await["event"] == "connect" {
            break;
        }
    }
    let rows = ours.get("/audit").await;
    let refused =
        rows["items"].as_array().expect("rows").iter().filter(|row| row["route"] == "socket connect");
    assert!(refused.count() >= 2, "{rows:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run it alone with --ignored --nocapture"]
async fn five_hundred_sockets_follow_one_run() {
    let server = Guarded::start("").await;
    let api = server.api(&server.admin);
    let run = api.run(&rounds(20), json!({})).await;
    let memory = || {
        let id = server.server.process.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory").to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let before = memory();
    let mut client = Client::start();
    for group in 0..25 {
        let key = server.key("default", "viewer").await;
        for n in 0..20 {
            let socket = format!("s{group}-{n}");
            client.connect(&socket, &server.server.url, Some(&key)).await;
            client.order(json!({"do": "follow", "socket": socket, "run": run, "after": 0})).await;
        }
    }
    let open = memory();
    api.operate(&run, "signal", json!({"name": "go"})).await;
    let history_at = Instant::now();
    for group in 0..25 {
        for n in 0..20 {
            let seqs: Vec<u64> =
                serde_json::from_value(client.event(&format!("s{group}-{n}"), "followed").await)
                    .expect("seqs");
            assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        }
    }
    let took = history_at.elapsed();
    let events = api.history(&run).await;
    let at: std::collections::HashMap<u64, i64> = events
        .iter()
        .map(|event| {
            let at = callboard_core::Timestamp::parse(event["at"].as_str().expect("a time")).expect("a time");
            (event["seq"].as_u64().expect("a seq"), at.0)
        })
        .collect();
    let mut lags = Vec::new();
    for group in 0..25 {
        for n in 0..20 {
            for line in client.taken(&format!("s{group}-{n}"), &["step:update"]) {
                let seq = line["body"]["seq"].as_u64().expect("a seq");
                if seq > 5 {
                    lags.push(line["at"].as_i64().expect("a time") - at[&seq]);
                }
            }
        }
    }
    lags.sort_unstable();
    eprintln!(
        "500 sockets: {} KiB before, {open} KiB open, {} KiB at the end; {} events in {took:?}; lag p50 {} ms, p99 {} ms, most {} ms",
        before,
        memory(),
        events.len(),
        lags[lags.len() / 2],
        lags[lags.len() * 99 / 100],
        lags[lags.len() - 1],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_of_the_page_follows_a_run_to_its_end() {
    let page = std::fs::read_to_string(root().join("docs/live.md")).expect("the page");
    let program = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let dev = Callboard::dev([""; 0]).await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let run = api.run(&rounds(2), json!({})).await;
    let folder = crate::harness::scratch();
    let file = folder.path().join("follow.cjs");
    std::fs::write(&file, program.replace("http://127.0.0.1:8080", &dev.url)).expect("a file");
    let node = tokio::process::Command::new("node")
        .arg(&file)
        .arg(&run)
        .env("NODE_PATH", root().join(".cache/node/node_modules"))
        .kill_on_drop(true)
        .output();
    let (said, _) = tokio::join!(
        tokio::time::timeout(super::api::PATIENCE, node),
        api.operate(&run, "signal", json!({"name": "go"}))
    );
    let said = said.expect("in time").expect("node starts");
    let (told, wrong) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && wrong.is_empty(), "{told}{wrong}");
    let last = api.history(&run).await.len();
    assert_eq!(told.lines().count(), last, "{told}");
    assert!(told.ends_with(&format!("{last} run run.completed  completed\n")), "{told}");
}
