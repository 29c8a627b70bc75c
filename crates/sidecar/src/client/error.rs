//! Errors by remedy: what a caller can do about a failed call, with the gRPC status as the source.

use tonic::{Code, Status};

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The etag did not match, or the thing exists. daprd says so for *any* failure of a fenced save: reload.
    #[error("conflict: {}", .0.message())]
    Conflict(#[source] Box<Status>),
    /// The named thing does not exist.
    #[error("not found: {}", .0.message())]
    NotFound(#[source] Box<Status>),
    /// The request can never succeed as it is.
    #[error("invalid: {}", .0.message())]
    Invalid(#[source] Box<Status>),
    /// A token or a scope is missing.
    #[error("denied: {}", .0.message())]
    Denied(#[source] Box<Status>),
    /// Not now: connection lost, starting, stopping, overloaded or timed out. It may have happened.
    #[error("unavailable: {}", .0.message())]
    Unavailable(#[source] Box<Status>),
    /// This sidecar lacks the API.
    #[error("unimplemented: {}", .0.message())]
    Unimplemented(#[source] Box<Status>),
    /// Anything else, also an actor's method that failed.
    #[error("{:?}: {}", .0.code(), .0.message())]
    Other(#[source] Box<Status>),
}

impl Error {
    /// Returns the status as it came.
    pub fn status(&self) -> &Status {
        match self {
            Self::Conflict(status)
            | Self::NotFound(status)
            | Self::Invalid(status)
            | Self::Denied(status)
            | Self::Unavailable(status)
            | Self::Unimplemented(status)
            | Self::Other(status) => status,
        }
    }

    pub(super) fn invalid(message: String) -> Self {
        Self::Invalid(Box::new(Status::invalid_argument(message)))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let code = status.code();
        let transport = std::error::Error::source(&status).is_some();
        let status = Box::new(status);
        match code {
            Code::Aborted | Code::AlreadyExists => Self::Conflict(status),
            Code::NotFound => Self::NotFound(status),
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid(status),
            // grpc-go's words for a message over its size limit.
            Code::ResourceExhausted if status.message().contains("larger than max") => Self::Invalid(status),
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied(status),
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::ResourceExhausted
            | Code::FailedPrecondition => Self::Unavailable(status),
            Code::Unimplemented => Self::Unimplemented(status),
            Code::Unknown if transport || status.message().starts_with("Service was not ready") => {
                Self::Unavailable(status)
            }
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Other(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_asks_for_its_remedy() {
        assert!(matches!(Error::from(Status::aborted("etag mismatch")), Error::Conflict(_)));
        assert!(matches!(Error::from(Status::not_found("x")), Error::NotFound(_)));
        assert!(matches!(Error::from(Status::unauthenticated("x")), Error::Denied(_)));
        assert!(matches!(Error::from(Status::internal("x")), Error::Other(_)));
        assert!(matches!(Error::from(Status::unavailable("x")), Error::Unavailable(_)));
        let large = Status::resource_exhausted("grpc: received message larger than max (5 vs. 4)");
        assert!(matches!(Error::from(large), Error::Invalid(_)));
    }

    #[test]
    fn the_status_stays_reachable() {
        let error = Error::from(Status::aborted("possible etag mismatch"));
        assert_eq!(error.status().code(), Code::Aborted);
        assert_eq!(error.to_string(), "conflict: possible etag mismatch");
    }
}
