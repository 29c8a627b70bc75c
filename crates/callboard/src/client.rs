//! The API as its clients see it: the commands that speak to a server, wherever it is.
//!
//! What a server answers is kept as it came, so that a newer one's fields pass through; what people are shown is read
//! off it by `shapes`. Every request may be sent again, since none does anything twice: it reads, or it has a name of its own
//! (`Idempotency-Key`).

mod address;
mod error;
mod events;
mod projects;
pub mod shapes;
mod triggers;

pub use address::Address;
pub use error::{Error, Refused};
pub use events::{Event, Events};

use crate::config::Secret;
use bytes::Bytes;
use callboard_connectors::tls;
use callboard_core::{
    Problem,
    document::Format,
    id::{RunId, WorkflowId},
};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// How long a connection may take to be made, and an answer to come.
const CONNECTING: Duration = Duration::from_secs(5);
const ANSWERING: Duration = Duration::from_secs(90);
/// How often what may be sent again is sent, and the longest pause in between.
const TRIES: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Names a request: the same one under the same name is done once.
const KEY: &str = "idempotency-key";
/// Items asked for at once.
const PAGE: usize = 100;

/// A server's API.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    key: Option<Secret>,
    tries: u32,
}

/// A definition as it is sent: the text that somebody wrote.
#[derive(Debug, Clone)]
pub struct Definition {
    pub text: String,
    pub format: Format,
}

/// A list of the API, page by page.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    path: String,
    query: Vec<(&'static str, String)>,
    cursor: Option<String>,
    done: bool,
}

/// Which text of a workflow is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// The latest version, or the draft of what was never published.
    Latest,
    Version(u32),
    Draft,
}

// === impl Client ===

