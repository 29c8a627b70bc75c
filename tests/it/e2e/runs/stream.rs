//! A run watched live: history as server-sent events, resumed where it was left.

use crate::e2e::world::{Case, World, cases, example};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{pin::Pin, time::Duration};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        a_stream_tells_what_a_page_tells_and_ends_with_the_run,
        a_stream_is_resumed_after_the_last_event_seen,
        a_stream_told_to_its_end_is_over,
        a_poller_gets_what_changed_and_nothing_else,
    ]
}

/// Events as they come.
struct Stream {
    bytes: Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

async fn watch(w: &World, run: &str, after: Option<u64>) -> Stream {
    let url = format!("{}/api/v1/runs/{run}/history", w.api.url);
    let mut request = w.api.client.get(url).header("accept", "text/event-stream");
    if let Some(seq) = after {
        request = request.header("last-event-id", seq.to_string());
    }
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/event-stream"))
    );
    Stream { bytes: Box::pin(response.bytes_stream()), text: String::new() }
}

impl Stream {
    /// Returns the next event's id, name and data; nothing at the stream's end.
    async fn next(&mut self) -> Option<(u64, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(data) = field("data:") else { continue };
                let id = field("id:").expect("an id").parse().expect("a seq");
                let kind = field("event:").expect("a type").to_owned();
                return Some((id, kind, serde_json::from_str(data).expect("JSON")));
            }
            let more = tokio::time::timeout(Duration::from_secs(30), self.bytes.next()).await;
            let more = more.expect("an event, or the end")?.expect("bytes");
            self.text += &String::from_utf8_lossy(&more).replace("\r\n", "\n");
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some((id, kind, data)) = self.next().await {
            assert_eq!((&data["seq"], &data["type"]), (&json!(id), &json!(kind)));
            all.push(data);
        }
        all
    }
}

async fn a_stream_tells_what_a_page_tells_and_ends_with_the_run(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let mut stream = watch(&w, &run, None).await;
    let (id, kind, first) = stream.next().await.expect("an event");
    assert_eq!((id, kind.as_str(), &first["data"]["input"]), (1, "run.created", &json!({})));
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 1}})).await;
    let mut told = vec![first];
    told.extend(stream.rest().await);
    w.ended(&run, "completed").await;
    assert_eq!(told, w.recorded(&run).await);
}

async fn a_stream_is_resumed_after_the_last_event_seen(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let mut stream = watch(&w, &run, None).await;
    let (first, ..) = stream.next().await.expect("an event");
    let (second, ..) = stream.next().await.expect("an event");
    drop(stream);
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 1}})).await;
    let told = watch(&w, &run, Some(second)).await.rest().await;
    w.ended(&run, "completed").await;
    let history = w.recorded(&run).await;
    assert_eq!((first, second), (1, 2));
    assert_eq!(told, history[2..]);
}

async fn a_stream_told_to_its_end_is_over(w: World) {
    let run = w.api.run(&json!({"name": "over", "nodes": []}), json!({})).await;
    w.ended(&run, "completed").await;
    let last = w.recorded(&run).await.len();
    let url = format!("{}/api/v1/runs/{run}/history", w.api.url);
    let request = w.api.client.get(url).header("accept", "text/event-stream").header("last-event-id", last);
    assert_eq!(request.send().await.expect("an answer").status(), 204);
}

async fn a_poller_gets_what_changed_and_nothing_else(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.until_step(&run, "payment", "waiting").await;
    let first = w.api.get(&format!("/runs/{run}/steps?after=0")).await;
    assert_eq!(first["items"], json!(w.api.steps(&run).await));
    let seq = first["seq"].as_u64().expect("a seq");
    let again = w.api.get(&format!("/runs/{run}/steps?after={seq}")).await;
    assert_eq!(again, json!({"items": [], "next": null, "seq": seq}));
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 1}})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    let more = w.api.get(&format!("/runs/{run}/steps?after={seq}")).await;
    let node = |step: &Value| step["node"].clone();
    let changed: Vec<_> = more["items"].as_array().expect("items").iter().map(node).collect();
    assert!(changed.contains(&json!("payment")), "{more:#}");
    // What is told once more is told as it is.
    for item in more["items"].as_array().expect("items") {
        assert!(steps.contains(item), "{item:#}");
    }
    let known = first["items"].as_array().expect("items").iter().filter(|item| item["status"] == "completed");
    assert!(known.map(node).all(|node| !changed.contains(&node)), "{more:#}");
}
