//! `/api/v1/runs`: one run, its steps, and what may be done to it.

use super::{
    Error, Gateway, Id,
    answer::{answer, replayed},
    body,
    key::key,
    limits::Place,
    params::Params,
};
use crate::{
    access::Principal,
    operations::{
        Approve, Call, Changes, Filter, Items, Nothing, Page, Request, Rerun, RunItem, Signal, Trace, Which,
        read as read_body,
    },
};
use axum::{
    Extension, Json,
    body::Body,
    extract::{FromRequest, FromRequestParts, State},
    response::{IntoResponse, Response},
};
use callboard_core::{id::RunId, workflow::view::RunView};
use futures::StreamExt;
use http::header;

/// `GET /api/v1/runs`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params((of, filter)): Params<(Page, Filter)>,
) -> Result<Json<Items<RunItem>>, Error> {
    Ok(Json(gateway.operations.list_runs(&principal, &of, filter).await?))
}

/// `GET /api/v1/runs/{id}`.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    Id(run): Id<RunId>,
) -> Result<Json<RunItem>, Error> {
    Ok(Json(gateway.operations.run(&principal, &trace, &run).await?))
}

/// `GET /api/v1/runs/{id}/steps`.
pub async fn steps(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    Id(run): Id<RunId>,
    Params((of, changes, which)): Params<(Page, Changes, Which)>,
) -> Result<Response, Error> {
    let (page, room) = gateway.operations.steps(&principal, &trace, &run, &of, &changes, &which).await?;
    answer(&page, room)
}

/// `GET /api/v1/runs/{id}/export`.
pub async fn export(
    State(gateway): State<Gateway>,
    principal: Principal,
    Extension(place): Extension<Place>,
    trace: Trace,
    Id(run): Id<RunId>,
) -> Result<Response, Error> {
    let pieces = gateway.operations.export_run(&principal, &trace, &run).await?;
    let place = place.lasting()?;
    let pieces = pieces.map(move |piece| {
        // Held as long as the file is sent.
        let _ = &place;
        piece.map_err(|refusal| std::io::Error::other(refusal.code.into_owned()))
    });
    let name = format!("attachment; filename=\"{}.json\"", run.name());
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// `POST /api/v1/runs/{id}/cancel`.
pub async fn cancel(State(gateway): State<Gateway>, asked: Asked<Nothing>) -> Answered {
    answered(gateway.operations.cancel(asked.call, &asked.body).await?)
}

/// `POST /api/v1/runs/{id}/pause`.
pub async fn pause(State(gateway): State<Gateway>, asked: Asked<Nothing>) -> Answered {
    answered(gateway.operations.pause(asked.call, &asked.body).await?)
}

/// `POST /api/v1/runs/{id}/resume`.
pub async fn resume(State(gateway): State<Gateway>, asked: Asked<Nothing>) -> Answered {
    answered(gateway.operations.resume(asked.call, &asked.body).await?)
}

/// `POST /api/v1/runs/{id}/signal`.
pub async fn signal(State(gateway): State<Gateway>, asked: Asked<Signal>) -> Answered {
    answered(gateway.operations.signal(asked.call, &asked.body).await?)
}

/// `POST /api/v1/runs/{id}/approve`.
pub async fn approve(State(gateway): State<Gateway>, asked: Asked<Approve>) -> Answered {
    answered(gateway.operations.approve(asked.call, &asked.body).await?)
}

/// `POST /api/v1/runs/{id}/rerun`.
pub async fn rerun(State(gateway): State<Gateway>, asked: Asked<Rerun>) -> Answered {
    answered(gateway.operations.rerun(asked.call, &asked.body).await?)
}

/// An operation answers with the run.
type Answered = Result<Response, Error>;

fn answered(run: RunView) -> Answered {
    let again = run.replayed;
    Ok(replayed(Json(RunView { replayed: false, ..run }).into_response(), again))
}

/// An operation on a run, its body read.
pub struct Asked<T> {
    call: Call,
    body: T,
}

// === impl Asked ===

impl<T: Request> FromRequest<Gateway> for Asked<T> {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, gateway: &Gateway) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Id(run) = Id::<RunId>::from_request_parts(&mut parts, gateway).await?;
        let principal = Principal::from_request_parts(&mut parts, gateway).await;
        let principal = principal.map_err(Error::into_response)?;
        let Ok(trace) = Trace::from_request_parts(&mut parts, gateway).await;
        let read = async {
            let key = key(&parts.headers)?;
            let body = read_body(body::json(body, &parts.headers, body::CALL).await?)?;
            Ok::<_, Error>(Self { call: Call { principal, trace, run, key }, body })
        };
        read.await.map_err(Error::into_response)
    }
}
