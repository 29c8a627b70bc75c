//! Starting runs: of a stored workflow, or of a definition that comes along.

use super::{Error, Gateway, Id, answer::replayed, body, key::key, limits::Place, params::Params};
use crate::{
    access::Principal,
    operations::{self, Changed, Fields, Query, Start, StartInline, Started, Trace},
};
use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::id::WorkflowId;
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use std::time::Duration;

/// Whether to wait for the run's end.
#[derive(Debug, JsonSchema)]
pub struct Wait {
    /// A duration such as `30s`, at most `5m`: the answer is the whole run, once it has ended or the time is up.
    #[schemars(with = "Option<String>")]
    wait: Option<Duration>,
}

impl Query for Wait {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { wait: fields.one("wait", operations::wait) }
    }
}

/// `POST /api/v1/workflows/{id}/start`.
pub async fn start(
    State(gateway): State<Gateway>,
    (principal, trace): (Principal, Trace),
    Extension(place): Extension<Place>,
    Id(workflow): Id<WorkflowId>,
    Params(Wait { wait }): Params<Wait>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let start: Start = operations::read(body::json(body, &headers, body::CALL).await?)?;
    let started = gateway.operations.start(&principal, &trace, &workflow, key, start).await?;
    answer(&gateway, &place, &trace, started, wait).await
}

/// `POST /api/v1/runs`, for a definition that is not stored.
pub async fn run(
    State(gateway): State<Gateway>,
    (principal, trace): (Principal, Trace),
    Extension(place): Extension<Place>,
    Params(Wait { wait }): Params<Wait>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let start: StartInline = operations::read(body::json(body, &headers, body::THROUGH_SIDECAR).await?)?;
    let started = gateway.operations.start_inline(&principal, &trace, key, start).await?;
    answer(&gateway, &place, &trace, started, wait).await
}

/// Says where the run is; with the whole run, if its end was to be waited for.
async fn answer(
    gateway: &Gateway,
    place: &Place,
    trace: &Trace,
    started: Started,
    wait: Option<Duration>,
) -> Result<Response, Error> {
    let location = HeaderValue::try_from(format!("/api/v1/runs/{}", started.view.run_id));
    let again = started.replayed;
    let change = Changed { object: Some(started.view.run_id.to_string()), ..Changed::default() };
    let mut response = match wait {
        None => Json(started.view).into_response(),
        Some(wait) => {
            let _place = place.lasting()?;
            Json(gateway.operations.end_of(trace, started, wait).await?).into_response()
        }
    };
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.extensions_mut().insert(change);
    Ok(replayed(response, again))
}
