//! `/api/v1/workflows`: definitions and their versions.

use super::{Error, Gateway, Id, answer::replayed, body, key::key, params::Params, precondition};
use crate::{
    access::Principal,
    operations::{
        Answered, CheckedView, Fields, Items, Key, Listed, Naming, Page, Query, Rename, Saved, Text,
        WorkflowLine, WorkflowView, read as read_body,
    },
};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_catalog::Answer;
use callboard_core::{Hash, document::Format, id::WorkflowId};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;

/// How a definition is saved.
#[derive(Debug, JsonSchema)]
pub struct Saving {
    /// Saves it as the draft, whatever is wrong with it. Nothing is published.
    #[schemars(default)]
    pub(super) draft: bool,
}

impl Query for Saving {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { draft: fields.flag("draft").unwrap_or_default() }
    }
}

/// `POST /api/v1/workflows`.
pub async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = key(&headers)?;
    let text = text(saving.draft, &headers, body).await?;
    let naming = key.map(|key| naming(key, "POST /workflows", "", &headers, &text));
    answer_again(gateway.operations.create_workflow(&principal, naming, text, created).await?)
}

/// `POST /api/v1/workflows/check`.
pub async fn check(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CheckedView>, Error> {
    let text = text(true, &headers, body).await?;
    Ok(Json(gateway.operations.check_workflow(text).await?))
}

/// `PUT /api/v1/workflows/{id}`: the next version, or the draft.
pub async fn update(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let (key, expected) = (key(&headers)?, precondition::of_version(&headers, saving.draft)?);
    let text = text(saving.draft, &headers, body).await?;
    let naming = key.map(|key| naming(key, "PUT /workflows/{id}", id.as_str(), &headers, &text));
    let changed = |saved: Option<&Saved>| told(StatusCode::OK, saved);
    answer_again(
        gateway.operations.update_workflow(&principal, &id, naming, (expected, text), changed).await?,
    )
}

/// `GET /api/v1/workflows/{id}`: the definition, with what the server knows about it.
pub async fn read(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
) -> Result<Response, Error> {
    Ok(shown(gateway.operations.workflow(&principal, &id).await?))
}

/// `PATCH /api/v1/workflows/{id}`: what it is called.
pub async fn rename(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let asked: Rename = read_body(body::json(body, &headers, body::CALL).await?)?;
    Ok(shown(gateway.operations.rename_workflow(&principal, &id, asked).await?))
}

/// `DELETE /api/v1/workflows/{id}`.
pub async fn delete(
    State(gateway): State<Gateway>,
    principal: Principal,
    Id(id): Id<WorkflowId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let body = Hash::of(id.as_str().as_bytes());
    let naming = key(&headers)?.map(|key| Naming { key, route: "DELETE /workflows/{id}", body });
    let hidden = |_: Option<&Saved>| Answer { status: StatusCode::NO_CONTENT.as_u16(), ..Answer::default() };
    answer_again(gateway.operations.delete_workflow(&principal, &id, naming, hidden).await?)
}

/// `GET /api/v1/workflows`.
pub async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Params((of, wanted)): Params<(Page, Listed)>,
) -> Result<Json<Items<WorkflowLine>>, Error> {
    Ok(Json(gateway.operations.list_workflows(&principal, &of, &wanted).await?))
}

/// Reads a definition in the language that its content type names.
pub(super) async fn text(draft: bool, headers: &HeaderMap, body: Body) -> Result<Text, Error> {
    let format = body::language(headers)?;
    let bytes = body::bytes(body, headers, body::DEFINITION).await?;
    Ok(Text { bytes, format, draft })
}

fn shown(workflow: WorkflowView) -> Response {
    ([(header::ETAG, tag(workflow.version))], Json(workflow)).into_response()
}

pub(super) fn tag(version: impl std::fmt::Display) -> String {
    format!("\"{version}\"")
}

/// Names a change of a definition, by everything that decides what is saved.
pub(super) fn naming(key: Key, route: &'static str, path: &str, headers: &HeaderMap, text: &Text) -> Naming {
    let expected = headers.get(header::IF_MATCH).map_or(&[][..], HeaderValue::as_bytes);
    let format: &[u8] = match text.format {
        Format::Json => b"json",
        Format::Yaml => b"yaml",
    };
    let draft = [u8::from(text.draft)];
    Naming { key, route, body: Hash::chain(&[path.as_bytes(), expected, format, &draft, &text.bytes]) }
}

/// Answers with what was made, and where.
pub(super) fn created(saved: Option<&Saved>) -> Answer {
    let location = saved.map(|saved| format!("/api/v1/workflows/{}", saved.id));
    let located = location.map(|path| (header::LOCATION.as_str().to_owned(), path));
    let mut answer = told(StatusCode::CREATED, saved);
    answer.headers.extend(located);
    answer
}

/// Answers with what was saved.
pub(super) fn told(status: StatusCode, saved: Option<&Saved>) -> Answer {
    let Some(saved) = saved else { return Answer { status: status.as_u16(), ..Answer::default() } };
    let tag = saved.draft.as_ref().map_or_else(|| tag(saved.version), |draft| format!("\"{draft}\""));
    let headers = vec![
        (header::CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned()),
        (header::ETAG.as_str().to_owned(), tag),
    ];
    // Its keys are texts, so it always serializes.
    let body = serde_json::to_vec(saved).unwrap_or_default().into();
    Answer { status: status.as_u16(), headers, body }
}

/// Gives an answer, perhaps once more.
pub(super) fn answer_again(answered: Answered) -> Result<Response, Error> {
    let Answered { answer, replayed: is_replayed, changed } = answered;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| Error::internal())?;
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.extensions_mut().insert(changed);
    Ok(replayed(response, is_replayed))
}
