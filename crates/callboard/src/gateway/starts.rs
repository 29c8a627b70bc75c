//! Starting runs: of a stored workflow, or of a definition that comes along.
//!
//! The run's actor finds the workflow, checks definition and input, and says what is wrong: it does so for every
//! way to start a run, not only this one.

use super::{
    Error, Gateway, Id, body, fields::Fields, limits::Place, paging::Params, reach::is_final, trace::Trace,
};
use axum::{Extension, Json, body::Body, extract::State, response::IntoResponse, response::Response};
use callboard_actors::Recorded;
use callboard_core::Span;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::broadcast;
use uuid::Uuid;

/// The longest wait for an end.
const LONGEST: Span = Span::secs(300);
/// The only project there is.
const PROJECT: &str = "default";

/// The namespace of run ids that are made of keys.
const RUNS: Uuid = Uuid::from_u128(0x7c1a_4f0e_52b8_4d7b_9a64_0a3d_58e1_c0fb);

/// Whether to wait for the run's end.
#[derive(Debug, Deserialize)]
pub struct Wait {
    wait: Option<String>,
}

/// `POST /api/v1/workflows/{id}/start`: `{"input"?}`.
pub async fn start(
    State(gateway): State<Gateway>,
    Extension(place): Extension<Place>,
    trace: Trace,
    Id(workflow): Id,
    Params(wait): Params<Wait>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let (key, wait) = (idempotency_key(&headers)?, wait.span()?);
    let mut fields = Fields::of(body::json(body, &headers, body::CALL).await?)?;
    let input = fields.value("input");
    fields.finish()?;
    let run = run_id(&workflow, key.as_deref());
    let body = start_body(json!({"workflow_id": workflow}), key, input);
    started(&gateway, &place, &trace, &run, Some(&workflow), body, wait).await
}

/// `POST /api/v1/runs`: `{"definition", "input"?}`, for a definition that is not stored.
pub async fn run(
    State(gateway): State<Gateway>,
    Extension(place): Extension<Place>,
    trace: Trace,
    Params(wait): Params<Wait>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let (key, wait) = (idempotency_key(&headers)?, wait.span()?);
    let mut fields = Fields::of(body::json(body, &headers, body::THROUGH_SIDECAR).await?)?;
    let definition: Option<Value> = fields.required("definition");
    let input = fields.value("input");
    fields.finish()?;
    let run = run_id("", key.as_deref());
    let body = start_body(json!({"definition": definition}), key, input);
    started(&gateway, &place, &trace, &run, None, body, wait).await
}

/// Returns the body of the actor's `start`. Without a key the run's id is made up, so that nobody can have used it.
fn start_body(mut body: Value, key: Option<String>, input: Option<Value>) -> Value {
    if key.is_none() {
        body["first"] = true.into();
    }
    body["op"] = key.unwrap_or_else(fresh).into();
    if let Some(input) = input {
        body["input"] = input;
    }
    body
}

