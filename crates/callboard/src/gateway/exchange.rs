//! Copies of workflows, and their way out and in as texts.

use super::{
    Error, Gateway, Id,
    answer::{Document, yaml},
    body,
    drafts::naming,
    key::key,
    params::Params,
    workflows::{Saving, answer_again, created, naming as naming_of_text, text},
};
use crate::{
    access::Principal,
    operations::{Duplicate, Exported, read as read_body},
};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_core::{
    document::{Format, write},
    id::WorkflowId,
};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which text of a workflow is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Export {
    /// `yaml` or `json`; wins over `Accept`.
    format: Option<String>,
    /// A version by its number; the latest unless it is given.
    version: Option<u32>,
    /// The draft instead of a version.
    #[serde(default)]
    draft: bool,
}

/// `POST /api/v1/workflows/{id}/duplicate`.
pub async fn duplicate(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let asked: Duplicate = read_body(body::json(body, &headers, body::CALL).await?)?;
    let naming = key.map(|key| naming(key, "POST /workflows/{id}/duplicate", id.as_str(), &headers, &asked));
    answer_again(gateway.operations.duplicate(&principal, &id, naming, asked, created).await?)
}

/// `GET /api/v1/workflows/{id}/export`.
pub async fn export(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    Params(wanted): Params<Export>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let document = match wanted.format.as_deref() {
        None => Document::Yaml.wanted(&headers),
        Some("yaml") => Document::Yaml,
        Some("json") => Document::Json,
        Some(_) => return Err(Error::bad_request("invalid_query", "format is yaml or json")),
    };
    let which = match (wanted.draft, wanted.version) {
        (false, None) => Exported::Latest,
        (false, Some(version)) => Exported::Version(version),
        (true, None) => Exported::Draft,
        (true, Some(_)) => {
            return Err(Error::bad_request("invalid_query", "give a version or draft, not both"));
        }
    };
    let definition = gateway.operations.export(&principal, &id, which).await?;
    Ok(match document {
        Document::Yaml => yaml(write(&definition, Format::Yaml)),
        Document::Json => {
            ([(header::CONTENT_TYPE, "application/json")], write(&definition, Format::Json)).into_response()
        }
    })
}

/// `POST /api/v1/workflows/import`: another workflow, of the text of an export.
pub async fn import(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let text = text(saving.draft, &headers, body).await?;
    let naming = key.map(|key| naming_of_text(key, "POST /workflows/import", "", &headers, &text));
    answer_again(gateway.operations.create_workflow(&principal, naming, text, created).await?)
}
