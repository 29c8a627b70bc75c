//! The API over gRPC, by a client that knows nothing of us but `proto/`.

use super::{
    api::{Api, PATIENCE},
    users::{Guarded, id_of},
    world::example,
};
use crate::harness::Callboard;
use callboard::gateway::grpc::{METHODS, v1};
use futures::StreamExt;
use prost::Message;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

/// Somebody who calls.
struct Client {
    channel: Channel,
    /// A name of the metadata, and what stands there.
    sent: Vec<(&'static str, String)>,
}

impl Client {
    async fn of(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address");
        Self { channel: endpoint.connect().await.expect("a connection"), sent: Vec::new() }
    }

    fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut sent = self.sent.clone();
        sent.push((name, value.into()));
        Self { channel: self.channel.clone(), sent }
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        for (name, value) in &self.sent {
            request.metadata_mut().insert(*name, value.parse().expect("a value"));
        }
        request
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("a connection");
        grpc
    }

    async fn ask<Q, A>(&self, method: &str, message: Q) -> Result<Response<A>, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/callboard.v1.{method}").parse().expect("a path");
        let codec = ProstCodec::<Q, A>::default();
        self.ready().await.unary(self.request(message), path, codec).await
    }

    /// Asks for what is given, and panics with what is refused.
    async fn get<Q, A>(&self, method: &str, message: Q) -> A
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let answer = self.ask(method, message).await;
        answer.unwrap_or_else(|status| panic!("{method}: {status:?}")).into_inner()
    }

    async fn watch(&self, id: &str, after_seq: u64) -> Result<Streaming<v1::News>, Status> {
        let message = v1::WatchRunRequest { id: id.to_owned(), after_seq, said: false };
        let path = "/callboard.v1.Runs/WatchRun".parse().expect("a path");
        let codec = ProstCodec::<v1::WatchRunRequest, v1::News>::default();
        let stream = self.ready().await.server_streaming(self.request(message), path, codec).await;
        stream.map(Response::into_inner)
    }
}

fn yaml(name: &str) -> v1::Definition {
    let path = crate::harness::root().join(format!("config/examples/{name}.yaml"));
    let text = std::fs::read_to_string(path).expect("an example");
    v1::Definition { form: Some(v1::definition::Form::Yaml(text)) }
}

fn fields(value: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().expect("a number")),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.iter().map(fields).collect() })
        }
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| (name.clone(), fields(value))).collect();
            Kind::StructValue(prost_types::Struct { fields })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

/// Returns code, reason and the places of the mistakes.
fn refused(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let places = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    (status.code(), reason, places.into_iter().map(|violation| violation.field).collect())
}

