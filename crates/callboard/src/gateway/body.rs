//! Reads request bodies: how large, of which type. Everything that is wrong with one is a typed 4xx.

use super::Error;
use crate::operations::text;
use axum::body::Body;
use bytes::Bytes;
use callboard_core::document::Format;
use callboard_listener::{Broken, broken};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use std::time::Duration;

/// Bodies of calls.
pub const CALL: usize = 1 << 20;
/// Definitions.
pub const DEFINITION: usize = 4 << 20;
/// Definitions that go on to an actor: no message through a sidecar may pass 3 MiB.
pub const THROUGH_SIDECAR: usize = 3 << 20;
/// Of a body that is too large, before it is refused: bytes, and time.
const DRAINED: usize = 16 << 20;
const DRAINING: Duration = Duration::from_secs(2);

/// Reads a body up to `limit` bytes.
pub async fn bytes(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Error> {
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let mut body = body;
    if announced.is_some_and(|length| length > limit as u64) {
        drain(body).await;
        return Err(too_large());
    }
    match Limited::new(&mut body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            drain(body).await;
            Err(too_large())
        }
        Err(error) => Err(match broken(&*error) {
            Some(Broken::Slow) => {
                Error::new(StatusCode::REQUEST_TIMEOUT, "slow_body", Broken::Slow.to_string())
            }
            Some(Broken::Full) => Error::unavailable("overloaded", Broken::Full.to_string(), 1),
            None => Error::bad_request("incomplete_body", "the body ended early"),
        }),
    }
}

/// Reads on for a while: a client that still writes when the connection closes never sees why.
async fn drain(mut body: Body) {
    let mut left = DRAINED;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(DRAINING, all).await;
}

/// Refuses, of requests that change something, the kinds that a web page can make a browser send anywhere: nobody who
/// means this API sends a form, not even an empty one.
pub fn not_a_form(method: &Method, headers: &HeaderMap) -> Result<(), Error> {
    if method.is_safe() {
        return Ok(());
    }
    let form = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let mut kinds = text.split([';', ',']).map(str::trim);
        kinds.any(|kind| {
            matches!(kind, "application/x-www-form-urlencoded" | "multipart/form-data" | "text/plain")
        })
    };
    match headers.get_all(header::CONTENT_TYPE).iter().any(form) {
        true => Err(unsupported("application/json, or none where there is no body")),
        false => Ok(()),
    }
}

/// Reads a JSON body; an empty one is none.
pub async fn json(body: Body, headers: &HeaderMap, limit: usize) -> Result<Option<Value>, Error> {
    let bytes = bytes(body, headers, limit).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match language(headers)? {
        Format::Json => Ok(Some(text::parse(&bytes)?)),
        Format::Yaml => Err(unsupported("application/json")),
    }
}

/// Reads a JSON body with a definition in it, which is counted before it is built.
pub async fn around_definition(body: Body, headers: &HeaderMap) -> Result<Option<Value>, Error> {
    let bytes = bytes(body, headers, DEFINITION + CALL).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match language(headers)? {
        Format::Json => {
            text::counted(&bytes)?;
            Ok(Some(text::parse(&bytes)?))
        }
        Format::Yaml => Err(unsupported("application/json")),
    }
}

/// Returns the language that the content type names.
pub fn language(headers: &HeaderMap) -> Result<Format, Error> {
    let both = "application/json or application/yaml";
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(unsupported(both)) };
    let Ok(value) = value.to_str() else { return Err(unsupported(both)) };
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| Some(part.strip_prefix("charset=")?.trim_matches('"').to_owned()));
    if charset.is_some_and(|charset| !matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")) {
        return Err(unsupported("UTF-8 text"));
    }
    match essence.as_str() {
        "application/json" => Ok(Format::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" | "text/vnd.yaml" => {
            Ok(Format::Yaml)
        }
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Format::Json),
        other if other.starts_with("application/") && other.ends_with("+yaml") => Ok(Format::Yaml),
        _ => Err(unsupported(both)),
    }
}

fn unsupported(wanted: &str) -> Error {
    let detail = format!("the content type must be {wanted}");
    Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(value: &'static str) -> Result<Format, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        language(&headers).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn the_content_type_names_the_language() {
        assert_eq!(of("application/json; charset=UTF-8"), Ok(Format::Json));
        assert_eq!(of("application/merge-patch+json"), Ok(Format::Json));
        assert_eq!(of("Application/YAML"), Ok(Format::Yaml));
        assert_eq!(of("text/yaml"), Ok(Format::Yaml));
        assert_eq!(of("application/json; charset=latin1"), Err(415));
        assert_eq!(of("text/plain"), Err(415));
        assert_eq!(language(&HeaderMap::new()).map_err(|error| error.status.as_u16()), Err(415));
    }

    #[test]
    fn forms_are_refused_where_they_would_change_something() {
        let refused = |method: Method, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
            not_a_form(&method, &headers).map_err(|error| error.status.as_u16())
        };
        for form in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain",
            "Text/Plain;charset=utf-8",
            "text/plain; x=application/json",
            "application/json, text/plain",
            " text/plain ",
        ] {
            assert_eq!(refused(Method::POST, form), Err(415), "{form}");
            assert_eq!(refused(Method::DELETE, form), Err(415), "{form}");
            assert_eq!(refused(Method::GET, form), Ok(()), "{form}");
        }
        assert_eq!(refused(Method::POST, "application/json"), Ok(()));
        assert_eq!(not_a_form(&Method::POST, &HeaderMap::new()).map_err(|error| error.code), Ok(()));
    }

    #[tokio::test]
    async fn a_large_body_is_refused_with_and_without_its_length() {
        let mut headers = HeaderMap::new();
        let error = bytes(Body::from(vec![0; 11]), &headers, 10).await.expect_err("too large");
        assert_eq!(error.status.as_u16(), 413);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("99999999999999"));
        assert_eq!(bytes(Body::empty(), &headers, 10).await.expect_err("too large").status.as_u16(), 413);
    }
}
