//! `/api/v1/runs/{id}`: its definition, its overlay, its stored values.

use super::{Error, Gateway, Id, InPath, answer::streamed, params::Params};
use crate::{
    access::Principal,
    operations::{OfGeneration, OverlayAnswer, RunDefinitionView, StoredValue, Trace},
};
use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    response::{IntoResponse, Response},
};
use callboard_core::id::RunId;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use http_range_header::parse_range_header;

/// `GET /api/v1/runs/{id}/definition`.
pub async fn definition(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    Id(run): Id<RunId>,
) -> Result<Json<RunDefinitionView>, Error> {
    Ok(Json(gateway.operations.run_definition(&principal, &trace, &run).await?))
}

/// `GET /api/v1/runs/{id}/overlay`.
pub async fn overlay(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    Id(run): Id<RunId>,
    Params(of): Params<OfGeneration>,
) -> Result<Json<OverlayAnswer>, Error> {
    Ok(Json(gateway.operations.overlay(&principal, &trace, &run, &of).await?))
}

/// `GET /api/v1/runs/{id}/values/{hash}`: a file for whoever asks for it, never a page.
pub async fn value(
    State(gateway): State<Gateway>,
    principal: Principal,
    trace: Trace,
    OfRun { run, hash }: OfRun,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let value = gateway.operations.value(&principal, &trace, &run, &hash).await?;
    Ok(file(value, &headers))
}

/// A run and the hash of one of its values, as the path names them.
pub struct OfRun {
    run: RunId,
    hash: String,
}

impl FromRequestParts<Gateway> for OfRun {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Response> {
        let named = Path::<(String, String)>::from_request_parts(parts, gateway).await;
        let principal = Principal::from_request_parts(parts, gateway).await.map_err(Error::into_response)?;
        let read = named
            .ok()
            .and_then(|Path((run, hash))| Some(Self { run: RunId::read(&run, &principal.project)?, hash }));
        read.ok_or_else(|| Error::not_found(RunId::WHAT, "of this id").into_response())
    }
}

/// Answers with a value, or with the part of it that is asked for.
fn file(value: StoredValue, headers: &HeaderMap) -> Response {
    let StoredValue { hash, text, room } = value;
    let whole = text.len() as u64;
    let (status, part) = match range(headers, whole) {
        Ok(None) => (StatusCode::OK, None),
        Ok(Some(part)) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Err(Unsatisfiable) => {
            let detail = format!("the value has {whole} bytes");
            let error = Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
            let mut response = error.into_response();
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{whole}"));
            return response;
        }
    };
    let text = match part {
        Some((first, last)) => text.slice(first as usize..=last as usize),
        None => text,
    };
    let mut response = streamed(text, room);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What is in it came from anywhere, so nothing may be made of it but a file.
    set(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{hash}.json\""));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(headers, header::ETAG, &format!("\"{hash}\""));
    if let Some((first, last)) = part {
        set(headers, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{whole}"));
    }
    response
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Nothing of the value lies in the range.
struct Unsatisfiable;

/// Returns the first and last byte that are asked for; none for the whole. Several ranges, and what is none, count as the whole, as
/// RFC 9110 has it.
fn range(headers: &HeaderMap, whole: u64) -> Result<Option<(u64, u64)>, Unsatisfiable> {
    let mut given = headers.get_all(header::RANGE).iter();
    let (Some(text), None) = (given.next().and_then(|value| value.to_str().ok()), given.next()) else {
        return Ok(None);
    };
    let Ok(ranges) = parse_range_header(text) else { return Ok(None) };
    match ranges.validate(whole).map_err(|_| Unsatisfiable)?.as_slice() {
        [one] => Ok(Some((*one.start(), *one.end()))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<Option<(u64, u64)>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().expect("a value"));
        range(&headers, 10).ok()
    }

    #[test]
    fn a_range_is_a_part_the_whole_or_nothing() {
        for (text, part) in
            [("bytes=0-3", (0, 3)), ("bytes=4-", (4, 9)), ("bytes=-2", (8, 9)), ("bytes=5-99", (5, 9))]
        {
            assert_eq!(asked(text), Some(Some(part)), "{text}");
        }
        for text in ["bytes=0-1,4-5", "lines=1-2", "bytes", "bytes=x-1"] {
            assert_eq!(asked(text), Some(None), "{text}");
        }
        assert_eq!((asked("bytes=10-"), asked("bytes=99-100")), (None, None));
        assert_eq!(range(&HeaderMap::new(), 10).ok(), Some(None));
    }
}
