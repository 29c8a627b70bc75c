//! Messages as a bus brings them: before what they are for, twice, in every form that CloudEvents and sidecars give them. Each
//! is done or is a dead letter that says why; over the embedded sidecar, and beside real daprd.

use super::{
    history::types,
    places::Place,
    world::{Stage, Where, World},
};
use crate::harness::{eventually, when};
use base64::{Engine, prelude::BASE64_STANDARD};
use dapr::dapr::proto::runtime::v1::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsRequestProcessedAlpha1, TopicEventRequest, TopicEventResponse,
    dapr_client::DaprClient, subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Ask,
    subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Tell,
    topic_event_response::TopicEventResponseStatus,
};
use futures::future::join_all;
use prost_types::value::Kind;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const WITHIN: Duration = Duration::from_secs(60);
const COMMANDS: &str = "callboard.commands";
const RESULTS: &str = "callboard.results";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_early_or_in_another_form_arrives_over_the_embedded_sidecar() {
    everything(Stage::start(Where::Embedded).await, Where::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_early_or_in_another_form_arrives_beside_real_dapr() {
    everything(Stage::start(Where::Beside).await, Where::Beside).await;
}

async fn everything(mut stage: Stage, place: Where) {
    let w = stage.world.clone();
    let grpc = match &mut stage.place {
        Place::Embedded(dev) => dev.dapr_grpc(),
        Place::Beside(beside) => beside.run.app("workflow-service").sidecar.grpc(),
    };
    let bus = Bus { w: w.clone(), dead: Dead::listen(&grpc).await };

    // What never gets its run is a dead letter after a minute: looked at in the end.
    bus.send("never", "callboard.run.signal", json!({"run_id": "never-there", "name": "go"})).await;
    let result = json!({"run_id": "nobodys", "step": {"generation": 1, "node": "w", "iteration": ""}, "attempt": 1, "output": 1});
    bus.send_to(RESULTS, event("never-asked", "callboard.task.finished", result)).await;

    a_command_that_overtakes_its_start_is_done(&bus).await;
    thirty_pairs_published_at_once_all_arrive(&bus).await;
    a_workers_result_waits_for_its_run(&bus).await;
    an_approval_waits_for_its_question_and_no_other(&bus).await;
    what_is_final_is_refused_at_once(&bus).await;
    a_repeated_event_does_nothing_and_another_body_is_refused(&bus).await;
    every_form_of_an_event_is_understood(&bus).await;
    what_cannot_be_understood_is_a_dead_letter_with_the_reason(&bus, place).await;

    for (id, run) in [("never", "never-there"), ("never-asked", "nobodys")] {
        let dead = bus.dead.of(id, Duration::from_secs(120)).await;
        assert_eq!(dead.code, "unknown_run", "{dead:?}");
        assert!(dead.reason.contains(run) && dead.reason.contains("60 s"), "{dead:?}");
    }
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

fn event(id: &str, kind: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "a-test", "type": kind, "datacontenttype": "application/json", "data": data})
}

/// A run that waits for one signal and then for another.
fn two_signals() -> Value {
    json!({"name": "two", "nodes": [
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "end", "type": "signal", "config": {"name": "end"}}],
        "edges": [{"source": "go", "target": "end"}]})
}

fn one_signal() -> Value {
    json!({"name": "one", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]})
}

/// The bus, and what was refused on it.
struct Bus {
    w: World,
    dead: Dead,
}

impl Bus {
    async fn post(&self, topic: &str, kind: &str, query: &str, body: impl Into<reqwest::Body>) {
        let url = format!("{}/v1.0/publish/pubsub/{topic}{query}", self.w.api.dapr);
        let request = self.w.api.client.post(url).header("content-type", kind).body(body);
        let status = request.send().await.expect("an answer").status().as_u16();
        assert_eq!(status, 204, "published as {kind} {query}");
    }

    async fn send_to(&self, topic: &str, event: Value) {
        self.post(topic, "application/cloudevents+json", "", event.to_string()).await;
    }

