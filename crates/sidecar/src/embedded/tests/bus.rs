//! Publishing and delivery over the embedded server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dapr::dapr::proto::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType;
use dapr::dapr::proto::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType;
use dapr::dapr::proto::runtime::v1::*;

use super::*;

const SUBSCRIBE: &str = r#"[
  {"pubsubname":"pubsub","topic":"orders","route":"/orders","deadLetterTopic":"dead"},
  {"pubsubname":"pubsub","topic":"dead","route":"/dead"},
  {"pubsubname":"pubsub","topic":"stubborn","route":"/stubborn"},
  {"pubsubname":"pubsub","topic":"typed","routes":{"rules":[{"match":"event.data.n > 3","path":"/big"}],"default":"/small"}},
  {"pubsubname":"broadcast","topic":"live","route":"/live"}
]"#;

fn subscriber() -> (App, mpsc::UnboundedReceiver<Seen>) {
    let failures = Arc::new(AtomicU32::new(0));
    app(move |path, _| {
        let failures = failures.clone();
        async move {
            match path.as_str() {
                "/dapr/subscribe" => (200, SUBSCRIBE.to_owned()),
                "/orders" => (500, String::new()),
                "/stubborn" if failures.fetch_add(1, Relaxed) < 3 => {
                    (200, r#"{"status":"RETRY"}"#.to_owned())
                }
                "/dapr/config" => (404, String::new()),
                _ => (200, String::new()),
            }
        }
    })
}

#[tokio::test]
async fn an_event_arrives_in_its_envelope() {
    let place = Place::new();
    let (app, mut calls) = subscriber();
    let server = place.start(app).await;
    for sidecar in clients(&server) {
        let trace = "00-11111111111111111111111111111111-2222222222222222-01".to_owned();
        let sidecar = sidecar.with_trace(Some(trace.clone()));
        sidecar.publish(message("pubsub", "typed", r#"{"n":1}"#)).await.unwrap();
        let seen = next(&mut calls, "/small").await;
        assert_eq!(seen.headers["content-type"], "application/cloudevents+json");
        assert_eq!(seen.headers["traceparent"], trace.as_str());
        let event: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(event["traceparent"], trace);
        assert_eq!((&event["topic"], &event["source"]), (&"typed".into(), &"app".into()));
        sidecar.publish(message("pubsub", "typed", r#"{"n":4}"#)).await.unwrap();
        next(&mut calls, "/big").await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_failing_message_is_tried_again_then_dead_lettered() {
    let place = Place::new();
    let (app, mut calls) = subscriber();
    let server = place.start(app).await;
    server.sidecar().publish(message("pubsub", "orders", "1")).await.unwrap();
    next(&mut calls, "/orders").await;
    next(&mut calls, "/orders").await;
    let dead = next(&mut calls, "/dead").await;
    let event: serde_json::Value = serde_json::from_slice(&dead.body).unwrap();
    assert_eq!(event["topic"], "orders");
    server.sidecar().publish(message("pubsub", "stubborn", "1")).await.unwrap();
    for _ in 0..4 {
        next(&mut calls, "/stubborn").await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn an_unacknowledged_message_is_delivered_after_a_restart() {
    let place = Place::new();
    let (silent, mut calls) = app(|path, _| async move {
        match path.as_str() {
            "/dapr/subscribe" => (200, SUBSCRIBE.to_owned()),
            "/dapr/config" => (404, String::new()),
            _ => std::future::pending().await,
        }
    });
    let server = place.start(silent).await;
    server.sidecar().publish(message("pubsub", "typed", r#"{"n":1}"#)).await.unwrap();
    next(&mut calls, "/small").await;
    std::mem::forget(server);
    let (app, mut calls) = subscriber();
    let second = place.start(app).await;
    next(&mut calls, "/small").await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_topic_nobody_reads_keeps_nothing_and_broadcast_reaches_everybody() {
    let place = Place::new();
    let (app, mut calls) = subscriber();
    let server = place.start(app).await;
    let sidecar = server.sidecar();
    sidecar.publish(message("pubsub", "unread", "1")).await.unwrap();
    assert!(server.runtime.store.backlog().await.unwrap().is_empty());
    let (_first, mut one) = listen(&sidecar, "broadcast", "live").await;
    let (_second, mut two) = listen(&sidecar, "broadcast", "live").await;
    sidecar.publish(message("broadcast", "live", "7")).await.unwrap();
    next(&mut calls, "/live").await;
    assert_eq!(event(&mut one).await.data, b"7");
    assert_eq!(event(&mut two).await.data, b"7");
    server.shutdown().await;
}

#[tokio::test]
async fn a_message_that_nobody_subscribes_to_need_not_be_made() {
    let place = Place::new();
    let (app, _calls) = subscriber();
    let server = place.start(app).await;
    let [near, far] = clients(&server);
    let heard = |sidecar: &Sidecar, topic: &str| sidecar.is_heard("pubsub", topic);
    assert!(heard(&near, "orders"), "the app subscribes");
    assert!(!heard(&near, "unread"));
    assert!(heard(&far, "unread"), "over a socket nothing is known");
    let (_stream, _inbox) = listen(&near, "pubsub", "unread").await;
    assert!(heard(&near, "unread"), "a stream subscribes");
    // What would be refused is to be sent, so that it is refused.
    assert!(heard(&near, "") && near.is_heard("nowhere", "unread"));
    server.shutdown().await;
}

type Inbox = tonic::Streaming<SubscribeTopicEventsResponseAlpha1>;
type Outbox = mpsc::Sender<SubscribeTopicEventsRequestAlpha1>;

async fn listen(sidecar: &Sidecar, pubsub: &str, topic: &str) -> (Outbox, Inbox) {
    let (outbox, requests) = mpsc::channel(16);
    let first = SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: pubsub.into(),
        topic: topic.into(),
        ..Default::default()
    };
    outbox.send(request(SubscribeTopicEventsRequestType::InitialRequest(first))).await.unwrap();
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut inbox = sidecar.raw().subscribe_topic_events_alpha1(requests).await.unwrap().into_inner();
    let welcome = inbox.message().await.unwrap().unwrap().subscribe_topic_events_response_type.unwrap();
    assert!(matches!(welcome, SubscribeTopicEventsResponseType::InitialResponse(_)));
    (outbox, inbox)
}

fn request(kind: SubscribeTopicEventsRequestType) -> SubscribeTopicEventsRequestAlpha1 {
    SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(kind) }
}

async fn event(inbox: &mut Inbox) -> TopicEventRequest {
    let message = tokio::time::timeout(Duration::from_secs(10), inbox.message()).await.unwrap();
    match message.unwrap().unwrap().subscribe_topic_events_response_type.unwrap() {
        SubscribeTopicEventsResponseType::EventMessage(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_leaves_gives_its_messages_back() {
    let place = Place::new();
    let server = place.start(App::None).await;
    for sidecar in clients(&server) {
        let (gone, mut first) = listen(&sidecar, "pubsub", "t").await;
        sidecar.publish(message("pubsub", "t", r#"{"a":1}"#)).await.unwrap();
        let one = event(&mut first).await;
        assert_eq!(one.data, br#"{"a":1}"#);
        drop((gone, first));
        let (outbox, mut second) = listen(&sidecar, "pubsub", "t").await;
        let again = event(&mut second).await;
        assert_eq!(again.id, one.id);
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 {
            id: again.id,
            status: Some(TopicEventResponse { status: 0 }),
        };
        outbox.send(request(SubscribeTopicEventsRequestType::EventProcessed(processed))).await.unwrap();
        sidecar.publish(message("pubsub", "t", "2")).await.unwrap();
        assert_eq!(event(&mut second).await.data, b"2");
        drop((outbox, second));
        // The next round must not meet this one's message.
        server.runtime.store.write(vec![]).await.unwrap();
        let (outbox, mut third) = listen(&sidecar, "pubsub", "t").await;
        let last = event(&mut third).await;
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 { id: last.id, status: None };
        outbox.send(request(SubscribeTopicEventsRequestType::EventProcessed(processed))).await.unwrap();
        sidecar.publish(message("pubsub", "t", "3")).await.unwrap();
        let last = event(&mut third).await;
        assert_eq!(last.data, b"3");
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 { id: last.id, status: None };
        outbox.send(request(SubscribeTopicEventsRequestType::EventProcessed(processed))).await.unwrap();
        while !server.runtime.store.backlog().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_backlog_beyond_memory_arrives_whole_and_in_order() {
    let place = Place::new();
    place.write(
        "all.yaml",
        &COMPONENTS.replace(
            "spec: {type: pubsub.in-memory, version: v1}",
            "spec: {type: pubsub.in-memory, version: v1, metadata: [{name: queueDepth, value: 3}, {name: concurrency, value: 1}]}",
        ),
    );
    let (app, mut calls) = app(|path, _| async move {
        match path.as_str() {
            "/dapr/subscribe" => (200, r#"[{"pubsubname":"pubsub","topic":"t","route":"/in"}]"#.to_owned()),
            _ => (200, String::new()),
        }
    });
    let server = Server::start(place.config(app)).await.unwrap();
    let sidecar = server.sidecar();
    for n in 0..20 {
        sidecar.publish(message("pubsub", "t", &n.to_string())).await.unwrap();
    }
    server.app_ready().await;
    for n in 20..100 {
        sidecar.publish(message("pubsub", "t", &n.to_string())).await.unwrap();
    }
    for n in 0..100 {
        let event: serde_json::Value = serde_json::from_slice(&next(&mut calls, "/in").await.body).unwrap();
        assert_eq!(event["data"], n);
    }
    server.shutdown().await;
    let store = Store::open(&place.0.path().join("sidecar.db")).await.unwrap();
    assert!(store.backlog().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_that_is_away_costs_no_message_its_tries() {
    let place = Place::new();
    place.write(
        "sub.yaml",
        "apiVersion: dapr.io/v1alpha1\nkind: Subscription\nmetadata: {name: s}\nspec: {pubsubname: pubsub, topic: t, \
         route: /in, deadLetterTopic: dead}",
    );
    // A port that was free a moment ago answers nobody.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(place.config(App::Http(format!("http://{free}")))).await.unwrap();
    server.app_ready().await;
    server.sidecar().publish(message("pubsub", "t", "1")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (served, mut calls) = mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let _ = served.send(request.uri().path().to_owned());
        async { "" }
    });
    let listener = TcpListener::bind(free).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let path = tokio::time::timeout(Duration::from_secs(10), calls.recv()).await.unwrap();
    assert_eq!(path.as_deref(), Some("/in"));
    server.shutdown().await;
}

#[tokio::test]
async fn a_dead_letter_waits_for_whoever_reads_it() {
    let place = Place::new();
    let (app, mut calls) = app(|path, _| async move {
        match path.as_str() {
            "/dapr/subscribe" => (
                200,
                r#"[{"pubsubname":"pubsub","topic":"t","route":"/in","deadLetterTopic":"dead"}]"#.to_owned(),
            ),
            "/in" => (404, String::new()),
            _ => (200, String::new()),
        }
    });
    let server = place.start(app).await;
    let sidecar = server.sidecar();
    sidecar.publish(message("pubsub", "t", "5")).await.unwrap();
    next(&mut calls, "/in").await;
    while server.runtime.store.backlog().await.unwrap().iter().all(|(_, topic, ..)| topic != "dead") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_outbox, mut inbox) = listen(&sidecar, "pubsub", "dead").await;
    assert_eq!(event(&mut inbox).await.data, b"5");
    server.shutdown().await;
}

#[tokio::test]
async fn a_stop_lets_running_deliveries_end_and_remembers_that_they_did() {
    let place = Place::new();
    let slow = |path: String, _| async move {
        match path.as_str() {
            "/dapr/subscribe" => (200, SUBSCRIBE.to_owned()),
            "/dapr/config" => (404, String::new()),
            _ => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                (200, String::new())
            }
        }
    };
    let (first, mut calls) = app(slow);
    let server = place.start(first).await;
    server.sidecar().publish(message("pubsub", "typed", r#"{"n":1}"#)).await.unwrap();
    next(&mut calls, "/small").await;
    server.shutdown().await;
    let store = Store::open(&place.0.path().join("sidecar.db")).await.unwrap();
    assert!(store.backlog().await.unwrap().is_empty());
}
