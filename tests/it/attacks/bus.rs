//! What can be overheard: the messages on a topic, and the spans that go to a collector.

use dapr::dapr::proto::runtime::v1::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsRequestProcessedAlpha1, TopicEventResponse, dapr_client::DaprClient,
    subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Ask,
    subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Tell,
    topic_event_response::TopicEventResponseStatus,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

/// Everything heard so far, as bytes.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn hear(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }
}

/// Subscribes to a topic over a stream, which needs no server of the app's own.
pub async fn listen(grpc: String, topic: &str) -> Heard {
    let heard = Heard::default();
    let (asks, outbox) = mpsc::channel(16);
    let ask = |ask| SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(ask) };
    let initial = SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: "pubsub".into(),
        topic: topic.into(),
        metadata: Default::default(),
        dead_letter_topic: None,
    };
    asks.send(ask(Ask::InitialRequest(initial))).await.expect("a stream that is open");
    let mut client = DaprClient::connect(grpc).await.expect("the sidecar");
    let tells = client.subscribe_topic_events_alpha1(ReceiverStream::new(outbox)).await;
    let mut tells = tells.expect("a subscription").into_inner();
    tells.message().await.expect("a welcome");
    let hearing = heard.clone();
    tokio::spawn(async move {
        while let Ok(Some(told)) = tells.message().await {
            let Some(Tell::EventMessage(event)) = told.subscribe_topic_events_response_type else { continue };
            hearing.hear(&event.data);
            let status = TopicEventResponse { status: TopicEventResponseStatus::Success.into() };
            let done = SubscribeTopicEventsRequestProcessedAlpha1 { id: event.id, status: Some(status) };
            if asks.send(ask(Ask::EventProcessed(done))).await.is_err() {
                return;
            }
        }
    });
    heard
}

/// A collector of traces; returns its address and what it gets.
pub async fn collector() -> (String, Heard) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(heard.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (endpoint, heard)
}

#[tonic::async_trait]
impl TraceService for Heard {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.hear(format!("{:?}", request.into_inner()).as_bytes());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
