//! Streaming subscriptions (`dapr-contract` 2.2): a subscriber that comes to the sidecar.

use dapr::dapr::proto::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Ask;
use dapr::dapr::proto::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Tell;
use dapr::dapr::proto::runtime::v1::topic_event_response::TopicEventResponseStatus as Verdict;
use dapr::dapr::proto::runtime::v1::*;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::conformance::app::WITHIN;
use crate::conformance::case::Case;
use crate::conformance::documents::RETRIES;
use crate::conformance::releases::{SECOND_STREAM, UNREAD_IS_KEPT};

/// The subscriber's end of a stream.
struct Stream {
    asks: mpsc::Sender<SubscribeTopicEventsRequestAlpha1>,
    tells: Streaming<SubscribeTopicEventsResponseAlpha1>,
}

impl Stream {
    /// Opens a stream and waits until the sidecar has said that it stands.
    async fn open(case: &Case, bus: &str, topic: &str, dead_letter: Option<&str>) -> Result<Self, Status> {
        let (asks, outbox) = mpsc::channel(16);
        asks.send(initial(bus, topic, dead_letter)).await.expect("a stream that is open");
        let mut client = case.sidecar.raw();
        let tells = client.subscribe_topic_events_alpha1(ReceiverStream::new(outbox)).await?.into_inner();
        let mut stream = Self { asks, tells };
        match stream.next().await? {
            Tell::InitialResponse(_) => Ok(stream),
            Tell::EventMessage(event) => panic!("an event before the welcome: {event:?}"),
        }
    }

    async fn next(&mut self) -> Result<Tell, Status> {
        let message = tokio::time::timeout(WITHIN, self.tells.message()).await;
        let message = message.expect("the stream says something in time")?;
        message
            .and_then(|message| message.subscribe_topic_events_response_type)
            .ok_or_else(|| Status::cancelled("the stream has ended"))
    }

    async fn event(&mut self) -> TopicEventRequest {
        match self.next().await {
            Ok(Tell::EventMessage(event)) => event,
            other => panic!("no event but {other:?}"),
        }
    }

    async fn answer(&self, event: &TopicEventRequest, verdict: Verdict) {
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 {
            id: event.id.clone(),
            status: Some(TopicEventResponse { status: verdict.into() }),
        };
        let ask = SubscribeTopicEventsRequestAlpha1 {
            subscribe_topic_events_request_type: Some(Ask::EventProcessed(processed)),
        };
        self.asks.send(ask).await.expect("a stream that is open");
    }
}

fn initial(bus: &str, topic: &str, dead_letter: Option<&str>) -> SubscribeTopicEventsRequestAlpha1 {
    let initial = SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: bus.to_owned(),
        topic: topic.to_owned(),
        metadata: Default::default(),
        dead_letter_topic: dead_letter.map(str::to_owned),
    };
    SubscribeTopicEventsRequestAlpha1 {
        subscribe_topic_events_request_type: Some(Ask::InitialRequest(initial)),
    }
}

