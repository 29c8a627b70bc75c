//! The same operations over gRPC, on the same port.
//!
//! Every method stands in `METHODS` with what it asks of who comes; whatever is called goes through the guard, which
//! lets nothing in that is not there. What a method takes and gives is `proto/callboard/v1`.

mod caller;
mod forms;
mod guard;
mod runs;
mod shown;
mod status;
#[cfg(test)]
mod tests;
mod workflows;

/// The types and servers that are made of `proto/`.
#[allow(clippy::all, clippy::unwrap_used, clippy::panic, reason = "written by a generator")]
pub mod v1 {
    tonic::include_proto!("callboard.v1");
}

use super::{Error, Gateway, Limits};
use crate::{
    access::Permission::{self, Edit, Operate, Public, Read},
    operations::Operations,
};
use axum::{Router, middleware, response::Response};
use http::{HeaderMap, header};
use tonic::service::Routes;
use v1::{runs_server::RunsServer, workflows_server::WorkflowsServer};

/// What is described of the services, by reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
/// Bytes of a message that comes: as of a definition over REST, and what stands around it.
const MESSAGE: usize = (4 << 20) + (64 << 10);

/// A method, by the path under which it is called.
pub struct Method {
    pub path: &'static str,
    /// What it takes to be let in.
    pub asks: Permission,
}

const fn method(path: &'static str, asks: Permission) -> Method {
    Method { path, asks }
}

pub const METHODS: &[Method] = &[
    method("/callboard.v1.Workflows/CreateWorkflow", Edit),
    method("/callboard.v1.Workflows/CheckWorkflow", Read),
    method("/callboard.v1.Workflows/ListWorkflows", Read),
    method("/callboard.v1.Workflows/GetWorkflow", Read),
    method("/callboard.v1.Workflows/UpdateWorkflow", Edit),
    method("/callboard.v1.Workflows/DeleteWorkflow", Edit),
    method("/callboard.v1.Workflows/StartWorkflow", Operate),
    // A definition that comes along can say anything.
    method("/callboard.v1.Runs/StartRun", Edit),
    method("/callboard.v1.Runs/ListRuns", Read),
    method("/callboard.v1.Runs/GetRun", Read),
    method("/callboard.v1.Runs/ListSteps", Read),
    method("/callboard.v1.Runs/ListEvents", Read),
    method("/callboard.v1.Runs/WatchRun", Read),
    method("/callboard.v1.Runs/CancelRun", Operate),
    method("/callboard.v1.Runs/PauseRun", Operate),
    method("/callboard.v1.Runs/ResumeRun", Operate),
    method("/callboard.v1.Runs/SignalRun", Operate),
    method("/callboard.v1.Runs/ApproveRun", Operate),
    method("/callboard.v1.Runs/RerunRun", Operate),
    method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Public),
    method("/grpc.health.v1.Health/Check", Public),
    method("/grpc.health.v1.Health/Watch", Public),
];

/// What the methods work with.
#[derive(Clone)]
struct Served {
    operations: Operations,
    limits: Limits,
}

/// Whether a request is a call of gRPC.
pub fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Refuses a call.
pub fn refusal(error: &Error) -> Response {
    status::status(error).into_http()
}

/// Returns the routes of all services behind their guard.
pub fn router(operations: &Operations, limits: &Limits) -> Router<Gateway> {
    let served = Served { operations: operations.clone(), limits: limits.clone() };
    let (reporter, health) = tonic_health::server::health_reporter();
    let stop = operations.stop.clone();
    tokio::spawn(async move {
        reporter.set_serving::<WorkflowsServer<Served>>().await;
        reporter.set_serving::<RunsServer<Served>>().await;
        stop.cancelled().await;
        reporter.set_not_serving::<WorkflowsServer<Served>>().await;
        reporter.set_not_serving::<RunsServer<Served>>().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    });
    let routes = Routes::new(WorkflowsServer::new(served.clone()).max_decoding_message_size(MESSAGE))
        .add_service(RunsServer::new(served).max_decoding_message_size(MESSAGE))
        .add_service(health);
    let described = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let routes = match described {
        Ok(service) => routes.add_service(service),
        Err(error) => {
            tracing::error!(%error, "the gRPC services can't be described");
            routes
        }
    };
    let guard = guard::Guard { gatekeeper: operations.access.clone(), limits: limits.clone() };
    routes.into_axum_router().route_layer(middleware::from_fn_with_state(guard, guard::ask)).with_state(())
}
