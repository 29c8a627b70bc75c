//! What a refused or failed call answers: Dapr's error code, over both APIs (`dapr-contract` 3.2).

use callboard_listener::{Broken, Refusal};
use http::StatusCode;
use serde_json::json;
use tonic::Code;

/// An answer that is an error. One value serves the HTTP body and the gRPC status.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) http: StatusCode,
    pub(super) grpc: Code,
    pub(super) message: String,
    /// daprd's richer errors name a reason and the resource.
    resource: Option<(&'static str, &'static str, String)>,
}

impl Fault {
    pub(super) fn new(code: &'static str, http: u16, grpc: Code, message: impl Into<String>) -> Self {
        let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { code, http, grpc, message: message.into(), resource: None }
    }

    fn about(mut self, reason: &'static str, kind: &'static str, name: &str) -> Self {
        self.resource = Some((reason, kind, name.to_owned()));
        self
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new("ERR_MALFORMED_REQUEST", 400, Code::InvalidArgument, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new("ERR_INTERNAL", 500, Code::Internal, message)
    }

    /// An API of Dapr's that this server lacks, by name.
    pub(super) fn unimplemented(name: &str) -> Self {
        Self::new(
            "ERR_UNIMPLEMENTED",
            501,
            Code::Unimplemented,
            format!("{name} is not offered by the embedded sidecar"),
        )
    }

    pub(super) fn unknown_operation(name: &str) -> Self {
        Self::new(
            "ERR_NOT_SUPPORTED_STATE_OPERATION",
            400,
            Code::Unimplemented,
            format!("operation type {name} not supported"),
        )
    }

    pub(super) fn state_store_not_found(store: &str) -> Self {
        Self::new(
            "ERR_STATE_STORE_NOT_FOUND",
            400,
            Code::InvalidArgument,
            format!("state store {store} is not found"),
        )
        .about("DAPR_STATE_NOT_FOUND", "state", store)
    }

    pub(super) fn pubsub_not_found(pubsub: &str) -> Self {
        Self::new("ERR_PUBSUB_NOT_FOUND", 404, Code::InvalidArgument, format!("pubsub {pubsub} is not found"))
            .about("DAPR_PUBSUB_NOT_FOUND", "pubsub", pubsub)
    }

    pub(super) fn topic_empty(pubsub: &str) -> Self {
        Self::new("ERR_TOPIC_NAME_EMPTY", 404, Code::NotFound, format!("topic is empty in pubsub {pubsub}"))
            .about("DAPR_PUBSUB_NAME_EMPTY", "pubsub", pubsub)
    }

    pub(super) fn pubsub_forbidden(topic: &str, app_id: &str) -> Self {
        Self::new(
            "ERR_PUBSUB_FORBIDDEN",
            403,
            Code::PermissionDenied,
            format!("topic {topic} is not allowed for app id {app_id}"),
        )
    }

    /// Returns the HTTP body.
    pub(super) fn body(&self) -> serde_json::Value {
        let Some((reason, kind, name)) = &self.resource else {
            return json!({"errorCode": self.code, "message": self.message});
        };
        json!({
            "errorCode": self.code,
            "message": self.message,
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "domain": "dapr.io",
                    "metadata": {},
                    "reason": reason,
                },
                {
                    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                    "description": "",
                    "owner": "",
                    "resource_name": name,
                    "resource_type": kind,
                },
            ],
        })
    }
}

/// Who may not come, in Dapr's form; daprd itself has no such check.
pub(super) fn at_the_door(refusal: &Refusal) -> Fault {
    let (code, grpc) = match refusal {
        Refusal::NoHost | Refusal::BadHost => ("ERR_BAD_HOST", Code::InvalidArgument),
        Refusal::Misdirected(_) => ("ERR_HOST_NOT_ALLOWED", Code::PermissionDenied),
        Refusal::ForeignOrigin(_) | Refusal::CrossSite(_) => {
            ("ERR_ORIGIN_NOT_ALLOWED", Code::PermissionDenied)
        }
    };
    Fault::new(code, refusal.status().as_u16(), grpc, refusal.to_string())
}

/// A body that is not read to its end.
pub(super) fn of_body(broken: Broken) -> Fault {
    match broken {
        Broken::Slow => Fault::new("ERR_SLOW_BODY", 408, Code::DeadlineExceeded, broken.to_string()),
        Broken::Full => Fault::new("ERR_OVERLOADED", 503, Code::ResourceExhausted, broken.to_string()),
    }
}

impl From<Fault> for tonic::Status {
    fn from(fault: Fault) -> Self {
        Self::new(fault.grpc, fault.message)
    }
}
