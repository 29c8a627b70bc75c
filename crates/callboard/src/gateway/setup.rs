//! What the server is made of: itself, its models, agents, tools, and names of secrets.

use super::{Error, Gateway, body, health::Checks, params::Params};
use crate::{
    access::Principal,
    operations::{About, AgentView, Items, Page, ProviderView, SecretNames, ToolView},
};
use axum::{
    Json,
    extract::{Path, State},
};

/// `GET /api/v1/about`.
pub async fn about(State(gateway): State<Gateway>) -> Json<About<Checks>> {
    let health = gateway.readiness.check().await;
    Json(gateway.operations.about((body::THROUGH_SIDECAR, body::CALL), health))
}

/// `GET /api/v1/secrets`.
pub async fn secrets(State(gateway): State<Gateway>, principal: Principal) -> Json<SecretNames> {
    Json(gateway.operations.secrets(&principal).await)
}

/// `GET /api/v1/tools`.
pub async fn tools(State(gateway): State<Gateway>) -> Json<Items<ToolView>> {
    Json(gateway.operations.tools())
}

/// `GET /api/v1/ai/models`.
pub async fn models(State(gateway): State<Gateway>, principal: Principal) -> Json<Items<ProviderView>> {
    Json(gateway.operations.models(&principal))
}

/// `GET /api/v1/ai/agents`.
pub async fn agents(
    State(gateway): State<Gateway>,
    Params(of): Params<Page>,
) -> Result<Json<Items<AgentView>>, Error> {
    Ok(Json(gateway.operations.agents(&of)?))
}

/// `GET /api/v1/ai/agents/{id}`.
pub async fn agent(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<Json<AgentView>, Error> {
    Ok(Json(gateway.operations.agent(&name)?))
}
