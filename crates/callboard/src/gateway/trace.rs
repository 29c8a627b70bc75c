//! The request's trace: continued from `traceparent` or begun here, and handed on to the sidecar.

use crate::operations::Trace;
use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, request::Parts};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::convert::Infallible;
use tracing::{Instrument, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(written(&begun()))))
    }
}

/// Answers the request within its span.
pub async fn span(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let caller = incoming(request.headers());
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{} {route}", request.method()),
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = Empty,
        trace = Empty,
    );
    if let Some(caller) = &caller {
        // Fails only where no tracer listens, and then there is nothing to set.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(caller.clone()));
    }
    let recorded = span.context().span().span_context().clone();
    let context = match caller {
        _ if recorded.is_valid() && !recorded.is_remote() => recorded,
        Some(caller) => child(&caller),
        None => begun(),
    };
    span.record("trace", tracing::field::display(context.trace_id()));
    request.extensions_mut().insert(Trace(written(&context)));
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    response
}

/// Reads `traceparent` of version 00, or the part of it that a later version keeps.
fn incoming(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get("traceparent")?.to_str().ok()?.trim();
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let sizes = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
    if !sizes || ![version, trace, span, flags].into_iter().all(lower_hex) || version == "ff" {
        return None;
    }
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn begun() -> SpanContext {
    let trace = TraceId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    SpanContext::new(trace, span_id(), TraceFlags::SAMPLED, true, TraceState::default())
}

fn child(parent: &SpanContext) -> SpanContext {
    SpanContext::new(parent.trace_id(), span_id(), parent.trace_flags(), true, TraceState::default())
}

fn span_id() -> SpanId {
    let [a, b, c, d, e, f, g, h, ..] = *uuid::Uuid::new_v4().as_bytes();
    SpanId::from_bytes([a, b, c, d, e, f, g, h])
}

fn written(context: &SpanContext) -> String {
    let flags = context.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(text: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(text));
        incoming(&headers).map(|context| written(&context))
    }

    #[test]
    fn a_trace_is_continued_if_it_is_well_formed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(good).as_deref(), Some(good));
        for bad in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "nonsense",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let parent = begun();
        let child = child(&parent);
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child.span_id(), parent.span_id());
    }
}
