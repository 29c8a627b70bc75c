//! The API described in OpenAPI 3.1: made of the types that the handlers read and write and of tables of routes.
//!
//! `docs/openapi.json` is this description as it was when it was last written (`callboard openapi`); a test compares them.

mod access;
mod codes;
mod drafts;
mod language;
mod route;
mod runs;
mod server;
mod triggers;
mod workflows;

use crate::access::Permission;
use axum::response::{IntoResponse, Response};
use codes::{CODES, MISTAKES};
use http::{HeaderValue, header};
use route::{ANSWERED, Answer, Body, Content, HEADERS, Of, PROBLEM, Route};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

const JSON: &str = "application/json";
/// Statuses of problems that any route may answer with.
const ANYWHERE: [u16; 6] = [400, 403, 421, 431, 500, 503];

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /api/v1/openapi.json`.
pub async fn text() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], TEXT.as_str()).into_response()
}

/// Returns every route that is described.
fn described() -> impl Iterator<Item = &'static Route> {
    let rooms = [
        workflows::ROUTES,
        drafts::ROUTES,
        runs::ROUTES,
        triggers::ROUTES,
        language::ROUTES,
        access::ROUTES,
        server::ROUTES,
    ];
    rooms.into_iter().flatten()
}

/// Returns the description.
pub fn document() -> Value {
    let mut types = Types::new();
    let mut paths = Map::new();
    for route in described() {
        let operation = types.operation(route);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    let problem = types.written(PROBLEM);
    let responses: Map<_, _> =
        CODES.iter().map(|(status, codes)| (name(*status), refusal(*status, codes, &problem))).collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Callboard",
            "summary": "Runs workflows of AI agents so that they survive",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "tags": [
            {"name": "workflows", "description": "Definitions and their versions"},
            {"name": "runs", "description": "Executions, and what may be done to them"},
            {"name": "triggers", "description": "What starts runs by itself: schedules, webhooks"},
            {"name": "approvals", "description": "What waits for a person"},
            {"name": "usage", "description": "What was used"},
            {"name": "project", "description": "What the project may use: agents, tools, models, secrets"},
            {"name": "language", "description": "What definitions are written in; nothing is saved"},
            {"name": "access", "description": "Keys, projects, the audit, and who asks"},
            {"name": "server", "description": "The server itself"},
        ],
        "security": [{"bearer": []}, {"key": []}, {"gatewayKey": []}],
        "paths": paths,
        "components": {
            "schemas": types.schemas(),
            "responses": responses,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key, or a token of a configured issuer."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key."},
                "gatewayKey": {"type": "apiKey", "in": "header", "name": "apikey", "description": "A key, as gateways call it."},
            },
        },
    })
}

/// Schemas of what is read and of what is written: of one type they may differ.
struct Types {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

// === impl Types ===

impl Types {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn read(&mut self, of: Of) -> Value {
        of(&mut self.read).to_value()
    }

    fn written(&mut self, of: Of) -> Value {
        of(&mut self.written).to_value()
    }

    /// Every schema that has a name.
    fn schemas(mut self) -> Value {
        let mut written = self.written.take_definitions(true);
        // What an older answer leaves out is of no interest to who reads ours.
        let fields = written.values_mut().filter_map(|schema| schema.get_mut("properties")?.as_object_mut());
        for schema in fields.flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            schema.shift_remove("default");
        }
        let mut all = self.read.take_definitions(true);
        all.append(&mut written);
        all.sort_keys();
        if let Some(code) = all.get_mut("Problem").and_then(|problem| problem.pointer_mut("/properties/code"))
        {
            code["examples"] = json!(MISTAKES);
        }
        Value::Object(all)
    }

    fn operation(&mut self, route: &Route) -> Value {
        let mut operation = json!({"tags": [route.tag], "operationId": route.id, "summary": route.summary});
        let asks = asked(route);
        if asks == Permission::Public {
            operation["security"] = json!([]);
        } else {
            operation["x-callboard-permission"] = asks.as_str().into();
        }
        let parameters = self.parameters(route);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = self.body(&route.body) {
            operation["requestBody"] = body;
        }
        operation["responses"] = self.responses(route);
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let mut parameters = Vec::new();
        let named = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for name in named {
            let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
            let schema = match name {
                "project" => text("^[a-z][a-z0-9-]{0,31}$"),
                "hash" => text("^[0-9a-f]{32}$"),
                // A version.
                "n" => json!({"type": "integer", "minimum": 1}),
                // Of a run its name, or the whole text as answers have it.
                _ if route.tag == "runs" => text("^([a-z][a-z0-9-]{0,31}~)?[A-Za-z0-9_-]{1,64}$"),
                _ => text("^[A-Za-z0-9_-]{1,64}$"),
            };
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        for of in route.query {
            let schema = self.inline(*of);
            for (name, mut schema) in schema["properties"].as_object().cloned().unwrap_or_default() {
                let description =
                    schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
                // One that may be left out is never null.
                if let Some(kinds) = schema["type"].as_array() {
                    schema["type"] = kinds[0].clone();
                }
                if let Some(named) = schema["anyOf"].as_array() {
                    schema = named[0].clone();
                }
                let mut parameter = json!({"name": name, "in": "query"});
                if let Some(description) = description {
                    parameter["description"] = description;
                }
                parameter["schema"] = schema;
                parameters.push(parameter);
            }
        }
        parameters.extend(HEADERS.iter().filter(|(name, _)| route.headers.contains(name)).map(
            |(name, description)| {
                let schema = json!({"type": "string"});
                json!({"name": name, "in": "header", "description": description, "schema": schema})
            },
        ));
        parameters
    }

    /// The schema itself of a type that has a name, which is then no component.
    fn inline(&mut self, of: Of) -> Value {
        let reference = self.read(of);
        let name = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        self.read.definitions_mut().remove(name).unwrap_or(reference)
    }

    fn body(&mut self, body: &Body) -> Option<Value> {
        match body {
            Body::None => None,
            Body::Json { of, required } => {
                let schema = self.read(*of);
                Some(json!({"required": required, "content": {JSON: {"schema": schema}}}))
            }
            Body::Definition(of) => {
                let schema = self.read(*of);
                let content = json!({JSON: {"schema": schema}, "application/yaml": {"schema": schema}});
                Some(json!({"required": true, "content": content}))
            }
        }
    }

    fn responses(&mut self, route: &Route) -> Value {
        let mut responses = json!({});
        for answer in route.answers {
            let response = &mut responses[answer.status.to_string()];
            if response.is_null() {
                *response = self.answered(answer);
            } else if let Some(content) = self.content(&answer.content).as_object_mut()
                && let Some(known) = response["content"].as_object_mut()
            {
                known.append(content);
            }
        }
        let mut refusals: Vec<u16> = ANYWHERE.iter().chain(route.refusals).copied().collect();
        if route.path.contains("{id}") {
            refusals.push(404);
        }
        if asked(route) != Permission::Public {
            // Whoever is asked who they are may ask too often.
            refusals.extend([401, 429]);
        }
        refusals.sort_unstable();
        refusals.dedup();
        for status in refusals {
            responses[status.to_string()] =
                json!({"$ref": format!("#/components/responses/{}", name(status))});
        }
        responses
    }

    fn answered(&mut self, answer: &Answer) -> Value {
        let mut response = json!({"description": answer.description});
        let headers = ANSWERED.iter().filter(|(name, _)| answer.headers.contains(name));
        let headers: Map<_, _> = headers
            .map(|(name, description)| {
                ((*name).to_owned(), json!({"description": description, "schema": {"type": "string"}}))
            })
            .collect();
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        let content = self.content(&answer.content);
        if !content.is_null() {
            response["content"] = content;
        }
        response
    }

    fn content(&mut self, content: &Content) -> Value {
        match content {
            Content::None => Value::Null,
            Content::Json(of) => json!({JSON: {"schema": self.written(*of)}}),
            Content::Either(one, other) => {
                json!({JSON: {"schema": {"anyOf": [self.written(*one), self.written(*other)]}}})
            }
            Content::Stream(of) => {
                let _ = self.written(*of);
                let description = "Server-sent events. Each has a seq as `id`, its type as `event`, and an `Event` in JSON as \
                                   `data`; with `said=true` there are also events `agent.said` without an id.";
                json!({"text/event-stream": {"schema": {"type": "string", "description": description}}})
            }
            Content::Document(of) => {
                json!({JSON: {"schema": self.written(*of)}, "application/yaml": {"schema": {"type": "string"}}})
            }
            Content::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
            Content::File(kind) => json!({*kind: {"schema": {"type": "string"}}}),
        }
    }
}

/// Returns what a route asks of who comes.
fn asked(route: &Route) -> Permission {
    let is_it = |mounted: &&super::Route| {
        mounted.path == route.path && mounted.method.eq_ignore_ascii_case(route.method)
    };
    // A test holds that both tables have the same routes.
    super::ROUTES.iter().find(is_it).map_or(Permission::Govern, |mounted| mounted.asks)
}

/// Names the response of a status.
fn name(status: u16) -> String {
    format!("Problem{status}")
}

fn refusal(status: u16, codes: &[&str], problem: &Value) -> Value {
    let listed: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut response =
        json!({"description": format!("A problem of one of these codes: {}.", listed.join(", "))});
    if status == 401 {
        let schema = json!({"type": "string"});
        response["headers"] = json!({"WWW-Authenticate": {"description": "`Bearer`, and `error=\"invalid_token\"` where one was sent.", "schema": schema}});
    }
    if matches!(status, 429 | 503) {
        let schema = json!({"type": "integer"});
        response["headers"] =
            json!({"Retry-After": {"description": "Seconds until another try may help.", "schema": schema}});
    }
    let fields = json!({"status": {"const": status}, "code": {"examples": codes}});
    let schema = json!({"allOf": [problem, {"properties": fields}]});
    response["content"] = json!({"application/problem+json": {"schema": schema}});
    response
}

#[cfg(test)]
mod tests;
