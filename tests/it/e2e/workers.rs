//! Nodes with `worker: external`: an app that is not ours gets offers and answers them, over the embedded default and
//! beside real daprd, there with the rights that `components/redis` gives it.

use super::{
    history::{lines, types},
    places::Place,
    world::{Stage, Where, World, example},
};
use crate::harness::{Sidecar, SidecarSpec, eventually, when};
use dapr::dapr::proto::runtime::v1::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsRequestProcessedAlpha1, TopicEventResponse, dapr_client::DaprClient,
    subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Ask,
    subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Tell,
    topic_event_response::TopicEventResponseStatus,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;

const WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_outside_answers_over_the_embedded_sidecar() {
    everything(Stage::start(Where::Embedded).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_outside_answers_beside_real_dapr() {
    everything(Stage::start(Where::Beside).await).await;
}

async fn everything(mut stage: Stage) {
    let w = stage.world.clone();
    let worker = Worker::start(&mut stage.place).await;
    an_offer_says_everything_and_its_answer_is_the_output(&w, &worker).await;
    a_failure_is_tried_again_and_a_late_answer_changes_nothing(&w, &worker).await;
    answers_that_are_none_are_dropped(&w, &worker).await;
    an_offer_that_must_not_be_repeated_is_unknown_after_its_timeout(&w, &worker).await;
    a_worker_has_no_other_rights(&stage.place, &worker).await;

    // Killed while two runs wait for their workers.
    let again = w.api.run(&example("external_worker"), json!({"text": "crash-again"})).await;
    let once = w.api.run(&at_most_once("60s"), json!({})).await;
    let before = worker.offers(&again, 1).await;
    let only = worker.offers(&once, 1).await;
    stage.place.crash().await;
    let worker = match &stage.place {
        // Its subscription died with the sidecar.
        Place::Embedded(_) => Worker::start(&mut stage.place).await,
        Place::Beside(_) => worker,
    };
    let w = World { api: stage.place.api(), ..w };
    let repeated = eventually(WITHIN, || async {
        let all = worker.offers(&again, 1).await;
        let new = if matches!(stage.place, Place::Embedded(_)) { 0 } else { 1 };
        when(all, |all| all.len() > new)
    })
    .await;
    assert_eq!(repeated.last().expect("an offer")["id"], before[0]["id"], "the same offer");
    worker.answers(&before[0], json!({"output": {"text": "nach dem Absturz"}})).await;
    worker.answers(&only[0], json!({"output": "once"})).await;
    assert_eq!(w.ended(&again, "completed").await.1[0]["output"], json!({"text": "nach dem Absturz"}));
    assert_eq!(w.ended(&once, "completed").await.0["output"], "once");
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

async fn an_offer_says_everything_and_its_answer_is_the_output(w: &World, worker: &Worker) {
    // Larger than what stands in an event.
    let text = format!("good day {}", "!".repeat(3000));
    let run = w.api.run(&example("external_worker"), json!({ "text": text })).await;
    let offer = worker.offers(&run, 1).await.remove(0);
    assert_eq!(offer["type"], "callboard.task.offered");
    let data = &offer["data"];
    assert_eq!((&data["agent"], &data["prompt"]), (&json!("translator"), &json!(text)));
    assert_eq!(data["step"], json!({"generation": 1, "node": "translate", "iteration": ""}));
    assert_eq!((&data["attempt"], &data["at_most_once"]), (&json!(1), &json!(false)));
    assert_eq!(data["output_schema"]["required"], json!(["text"]));
    assert!(data["deadline"].is_string(), "{data:#}");
    assert_eq!(w.api.step(&run, "translate").await["status"], "running");
    let answer = json!({"output": {"text": "Guten Tag"}, "usage": {"calls": 2, "completion_tokens": 7}});
    // Told three times: it counts once.
    for _ in 0..3 {
        worker.answers(&offer, answer.clone()).await;
    }
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["check completed", "translate completed"]);
    let translated = &steps[0];
    assert_eq!(translated["output"], json!({"text": "Guten Tag"}));
    assert_eq!(translated["usage"]["calls"], 2);
    assert_eq!((&seen["usage"]["calls"], w.asked("Check: Guten Tag").len()), (&json!(3), 1));
}

async fn a_failure_is_tried_again_and_a_late_answer_changes_nothing(w: &World, worker: &Worker) {
    let run = w.api.run(&example("external_worker"), json!({"text": "second try"})).await;
    let first = worker.offers(&run, 1).await.remove(0);
    worker.answers(&first, json!({"error": {"code": "tired", "message": "not now"}})).await;
    let offers = worker.offers(&run, 2).await;
    assert_eq!((&offers[1]["data"]["attempt"], offers[1]["id"] == first["id"]), (&json!(2), false));
    worker.answers(&first, json!({"output": {"text": "too late"}})).await;
    worker.answers(&offers[1], json!({"output": {"words": 3}})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!(seen["error"]["code"], "output_invalid");
    let history = w.recorded(&run).await;
    assert_eq!(
        types(&history),
        ["run.created", "step.started", "step.retrying", "step.started", "step.failed", "run.failed"]
    );
    // After the end, too.
    worker.answers(&offers[1], json!({"output": {"text": "much too late"}})).await;
    assert_eq!(w.api.until(&run, "failed").await["output"], Value::Null);
}

async fn answers_that_are_none_are_dropped(w: &World, worker: &Worker) {
    let run = w.api.run(&example("external_worker"), json!({"text": "bad answers"})).await;
    let other = w.api.run(&example("signal"), json!({})).await;
    let offer = worker.offers(&run, 1).await.remove(0);
    let step = &offer["data"]["step"];
    let data = [
        json!(null),
        json!("done"),
        json!({"step": step, "attempt": 1, "output": {"text": "no run"}}),
        json!({"run_id": "../x", "step": step, "attempt": 1, "output": {"text": "x"}}),
        json!({"run_id": "no-such-run", "step": step, "attempt": 1, "output": {"text": "x"}}),
        json!({"run_id": run, "attempt": 1, "output": {"text": "no step"}}),
        json!({"run_id": run, "step": "translate", "attempt": 1, "output": {"text": "x"}}),
        json!({"run_id": run, "step": step, "output": {"text": "no attempt"}}),
        json!({"run_id": run, "step": step, "attempt": 1}),
        json!({"run_id": run, "step": step, "attempt": 1, "output": {"text": "x"}, "error": {}}),
        json!({"run_id": run, "step": step, "attempt": 1, "error": {"code": "No Code"}}),
        json!({"run_id": run, "step": step, "attempt": 1, "output": {"text": "x"}, "more": 1}),
        json!({"run_id": run, "step": step, "attempt": 1, "output": {"text": "x"}, "usage": {"calls": -1}}),
        json!({"run_id": run, "step": step, "attempt": 7, "output": {"text": "another attempt"}}),
        json!({"run_id": run, "step": {"generation": 1, "node": "check", "iteration": ""}, "attempt": 1, "output": "x"}),
        json!({"run_id": other, "step": {"generation": 1, "node": "payment", "iteration": ""}, "attempt": 1, "output": "x"}),
    ];
    for data in data {
        assert_eq!(worker.publish("callboard.results", "callboard.task.finished", data).await, 204);
    }
    let right = json!({"run_id": run, "step": step, "attempt": 1, "output": {"text": "another type"}});
    assert_eq!(worker.publish("callboard.results", "callboard.task.done", right).await, 204);
    worker.answers(&offer, json!({"output": {"text": "right"}})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(steps[0]["output"], json!({"text": "right"}));
    assert_eq!(w.api.get(&format!("/runs/{other}")).await["status"], "waiting");
    w.api.operate(&other, "cancel", json!({})).await;
}

fn at_most_once(timeout: &str) -> Value {
    json!({"name": "once", "nodes": [{"id": "out", "type": "agent", "effect": "at_most_once", "timeout": timeout,
        "config": {"agent": "anybody", "prompt": "just once", "worker": "external"}}]})
}

async fn an_offer_that_must_not_be_repeated_is_unknown_after_its_timeout(w: &World, worker: &Worker) {
    let run = w.api.run(&at_most_once("1s"), json!({})).await;
    let offer = worker.offers(&run, 1).await.remove(0);
    assert_eq!(offer["data"]["at_most_once"], true);
    w.api.until_step(&run, "out", "unknown").await;
    worker.answers(&offer, json!({"output": "after all"})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "after all");
    let history = w.recorded(&run).await;
    assert!(types(&history).contains(&"step.granted"), "{history:#?}");
}

/// Beside Dapr a worker is an app of its own: it may answer, and not command.
async fn a_worker_has_no_other_rights(place: &Place, worker: &Worker) {
    let Place::Beside(_) = place else { return };
    let start = json!({"run_id": "by-a-worker", "definition": {"name": "x", "nodes": []}});
    assert_eq!(worker.publish("callboard.commands", "callboard.workflow.start", start).await, 403);
    assert_eq!(worker.publish("callboard.tasks", "callboard.task.ready", json!({})).await, 403);
}

/// An app outside, as far as it is seen: what it was offered, and the sidecar it talks to.
struct Worker {
    client: reqwest::Client,
    dapr: String,
    offered: Arc<Mutex<Vec<Value>>>,
    listening: JoinHandle<()>,
    /// Of its own, beside Dapr.
    _sidecar: Option<Sidecar>,
}

impl Worker {
    async fn start(place: &mut Place) -> Self {
        let (dapr, grpc, sidecar) = match place {
            Place::Embedded(dev) => (dev.dapr_http(), dev.dapr_grpc(), None),
            Place::Beside(beside) => {
                let spec = SidecarSpec::new("worker").redis(beside.redis.address());
                let sidecar = beside.cluster.sidecar(spec).await;
                (sidecar.http(), sidecar.grpc(), Some(sidecar))
            }
        };
        let offered = Arc::<Mutex<Vec<Value>>>::default();
        let listening = listen(grpc, offered.clone()).await;
        Self { client: crate::harness::http(), dapr, offered, listening, _sidecar: sidecar }
    }

    /// Waits until a run's task was offered so often.
    async fn offers(&self, run: &str, times: usize) -> Vec<Value> {
        eventually(WITHIN, || async {
            let all = self.offered.lock().expect("no panic while an offer is added").clone();
            let of_run: Vec<Value> = all.into_iter().filter(|offer| offer["data"]["run_id"] == run).collect();
            when(of_run, |offers| offers.len() >= times)
        })
        .await
    }

    /// Answers an offer.
    async fn answers(&self, offer: &Value, answer: Value) {
        let offered = &offer["data"];
        let mut data = answer;
        for name in ["run_id", "step", "attempt"] {
            data[name] = offered[name].clone();
        }
        assert_eq!(self.publish("callboard.results", "callboard.task.finished", data).await, 204);
    }

    async fn publish(&self, topic: &str, kind: &str, data: Value) -> u16 {
        let event = json!({"specversion": "1.0", "id": uuid::Uuid::new_v4().to_string(), "source": "worker",
            "type": kind, "datacontenttype": "application/json", "data": data});
        let request = self.client.post(format!("{}/v1.0/publish/pubsub/{topic}", self.dapr));
        let request = request.header("content-type", "application/cloudevents+json").body(event.to_string());
        request.send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Subscribes to offers over a stream, which needs no server of the app's own.
async fn listen(grpc: String, offered: Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    let (asks, outbox) = mpsc::channel(16);
    let ask = |ask| SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(ask) };
    let initial = SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: "pubsub".into(),
        topic: "callboard.offers".into(),
        metadata: Default::default(),
        dead_letter_topic: None,
    };
    asks.send(ask(Ask::InitialRequest(initial))).await.expect("a stream that is open");
    let mut client = DaprClient::connect(grpc).await.expect("the sidecar");
    let tells = client.subscribe_topic_events_alpha1(ReceiverStream::new(outbox)).await;
    let mut tells = tells.expect("a subscription").into_inner();
    tells.message().await.expect("a welcome");
    tokio::spawn(async move {
        while let Ok(Some(told)) = tells.message().await {
            let Some(Tell::EventMessage(event)) = told.subscribe_topic_events_response_type else { continue };
            let data: Value = serde_json::from_slice(&event.data).expect("JSON");
            let offer = json!({"id": event.id, "type": event.r#type, "data": data});
            offered.lock().expect("no panic while an offer is added").push(offer);
            let status = TopicEventResponse { status: TopicEventResponseStatus::Success.into() };
            let done = SubscribeTopicEventsRequestProcessedAlpha1 { id: event.id, status: Some(status) };
            if asks.send(ask(Ask::EventProcessed(done))).await.is_err() {
                return;
            }
        }
    })
}
