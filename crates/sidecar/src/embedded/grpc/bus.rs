//! Publish and subscribe methods.

use std::sync::Arc;

use dapr::dapr::proto::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType;
use dapr::dapr::proto::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType;
use dapr::dapr::proto::runtime::v1::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::super::bus::{Entry, Outgoing};
use super::super::fault::Fault;
use super::super::runtime::Runtime;
use super::Embedded;
use super::service::Answers;

type Sender = mpsc::Sender<Result<SubscribeTopicEventsResponseAlpha1, Status>>;

// === impl Embedded ===

impl Embedded {
    pub(super) async fn publish_event(&self, request: Request<PublishEventRequest>) -> Result<(), Fault> {
        let (traceparent, tracestate) =
            (super::trace(request.metadata()), super::text(request.metadata(), "tracestate"));
        let PublishEventRequest { pubsub_name, topic, data, data_content_type, metadata } =
            request.into_inner();
        let message = Outgoing {
            data: data.into(),
            content_type: data_content_type,
            metadata: metadata.into_iter().collect(),
            traceparent,
            tracestate,
        };
        self.runtime.bus.publish(&pubsub_name, &topic, message).await
    }

    pub(super) async fn bulk_publish_event_alpha1(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Result<BulkPublishResponse, Fault> {
        self.bulk_publish_event(request).await
    }

    pub(super) async fn bulk_publish_event(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Result<BulkPublishResponse, Fault> {
        let (traceparent, tracestate) =
            (super::trace(request.metadata()), super::text(request.metadata(), "tracestate"));
        let BulkPublishRequest { pubsub_name, topic, entries, metadata: shared } = request.into_inner();
        let entries = entries.into_iter().map(|entry| {
            let mut metadata: std::collections::BTreeMap<_, _> = shared.clone().into_iter().collect();
            metadata.extend(entry.metadata);
            Entry {
                id: entry.entry_id,
                message: Outgoing {
                    data: entry.event.into(),
                    content_type: entry.content_type,
                    metadata,
                    traceparent: traceparent.clone(),
                    tracestate: tracestate.clone(),
                },
            }
        });
        let failed = self.runtime.bus.publish_bulk(&pubsub_name, &topic, entries.collect()).await?;
        let failed_entries =
            failed.into_iter().map(|(entry_id, error)| BulkPublishResponseFailedEntry { entry_id, error });
        Ok(BulkPublishResponse { failed_entries: failed_entries.collect() })
    }

    pub(super) async fn subscribe_topic_events_alpha1(
        &self,
        request: Request<Streaming<SubscribeTopicEventsRequestAlpha1>>,
    ) -> Result<Answers<SubscribeTopicEventsResponseAlpha1>, Fault> {
        let (answers, outbox) = mpsc::channel(16);
        let runtime = self.runtime.clone();
        tokio::spawn(async move {
            if let Err(status) = converse(&runtime, request.into_inner(), &answers).await {
                // A subscriber that has gone does not hear why.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Box::pin(ReceiverStream::new(outbox)))
    }
}

/// Runs one subscription until either side ends it.
async fn converse(
    runtime: &Arc<Runtime>,
    mut requests: Streaming<SubscribeTopicEventsRequestAlpha1>,
    answers: &Sender,
) -> Result<(), Status> {
    let first = requests.message().await?.and_then(|first| first.subscribe_topic_events_request_type);
    let Some(SubscribeTopicEventsRequestType::InitialRequest(wanted)) = first else {
        return Err(Status::invalid_argument("initial request is required"));
    };
    let metadata = wanted.metadata.into_iter().collect();
    let mut subscriber =
        runtime.bus.stream(&wanted.pubsub_name, &wanted.topic, wanted.dead_letter_topic, metadata)?;
    let stream = subscriber.stream();
    let answer =
        |kind| SubscribeTopicEventsResponseAlpha1 { subscribe_topic_events_response_type: Some(kind) };
    let welcome =
        SubscribeTopicEventsResponseType::InitialResponse(SubscribeTopicEventsResponseInitialAlpha1 {});
    if answers.send(Ok(answer(welcome))).await.is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = runtime.stop.cancelled() => return Err(Status::unavailable("the sidecar is stopping")),
            () = answers.closed() => return Ok(()),
            event = subscriber.events.recv() => {
                let Some(event) = event else { return Ok(()) };
                let message = answer(SubscribeTopicEventsResponseType::EventMessage(event));
                if answers.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
            }
            request = requests.message() => {
                let Some(request) = request? else { return Ok(()) };
                match request.subscribe_topic_events_request_type {
                    Some(SubscribeTopicEventsRequestType::EventProcessed(processed)) => {
                        let status = processed.status.map_or(0, |status| status.status);
                        stream.processed(&processed.id, status);
                    }
                    Some(SubscribeTopicEventsRequestType::InitialRequest(_)) => {
                        return Err(Status::invalid_argument("duplicate initial request received"));
                    }
                    None => return Err(Status::invalid_argument("unexpected message on the stream")),
                }
            }
        }
    }
}
