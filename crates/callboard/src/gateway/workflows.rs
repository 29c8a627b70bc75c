//! `/api/v1/workflows`: definitions and their versions.

use super::{Error, Gateway, Id, access::Change, body, params::Params};
use crate::{
    access::Principal,
    operations::{Items, Page, Saved, Text, WorkflowLine},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::id::WorkflowId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;

/// How a definition is saved.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Saving {
    /// Saves it although it has problems; it can't be started then.
    #[serde(default)]
    draft: bool,
}

/// `POST /api/v1/workflows`.
pub async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let saved = gateway.operations.create_workflow(&principal, text(&saving, &headers, body).await?).await?;
    let location = HeaderValue::try_from(format!("/api/v1/workflows/{}", saved.id));
    let mut response = saved_as(StatusCode::CREATED, saved);
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `PUT /api/v1/workflows/{id}`: the next version.
pub async fn update(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let text = text(&saving, &headers, body).await?;
    let saved = gateway.operations.update_workflow(&principal, &id, expected(&headers)?, text).await?;
    Ok(saved_as(StatusCode::OK, saved))
}

/// `GET /api/v1/workflows/{id}`: the definition, with what the server knows about it.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
) -> Result<Response, Error> {
    let workflow = gateway.operations.workflow(&principal, &id).await?;
    Ok(([(header::ETAG, tag(workflow.version))], Json(workflow)).into_response())
}

/// `DELETE /api/v1/workflows/{id}`.
pub async fn delete(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
) -> Result<Response, Error> {
    let before = gateway.operations.delete_workflow(&principal, &id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Change { before, ..Change::default() });
    Ok(response)
}

/// `GET /api/v1/workflows`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(of): Params<Page>,
) -> Result<Json<Items<WorkflowLine>>, Error> {
    Ok(Json(gateway.operations.list_workflows(&principal, &of).await?))
}

/// Reads a definition in the language that its content type names.
async fn text(saving: &Saving, headers: &HeaderMap, body: Body) -> Result<Text, Error> {
    let format = body::language(headers)?;
    let bytes = body::bytes(body, headers, body::DEFINITION).await?;
    Ok(Text { bytes, format, draft: saving.draft })
}

/// Reads `If-Match: "3"`; `*` matches any version.
fn expected(headers: &HeaderMap) -> Result<Option<u32>, Error> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse().ok();
    let wrong = || Error::bad_request("invalid_if_match", "If-Match holds a version, such as \"3\"");
    version.map(Some).ok_or_else(wrong)
}

fn tag(version: u32) -> String {
    format!("\"{version}\"")
}

fn saved_as(status: StatusCode, saved: Saved) -> Response {
    let (object, before, after) = (Some(saved.id.to_string()), saved.before, Some(saved.after));
    let mut response = (status, [(header::ETAG, tag(saved.version))], Json(saved)).into_response();
    response.extensions_mut().insert(Change { object, before, after });
    response
}