    async fn send(&self, id: &str, kind: &str, data: Value) {
        self.send_to(COMMANDS, event(id, kind, data)).await;
    }

    async fn start(&self, run: &str, definition: Value) {
        let data = json!({"run_id": run, "definition": definition, "input": {}});
        self.send(&format!("start-{run}"), "callboard.workflow.start", data).await;
    }

    /// Waits until everything that was published before has been looked at, as far as one can tell: something that is
    /// refused comes after it.
    async fn settle(&self, id: &str) {
        self.send(id, "callboard.nothing", json!({})).await;
        self.dead.of(id, WITHIN).await;
    }
}

async fn a_command_that_overtakes_its_start_is_done(bus: &Bus) {
    let early = |id: &str, kind: &str, run: &str, mut data: Value| {
        data["run_id"] = run.into();
        let (id, kind) = (id.to_owned(), kind.to_owned());
        async move { bus.send(&id, &kind, data).await }
    };
    early("s-1", "callboard.run.signal", "early-signal", json!({"name": "go", "data": 7})).await;
    early("c-1", "callboard.run.cancel", "early-cancel", json!({})).await;
    early("p-1", "callboard.run.pause", "early-pause", json!({})).await;
    early("a-1", "callboard.run.approve", "early-approve", json!({"node": "ok", "approved": true})).await;
    // Two that are swapped: the second signal is of a later step.
    early("e-1", "callboard.run.signal", "early-both", json!({"name": "end"})).await;
    early("g-1", "callboard.run.signal", "early-both", json!({"name": "go"})).await;
    bus.settle("settled-1").await;
    bus.start("early-signal", one_signal()).await;
    bus.start("early-cancel", one_signal()).await;
    bus.start("early-pause", one_signal()).await;
    bus.start(
        "early-approve",
        json!({"name": "a", "nodes": [{"id": "ok", "type": "approval", "config": {"title": "ok?"}}]}),
    )
    .await;
    bus.start("early-both", two_signals()).await;
    assert_eq!(bus.w.api.until("early-signal", "completed").await["output"], 7);
    bus.w.api.until("early-cancel", "cancelled").await;
    bus.w.api.until("early-pause", "paused").await;
    assert_eq!(bus.w.api.until("early-approve", "completed").await["output"]["approved"], true);
    bus.w.api.until("early-both", "completed").await;
}

async fn thirty_pairs_published_at_once_all_arrive(bus: &Bus) {
    let pairs = (0..30).map(|n| async move {
        let run = format!("pair-{n}");
        let signal = json!({"run_id": run, "name": "go", "data": n});
        let id = format!("pair-signal-{n}");
        tokio::join!(bus.send(&id, "callboard.run.signal", signal), bus.start(&run, one_signal()));
    });
    join_all(pairs).await;
    for n in 0..30 {
        assert_eq!(bus.w.api.until(&format!("pair-{n}"), "completed").await["output"], n);
    }
}

