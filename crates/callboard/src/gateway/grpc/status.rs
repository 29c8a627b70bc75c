//! What is refused, as a status of gRPC: our code is the reason in `google.rpc.ErrorInfo`, mistakes are violations in
//! `google.rpc.BadRequest`, and when to come back stands in `google.rpc.RetryInfo`.

use crate::{gateway::Error, operations::Refusal};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Whose reasons they are.
const DOMAIN: &str = "callboard";

pub fn status(error: &Error) -> Status {
    let code = match error.status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        // The state of things forbids it; of a version that has changed, it may be tried anew.
        409 if error.code == "version_conflict" => Code::Aborted,
        412 => Code::Aborted,
        409 | 410 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        400..=499 => Code::InvalidArgument,
        _ => Code::Internal,
    };
    let mut details = ErrorDetails::with_error_info(error.code.to_string(), DOMAIN, HashMap::new());
    if let Some(problems) = &error.problems {
        let violations: Vec<_> = problems
            .iter()
            .map(|problem| {
                FieldViolation::new(&problem.path, format!("{}: {}", problem.code, problem.message))
            })
            .collect();
        details.set_bad_request(violations);
    }
    if let Some(seconds) = error.retry_after {
        details.set_retry_info(Some(Duration::from_secs(seconds.into())));
    }
    Status::with_error_details(code, error.detail.clone(), details)
}

pub fn refused(refusal: Refusal) -> Status {
    status(&Error::from(refusal))
}
