//! `/api/v1/workflows`: definitions and their versions.

use super::{
    Error, Gateway, Id, body,
    definitions::{self, Checked},
    heavy::{Turn, off_the_reactor},
    now,
    paging::{Items, Page, Params, page},
};
use axum::{Json, body::Body, extract::State, response::IntoResponse, response::Response};
use callboard_catalog::{NewVersion, NewWorkflow, Workflow};
use callboard_core::Problem;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Fields that the server adds to a definition when it shows it; a client may send them back.
const OURS: [&str; 6] = ["id", "version", "status", "problems", "created_at", "updated_at"];

/// How a definition is saved.
#[derive(Debug, Deserialize)]
pub struct Saving {
    /// Saves it although it has problems; it can't be started then.
    #[serde(default)]
    draft: bool,
}

/// What a save answers.
#[derive(Debug, Serialize)]
struct Saved {
    id: String,
    name: String,
    version: u32,
    status: String,
    problems: Vec<Problem>,
}

/// `POST /api/v1/workflows`.
pub async fn create(
    State(gateway): State<Gateway>,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let Accepted { checked, metadata, turn, .. } = accepted(&gateway, &saving, &headers, body).await?;
    let new = NewWorkflow {
        id: Uuid::now_v7().to_string(),
        name: checked.name,
        description: checked.description,
        definition: checked.document,
        problems: checked.problems,
        metadata,
        at: now(),
    };
    let saved = gateway.catalog.create_workflow(new).await?;
    drop(turn);
    let location = format!("/api/v1/workflows/{}", saved.id);
    let mut response = saved_as(StatusCode::CREATED, saved);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `PUT /api/v1/workflows/{id}`: the next version. Running runs keep theirs.
pub async fn update(
    State(gateway): State<Gateway>,
    Id(id): Id,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let Accepted { checked, metadata, version, turn } = accepted(&gateway, &saving, &headers, body).await?;
    let change = NewVersion {
        expected: expected(&headers)?.or(version),
        name: checked.name,
        description: checked.description,
        definition: checked.document,
        problems: checked.problems,
        metadata,
        at: now(),
    };
    let saved = gateway.catalog.update_workflow(&id, change).await?;
    drop(turn);
    Ok(saved_as(StatusCode::OK, saved))
}

/// `GET /api/v1/workflows/{id}`: the definition, with what the server knows about it.
pub async fn read(State(gateway): State<Gateway>, Id(id): Id) -> Result<Response, Error> {
    let stored = gateway.catalog.workflow(&id, None).await?;
    let stored = stored.ok_or_else(|| Error::not_found("workflow", &id))?;
    let tag = tag(stored.version);
    let mut shown = line(&stored);
    let Value::Object(mut document) = stored.definition else { return Err(Error::internal()) };
    document.retain(|name, _| !OURS.contains(&name.as_str()));
    shown.remove("name");
    shown.remove("description");
    document.append(&mut shown);
    document.insert("problems".into(), json!(stored.problems));
    Ok(([(header::ETAG, tag)], Json(Value::Object(document))).into_response())
}

/// `DELETE /api/v1/workflows/{id}`: its runs go on.
pub async fn delete(State(gateway): State<Gateway>, Id(id): Id) -> Result<StatusCode, Error> {
    match gateway.catalog.hide_workflow(&id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("workflow", &id)),
    }
}

/// `GET /api/v1/workflows`: newest first, without their nodes.
pub async fn list(
    State(gateway): State<Gateway>,
    Params(of): Params<Page>,
) -> Result<Json<Items<Map<String, Value>>>, Error> {
    let limit = of.limit()?;
    let found = gateway.catalog.workflows(of.after()?, limit + 1).await?;
    let (found, next) = page(found, limit, |workflow| workflow.id.clone());
    Ok(Json(Items { items: found.iter().map(line).collect(), next }))
}

/// A definition that may be saved.
struct Accepted {
    checked: Checked,
    metadata: Map<String, Value>,
    /// The version the body says it was made on.
    version: Option<u32>,
    /// Held until it is saved: a document takes much more memory than its text.
    turn: Turn,
}

async fn accepted(
    gateway: &Gateway,
    saving: &Saving,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Error> {
    let language = body::language(headers)?;
    let text = body::bytes(body, headers, body::DEFINITION).await?;
    if text.is_empty() {
        return Err(Error::bad_request("empty_body", "the body is empty; it should be a definition"));
    }
    let (agents, bound, draft) = (gateway.agents.clone(), gateway.bound_secrets.clone(), saving.draft);
    let turn = gateway.heavy.check(text.len()).await?;
    off_the_reactor(move || {
        let mut version = None;
        let checked = definitions::read(&text, language, &agents, &bound, |document| {
            // What `GET` added comes back with the edited document.
            version = document.get("version").and_then(Value::as_u64).and_then(|v| u32::try_from(v).ok());
            document.retain(|name, _| !OURS.contains(&name.as_str()));
        })?;
        if !checked.problems.is_empty() && !draft {
            return Err(Error::invalid("invalid_definition", "the definition", checked.problems));
        }
        let metadata =
            checked.document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        // With the place, which is given back with the work even if the client has gone.
        Ok(Accepted { checked, metadata, version, turn })
    })
    .await
}

/// Reads `If-Match: "3"`; `*` matches any version.
fn expected(headers: &HeaderMap) -> Result<Option<u32>, Error> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse().ok();
    let wrong = || Error::bad_request("invalid_if_match", "If-Match holds a version, such as \"3\"");
    version.map(Some).ok_or_else(wrong)
}

fn tag(version: u32) -> String {
    format!("\"{version}\"")
}

fn status(workflow: &Workflow) -> String {
    workflow.status.clone().unwrap_or_else(|| "draft".into())
}

fn saved_as(status_code: StatusCode, workflow: Workflow) -> Response {
    let tag = tag(workflow.version);
    let status = status(&workflow);
    let Workflow { id, name, version, problems, .. } = workflow;
    (status_code, [(header::ETAG, tag)], Json(Saved { id, name, version, status, problems })).into_response()
}

fn line(workflow: &Workflow) -> Map<String, Value> {
    let fields = [
        ("id", json!(workflow.id)),
        ("name", json!(workflow.name)),
        ("description", json!(workflow.description)),
        ("version", json!(workflow.version)),
        ("status", json!(status(workflow))),
        ("problems", json!(workflow.problems)),
        ("created_at", json!(workflow.created_at.to_string())),
        ("updated_at", json!(workflow.updated_at.to_string())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
