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
    operations::{Duplicate, Exported, Fields, Query, read as read_body},
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
#[derive(Debug, JsonSchema)]
pub struct Export {
    /// Wins over `Accept`.
    format: Option<Written>,
    /// A version by its number; the latest unless it is given.
    version: Option<u32>,
    /// The draft instead of a version.
    #[schemars(default)]
    draft: bool,
}

/// How a definition is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Written {
    Yaml,
    Json,
}

impl Query for Export {
    fn read(fields: &mut Fields<'_>) -> Self {
        let format = fields.word("format");
        let (version, draft) = (fields.number("version"), fields.flag("draft").unwrap_or_default());
        if draft && version.is_some() {
            fields.wrong("draft", "must not be given with a version");
        }
        Self { format, version, draft }
    }
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
    let document = match wanted.format {
        None => Document::Yaml.wanted(&headers),
        Some(Written::Yaml) => Document::Yaml,
        Some(Written::Json) => Document::Json,
    };
    let which = match wanted.version {
        Some(version) => Exported::Version(version),
        None if wanted.draft => Exported::Draft,
        None => Exported::Latest,
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
