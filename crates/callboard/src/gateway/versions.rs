//! `/api/v1/workflows/{id}/versions`: what was published, and what is said about it.

use super::{Error, Gateway, Id, InPath, body, params::Params};
use crate::{
    access::Principal,
    operations::{Annotate, Items, Page, VersionLine, VersionView, read as read_body},
};
use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Path, State},
    response::{IntoResponse, Response},
};
use callboard_core::id::WorkflowId;
use http::{HeaderMap, request::Parts};

/// `GET /api/v1/workflows/{id}/versions`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    Params(of): Params<Page>,
) -> Result<Json<Items<VersionLine>>, Error> {
    Ok(Json(gateway.operations.versions(&principal, &id, &of).await?))
}

/// `GET /api/v1/workflows/{id}/versions/{n}`.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    OfVersion(id, version): OfVersion,
) -> Result<Json<VersionView>, Error> {
    Ok(Json(gateway.operations.version(&principal, &id, version).await?))
}

/// `PATCH /api/v1/workflows/{id}/versions/{n}`.
pub async fn annotate(
    State(gateway): State<Gateway>,
    principal: Principal,
    OfVersion(id, version): OfVersion,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<VersionView>, Error> {
    let asked: Annotate = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(Json(gateway.operations.annotate(&principal, (&id, version), asked).await?))
}

/// The workflow and the number of a version in a path. One that nothing can have is unknown.
pub struct OfVersion(pub WorkflowId, pub u32);

impl<S: Send + Sync> FromRequestParts<S> for OfVersion {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let text = Path::<(String, String)>::from_request_parts(parts, state).await;
        let principal = Principal::from_request_parts(parts, state).await.map_err(Error::into_response)?;
        let unknown = |what| Error::not_found(what, "of this id").into_response();
        let Ok(Path((id, version))) = text else { return Err(unknown("workflow")) };
        let id = WorkflowId::read(&id, &principal.project).ok_or_else(|| unknown("workflow"))?;
        let version = version.parse().map_err(|_| unknown("version"))?;
        Ok(Self(id, version))
    }
}
