//! One trace from the request, through the sidecar, to every model call: seen by a collector.

use crate::harness::{Callboard, eventually, http, root};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Names of the spans that arrived, with their trace ids.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, String)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans);
        let mut seen = self.0.lock().expect("no panic while held");
        for span in spans.flat_map(|s| s.spans) {
            let trace: String = span.trace_id.iter().map(|b| format!("{b:02x}")).collect();
            seen.push((span.name, trace));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_request_to_every_model_call() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let agents = root().join("config/agents.yaml").display().to_string();
    let mut dev = Callboard::with()
        .args(["--agents", &agents])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .start()
        .await;
    let text =
        std::fs::read_to_string(root().join("config/examples/research-crew.yaml")).expect("the example");
    let definition: Value = serde_saphyr::from_str(&text).expect("YAML");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let answer = http()
        .post(format!("{}/api/v1/runs?wait=30s", dev.url))
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .json(&json!({"definition": definition, "input": {"topic": "traces"}}))
        .send()
        .await
        .expect("an answer");
    let run: Value = answer.json().await.expect("JSON");
    assert_eq!(run["status"], "completed", "{run:#}");
    // A stop sends what is left.
    dev.stop().await;
    eventually(Duration::from_secs(10), || async {
        let seen = collector.0.lock().expect("no panic while held").clone();
        let names: Vec<&str> =
            seen.iter().filter(|(_, t)| t == trace).map(|(name, _)| name.as_str()).collect();
        let count = |name: &str| names.iter().filter(|n| **n == name).count();
        let whole = count("POST /api/v1/runs") == 1
            && count("Workflow/start") == 1
            && count("Agent/task") == 4
            && count("Workflow/answer") == 4
            && count("model") == 4;
        if whole { Ok(()) } else { Err(seen) }
    })
    .await;
    serving.abort();
}
