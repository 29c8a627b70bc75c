//! A route as it is described: what it takes, and what it answers.

use super::super::{error::ProblemDetails, starts::Wait, workflows::Saving};
use crate::operations::{Page, RunItem, StartedView};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes a type's schema, as a reference into the components where it has a name.
pub type Of = fn(&mut SchemaGenerator) -> Schema;

/// A route and one of its methods.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub tag: &'static str,
    /// Its name in clients.
    pub id: &'static str,
    pub summary: &'static str,
    /// Types whose fields are query parameters.
    pub query: &'static [Of],
    /// Names from `HEADERS`.
    pub headers: &'static [&'static str],
    pub body: Body,
    pub answers: &'static [Answer],
    /// Statuses of problems beside those that any route has.
    pub refusals: &'static [u16],
}

/// What a route takes.
pub enum Body {
    None,
    /// JSON, or no body at all where nothing in it is required.
    Json {
        of: Of,
        required: bool,
    },
    /// A definition, in JSON or YAML.
    Definition(Of),
}

/// What a route answers when all is well.
pub struct Answer {
    pub status: u16,
    pub description: &'static str,
    pub content: Content,
    /// Names from `ANSWERED`.
    pub headers: &'static [&'static str],
}

pub enum Content {
    None,
    Json(Of),
    /// Server-sent events with this data; beside them, where it is asked for, `agent.said`.
    Stream(Of),
    Text,
    /// JSON of this type, or a document in YAML.
    Document(Of),
    /// A file of this type.
    File(&'static str),
    /// JSON of one of two types.
    Either(Of, Of),
}

/// Headers of requests, by name.
pub const HEADERS: [(&str, &str); 5] = [
    (
        "Idempotency-Key",
        "Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done \
         once, and answered again; another one is 422 `idempotency_key_reused`.",
    ),
    (
        "If-Match",
        "What the change was made on, by the `ETag` that was read: a version, such as `\"3\"`, or a draft, such as `\"d7\"`.",
    ),
    (
        "If-None-Match",
        "Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is \
         saved, `*`: there is none yet.",
    ),
    ("Last-Event-ID", "Resumes a stream after this seq; wins over `after`."),
    ("Range", "One part of it, such as `bytes=0-1023`; several count as the whole."),
];

/// Headers of answers, by name.
pub const ANSWERED: [(&str, &str); 6] = [
    ("ETag", "The version, such as `\"3\"`, or the draft, such as `\"d7\"`; of what has neither a hash."),
    ("Accept-Ranges", "`bytes`."),
    ("Content-Disposition", "`attachment`, with a name for the file."),
    ("Content-Range", "Which part it is, and of how many bytes."),
    ("Location", "The path of what was made."),
    ("Idempotency-Replayed", "`true` where this was done before, under the same key; absent otherwise."),
];

pub const fn of<T: JsonSchema>() -> Of {
    |generator| generator.subschema_for::<T>()
}

/// Any JSON.
pub const ANY: Of = |_| Schema::from(true);

pub const fn ok(description: &'static str, content: Content) -> Answer {
    Answer { status: 200, description, content, headers: &[] }
}

pub const KEY: &[&str] = &["Idempotency-Key"];
pub const TAG: &[&str] = &["ETag"];
pub const PLACED: &[&str] = &["Location", REPLAYED];
pub const REPLAYED: &str = "Idempotency-Replayed";
pub const NO_QUERY: &[Of] = &[];
pub const PAGED: &[Of] = &[of::<Page>()];
pub const SAVING: &[Of] = &[of::<Saving>()];
pub const SAVES: &[u16] = &[408, 409, 412, 413, 415, 422];
pub const WAITING: &[Of] = &[of::<Wait>()];
pub const STARTS: &[u16] = &[404, 408, 409, 413, 415, 422, 429];
pub const STARTED: &[Answer] = &[Answer {
    status: 200,
    description: "The run is recorded; with `wait` the whole run.",
    content: Content::Either(of::<StartedView>(), of::<RunItem>()),
    headers: PLACED,
}];

pub const GONE: &[Answer] =
    &[Answer { status: 204, description: "It is done.", content: Content::None, headers: &[] }];

/// What every refusal's body is.
pub const PROBLEM: Of = of::<ProblemDetails<'static>>();

/// A read.
pub const fn read(
    path: &'static str,
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [Of],
    answers: &'static [Answer],
) -> Route {
    let (headers, refusals): (&[&str], &[u16]) = (&[], &[]);
    Route { method: "get", path, tag, id, summary, query, headers, body: Body::None, answers, refusals }
}

impl Route {
    /// The same, which refuses in further ways.
    pub const fn refusing(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }
}