/// Starts the run, and waits for its end if that is asked for.
async fn started(
    gateway: &Gateway,
    place: &Place,
    trace: &Trace,
    run: &str,
    workflow: Option<&str>,
    start: Value,
    wait: Option<Duration>,
) -> Result<Response, Error> {
    if gateway.stop.is_cancelled() {
        let detail = "this server is stopping and starts no run; nothing was done: send it again";
        return Err(Error::unavailable("stopping", detail, 5));
    }
    // Before the start, so that no notice is missed.
    let notices = gateway.runs.watch(run);
    let answer = gateway.runs.start(trace, run, start).await?;
    let status = answer.get("status").cloned().unwrap_or_else(|| json!("pending"));
    let running = !status.as_str().is_some_and(is_final);
    let mut body = json!({"run_id": run, "workflow_id": workflow, "status": status});
    if let Some(wait) = wait {
        let _place = place.lasting()?;
        let mut whole = until_final(gateway, trace, run, notices, running, wait).await?;
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("run_id".into(), json!(run));
        }
        body = whole;
    }
    let mut response = (StatusCode::OK, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/runs/{run}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Returns the whole run when it has ended, or as it is when the time is up or the server stops.
async fn until_final(
    gateway: &Gateway,
    trace: &Trace,
    run: &str,
    mut notices: broadcast::Receiver<Recorded>,
    mut running: bool,
    wait: Duration,
) -> Result<Value, Error> {
    let (runs, stop) = (&gateway.runs, &gateway.stop);
    let until = tokio::time::Instant::now() + wait;
    loop {
        if running {
            tokio::select! {
                () = maybe_ended(&mut notices) => {}
                () = tokio::time::sleep(gateway.told.every()) => {}
                () = tokio::time::sleep_until(until) => {}
                () = stop.cancelled() => {}
            }
        }
        running = true;
        // The catalog knows an end at once, and is not in the way of the run's turns.
        let row = runs.row(run).await?;
        if is_final(&row.status) {
            return runs.recorded(&row).await;
        }
        if tokio::time::Instant::now() >= until || stop.is_cancelled() {
            return runs.read(trace, run).await;
        }
    }
}

/// Returns at a notice of an end, or of what may be one.
async fn maybe_ended(notices: &mut broadcast::Receiver<Recorded>) {
    while let Ok(Recorded { ended: Some(false), .. }) = notices.recv().await {}
}

/// A start with a key names its run by it, so that a repetition finds the same run.
fn run_id(workflow: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            let name = format!("{PROJECT} {} {workflow} {key}", workflow.len());
            Uuid::new_v5(&RUNS, name.as_bytes()).to_string()
        }
        None => fresh(),
    }
}

/// Returns the id of an operation: the caller's key, or a fresh one.
pub fn operation(headers: &HeaderMap) -> Result<String, Error> {
    Ok(idempotency_key(headers)?.unwrap_or_else(fresh))
}

fn fresh() -> String {
    Uuid::now_v7().to_string()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| (1..=255).contains(&text.len()));
    match (text, given.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        (Some(_) | None, _) => {
            let detail = "there is one Idempotency-Key, of 1 to 255 visible ASCII characters";
            Err(Error::bad_request("invalid_idempotency_key", detail))
        }
    }
}

impl Wait {
    fn span(&self) -> Result<Option<Duration>, Error> {
        let Some(text) = &self.wait else { return Ok(None) };
        // A bare number means seconds: curl users write `?wait=30`.
        let span = text.parse().ok().map(Span::secs).or_else(|| Span::parse(text));
        match span {
            Some(span) if span <= LONGEST => Ok(Some(Duration::from_millis(span.0))),
            Some(_) => Err(Error::bad_request("invalid_query", format!("wait is at most {LONGEST}"))),
            None => Err(Error::bad_request("invalid_query", "wait is a duration such as 30s")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_run_of_its_workflow() {
        assert_eq!(run_id("w", Some("k")), run_id("w", Some("k")));
        assert_ne!(run_id("w", Some("k")), run_id("v", Some("k")));
        assert_ne!(run_id("a", Some("bc")), run_id("ab", Some("c")));
        assert_ne!(run_id("w", None), run_id("w", None));
    }

    #[test]
    fn a_key_is_one_and_not_blank() {
        let key = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("idempotency-key", HeaderValue::from_str(value).expect("a value"));
            }
            idempotency_key(&headers).map_err(|error| (error.status.as_u16(), error.code))
        };
        assert_eq!((key(&[]), key(&[" k "])), (Ok(None), Ok(Some("k".into()))));
        for wrong in [&[""][..], &["  "], &["k", "k"], &["k", "l"], &["\u{e9}"], &[&"x".repeat(256)]] {
            assert_eq!(key(wrong), Err((400, "invalid_idempotency_key".into())), "{wrong:?}");
        }
    }

    #[test]
    fn a_wait_is_bounded() {
        let wait = |text: &str| Wait { wait: Some(text.into()) }.span().ok().flatten();
        assert_eq!(wait("30s"), Some(Duration::from_secs(30)));
        assert_eq!(wait("30"), Some(Duration::from_secs(30)));
        assert_eq!(wait("5m"), Some(Duration::from_secs(300)));
        assert_eq!((wait("6m"), wait("soon"), wait("-1s")), (None, None, None));
    }
}
