//! `/api/v1/node-kinds`, `/api/v1/expressions/*`, `/api/v1/definitions/*`: the language of definitions. Nothing is saved.

use super::{Error, Gateway, answer::streamed, body};
use crate::{
    access::Principal,
    operations::{
        AskRename, AskScope, Evaluate, Evaluated, ReferenceView, RenamedView, ScopeView, read as read_body,
    },
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use callboard_core::Hash;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::OnceLock;

/// `GET /api/v1/node-kinds`. They change with a release only, so that who has them asks whether they are the same.
pub async fn node_kinds(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    static KINDS: OnceLock<(Bytes, HeaderValue)> = OnceLock::new();
    let (text, tag) = KINDS.get_or_init(|| {
        // The keys of its maps are texts, so it always serializes.
        let text = serde_json::to_vec(&gateway.operations.node_kinds()).unwrap_or_default();
        let tag = HeaderValue::try_from(format!("\"{}\"", Hash::of(&text)));
        (text.into(), tag.unwrap_or(HeaderValue::from_static("\"\"")))
    });
    let mut response = match is_known(&headers, tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => streamed(text.clone(), None),
    };
    response.headers_mut().insert(header::ETAG, tag.clone());
    response
}

/// Whether the caller has what it asks for.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = given.flat_map(|text| text.split(',')).map(|text| text.trim().trim_start_matches("W/"));
    tags.any(|given| given == tag || given == "*")
}

/// `POST /api/v1/expressions/evaluate`.
pub async fn evaluate(
    State(gateway): State<Gateway>,
    principal: Principal,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Evaluated>, Error> {
    let asked: Evaluate = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(Json(gateway.operations.evaluate(&principal, asked).await?))
}

/// `GET /api/v1/expressions/reference`.
pub async fn reference(State(gateway): State<Gateway>) -> Json<ReferenceView> {
    Json(gateway.operations.expression_reference())
}

/// `POST /api/v1/definitions/scope`.
pub async fn scope(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ScopeView>, Error> {
    let asked: AskScope = read_body(body::around_definition(body, &headers).await?)?;
    Ok(Json(gateway.operations.scope(asked).await?))
}

/// `POST /api/v1/definitions/rename`.
pub async fn rename(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RenamedView>, Error> {
    let asked: AskRename = read_body(body::around_definition(body, &headers).await?)?;
    Ok(Json(gateway.operations.rename(asked).await?))
}
