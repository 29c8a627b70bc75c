//! Secret routes.

use http::StatusCode;

use super::super::fault::Fault;
use super::super::runtime::Runtime;
use super::Response;

pub(super) fn get(runtime: &Runtime, store: &str, key: &str) -> Result<Response, Fault> {
    Ok(super::json(StatusCode::OK, &runtime.secret(store, key)?))
}

pub(super) fn bulk(runtime: &Runtime, store: &str) -> Result<Response, Fault> {
    Ok(super::json(StatusCode::OK, &runtime.secrets(store)?))
}