async fn a_workers_result_waits_for_its_run(bus: &Bus) {
    let step = json!({"generation": 1, "node": "w", "iteration": ""});
    let result = json!({"run_id": "early-result", "step": step, "attempt": 1, "output": {"done": true}});
    bus.send_to(RESULTS, event("r-1", "callboard.task.finished", result)).await;
    let never = json!({"run_id": "early-result", "step": {"generation": 1, "node": "later", "iteration": ""}, "attempt": 1, "output": 1});
    bus.send_to(RESULTS, event("r-2", "callboard.task.finished", never)).await;
    bus.settle("settled-2").await;
    let worker = |id: &str| json!({"id": id, "type": "agent", "config": {"agent": "x", "worker": "external", "prompt": "p"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let edges = json!([{"source": "w", "target": "go"}, {"source": "go", "target": "later"}]);
    bus.start(
        "early-result",
        json!({"name": "w", "nodes": [worker("w"), go, worker("later")], "edges": edges}),
    )
    .await;
    bus.w.api.until("early-result", "waiting").await;
    let step = bus.w.api.until_step("early-result", "w", "completed").await;
    assert_eq!(step["output"], json!({"done": true}));
    let dead = bus.dead.of("r-2", WITHIN).await;
    assert_eq!(dead.code, "not_offered", "nobody answers what was not asked: {dead:?}");
    bus.w.api.operate("early-result", "cancel", json!({})).await;
}

async fn an_approval_waits_for_its_question_and_no_other(bus: &Bus) {
    let nodes = json!([
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ok", "type": "approval", "config": {"title": "ok?"}},
        {"id": "end", "type": "signal", "config": {"name": "end"}}]);
    let edges = json!([{"source": "go", "target": "ok"}, {"source": "ok", "target": "end"}]);
    let run = bus.w.api.run(&json!({"name": "asked-later", "nodes": nodes, "edges": edges}), json!({})).await;
    // Over REST it is told at once.
    let body = json!({"node": "ok", "approved": true});
    bus.w.api.refused(&format!("/runs/{run}/approve"), body, 409, "not_waiting").await;
    let approve = json!({"run_id": run, "node": "ok", "approved": false, "comment": "no"});
    bus.send("ok-1", "callboard.run.approve", approve.clone()).await;
    bus.settle("settled-3").await;
    bus.w.api.operate(&run, "signal", json!({"name": "go"})).await;
    let step = bus.w.api.until_step(&run, "ok", "completed").await;
    assert_eq!(step["output"], json!({"approved": false, "comment": "no"}));
    // The question was answered: another answer is not kept for the next one.
    bus.send("ok-2", "callboard.run.approve", approve).await;
    assert_eq!(bus.dead.of("ok-2", WITHIN).await.code, "not_waiting");
    bus.w.api.operate(&run, "cancel", json!({})).await;
}

async fn what_is_final_is_refused_at_once(bus: &Bus) {
    let ended = bus.w.api.run(&json!({"name": "over", "nodes": []}), json!({})).await;
    bus.w.api.until(&ended, "completed").await;
    let open = bus.w.api.run(&one_signal(), json!({})).await;
    for (id, kind, data, code) in [
        ("f-1", "callboard.run.signal", json!({"run_id": ended, "name": "go"}), "run_ended"),
        ("f-2", "callboard.run.cancel", json!({"run_id": ended}), "run_ended"),
        ("f-3", "callboard.run.resume", json!({"run_id": open}), "run_not_paused"),
        (
            "f-4",
            "callboard.run.approve",
            json!({"run_id": open, "node": "ghost", "approved": true}),
            "unknown_node",
        ),
        ("f-5", "callboard.run.signal", json!({"run_id": open}), "bad_request"),
        ("f-6", "callboard.run.signal", json!({"run_id": "no id", "name": "go"}), "invalid_id"),
        (
            "f-7",
            "callboard.workflow.start",
            json!({"run_id": "f-7", "workflow_id": "nobodys"}),
            "unknown_workflow",
        ),
        (
            "f-8",
            "callboard.workflow.start",
            json!({"run_id": open, "definition": two_signals()}),
            "run_exists",
        ),
        ("f-9", "callboard.run.rerun", json!({"run_id": open, "from": "go"}), "unknown_event_type"),
    ] {
        bus.send(id, kind, data).await;
        let dead = bus.dead.of(id, Duration::from_secs(20)).await;
        assert_eq!((dead.code.as_str(), dead.kind.as_str()), (code, kind), "{dead:?}");
    }
    bus.w.api.operate(&open, "cancel", json!({})).await;
}

async fn a_repeated_event_does_nothing_and_another_body_is_refused(bus: &Bus) {
    let run = bus.w.api.run(&two_signals(), json!({})).await;
    let signal = |data: i32| json!({"run_id": run, "name": "other", "data": data});
    for _ in 0..3 {
        bus.send("same", "callboard.run.signal", signal(1)).await;
    }
    bus.w.until_signals(&run, 1).await;
    bus.send("same", "callboard.run.signal", signal(2)).await;
    assert_eq!(bus.dead.of("same", WITHIN).await.code, "idempotency_key_reused");
    // Another source is another publisher, with ids of its own.
    let mut foreign = event("same", "callboard.run.signal", signal(3));
    foreign["source"] = "another".into();
    bus.send_to(COMMANDS, foreign).await;
    bus.w.until_signals(&run, 2).await;
    bus.w.api.operate(&run, "cancel", json!({})).await;
}

async fn every_form_of_an_event_is_understood(bus: &Bus) {
    let run = bus.w.api.run(&two_signals(), json!({})).await;
    let ce = "application/cloudevents+json";
    let data = |n: usize| json!({"run_id": run, "name": format!("form-{n}"), "data": "é"});
    let whole = |n: usize, changes: Value| {
        let mut event = event(&format!("form-{n}"), "callboard.run.signal", data(n));
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(event.as_object_mut().expect("an object").shift_remove(name)),
                value => event[name] = value.clone(),
            }
        }
        event.to_string()
    };
    let base64 = |n: usize| BASE64_STANDARD.encode(data(n).to_string());
    let typed = "?metadata.cloudevent.type=callboard.run.signal";
    let forms: Vec<(&str, &str, String)> = vec![
        (ce, "", whole(0, json!({}))),
        ("Application/CloudEvents+JSON", "", whole(1, json!({}))),
        ("application/cloudevents+json; charset=utf-8", "", whole(2, json!({}))),
        (ce, "", whole(3, json!({"datacontenttype": null}))),
        (ce, "", whole(4, json!({"datacontenttype": "application/json; charset=utf-8"}))),
        (
            ce,
            "",
            whole(
                5,
                json!({"data": null, "data_base64": base64(5), "datacontenttype": "application/octet-stream"}),
            ),
        ),
        (ce, "", whole(6, json!({"data": data(6).to_string(), "datacontenttype": "text/plain"}))),
        (ce, "", whole(7, json!({"data": data(7).to_string()}))),
        (
            ce,
            "",
            whole(
                8,
                json!({"comexample": "x", "tries": 3, "urgent": true, "time": "2026-11-27T10:00:00+05:30"}),
            ),
        ),
        ("application/json", "", whole(9, json!({}))),
        ("text/plain", "", whole(10, json!({}))),
        ("application/octet-stream", "", whole(11, json!({}))),
        ("application/json", typed, data(12).to_string()),
        ("text/plain", typed, data(13).to_string()),
        ("application/octet-stream", typed, data(14).to_string()),
        (ce, "?metadata.rawPayload=true", whole(15, json!({}))),
        (ce, "", whole(16, json!({"source": null, "time": null}))),
        ("application/json; charset=utf-8", typed, data(17).to_string()),
    ];
    let count = forms.len();
    for (kind, query, body) in forms {
        bus.post(COMMANDS, kind, query, body).await;
    }
    bus.w.until_signals(&run, count).await;
    bus.w.api.operate(&run, "cancel", json!({})).await;
}

async fn what_cannot_be_understood_is_a_dead_letter_with_the_reason(bus: &Bus, place: Where) {
    let with = |id: &str, changes: Value| {
        let mut event = event(id, "callboard.run.signal", json!({"run_id": "x", "name": "go"}));
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(event.as_object_mut().expect("an object").shift_remove(name)),
                value => event[name] = value.clone(),
            }
        }
        event
    };
    for (id, changes, code) in [
        ("u-1", json!({"data": null}), "no_data"),
        ("u-2", json!({"data": [1]}), "data_not_an_object"),
        ("u-3", json!({"data": "<go/>", "datacontenttype": "application/xml"}), "data_not_json"),
        ("u-4", json!({"data": null, "data_base64": BASE64_STANDARD.encode([0xff, 0])}), "data_not_json"),
        ("u-5", json!({"specversion": "0.3"}), "unsupported_specversion"),
        ("u-6", json!({"data": {"name": "go"}}), "missing_run_id"),
        ("u-7", json!({"type": "callboard.run.explode"}), "unknown_event_type"),
    ] {
        bus.send_to(COMMANDS, with(id, changes)).await;
        let dead = bus.dead.of(id, WITHIN).await;
        assert_eq!(dead.code, code, "{dead:?}");
        assert!(!dead.reason.is_empty(), "{dead:?}");
    }
    // One without an id is known by its data only.
    let nameless = json!({"specversion": "1.0", "source": "a-test", "type": "callboard.run.signal",
        "datacontenttype": "application/json", "data": {"run_id": "x", "name": "nameless"}});
    bus.send_to(COMMANDS, nameless).await;
    let dead = bus.dead.where_(WITHIN, |dead| dead.data.contains("nameless")).await;
    assert_eq!(dead.code, "missing_attribute", "{dead:?}");
    if place == Where::Embedded {
        // daprd itself refuses what is no event.
        bus.post(COMMANDS, "text/plain", "?metadata.rawPayload=true", "hello raw").await;
        let dead = bus.dead.where_(WITHIN, |dead| dead.data.contains("hello raw")).await;
        assert_eq!((dead.code.as_str(), dead.kind.as_str()), ("event_not_json", "callboard.message.refused"));
    }
}

