//! `/api/v1/triggers`: what starts runs by itself.

use super::{
    Error, Gateway, Id, answer::replayed, body, key::key, params::Params, precondition, workflows::tag,
};
use crate::{
    access::Principal,
    operations::{
        Altered, Changed, CreateTrigger, Created, FireNow, FireView, Items, Page, PreviewTrigger,
        ReplaceTrigger, Trace, TriggerMade, TriggerPreview, TriggerView, TriggersOf, read as read_body,
    },
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::id::TriggerId;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// `GET /api/v1/triggers`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params((of, which)): Params<(Page, TriggersOf)>,
) -> Result<Json<Items<TriggerView>>, Error> {
    Ok(Json(gateway.operations.list_triggers(&principal, &of, which).await?))
}

/// `POST /api/v1/triggers`.
pub async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let new: CreateTrigger = read_body(body::json(body, &headers, body::CALL).await?)?;
    let Created { made, replayed: again, changed } =
        gateway.operations.create_trigger(&principal, key, new).await?;
    let location = HeaderValue::try_from(format!("/api/v1/triggers/{}", made.trigger.id));
    let mut response = answer(StatusCode::CREATED, made, changed);
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(replayed(response, again))
}

/// `POST /api/v1/triggers/preview`.
pub async fn preview(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TriggerPreview>, Error> {
    let asked: PreviewTrigger = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(Json(gateway.operations.preview_trigger(asked)))
}

/// `GET /api/v1/triggers/{id}`.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Response, Error> {
    let trigger = gateway.operations.trigger(&principal, &id).await?;
    Ok(([(header::ETAG, tag(trigger.revision))], Json(trigger)).into_response())
}

/// `PUT /api/v1/triggers/{id}`.
pub async fn replace(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let expected = precondition::of_revision(&headers)?;
    let new: ReplaceTrigger = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(altered(gateway.operations.replace_trigger(&principal, &id, expected, new).await?))
}

/// `DELETE /api/v1/triggers/{id}`.
pub async fn delete(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Response, Error> {
    let changed = gateway.operations.delete_trigger(&principal, &id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(changed);
    Ok(response)
}

/// `POST /api/v1/triggers/{id}/enable`.
pub async fn enable(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Response, Error> {
    Ok(altered(gateway.operations.enable_trigger(&principal, &id, true).await?))
}

/// `POST /api/v1/triggers/{id}/disable`.
pub async fn disable(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Response, Error> {
    Ok(altered(gateway.operations.enable_trigger(&principal, &id, false).await?))
}

/// `POST /api/v1/triggers/{id}/secret`.
pub async fn renew_secret(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Response, Error> {
    Ok(altered(gateway.operations.renew_trigger_secret(&principal, &id).await?))
}

/// `POST /api/v1/triggers/{id}/fire`.
pub async fn fire(
    State(gateway): State<Gateway>,
    (principal, trace): (Principal, Trace),
    Id(id): Id<TriggerId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let asked: FireNow = read_body(body::json(body, &headers, body::CALL).await?)?;
    let started = gateway.operations.fire_trigger(&principal, &trace, &id, key, asked).await?;
    let location = HeaderValue::try_from(format!("/api/v1/runs/{}", started.view.run_id));
    let change = Changed { object: Some(started.view.run_id.to_string()), ..Changed::default() };
    let again = started.replayed;
    let mut response = Json(started.view).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.extensions_mut().insert(change);
    Ok(replayed(response, again))
}

/// `GET /api/v1/triggers/{id}/fires`.
pub async fn fires(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<TriggerId>,
) -> Result<Json<Items<FireView>>, Error> {
    Ok(Json(gateway.operations.trigger_fires(&principal, &id).await?))
}

fn altered(altered: Altered) -> Response {
    answer(StatusCode::OK, altered.made, altered.changed)
}

/// Answers with a trigger. There may be a secret in it: nobody on the way may keep that.
fn answer(status: StatusCode, made: TriggerMade, changed: Changed) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "no-store".to_owned()), (header::ETAG, tag(made.trigger.revision))];
    let mut response = (status, headers, Json(made)).into_response();
    response.extensions_mut().insert(changed);
    response
}
