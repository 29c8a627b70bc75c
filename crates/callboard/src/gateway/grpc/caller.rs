//! Who calls a method, and what stands in its metadata.

use super::status::{refused, status};
use crate::{
    access::Principal,
    gateway::{Error, key::key},
    operations::{Key, Refusal, Trace},
};
use callboard_core::id::{RunId, WorkflowId};
use tonic::{Request, Response, Status};

const REPLAYED: &str = "idempotency-replayed";

pub struct Caller {
    pub principal: Principal,
    pub trace: Trace,
    /// The same key does the same thing once.
    pub key: Option<Key>,
}

// === impl Caller ===

impl Caller {
    /// Reads who calls, and takes the message out.
    pub fn of<T>(request: Request<T>) -> Result<(Self, T), Status> {
        let key = key(request.metadata().as_ref()).map_err(|error| status(&error))?;
        let extensions = request.extensions();
        let (Some(principal), Some(trace)) =
            (extensions.get::<Principal>().cloned(), extensions.get::<Trace>().cloned())
        else {
            tracing::error!("a method is called past its guard");
            return Err(status(&Error::internal()));
        };
        Ok((Self { principal, trace, key }, request.into_inner()))
    }

    /// Reads the id of a run, as the caller calls it. One that nothing can have is unknown.
    pub fn run(&self, text: &str) -> Result<RunId, Status> {
        let run = RunId::called(&self.principal.project, text);
        run.ok_or_else(|| refused(Refusal::not_found("run", "of this id")))
    }
}

/// Reads the id of a workflow.
pub fn workflow(text: &str) -> Result<WorkflowId, Status> {
    text.parse().map_err(|_| refused(Refusal::not_found("workflow", "of this id")))
}

/// Answers; says so where it was done before.
pub fn answer<T>(message: T, is_replayed: bool) -> Response<T> {
    let mut response = Response::new(message);
    if is_replayed {
        response.metadata_mut().insert(REPLAYED, tonic::metadata::MetadataValue::from_static("true"));
    }
    response
}
