//! What a model says while it says it: asked for only when somebody listens, and cut in the middle.

use super::{api::Api, places::Place};
use crate::harness::{Callboard, Model, Reply, http, root};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_hears_the_model_and_a_stream_cut_in_the_middle_is_tried_again() {
    let model = Model::start().await;
    let agents = root().join("config/agents.yaml").display().to_string();
    let mut dev = Callboard::with()
        .args(["--agents", &agents])
        .env("OPENAI_BASE_URL", model.base_url())
        .env("OPENAI_API_KEY", "none")
        .start()
        .await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let definition = json!({
        "name": "words",
        "nodes": [
            {"id": "go", "type": "signal", "config": {"name": "go"}},
            {"id": "speak", "type": "agent", "config": {"agent": "research", "prompt": "say a few words"}}
        ],
        "edges": [{"source": "go", "target": "speak"}]
    });
    model.script().then([Reply::Cut]);
    let run = api.run(&definition, json!({})).await;
    let request = http()
        .get(format!("{}/api/v1/runs/{run}/history?said=true", dev.url))
        .timeout(Duration::from_secs(25));
    let stream = request.header("accept", "text/event-stream").send().await.expect("a stream");
    api.post(&format!("/runs/{run}/signal"), json!({"name": "go"})).await;
    // The stream ends after the run's end is told.
    let text = stream.text().await.expect("events");
    let words: Vec<&str> = text.split("\n\n").filter(|event| event.contains("event: agent.said")).collect();
    assert!(!words.is_empty() && words.iter().all(|w| !w.lines().any(|l| l.starts_with("id:"))), "{text}");
    assert!(
        words.iter().any(|w| w.contains(r#""text":"ans""#)),
        "what was said before the cut was heard: {text}"
    );
    let done = api.until(&run, "completed").await;
    assert_eq!(done["output"], "say a few words", "{done:#}");
    let asked: Vec<bool> = model.script().requests().iter().map(|r| r.json()["stream"] == true).collect();
    assert_eq!(asked, [true, true]);

    // Nobody listens: nothing is streamed.
    let quiet = api.run(&definition, json!({})).await;
    api.post(&format!("/runs/{quiet}/signal"), json!({"name": "go"})).await;
    api.until(&quiet, "completed").await;
    assert_ne!(model.script().requests().last().expect("a request").json()["stream"], true);
    dev.stop().await;
}

/// The API is in one process, the agent in another: the words go over the bus, once somebody listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_reach_a_stream_of_another_process_beside_real_dapr() {
    let model = Model::start().await;
    let base = model.base_url();
    let env = [("OPENAI_BASE_URL", base.as_str()), ("OPENAI_API_KEY", "none")];
    let mut place = Place::beside(&env).await;
    let api = place.api();
    let ask =
        json!({"id": "speak", "type": "agent", "config": {"agent": "research", "prompt": "say a few words"}});
    // Several in a row, none of them at once: which is the first to be heard depends on how fast the notice is.
    model.script().otherwise(Reply::Echo.after(Duration::from_millis(300)));
    let rounds = json!({"id": "rounds", "type": "loop", "config": {"until": "false", "max": 4, "body": {"nodes": [ask]}}});
    let definition = json!({
        "name": "words",
        "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}, rounds],
        "edges": [{"source": "go", "target": "rounds"}]
    });
    let run = api.run(&definition, json!({})).await;
    let request = http()
        .get(format!("{}/api/v1/runs/{run}/history?said=true", api.url))
        .timeout(Duration::from_secs(60));
    let stream = request.header("accept", "text/event-stream").send().await.expect("a stream");
    api.operate(&run, "signal", json!({"name": "go"})).await;
    let text = stream.text().await.expect("events");
    let events: Vec<&str> = text.split("\n\n").collect();
    let said: Vec<Value> = events
        .iter()
        .filter(|event| event.contains("event: agent.said"))
        .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    let heard = |round: u32| -> String {
        let of_round = said.iter().filter(|said| said["iteration"] == json!(round.to_string()));
        of_round.filter_map(|said| said["text"].as_str()).collect()
    };
    assert!((0..4).any(|round| heard(round) == "say a few words"), "{text}");
    api.until(&run, "completed").await;

    // Nobody listens: nothing is streamed.
    let quiet = api.run(&definition, json!({})).await;
    api.operate(&quiet, "signal", json!({"name": "go"})).await;
    api.until(&quiet, "completed").await;
    assert_ne!(model.script().requests().last().expect("a request").json()["stream"], true);
    assert_eq!(place.panics(), Vec::<String>::new());
}
