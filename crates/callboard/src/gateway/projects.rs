//! `/api/v1/projects`: for admins of `default`.

use super::{Error, Gateway, Id, body, params::Params};
use crate::{
    access::Principal,
    operations::{Changed, Items, LimitProject, NewProject, Page, ProjectView, read as read_body},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::id::ProjectId;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// `GET /api/v1/projects`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(of): Params<Page>,
) -> Result<Json<Items<ProjectView>>, Error> {
    Ok(Json(gateway.operations.list_projects(&principal, &of).await?))
}

/// `POST /api/v1/projects`.
pub async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let new: NewProject = read_body(body::json(body, &headers, body::CALL).await?)?;
    let made = gateway.operations.create_project(&principal, new).await?;
    let location = HeaderValue::try_from(format!("/api/v1/projects/{}", made.id));
    let change = Changed { object: Some(made.id.to_string()), ..Changed::default() };
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.extensions_mut().insert(change);
    Ok(response)
}

/// `GET /api/v1/projects/{id}`.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(project): Id<ProjectId>,
) -> Result<Json<ProjectView>, Error> {
    Ok(Json(gateway.operations.project(&principal, &project).await?))
}

/// `PUT /api/v1/projects/{id}/limits`.
pub async fn limit(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(project): Id<ProjectId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ProjectView>, Error> {
    let to: LimitProject = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(Json(gateway.operations.limit_project(&principal, &project, to).await?))
}

/// `POST /api/v1/projects/{id}/pause`.
pub async fn pause(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(project): Id<ProjectId>,
) -> Result<Json<ProjectView>, Error> {
    Ok(Json(gateway.operations.pause_project(&principal, &project).await?))
}

/// `POST /api/v1/projects/{id}/resume`.
pub async fn resume(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(project): Id<ProjectId>,
) -> Result<Json<ProjectView>, Error> {
    Ok(Json(gateway.operations.resume_project(&principal, &project).await?))
}

/// `DELETE /api/v1/projects/{id}`.
pub async fn delete(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(project): Id<ProjectId>,
) -> Result<StatusCode, Error> {
    gateway.operations.delete_project(&principal, &project).await?;
    Ok(StatusCode::NO_CONTENT)
}
