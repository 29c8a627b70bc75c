//! `/api/v1/runs`: one run, its steps, and what may be done to it.

use super::{
    Error, Gateway, Id, body,
    fields::Fields,
    heavy,
    paging::{Items, Page, Params, page},
    reach::{summary, unreadable},
    starts::operation,
    trace::Trace,
};
use crate::record::{Data, Shape, StepItem, Steps};
use axum::{Json, body::Body, extract::State, response::Response};
use callboard_catalog::{Entry, RunFilter, RunRow};
use callboard_core::workflow::{Event, What};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Entries of a history read at once. A longer history takes a place to be folded.
const ENTRIES: u32 = 1000;
/// Unreadable events that a page of steps names.
const NAMED: usize = 100;

/// Which runs to list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    workflow_id: Option<String>,
    status: Option<String>,
}

/// `GET /api/v1/runs`: newest first, as the catalog has them.
pub async fn list(
    State(gateway): State<Gateway>,
    Params(of): Params<Page>,
    Params(filter): Params<Filter>,
) -> Result<Json<Items<Value>>, Error> {
    let limit = of.limit()?;
    let filter = RunFilter {
        workflow_id: filter.workflow_id,
        statuses: filter.status.into_iter().collect(),
        ..RunFilter::default()
    };
    let rows = gateway.catalog.runs(filter, of.after()?, limit + 1).await?;
    let (rows, next) = page(rows, limit, |row| row.id.clone());
    Ok(Json(Items { items: rows.iter().map(line).collect(), next }))
}

/// A list shows no data: it may be large, and it is one request away. A run that can't be read must not hide others.
fn line(row: &RunRow) -> Value {
    let Ok(summary) = summary(row) else { return unreadable(row) };
    let mut run = summary.resolve(|_| None);
    if let Some(fields) = run.as_object_mut() {
        fields.retain(|name, _| name != "input" && name != "output");
    }
    run
}

/// `GET /api/v1/runs/{id}`.
pub async fn read(State(gateway): State<Gateway>, trace: Trace, Id(run): Id) -> Result<Json<Value>, Error> {
    Ok(Json(gateway.runs.read(&trace, &run).await?))
}

/// A page of steps.
#[derive(Debug, Serialize)]
struct StepsPage {
    items: Vec<StepItem>,
    next: Option<String>,
    /// Seqs of events that can't be read: what they say of these steps is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<u64>,
}

/// `GET /api/v1/runs/{id}/steps`: as far as the history goes when it is asked, however fast it grows.
pub async fn steps(
    State(gateway): State<Gateway>,
    trace: Trace,
    Id(run): Id,
    Params(of): Params<Page>,
) -> Result<Response, Error> {
    let (limit, place) = (of.limit()?, of.place()?);
    gateway.runs.caught_up(&trace, &run).await?;
    let end = gateway.runs.row(&run).await?.seq;
    let catalog = &*gateway.catalog;
    let turn = if end > u64::from(ENTRIES) { Some(gateway.heavy.fold().await?) } else { None };
    let skip = usize::try_from(place).unwrap_or(usize::MAX);
    let (mut steps, mut unread, mut after) = (Steps::new(skip, limit as usize), Vec::new(), 0);
    while after < end && !steps.is_settled() {
        let entries = catalog.history(&run, after, ENTRIES).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for entry in entries.iter().take_while(|entry| entry.seq <= end) {
            let Some(event) = event(&run, entry) else {
                if unread.len() < NAMED {
                    unread.push(entry.seq);
                }
                continue;
            };
            if let What::RunCreated { plan, .. } = &event.what {
                let mut data = Data::default();
                data.want(plan);
                data.load(catalog, &run).await?;
                steps.of(Shape::of(&data.show(plan)));
            }
            steps.apply(&event);
        }
    }
    drop(turn);
    let mut data = Data::default();
    let (lines, more) = steps.page(&mut data);
    let room = gateway.heavy.data(data.size()).await?;
    data.load(catalog, &run).await?;
    let items: Vec<_> = lines.iter().map(|line| steps.show(line, &data)).collect();
    drop(data);
    let next = (more && !items.is_empty()).then(|| skip.saturating_add(items.len()).to_string());
    heavy::answer(&StepsPage { items, next, unreadable: unread }, room)
}

