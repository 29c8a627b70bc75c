//! The one guarded HTTP client (S-01 to S-04): every call that a definition or an agent can shape goes through it.
//!
//! It reaches public addresses only, or what the operator exempted, never our own listeners; it follows redirects
//! by hand with the full check each; it reads no more than its limits. Any answer is a `Response`; whether its
//! status counts as success is for the caller (`node`) to say.

mod address;
pub(crate) mod body;
pub(crate) mod errors;
pub mod node;
mod resolver;

use crate::{CallError, failed};
use address::Rules;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use parking_lot::Mutex;
use resolver::{Checked, Lookup};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use url::{Host, Url};

pub use address::Origin;

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(60);
const LONGEST_TOTAL: Duration = Duration::from_secs(600);
const REDIRECTS: usize = 5;
pub(crate) const HEADERS: usize = 64 << 10;
pub(crate) const BODY: usize = 16 << 20;
const URL: usize = 8 << 10;
/// Calls at the same time; more wait within their own time.
const CALLS: usize = 256;
/// Ports with a client of their own; further ones take the place of another.
const CLIENTS: usize = 32;

/// Headers that frame the message or speak to proxies; they are not the caller's to set.
const RESERVED: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    header::ACCEPT_ENCODING,
];

/// The client.
pub struct Guarded {
    rules: Arc<Rules>,
    lookup: Lookup,
    /// By port, see `Checked`.
    clients: Mutex<BTreeMap<u16, reqwest::Client>>,
    calls: Semaphore,
    #[cfg(feature = "stand-in")]
    stand_in: Option<StandIn>,
}

/// Answers instead of the network, where the outside is simulated.
#[cfg(feature = "stand-in")]
pub type StandIn = Arc<
    dyn Fn(Request) -> std::pin::Pin<Box<dyn Future<Output = Result<Response, CallError>> + Send>>
        + Send
        + Sync,
>;

/// A call.
pub struct Request {
    pub method: Method,
    pub url: String,
    /// Values marked as sensitive are dropped on a redirect to another origin, as `Authorization` and `Cookie` are.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// URL or body hold a secret: a redirect to another origin is refused.
    pub confidential: bool,
    /// For the whole call; default 60 s, at most 10 min.
    pub timeout: Option<Duration>,
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// === impl Guarded ===

impl Guarded {
    /// `exempt` comes from the operator's configuration, never from definitions. `denied` are our own listeners and
    /// the sidecar's; they stay denied even where they are exempt.
    pub fn new(exempt: Vec<Origin>, denied: Vec<SocketAddr>) -> Self {
        Self::with_lookup(exempt, denied, resolver::system())
    }

    fn with_lookup(exempt: Vec<Origin>, denied: Vec<SocketAddr>, lookup: Lookup) -> Self {
        Self {
            rules: Arc::new(Rules { exempt, denied }),
            lookup,
            clients: Mutex::default(),
            calls: Semaphore::new(CALLS),
            #[cfg(feature = "stand-in")]
            stand_in: None,
        }
    }

    #[cfg(feature = "stand-in")]
    pub fn standing_in(stand_in: StandIn) -> Self {
        Self { stand_in: Some(stand_in), ..Self::new(Vec::new(), Vec::new()) }
    }

    /// Makes the call, redirects included.
    pub async fn call(&self, request: Request) -> Result<Response, CallError> {
        #[cfg(feature = "stand-in")]
        if let Some(stand_in) = &self.stand_in {
            return stand_in(request).await;
        }
        let url = self.vet(&request.url)?;
        let within = request.timeout.unwrap_or(TOTAL).min(LONGEST_TOTAL);
        let late = errors::timeout(&url);
        let follow = async {
            let _slot = self.calls.acquire().await.map_err(|_| failed("http_connect", "closed", true))?;
            self.follow(request, url, Instant::now() + within).await
        };
        tokio::time::timeout(within, follow).await.unwrap_or(Err(late))
    }