pub async fn events_arrive_and_are_answered(case: &Case) {
    let mut stream = Stream::open(case, "pubsub", "stream-a", None).await.expect("a stream");
    case.publish("pubsub", "stream-a", &json!({"n": 1})).await;
    let event = stream.event().await;
    case.same("data", String::from_utf8_lossy(&event.data).into_owned(), r#"{"n":1}"#.to_owned());
    for (what, is, expected) in [
        ("type", event.r#type.as_str(), "com.dapr.event.sent"),
        ("source", event.source.as_str(), "workflow-service"),
        ("content type", event.data_content_type.as_str(), "application/json"),
        ("spec version", event.spec_version.as_str(), "1.0"),
        ("topic", event.topic.as_str(), "stream-a"),
        ("pubsub", event.pubsub_name.as_str(), "pubsub"),
    ] {
        case.same(what, is, expected);
    }
    // Asked to try again: as often as the policy says.
    for _ in 0..RETRIES {
        stream.answer(&event, Verdict::Retry).await;
        case.same("again", stream.event().await.id, event.id.clone());
    }
    stream.answer(&event, Verdict::Success).await;
    case.publish("pubsub", "stream-a", &json!({"n": 2})).await;
    let next = stream.event().await;
    case.same("the next", String::from_utf8_lossy(&next.data).into_owned(), r#"{"n":2}"#.to_owned());
    stream.answer(&next, Verdict::Success).await;
    let document = case.get("/v1.0/metadata").await.json();
    let listed = document["subscriptions"].as_array().cloned().unwrap_or_default();
    case.holds("it is listed", listed.iter().any(|entry| entry["topic"] == "stream-a"), &listed);
}

pub async fn dropped_events_are_dead_lettered(case: &Case) {
    let mut dead = Stream::open(case, "pubsub", "stream-b.dead", None).await.expect("a stream");
    let mut stream = Stream::open(case, "pubsub", "stream-b", Some("stream-b.dead")).await.expect("a stream");
    case.publish("pubsub", "stream-b", &json!("b")).await;
    let event = stream.event().await;
    stream.answer(&event, Verdict::Drop).await;
    let buried = dead.event().await;
    case.same("the same event", buried.id.clone(), event.id);
    dead.answer(&buried, Verdict::Success).await;
}

pub async fn an_event_without_an_answer_is_delivered_again(case: &Case) {
    let mut first = Stream::open(case, "plain", "stream-c", None).await.expect("a stream");
    case.publish("plain", "stream-c", &json!("c")).await;
    let event = first.event().await;
    drop(first);
    // A sidecar may take a moment to see that the first is gone.
    let mut second =
        crate::harness::eventually(WITHIN, || Stream::open(case, "plain", "stream-c", None)).await;
    let again = second.event().await;
    case.same("the same event", again.id.clone(), event.id);
    second.answer(&again, Verdict::Success).await;
}

pub async fn a_topic_may_keep_what_nobody_reads(case: &Case) {
    case.publish("pubsub", "stream-late", &json!("early")).await;
    let mut stream = Stream::open(case, "pubsub", "stream-late", None).await.expect("a stream");
    case.publish("pubsub", "stream-late", &json!("late")).await;
    let mut first = stream.event().await;
    stream.answer(&first, Verdict::Success).await;
    if case.row(&UNREAD_IS_KEPT) && first.data == b"\"late\"" {
        // Redis' workers overtake each other.
        first = stream.event().await;
        stream.answer(&first, Verdict::Success).await;
    }
    let kept = first.data == b"\"early\"";
    case.same("what was published before", kept, case.row(&UNREAD_IS_KEPT));
}

pub async fn a_stream_begins_with_one_request(case: &Case) {
    let mut stream = Stream::open(case, "pubsub", "stream-d", None).await.expect("a stream");
    stream.asks.send(initial("pubsub", "stream-d", None)).await.expect("a stream that is open");
    let end = stream.next().await;
    case.holds("a second first request ends it", end.is_err(), &end);
    let unknown = Stream::open(case, "nowhere", "stream-d", None).await;
    case.holds("an unknown bus is refused", unknown.is_err(), unknown.as_ref().err());
}

pub async fn subscribers_of_a_topic_compete(case: &Case) {
    let mut first = Stream::open(case, "pubsub", "stream-e", None).await.expect("a stream");
    let second = Stream::open(case, "pubsub", "stream-e", None).await;
    let expected = case.row(&SECOND_STREAM);
    case.same("a second stream", second.as_ref().err().map_or(Code::Ok, Status::code), expected);
    let Ok(mut second) = second else { return };
    for n in 0..8 {
        case.publish("pubsub", "stream-e", &json!(n)).await;
    }
    let mut seen = Vec::new();
    for _ in 0..8 {
        let (event, stream) = tokio::select! {
            event = first.event() => (event, &first),
            event = second.event() => (event, &second),
        };
        stream.answer(&event, Verdict::Success).await;
        seen.push(String::from_utf8_lossy(&event.data).into_owned());
    }
    seen.sort();
    let expected: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    case.same("each once", seen, expected);
}
