//! `/api/v1/approvals`: what waits for a person.

use super::{Error, Gateway, answer::answer, params::Params};
use crate::{access::Principal, operations::Page};
use axum::{extract::State, response::Response};

/// `GET /api/v1/approvals`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(of): Params<Page>,
) -> Result<Response, Error> {
    let (page, room) = gateway.operations.approvals(&principal, &of).await?;
    answer(&page, room)
}
