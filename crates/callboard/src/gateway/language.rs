//! `/api/v1/node-kinds`, `/api/v1/expressions/evaluate`: the language of definitions. Nothing is saved.

use super::{Error, Gateway, body};
use crate::{
    access::Principal,
    operations::{Evaluate, Evaluated, Items, NodeKindView, read as read_body},
};
use axum::{Json, body::Body, extract::State};
use http::HeaderMap;

/// `GET /api/v1/node-kinds`.
pub async fn node_kinds(State(gateway): State<Gateway>) -> Json<Items<NodeKindView>> {
    Json(gateway.operations.node_kinds())
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