/// Reads a recorded event, if it can be read: it may be damaged, or written by a later version.
pub fn event(run: &str, entry: &Entry) -> Option<Event> {
    let read = serde_json::from_str(&entry.event);
    read.inspect_err(|error| tracing::error!(run, seq = entry.seq, %error, "a recorded event can't be read"))
        .ok()
}

/// `POST /api/v1/runs/{id}/cancel`.
pub async fn cancel(call: Call) -> Result<Json<Value>, Error> {
    call.without_fields("cancel").await
}

/// `POST /api/v1/runs/{id}/pause`.
pub async fn pause(call: Call) -> Result<Json<Value>, Error> {
    call.without_fields("pause").await
}

/// `POST /api/v1/runs/{id}/resume`.
pub async fn resume(call: Call) -> Result<Json<Value>, Error> {
    call.without_fields("resume").await
}

/// `POST /api/v1/runs/{id}/signal`: `{"name", "data"}`.
pub async fn signal(mut call: Call) -> Result<Json<Value>, Error> {
    let mut fields = call.fields()?;
    let name: Option<String> = fields.required("name");
    if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 256) {
        fields.wrong("name", "a signal's name has 1 to 256 bytes");
    }
    let data = fields.value("data").unwrap_or_default();
    fields.finish()?;
    call.perform("signal", [("name", json!(name)), ("data", data)]).await
}

/// `POST /api/v1/runs/{id}/approve`: `{"node", "generation"?, "iteration"?, "approved", "comment"?, "args_hash"?}`.
pub async fn approve(mut call: Call) -> Result<Json<Value>, Error> {
    let mut fields = call.fields()?;
    let node: Option<String> = fields.required("node");
    let generation: Option<u32> = fields.optional("generation");
    let iteration: Option<String> = fields.optional("iteration");
    let approved: Option<bool> = fields.required("approved");
    let comment: Option<String> = fields.optional("comment");
    let args_hash: Option<String> = fields.optional("args_hash");
    fields.finish()?;
    let optional = [
        ("generation", json!(generation)),
        ("iteration", json!(iteration)),
        ("comment", json!(comment)),
        ("args_hash", json!(args_hash)),
    ];
    let given = optional.into_iter().filter(|(_, value)| !value.is_null());
    call.perform("approve", [("node", json!(node)), ("approved", json!(approved))].into_iter().chain(given))
        .await
}

/// `POST /api/v1/runs/{id}/rerun`: `{"from", "input"?}`.
pub async fn rerun(mut call: Call) -> Result<Json<Value>, Error> {
    let mut fields = call.fields()?;
    let from: Option<String> = fields.required("from");
    let input = fields.value("input");
    fields.finish()?;
    let given = input.map(|input| ("input", input));
    call.perform("rerun", [("from", json!(from))].into_iter().chain(given)).await
}

/// An operation on a run, its body read.
pub struct Call {
    gateway: Gateway,
    trace: Trace,
    run: String,
    op: String,
    body: Option<Value>,
}

// === impl Call ===

impl axum::extract::FromRequest<Gateway> for Call {
    type Rejection = axum::response::Response;

    async fn from_request(
        request: axum::extract::Request,
        gateway: &Gateway,
    ) -> Result<Self, Self::Rejection> {
        use axum::{extract::FromRequestParts, response::IntoResponse};
        let (mut parts, body) = request.into_parts();
        let Id(run) = Id::from_request_parts(&mut parts, gateway).await?;
        let Ok(trace) = Trace::from_request_parts(&mut parts, gateway).await;
        Self::read(gateway.clone(), trace, run, &parts.headers, body).await.map_err(Error::into_response)
    }
}

impl Call {
    async fn read(
        gateway: Gateway,
        trace: Trace,
        run: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Error> {
        let op = operation(headers)?;
        let body = body::json(body, headers, body::CALL).await?;
        Ok(Self { gateway, trace, run, op, body })
    }

    fn fields(&mut self) -> Result<Fields, Error> {
        Fields::of(self.body.take())
    }

    async fn without_fields(mut self, method: &str) -> Result<Json<Value>, Error> {
        self.fields()?.finish()?;
        self.perform(method, []).await
    }

    async fn perform(
        self,
        method: &str,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Json<Value>, Error> {
        let mut body: Map<String, Value> = fields.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
        body.insert("op".into(), json!(self.op));
        let run = self.gateway.runs.operate(&self.trace, &self.run, method, Value::Object(body)).await?;
        Ok(Json(run))
    }
}
