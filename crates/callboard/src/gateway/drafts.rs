//! `/api/v1/workflows/{id}/draft`, and what becomes a version of it or a draft again.

use super::{
    Error, Gateway, Id,
    answer::{Document, yaml},
    body,
    key::key,
    precondition,
    versions::OfVersion,
    workflows::{answer_again, text, told},
};
use crate::{
    access::Principal,
    operations::{Key, Naming, Nothing, Publish, Saved, read as read_body},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::{Hash, id::WorkflowId};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

/// `GET /api/v1/workflows/{id}/draft`: as JSON, or the text itself.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let edited = gateway.operations.draft(&principal, &id).await?;
    let tag = [(header::ETAG, format!("\"{}\"", edited.view.etag))];
    Ok(match Document::Json.wanted(&headers) {
        Document::Json => (tag, Json(edited.view)).into_response(),
        Document::Yaml => (tag, yaml(edited.yaml())).into_response(),
    })
}

/// `PUT /api/v1/workflows/{id}/draft`.
pub async fn save(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let expected = precondition::of_draft(&headers)?;
    let text = text(true, &headers, body).await?;
    let saved = gateway.operations.save_draft(&principal, &id, expected, text).await?;
    let tag = saved.draft.as_ref().map(|tag| [(header::ETAG, format!("\"{tag}\""))]);
    Ok(match tag {
        Some(tag) => (tag, Json(saved)).into_response(),
        None => Json(saved).into_response(),
    })
}

/// `DELETE /api/v1/workflows/{id}/draft`.
pub async fn discard(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let expected = precondition::of_draft(&headers)?;
    let changed = gateway.operations.discard_draft(&principal, &id, expected).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(changed);
    Ok(response)
}

/// `POST /api/v1/workflows/{id}/publish`.
pub async fn publish(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let (key, expected) = (key(&headers)?, precondition::of_draft(&headers)?);
    let asked: Publish = read_body(body::json(body, &headers, body::CALL).await?)?;
    let naming = key.map(|key| naming(key, "POST /workflows/{id}/publish", id.as_str(), &headers, &asked));
    let published = |saved: Option<&Saved>| told(StatusCode::OK, saved);
    answer_again(gateway.operations.publish(&principal, &id, naming, (expected, asked), published).await?)
}

/// `POST /api/v1/workflows/{id}/versions/{n}/restore`.
pub async fn restore(
    State(gateway): State<Gateway>,
    principal: Principal,
    OfVersion(id, version): OfVersion,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let (key, expected) = (key(&headers)?, precondition::of_draft(&headers)?);
    let asked: Nothing = read_body(body::json(body, &headers, body::CALL).await?)?;
    let path = format!("{id}/{version}");
    let route = "POST /workflows/{id}/versions/{n}/restore";
    let naming = key.map(|key| naming(key, route, &path, &headers, &asked));
    let restored = |saved: Option<&Saved>| told(StatusCode::OK, saved);
    answer_again(gateway.operations.restore(&principal, (&id, version), naming, expected, restored).await?)
}

/// Names a change by everything that decides what is done.
pub fn naming(
    key: Key,
    route: &'static str,
    path: &str,
    headers: &HeaderMap,
    asked: &impl Serialize,
) -> Naming {
    // Bodies of ours always serialize.
    let asked = serde_json::to_vec(asked).unwrap_or_default();
    Naming { key, route, body: Hash::chain(&[path.as_bytes(), &precondition::bytes(headers), &asked]) }
}
