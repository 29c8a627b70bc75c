//! `POST /api/v1/runs/cancel` and `/rerun`: one operation on many runs.

use super::{Error, Gateway, answer::replayed, body, key::key};
use crate::{
    access::Principal,
    operations::{BulkCall, BulkView, Trace, read as read_body},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;

/// `POST /api/v1/runs/cancel`.
pub async fn cancel(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let asked = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(answered(gateway.operations.cancel_runs(BulkCall { principal, trace, key }, asked).await?))
}

/// `POST /api/v1/runs/rerun`.
pub async fn rerun(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let asked = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(answered(gateway.operations.rerun_runs(BulkCall { principal, trace, key }, asked).await?))
}

fn answered(done: BulkView) -> Response {
    let again = done.replayed;
    replayed(Json(done).into_response(), again)
}
