//! `/api/v1/node-kinds`, `/api/v1/definitions/check`, `/api/v1/expressions/evaluate`: the language of definitions. Nothing
//! is saved.

use super::{Error, Gateway, PROJECT, body};
use crate::operations::{CheckView, Evaluate, Evaluated, Items, NodeKindView, Text, read as read_body};
use axum::{Json, body::Body, extract::State};
use http::HeaderMap;

/// `GET /api/v1/node-kinds`.
pub async fn node_kinds(State(gateway): State<Gateway>) -> Json<Items<NodeKindView>> {
    Json(gateway.operations.node_kinds())
}

/// `POST /api/v1/definitions/check`.
pub async fn check(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CheckView>, Error> {
    let format = body::language(&headers)?;
    let bytes = body::bytes(body, &headers, body::DEFINITION).await?;
    Ok(Json(gateway.operations.check_definition(Text { bytes, format, draft: false }).await?))
}

/// `POST /api/v1/expressions/evaluate`.
pub async fn evaluate(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Evaluated>, Error> {
    let asked: Evaluate = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(Json(gateway.operations.evaluate(&PROJECT, asked).await?))
}
