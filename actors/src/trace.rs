//! One trace from the request through the sidecar to the model call.
//!
//! What the sidecar calls us with is the current trace; tasks inherit it, and calls to the sidecar carry it on.

use callboard_sidecar::Sidecar;
use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::future::Future;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

tokio::task_local! {
    /// The caller's `traceparent`, for when no spans are collected here.
    static CALLER: Option<String>;
}

/// Returns the `traceparent` of a call.
pub fn of(headers: &HeaderMap) -> Option<String> {
    headers.get("traceparent")?.to_str().ok().map(str::to_owned)
}

/// Runs `work` as a part of the caller's trace, in a span of its own.
pub async fn within<F: Future>(caller: Option<String>, span: Span, work: F) -> F::Output {
    if let Some(parent) = &caller {
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(parent));
        // Fails only where no tracer listens, and then there is nothing to set.
        let _ = span.set_parent(context);
    }
    CALLER.scope(caller, work.instrument(span)).await
}

/// Lets a task that is spawned now belong to the current trace.
pub fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CALLER.scope(CALLER.try_with(Clone::clone).ok().flatten(), work.in_current_span())
}

/// Returns the current `traceparent`.
pub fn current() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        return Some(format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()));
    }
    CALLER.try_with(Clone::clone).ok().flatten()
}

/// Returns the sidecar's client with the current trace on its calls.
pub fn through(sidecar: &Sidecar) -> Sidecar {
    sidecar.with_trace(current())
}

struct Parent<'a>(&'a str);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_inherit_the_callers_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        assert_eq!(current(), None);
        let seen = within(Some(parent.clone()), Span::none(), async {
            tokio::spawn(inherit(async { current() })).await.expect("no panic")
        });
        assert_eq!(seen.await, Some(parent));
    }
}