/// Reads a stream to its end.
async fn seqs(mut stream: Streaming<v1::News>) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(news) = tokio::time::timeout(PATIENCE, stream.next()).await.expect("news, or the end") {
        match news.expect("news").news {
            Some(v1::news::News::Event(event)) => seqs.push(event.seq),
            other => panic!("{other:?}"),
        }
    }
    seqs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_is_saved_started_watched_and_read_as_over_rest() {
    let dev = Callboard::dev([""; 0]).await;
    let (api, client) = (Api::new(&dev.url, &dev.dapr_http()), Client::of(&dev.url).await);
    let definition = Some(yaml("signal"));
    let saved: v1::SavedWorkflow =
        client.get("Workflows/CreateWorkflow", v1::CreateWorkflowRequest { definition, draft: false }).await;
    assert_eq!((saved.version, saved.status.as_str(), saved.problems.len()), (1, "draft", 0));
    // The same as fields.
    let prost_types::Value { kind: Some(prost_types::value::Kind::StructValue(object)) } =
        fields(&example("signal"))
    else {
        panic!("an object")
    };
    let definition = Some(v1::Definition { form: Some(v1::definition::Form::Fields(object)) });
    let message = v1::UpdateWorkflowRequest {
        id: saved.id.clone(),
        definition,
        draft: false,
        expected_version: Some(1),
    };
    let updated: v1::SavedWorkflow = client.get("Workflows/UpdateWorkflow", message.clone()).await;
    assert_eq!(updated.version, 2);
    let stale = client.ask::<_, v1::SavedWorkflow>("Workflows/UpdateWorkflow", message).await;
    assert_eq!(refused(&stale.expect_err("stale")).0, Code::Aborted);

    let start = v1::StartWorkflowRequest { id: saved.id.clone(), input: None };
    let keyed = client.with("idempotency-key", "once");
    let started: Response<v1::Started> =
        keyed.ask("Workflows/StartWorkflow", start.clone()).await.expect("started");
    let again: Response<v1::Started> = keyed.ask("Workflows/StartWorkflow", start).await.expect("the same");
    assert_eq!(started.get_ref().run_id, again.get_ref().run_id);
    assert_eq!(started.metadata().get("idempotency-replayed"), None);
    assert!(again.metadata().get("idempotency-replayed").is_some_and(|value| value == "true"));
    let run = started.into_inner().run_id;

    let watching = tokio::spawn(seqs(client.watch(&run, 0).await.expect("a stream")));
    let data = Some(v1::Json { form: Some(v1::json::Form::Text(r#"{"amount": 1}"#.to_owned())) });
    api.until_step(&run, "payment", "waiting").await;
    let message = v1::SignalRunRequest { id: run.clone(), name: "payment".to_owned(), data };
    let _: v1::Run = client.get("Runs/SignalRun", message).await;
    let told = watching.await.expect("seqs");
    let history = api.history(&run).await;
    assert_eq!(told, (1..=history.len() as u64).collect::<Vec<_>>());
    assert_eq!(seqs(client.watch(&run, 2).await.expect("a stream")).await, told[2..]);
    assert_eq!(seqs(client.watch(&run, told.len() as u64).await.expect("a stream")).await, Vec::<u64>::new());

    let seen: v1::Run = client.get("Runs/GetRun", v1::GetRunRequest { id: run.clone() }).await;
    let rest = api.get(&format!("/runs/{run}")).await;
    assert_eq!(
        (json!(seen.status), json!(seen.ended_at)),
        (rest["status"].clone(), rest["ended_at"].clone())
    );
    let output: Value = serde_json::from_str(&seen.output.expect("an output")).expect("JSON");
    assert_eq!(output, rest["output"]);
    let steps: v1::ListStepsResponse =
        client.get("Runs/ListSteps", v1::ListStepsRequest { id: run.clone(), ..Default::default() }).await;
    let nodes: Vec<_> =
        steps.items.iter().map(|step| json!([step.node, step.status, step.attempt])).collect();
    let rest: Vec<_> = api
        .steps(&run)
        .await
        .iter()
        .map(|step| json!([step["node"], step["status"], step["attempt"]]))
        .collect();
    assert_eq!(nodes, rest);
    let message = v1::ListEventsRequest { id: run.clone(), after: 1, limit: Some(2) };
    let events: v1::ListEventsResponse = client.get("Runs/ListEvents", message).await;
    assert_eq!((events.items.len(), events.next), (2, Some(3)));
    let hashes: Vec<_> = events.items.iter().map(|event| json!(event.hash)).collect();
    assert_eq!(hashes, [history[1]["hash"].clone(), history[2]["hash"].clone()]);
    let listed: v1::ListRunsResponse = client
        .get("Runs/ListRuns", v1::ListRunsRequest { workflow_id: saved.id.clone(), ..Default::default() })
        .await;
    assert_eq!(listed.items.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [run.as_str()]);
    client.get::<_, ()>("Workflows/DeleteWorkflow", v1::DeleteWorkflowRequest { id: saved.id }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_the_code_of_the_api_as_its_reason() {
    let dev = Callboard::dev([""; 0]).await;
    let client = Client::of(&dev.url).await;
    let json = |text: &str| Some(v1::Definition { form: Some(v1::definition::Form::Json(text.to_owned())) });
    let create = |definition| v1::CreateWorkflowRequest { definition, draft: false };
    for (definition, reason, place) in [
        (None, "empty_body", None),
        (json("{"), "malformed_json", None),
        (
            json(r#"{"name": "a", "nodes": [{"id": "b", "type": "no such"}]}"#),
            "invalid_definition",
            Some("nodes[0]"),
        ),
    ] {
        let status = client.ask::<_, v1::SavedWorkflow>("Workflows/CreateWorkflow", create(definition)).await;
        let (code, said, places) = refused(&status.expect_err("refused"));
        assert_eq!((code, said.as_str()), (Code::InvalidArgument, reason));
        assert!(place.is_none_or(|place| places.iter().any(|found| found.starts_with(place))), "{places:?}");
    }
    let operate = |id: &str| v1::OperateRunRequest { id: id.to_owned() };
    let status = client.ask::<_, v1::Run>("Runs/CancelRun", operate("nobody")).await.expect_err("refused");
    assert_eq!(refused(&status).1, "unknown_run");
    assert_eq!(status.code(), Code::NotFound);
    let start = v1::StartRunRequest { definition: json(r#"{"name": "a", "nodes": []}"#), input: None };
    let run: v1::Started = client.get("Runs/StartRun", start).await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    api.until(&run.run_id, "completed").await;
    let status = client.ask::<_, v1::Run>("Runs/CancelRun", operate(&run.run_id)).await.expect_err("refused");
    assert_eq!((status.code(), refused(&status).1.as_str()), (Code::FailedPrecondition, "run_ended"));
    let keys = client.with("idempotency-key", "");
    let status = keys.ask::<_, v1::Run>("Runs/PauseRun", operate("a")).await.expect_err("refused");
    assert_eq!(refused(&status).1, "invalid_idempotency_key");
    let none = client.ask::<_, v1::Run>("Runs/Nothing", operate("a")).await.expect_err("refused");
    assert_eq!(none.code(), Code::Unimplemented);
    // A page of somebody else's.
    let evil = client.with("origin", "https://evil.example");
    let status = evil.ask::<_, v1::Run>("Runs/GetRun", v1::GetRunRequest { id: "a".into() }).await;
    assert_eq!(status.expect_err("refused").code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_asks_who_calls_and_what_they_may() {
    let server = Guarded::start("").await;
    server.project("acme").await;
    let client = Client::of(&server.server.url).await;
    let keys = [
        ("viewer", server.key("acme", "viewer").await),
        ("operator", server.key("acme", "operator").await),
        ("editor", server.key("acme", "editor").await),
    ];
    let ladder = ["viewer", "operator", "editor"];
    let mut asked = 0;
    for method in METHODS {
        let Some(name) = method.path.strip_prefix("/callboard.v1.") else { continue };
        let none = client.ask::<(), ()>(name, ()).await.expect_err("refused");
        assert_eq!(
            (none.code(), refused(&none).1.as_str()),
            (Code::Unauthenticated, "credential_missing"),
            "{name}"
        );
        let wrong = client.with("x-api-key", "cb_a_b").ask::<(), ()>(name, ()).await.expect_err("refused");
        assert_eq!(refused(&wrong).1, "invalid_credential", "{name}");
        let needed = method.asks.role().expect("a role").as_str();
        for (role, key) in &keys {
            let called = client.with("authorization", format!("Bearer {key}"));
            let status = called.ask::<(), ()>(name, ()).await.err();
            let may = ladder.iter().position(|r| r == role) >= ladder.iter().position(|r| *r == needed);
            let is_refused = status.as_ref().is_some_and(|status| status.code() == Code::PermissionDenied);
            assert_eq!(is_refused, !may, "{name} by {role}: {status:?}");
            asked += 1;
        }
    }
    assert!(asked >= 3 * 19, "{asked}");

    // What is of another project is unknown.
    let ours = server.api(&server.admin);
    let run = ours.run(&example("signal"), json!({})).await;
    let acme = client.with("x-api-key", keys[0].1.clone());
    let status = acme.ask::<_, v1::Run>("Runs/GetRun", v1::GetRunRequest { id: run.clone() }).await;
    assert_eq!(refused(&status.expect_err("refused")).1, "unknown_run");
    assert_eq!(acme.watch(&run, 0).await.expect_err("refused").code(), Code::NotFound);

    // Whoever may not any more hears no more.
    let viewer = server.key("default", "viewer").await;
    let mut stream = client.with("x-api-key", viewer.clone()).watch(&run, 0).await.expect("a stream");
    stream.next().await.expect("news").expect("news");
    let began = Instant::now();
    assert_eq!(ours.request("DELETE", &format!("/keys/{}", id_of(&viewer).as_str()), None).await.0, 204);
    let ended = loop {
        match tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("an end") {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("it ended without a word"),
        }
    };
    assert_eq!((ended.code(), refused(&ended).1.as_str()), (Code::Unauthenticated, "invalid_credential"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let rows = ours.get("/audit").await;
    let routes: BTreeSet<_> =
        rows["items"].as_array().expect("rows").iter().filter_map(|row| row["route"].as_str()).collect();
    assert!(routes.iter().any(|route| route.starts_with("grpc callboard.v1.")), "{routes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_lists_the_api_and_health_says_that_it_serves() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let dev = Callboard::dev([""; 0]).await;
    let client = Client::of(&dev.url).await;
    let asked = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = futures::stream::iter([
        asked(MessageRequest::ListServices(String::new())),
        asked(MessageRequest::FileContainingSymbol("callboard.v1.Runs".to_owned())),
    ]);
    let mut reflection = ServerReflectionClient::new(client.channel.clone());
    let mut answers = reflection.server_reflection_info(requests).await.expect("a stream").into_inner();
    let mut next = async || {
        let answer = answers.next().await.expect("an answer").expect("an answer");
        answer.message_response.expect("something")
    };
    let MessageResponse::ListServicesResponse(services) = next().await else { panic!("the services") };
    let names: BTreeSet<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["callboard.v1.Workflows", "callboard.v1.Runs", "grpc.health.v1.Health"] {
        assert!(names.contains(name), "{names:?}");
    }
    let MessageResponse::FileDescriptorResponse(files) = next().await else { panic!("files") };
    let files: Vec<_> = files
        .file_descriptor_proto
        .iter()
        .map(|file| prost_types::FileDescriptorProto::decode(file.as_slice()).expect("a file"))
        .collect();
    let watches = files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    assert!(watches.into_iter().any(|method| method.name() == "WatchRun" && method.server_streaming()));

    let mut health = tonic_health::pb::health_client::HealthClient::new(client.channel);
    let request = tonic_health::pb::HealthCheckRequest { service: "callboard.v1.Runs".to_owned() };
    let said = health.check(request).await.expect("an answer").into_inner();
    assert_eq!(said.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
}
