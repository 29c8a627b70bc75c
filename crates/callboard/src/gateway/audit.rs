//! `GET /api/v1/audit`: what was changed, and what was refused, in the caller's project.

use super::{Error, Gateway, params::Params};
use crate::{
    access::Principal,
    operations::{AuditLine, Items, Page},
};
use axum::{Json, extract::State};

pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(of): Params<Page>,
) -> Result<Json<Items<AuditLine>>, Error> {
    Ok(Json(gateway.operations.audit(&principal, &of).await?))
}
