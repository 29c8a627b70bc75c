//! `/api/v1/keys`: keys of the caller's project.

use super::{Error, Gateway, Id, body, params::Params};
use crate::{
    access::Principal,
    operations::{Changed, Items, KeyMade, KeyView, NewKey, Page, RotateKey, read as read_body},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::id::KeyId;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// `GET /api/v1/keys`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(of): Params<Page>,
) -> Result<Json<Items<KeyView>>, Error> {
    Ok(Json(gateway.operations.list_keys(&principal, &of).await?))
}

/// `POST /api/v1/keys`.
pub async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let new: NewKey = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(made(StatusCode::CREATED, gateway.operations.create_key(&principal, new).await?))
}

/// `POST /api/v1/keys/{id}/rotate`.
pub async fn rotate(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(key): Id<KeyId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let rotate: RotateKey = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(made(StatusCode::OK, gateway.operations.rotate_key(&principal, &key, rotate).await?))
}

/// `DELETE /api/v1/keys/{id}`.
pub async fn revoke(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(key): Id<KeyId>,
) -> Result<StatusCode, Error> {
    gateway.operations.revoke_key(&principal, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one answer that has a secret in it: nobody on the way may keep it.
fn made(status: StatusCode, key: KeyMade) -> Response {
    let change = Changed { object: Some(key.key.id.to_string()), ..Changed::default() };
    let mut response =
        (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(key)).into_response();
    response.extensions_mut().insert(change);
    response
}