    /// Checks all of a URL that can be checked without resolving its name.
    fn vet(&self, text: &str) -> Result<Url, CallError> {
        if text.len() > URL {
            return Err(errors::forbidden_url("the URL is too long"));
        }
        let url = Url::parse(text).map_err(|_| failed("http_invalid_request", "this is not a URL", false))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(errors::forbidden_url("only http and https URLs are called"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(errors::forbidden_url("a URL with a user or password is not called"));
        }
        let (Some(host), Some(name), Some(port)) = (url.host(), url.host_str(), url.port_or_known_default())
        else {
            return Err(failed("http_invalid_request", "the URL has no host", false));
        };
        let ip = match host {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain(_) => None,
        };
        if ip.is_some_and(|ip| !self.rules.allow(name, ip, port)) {
            return Err(errors::forbidden_address(&url));
        }
        if !self.rules.allow_port(name, port) {
            return Err(errors::forbidden_url("the URL's port is not one for HTTP"));
        }
        Ok(url)
    }

    async fn follow(&self, mut request: Request, mut url: Url, end: Instant) -> Result<Response, CallError> {
        if RESERVED.iter().any(|name| request.headers.contains_key(name)) {
            return Err(failed("http_invalid_request", "the request sets a reserved header", false));
        }
        body::check_headers(&request.headers)?;
        for _ in 0..=REDIRECTS {
            let response = self.send(&request, &url, end).await?;
            body::check_headers(response.headers())?;
            let Some(target) = target(&response, &url) else {
                let status = response.status().as_u16();
                let headers = response.headers().clone();
                let limit = if request.method == Method::HEAD { 0 } else { BODY };
                let body = if limit == 0 { Bytes::new() } else { body::read(response, limit).await? };
                return Ok(Response { status, headers, body });
            };
            let target = self.vet(target?.as_str())?;
            redirect(&mut request, response.status());
            if url.origin() != target.origin() {
                leave_origin(&mut request)?;
            }
            url = target;
        }
        Err(failed("http_redirects", "the call was redirected too often", false))
    }

    async fn send(&self, request: &Request, url: &Url, end: Instant) -> Result<reqwest::Response, CallError> {
        let port = url.port_or_known_default().unwrap_or_default();
        self.client(port)?
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .header(header::ACCEPT_ENCODING, "gzip")
            .timeout(end.saturating_duration_since(Instant::now()))
            .body(request.body.clone())
            .send()
            .await
            .map_err(|e| errors::request(&e, url))
    }

    fn client(&self, port: u16) -> Result<reqwest::Client, CallError> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&port) {
            return Ok(client.clone());
        }
        let checked = Checked { rules: self.rules.clone(), lookup: self.lookup.clone(), port };
        let client = build(|| plain().dns_resolver(Arc::new(checked.clone())))?;
        if clients.len() >= CLIENTS {
            clients.pop_last();
        }
        clients.insert(port, client.clone());
        Ok(client)
    }
}

/// A client without anything that acts by itself: no redirects, proxies, cookies, retries, decompression.
#[expect(clippy::disallowed_methods, reason = "the one place that makes outbound clients")]
pub(crate) fn plain() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .no_gzip()
        .referer(false)
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(32)
        .pool_idle_timeout(Duration::from_secs(30))
}

/// Builds a client; on a machine without root certificates one that trusts nobody, so that plain HTTP still works.
pub(crate) fn build(builder: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, CallError> {
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|_| failed("http_invalid_request", "no HTTP client can be built on this machine", false))
}

/// Returns where a redirect leads, if the response is one.
fn target(response: &reqwest::Response, url: &Url) -> Option<Result<Url, CallError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    let joined = location.to_str().ok().and_then(|text| url.join(text).ok());
    Some(joined.ok_or_else(|| failed("http_invalid_response", "the redirect leads to no URL", false)))
}

/// Changes the request as the redirect's status asks.
fn redirect(request: &mut Request, status: StatusCode) {
    let to_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if to_get {
        request.method = Method::GET;
        request.body = Bytes::new();
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
            request.headers.remove(name);
        }
    }
}

/// Takes off what another origin must not see.
fn leave_origin(request: &mut Request) -> Result<(), CallError> {
    if request.confidential {
        return Err(errors::forbidden_url("a request with a secret was redirected to another origin"));
    }
    let drop: Vec<HeaderName> = request
        .headers
        .iter()
        .filter(|(name, value)| {
            value.is_sensitive() || **name == header::AUTHORIZATION || **name == header::COOKIE
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in drop {
        request.headers.remove(name);
    }
    Ok(())
}

// === impl Request ===

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            confidential: false,
            timeout: None,
        }
    }
}

#[cfg(test)]
mod tests;
