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
    Params(of): Params<Page>,
    Params(fields): Params<Vec<(String, String)>>,
) -> Result<Json<UsagePage>, Error> {
    let asked = UsageAsked::read(&fields)?;
    Ok(Json(gateway.operations.usage(&principal, &of, asked).await?))
}
