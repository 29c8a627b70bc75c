//! The channel to the application: over HTTP, or as a tower service in this process.
//!
//! Decides nothing about meaning: a request goes out with the app's token, an answer comes back whole. Dropping
//! the call cuts the request, which is how a caller that gave up ends a turn.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures::FutureExt;
use http::header::HeaderValue;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::ServiceExt;

use super::{App, AppService};

/// The largest answer taken from an application.
const ANSWER: usize = 16 << 20;

/// A way to reach the application; clones share connections.
#[derive(Clone)]
pub(super) struct Channel {
    to: To,
    token: Option<HeaderValue>,
}

#[derive(Clone)]
enum To {
    Nobody,
    Http { client: Box<Client<HttpConnector, Full<Bytes>>>, base: String },
    InProcess(AppService),
}

/// An application's whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: http::StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("there is no application")]
    NoApp,
    #[error("the application cannot be reached: {0}")]
    Unreachable(String),
    #[error("the application's answer cannot be read: {0}")]
    Unreadable(String),
}

// === impl Channel ===

impl Channel {
    pub(super) fn new(app: App, token: Option<&str>) -> Result<Self, String> {
        let token = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(token)
                    .map_err(|_| "the app token has characters no header can carry".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let to = match app {
            App::None => To::Nobody,
            App::InProcess(service) => To::InProcess(service),
            App::Http(base) => {
                let base = base.trim_end_matches('/').to_owned();
                let uri: http::Uri = base.parse().map_err(|error| format!("app address {base}: {error}"))?;
                if uri.scheme_str() != Some("http") || uri.authority().is_none() {
                    return Err(format!("app address {base}: only http:// is offered"));
                }
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                connector.set_connect_timeout(Some(std::time::Duration::from_secs(2)));
                let client = Client::builder(TokioExecutor::new())
                    .pool_timer(TokioTimer::new())
                    .pool_max_idle_per_host(256)
                    .build(connector);
                To::Http { client: Box::new(client), base }
            }
        };
        Ok(Self { to, token })
    }

    pub(super) fn exists(&self) -> bool {
        !matches!(self.to, To::Nobody)
    }

    /// Returns port and protocol for the metadata document.
    pub(super) fn address(&self) -> Option<(String, u16)> {
        match &self.to {
            To::Nobody => None,
            To::InProcess(_) => Some((String::new(), 0)),
            To::Http { base, .. } => {
                let uri: http::Uri = base.parse().ok()?;
                Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(80)))
            }
        }
    }

    /// Sends a request whose URI is a path.
    pub(super) async fn call(&self, mut request: http::Request<Bytes>) -> Result<Answer, CallError> {
        if let Some(token) = &self.token {
            request.headers_mut().insert("dapr-api-token", token.clone());
        }
        match &self.to {
            To::Nobody => Err(CallError::NoApp),
            To::InProcess(service) => {
                // A handler that panics must not take a delivery or a tick along.
                let answer = AssertUnwindSafe(async {
                    let Ok(answer) = service.clone().oneshot(request.map(axum::body::Body::from)).await;
                    collect(answer).await
                });
                let caught = answer.catch_unwind().await;
                caught.unwrap_or_else(|_| Err(CallError::Unreadable("the handler panicked".to_owned())))
            }
            To::Http { client, base } => {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                let uri = format!("{base}{path}");
                *request.uri_mut() =
                    uri.parse().map_err(|error| CallError::Unreachable(format!("{uri}: {error}")))?;
                let answer = client.request(request.map(Full::new)).await;
                collect(answer.map_err(|error| CallError::Unreachable(chain(&error)))?).await
            }
        }
    }
}

async fn collect<B>(answer: http::Response<B>) -> Result<Answer, CallError>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER).collect().await;
    let body = body.map_err(|error| CallError::Unreadable(error.to_string()))?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

/// A client error says little; its sources say why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