impl Client {
    pub fn new(address: Address, key: Option<Secret>) -> Result<Self, Error> {
        tls::ready();
        #[expect(clippy::disallowed_methods, reason = "calls a server that the user named, no definition")]
        let builder = reqwest::Client::builder();
        // A redirect would carry the key to whoever it names.
        let builder = builder
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECTING)
            .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")));
        // This machine is reached without the proxies of the environment.
        let builder = if address.is_loopback() { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| Error::unreachable(&address, &error))?;
        Ok(Self { http, address, key, tries: TRIES })
    }

    /// One that sends nothing again: for a caller that looks for another server instead.
    pub fn once(address: Address, key: Option<Secret>) -> Result<Self, Error> {
        Ok(Self { tries: 1, ..Self::new(address, key)? })
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn workflows(&self) -> Listing {
        self.list("/api/v1/workflows", Vec::new())
    }

    /// Returns the latest version of a workflow.
    pub async fn workflow(&self, id: &WorkflowId) -> Result<Value, Error> {
        self.get(&format!("/api/v1/workflows/{id}")).await
    }

    /// Says what is wrong with a definition here; saves nothing.
    pub async fn check(&self, definition: &Definition) -> Result<Vec<Problem>, Error> {
        let request = self.definition(Method::POST, "/api/v1/workflows/check", definition)?;
        let checked = self.json(request).await?;
        let problems = checked.get("problems").cloned().unwrap_or_else(|| json!([]));
        serde_json::from_value(problems).map_err(|_| Error::unreadable(&self.address))
    }

    pub async fn create(&self, definition: &Definition, draft: bool) -> Result<Value, Error> {
        self.saved(Method::POST, &saved("/api/v1/workflows", draft), definition, None).await
    }

    /// Saves the text of an export as a new workflow.
    pub async fn import(&self, definition: &Definition) -> Result<Value, Error> {
        self.saved(Method::POST, "/api/v1/workflows/import", definition, None).await
    }

    /// Saves the next version of a workflow; with `made_on` only if that is the latest.
    pub async fn replace(
        &self,
        id: &WorkflowId,
        definition: &Definition,
        made_on: Option<u32>,
        draft: bool,
    ) -> Result<Value, Error> {
        let path = saved(&format!("/api/v1/workflows/{id}"), draft);
        self.saved(Method::PUT, &path, definition, made_on.map(|version| format!("\"{version}\""))).await
    }

    pub async fn delete(&self, id: &WorkflowId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("/api/v1/workflows/{id}"), &[])?;
        self.perform(request.header(KEY, fresh())).await.map(drop)
    }

    pub fn versions(&self, id: &WorkflowId) -> Listing {
        self.list(&format!("/api/v1/workflows/{id}/versions"), Vec::new())
    }

    /// Returns what is edited: the draft, or the latest version.
    pub async fn draft(&self, id: &WorkflowId) -> Result<Value, Error> {
        self.get(&format!("/api/v1/workflows/{id}/draft")).await
    }

    /// Makes the next version of the draft.
    pub async fn publish(&self, id: &WorkflowId, note: Option<&str>) -> Result<Value, Error> {
        let body = note.map_or_else(|| json!({}), |note| json!({ "note": note }));
        self.named(&format!("/api/v1/workflows/{id}/publish"), &body, &fresh()).await
    }

    /// Writes a version into the draft; a draft that is there is named by its tag.
    pub async fn restore(&self, id: &WorkflowId, version: u32, over: Option<&str>) -> Result<Value, Error> {
        let path = format!("/api/v1/workflows/{id}/versions/{version}/restore");
        let request = self.request(Method::POST, &path, &[])?.header(KEY, fresh());
        let request = match over {
            Some(tag) => request.header(header::IF_MATCH, format!("\"{tag}\"")),
            None => request,
        };
        self.json(request.json(&json!({}))).await
    }

    /// Returns a definition as it is handed on: the latest, a version, or the draft.
    pub async fn export(&self, id: &WorkflowId, which: &Edition) -> Result<Value, Error> {
        let mut query = vec![("format", "json".to_owned())];
        match which {
            Edition::Latest => {}
            Edition::Version(version) => query.push(("version", version.to_string())),
            Edition::Draft => query.push(("draft", "true".to_owned())),
        }
        let path = format!("/api/v1/workflows/{id}/export");
        self.json(self.request(Method::GET, &path, &query)?).await
    }

    /// Starts a run of a stored workflow.
    pub async fn start(&self, id: &WorkflowId, input: Option<Value>) -> Result<Value, Error> {
        let body = input.map_or_else(|| json!({}), |input| json!({ "input": input }));
        self.named(&format!("/api/v1/workflows/{id}/start"), &body, &fresh()).await
    }

    /// Starts a run of a definition that is not stored; the same key finds the same run.
    pub async fn start_inline(
        &self,
        definition: &Value,
        input: Option<&Value>,
        key: &str,
    ) -> Result<Value, Error> {
        let mut body = json!({ "definition": definition });
        if let Some(input) = input {
            body["input"] = input.clone();
        }
        self.named("/api/v1/runs", &body, key).await
    }

    pub fn runs(&self, query: Vec<(&'static str, String)>) -> Listing {
        self.list("/api/v1/runs", query)
    }

    /// Returns what waits for a person, over all runs.
    pub fn approvals(&self) -> Listing {
        self.list("/api/v1/approvals", Vec::new())
    }

    /// Returns what was used.
    pub fn usage(&self, query: Vec<(&'static str, String)>) -> Listing {
        self.list("/api/v1/usage", query)
    }

    pub async fn run(&self, run: &RunId) -> Result<Value, Error> {
        self.get(&format!("/api/v1/runs/{run}")).await
    }

    pub fn steps(&self, run: &RunId) -> Listing {
        self.list(&format!("/api/v1/runs/{run}/steps"), Vec::new())
    }

    pub fn history(&self, run: &RunId, after: u64) -> Listing {
        self.list(&format!("/api/v1/runs/{run}/history"), vec![("after", after.to_string())])
    }

    /// Performs an operation on a run and returns the run as it is left.
    pub async fn operate(&self, run: &RunId, verb: &str, body: &Value) -> Result<Value, Error> {
        self.named(&format!("/api/v1/runs/{run}/{verb}"), body, &fresh()).await
    }

    /// Streams the run's events after `seq`; nothing if all are told.
    pub async fn events(&self, run: &RunId, after: u64) -> Result<Option<Events>, Error> {
        let query = [("after", after.to_string())];
        let request = self.request(Method::GET, &format!("/api/v1/runs/{run}/history"), &query)?;
        let request = request.header(header::ACCEPT, "text/event-stream");
        let sent = tokio::time::timeout(ANSWERING, request.send()).await;
        let response = sent.map_err(|_| Error::silent(&self.address))?;
        let response = response.map_err(|error| Error::unreachable(&self.address, &error))?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(Some(Events::new(self.address.clone(), response)))
    }

    /// Reads a path that answers JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(self.request(Method::GET, path, &[])?).await
    }

    fn list(&self, path: &str, query: Vec<(&'static str, String)>) -> Listing {
        Listing { client: self.clone(), path: path.to_owned(), query, cursor: None, done: false }
    }

    /// Sends an operation under a name: however often it arrives, it is done once.
    async fn named(&self, path: &str, body: &Value, key: &str) -> Result<Value, Error> {
        let request = self.request(Method::POST, path, &[])?.header(KEY, key);
        self.json(request.json(body)).await
    }

    /// Saves a definition, once, however often it arrives.
    async fn saved(
        &self,
        method: Method,
        path: &str,
        definition: &Definition,
        made_on: Option<String>,
    ) -> Result<Value, Error> {
        let request = self.definition(method, path, definition)?.header(KEY, fresh());
        let request = match made_on {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request,
        };
        self.json(request).await
    }

    fn definition(
        &self,
        method: Method,
        path: &str,
        definition: &Definition,
    ) -> Result<RequestBuilder, Error> {
        let kind = match definition.format {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
        };
        let request = self.request(method, path, &[])?.header(header::CONTENT_TYPE, kind);
        Ok(request.body(definition.text.clone()))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<RequestBuilder, Error> {
        let request = self.http.request(method, self.address.at(path, query));
        let request = request.header(header::ACCEPT, "application/json");
        let Some(key) = &self.key else { return Ok(request) };
        let mut value = header::HeaderValue::try_from(format!("Bearer {}", key.expose()))
            .map_err(|_| Error::Key(self.address.clone()))?;
        value.set_sensitive(true);
        Ok(request.header(header::AUTHORIZATION, value))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        let bytes = self.perform(request).await?;
        serde_json::from_slice(&bytes).map_err(|_| Error::unreadable(&self.address))
    }

    /// Sends a request, again where that is safe and may help, and returns the body of the answer.
    async fn perform(&self, request: RequestBuilder) -> Result<Bytes, Error> {
        let mut pause = Duration::from_millis(200);
        for _ in 1..self.tries {
            let Some(again) = request.try_clone() else { break };
            match self.once_sent(again).await {
                Err(error) if error.may_pass() => {
                    let wanted = error.retry_after().unwrap_or(pause);
                    tokio::time::sleep(wanted.min(LONGEST_PAUSE)).await;
                    pause *= 2;
                }
                answered => return answered,
            }
        }
        self.once_sent(request).await
    }

    async fn once_sent(&self, request: RequestBuilder) -> Result<Bytes, Error> {
        let unreachable = |error: reqwest::Error| Error::unreachable(&self.address, &error);
        let response = request.timeout(ANSWERING).send().await.map_err(unreachable)?;
        match response.status().is_success() {
            true => response.bytes().await.map_err(unreachable),
            false => Err(self.refusal(response).await),
        }
    }

    async fn refusal(&self, response: reqwest::Response) -> Error {
        let status = response.status();
        let text = |name: header::HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let (after, location) = (text(header::RETRY_AFTER), text(header::LOCATION));
        let body: Value = response.json().await.unwrap_or_default();
        Error::Refused(Box::new(Refused::read(status, &body, after.as_deref(), location.as_deref())))
    }
}

/// A name for an operation that nobody else gives.
fn fresh() -> String {
    Uuid::now_v7().to_string()
}

fn saved(path: &str, draft: bool) -> String {
    if draft { format!("{path}?draft=true") } else { path.to_owned() }
}

// === impl Listing ===

impl Listing {
    /// Returns the next page, of at most `most` items; nothing after the last.
    pub async fn page(&mut self, most: usize) -> Result<Option<Vec<Value>>, Error> {
        if self.done || most == 0 {
            return Ok(None);
        }
        let mut query = self.query.clone();
        query.push(("limit", most.min(PAGE).to_string()));
        if let Some(cursor) = self.cursor.take() {
            query.retain(|(name, _)| *name != "after" || !self.path.ends_with("/history"));
            query.push(("cursor", cursor));
        }
        let request = self.client.request(Method::GET, &self.path, &query)?;
        let mut page = self.client.json(request).await?;
        self.cursor = match page.get("next") {
            Some(Value::String(next)) => Some(next.clone()),
            // A place in a history is a number.
            Some(Value::Number(next)) => Some(next.to_string()),
            _ => None,
        };
        self.done = self.cursor.is_none();
        match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Some(items)),
            _ => Err(Error::unreadable(&self.client.address)),
        }
    }

    /// Whether there may be more than what was read.
    pub fn has_more(&self) -> bool {
        !self.done
    }

    /// Returns everything that is left.
    pub async fn all(mut self) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        while let Some(items) = self.page(usize::MAX).await? {
            all.extend(items);
        }
        Ok(all)
    }
}
