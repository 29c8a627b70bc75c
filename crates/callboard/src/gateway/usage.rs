//! `/api/v1/usage`: what runs used.

use super::{Error, Gateway, params::Params};
use crate::{
    access::Principal,
    operations::{Page, UsageAsked, UsagePage},
};
use axum::{Json, extract::State};

/// `GET /api/v1/usage`.
pub async fn usage(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params((of, asked)): Params<(Page, UsageAsked)>,
) -> Result<Json<UsagePage>, Error> {
    Ok(Json(gateway.operations.usage(&principal, &of, asked).await?))
}
