//! What is measured of requests, and the page that shows all that is measured.

use super::Gateway;
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, header};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use std::time::Instant;

/// The requirements' buckets, and finer ones below.
const SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0];
const LABELS: [&str; 3] = ["method", "path", "status"];

/// Requests by method, route and status.
#[derive(Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

// === impl HttpMetrics ===

impl HttpMetrics {
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = Opts::new("http_requests_total", "Number of HTTP requests answered");
        let seconds =
            HistogramOpts::new("http_request_duration_seconds", "Time taken to answer HTTP requests");
        let metrics = Self {
            requests: IntCounterVec::new(requests, &LABELS)?,
            seconds: HistogramVec::new(seconds.buckets(SECONDS.to_vec()), &LABELS)?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        Ok(metrics)
    }
}

/// Measures a request until its answer's head. Paths are routes, so that their number is bounded.
pub async fn measure(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let path = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status();
    let labels = [method, path, status.as_str()];
    metrics.requests.with_label_values(&labels).inc();
    metrics.seconds.with_label_values(&labels).observe(since.elapsed().as_secs_f64());
    response
}

/// `GET /metrics`.
pub async fn text(State(gateway): State<Gateway>) -> Response {
    match TextEncoder::new().encode_to_string(&gateway.registry.gather()) {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics can't be written");
            super::Error::internal().into_response()
        }
    }
}