impl World {
    /// Waits until the run has taken so many signals, and sees that there are no more.
    async fn until_signals(&self, run: &str, count: usize) {
        let seen = || async {
            let history = self.api.history(run).await;
            types(&history).iter().filter(|kind| **kind == "run.signal_received").count()
        };
        let found = eventually(WITHIN, || async { when(seen().await, |seen| *seen >= count) }).await;
        assert_eq!(found, count);
    }
}

/// A dead letter.
#[derive(Debug, Clone)]
struct Letter {
    id: String,
    kind: String,
    code: String,
    reason: String,
    data: String,
}

/// The dead letters of commands and results.
struct Dead(Arc<Mutex<Vec<Letter>>>);

impl Dead {
    async fn listen(grpc: &str) -> Self {
        let found = Arc::default();
        for topic in [COMMANDS, RESULTS] {
            hear(grpc.to_owned(), format!("{topic}.dead"), Arc::clone(&found)).await;
        }
        Self(found)
    }

    /// Waits for the dead letter of an event.
    async fn of(&self, id: &str, within: Duration) -> Letter {
        self.where_(within, |dead| dead.id == id).await
    }

    async fn where_(&self, within: Duration, is: impl Fn(&Letter) -> bool) -> Letter {
        eventually(within, || async {
            let all = self.0.lock().expect("no panic while a letter is added").clone();
            all.iter().find(|letter| is(letter)).cloned().ok_or(all)
        })
        .await
    }
}

async fn hear(grpc: String, topic: String, found: Arc<Mutex<Vec<Letter>>>) {
    let (asks, outbox) = mpsc::channel(16);
    let ask = |ask| SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(ask) };
    let initial = SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: "pubsub".into(),
        topic,
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
            found.lock().expect("no panic while a letter is added").push(letter(&event));
            let status = TopicEventResponse { status: TopicEventResponseStatus::Success.into() };
            let done = SubscribeTopicEventsRequestProcessedAlpha1 { id: event.id, status: Some(status) };
            if asks.send(ask(Ask::EventProcessed(done))).await.is_err() {
                return;
            }
        }
    });
}

fn letter(event: &TopicEventRequest) -> Letter {
    let extension = |name: &str| {
        let value = event.extensions.as_ref().and_then(|all| all.fields.get(name)?.kind.clone());
        match value {
            Some(Kind::StringValue(text)) => text,
            _ => String::new(),
        }
    };
    Letter {
        id: event.id.clone(),
        kind: event.r#type.clone(),
        code: extension("callboardcode"),
        reason: extension("callboardreason"),
        data: String::from_utf8_lossy(&event.data).into_owned(),
    }
}
