//! How to say who one is, and who that is then: what a page asks first.

use super::{Error, Gateway};
use crate::{
    access::Principal,
    operations::{Me, Ways},
};
use axum::{Json, extract::State};

/// `GET /api/v1/auth`.
pub async fn ways(State(gateway): State<Gateway>) -> Result<Json<Ways>, Error> {
    Ok(Json(gateway.operations.ways().await?))
}

/// `GET /api/v1/me`.
pub async fn me(State(gateway): State<Gateway>, principal: Principal) -> Json<Me> {
    Json(gateway.operations.me(&principal))
}
