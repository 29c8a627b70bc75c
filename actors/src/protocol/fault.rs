//! What an actor method answers: JSON with status 200, an application error in the body.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use callboard_core::{
    Code, Problem,
    id::RunId,
    json,
    workflow::input::{Refusal, RefusalKind},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Why a method did not do what was asked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// As HTTP has it.
    pub status: u16,
    pub code: Code,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// What it refers to may come yet: a little later the same call may be right.
    #[serde(default)]
    pub early: bool,
    /// When the same may be right, in seconds.
    #[serde(default)]
    pub retry_after: Option<u32>,
}

pub type Reply = Result<Value, Fault>;

impl Fault {
    pub fn new(status: u16, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), problems: Vec::new(), early: false, retry_after: None }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, Code::BadRequest, detail)
    }

    pub fn not_found(run: &RunId) -> Self {
        Self { early: true, ..Self::new(404, Code::UnknownRun, format!("there is no run {run}")) }
    }

    /// Too much is computed already.
    pub fn busy(busy: crate::Busy) -> Self {
        Self::unavailable(busy.to_string())
    }

    /// The caller may try again: nothing is known to have happened.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, Code::Unavailable, detail)
    }

    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// Whether the caller should try again: the actor could not answer now.
    pub fn is_transient(&self) -> bool {
        matches!(self.status, 429 | 500..)
    }

    /// Whether the caller's signature was refused: the keys may just have changed, and nothing is said of the message.
    pub fn is_about_signatures(&self) -> bool {
        matches!(self.code, Code::Unsigned | Code::WrongMac)
    }

    fn title(&self) -> &'static str {
        match self.status {
            400 => "bad request",
            403 => "forbidden",
            404 => "not found",
            409 => "conflict",
            422 => "unprocessable",
            429 => "too many requests",
            503 => "unavailable",
            _ => "error",
        }
    }

    pub fn to_json(&self) -> Value {
        #[derive(Serialize)]
        struct Told<'a> {
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: Code,
            status: u16,
            title: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
            problems: &'a [Problem],
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            early: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u32>,
        }
        let Self { status, code, detail, problems, early, retry_after } = self;
        let (title, early, retry_after) = (self.title(), *early, *retry_after);
        let error = Error { code: *code, status: *status, title, detail, problems, early, retry_after };
        // Its keys are texts, so it always serializes.
        serde_json::to_value(Told { error }).unwrap_or_default()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::NotFound => 404,
            RefusalKind::Conflict => 409,
            RefusalKind::Invalid => 422,
            RefusalKind::TooMany => 429,
        };
        Self { early: refusal.early, ..Self::new(status, refusal.code, refusal.message) }
    }
}

/// Reads a method's body: an object, or nothing. A list would be read as the fields in their order.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body.trim_ascii() };
    if !body.starts_with(b"{") {
        return Err(Fault::bad_request("the body is not a JSON object"));
    }
    json::from_slice(body, &json::Limits::default())
        .map_err(|e| Fault::bad_request(format!("the body can't be read: {e}")))
}

/// Writes a reply as daprd wants it: only 200 is success, and an application error says so in a header. `seal` signs what
/// is written.
pub fn response(reply: Reply, seal: impl FnOnce(Bytes) -> Bytes) -> Response<Body> {
    let is_error = reply.is_err();
    let body = reply.unwrap_or_else(|fault| fault.to_json());
    let mut response = Response::new(Body::from(seal(Bytes::from(body.to_string()))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_error {
        response.headers_mut().insert("x-daprerrorresponseheader", HeaderValue::from_static("true"));
    }
    response
}
