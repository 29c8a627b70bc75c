//! The one guarded HTTP client (S-01 to S-04): every call that a definition or an agent can shape goes through it.
//!
//! It reaches public addresses only, or what the operator exempted, never our own listeners; it follows redirects
//! by hand with the full check each; it reads no more than its limits. Any answer is a `Response`; whether its
//! status counts as success is for the caller (`node`) to say.

mod address;
mod answer;
pub(crate) mod body;
mod build;
mod charset;
mod coding;
mod content_type;
pub(crate) mod errors;
mod multipart;
pub mod node;
mod resolver;
pub(crate) mod room;

use crate::{CallError, tls};
use address::Rules;
use bytes::Bytes;
use callboard_core::request::{LARGEST_BODY, USUAL_BODY, is_reserved};
use http::{HeaderMap, Method, StatusCode, header};
use parking_lot::Mutex;
use resolver::{Checked, Lookup};
use room::Room;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use url::{Host, Url};
use zeroize::Zeroizing;

pub use address::Origin;
pub use room::Held;

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(60);
const LONGEST_TOTAL: Duration = Duration::from_secs(600);
const REDIRECTS: usize = 5;
pub(crate) const HEADERS: usize = 64 << 10;
/// The largest answer that a call may ask for.
pub(crate) const BODY: usize = LARGEST_BODY as usize;
const URL: usize = 8 << 10;
/// Calls at the same time; more wait within their own time.
const CALLS: usize = 256;
/// Ports with a client of their own; further ones take the place of another.
const CLIENTS: usize = 32;

/// The client.
pub struct Guarded {
    rules: Arc<Rules>,
    lookup: Lookup,
    /// By port, see `Checked`.
    clients: Mutex<BTreeMap<u16, reqwest::Client>>,
    calls: Arc<Semaphore>,
    room: Room,
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
    /// It may hold a secret, and so may the others; their memory is overwritten when they go.
    pub url: Zeroizing<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// URL or body hold a secret: a redirect to another origin is refused.
    pub confidential: bool,
    /// For the whole call; default 60 s, at most 10 min.
    pub timeout: Option<Duration>,
    /// Bytes of the largest answer that is read; default 1 MiB, at most 16 MiB.
    pub max_body: Option<u64>,
    /// Asked of every URL that the request goes to with secrets.
    pub allowed: Option<Allowed>,
}

/// Says whether a request with its secrets may go to a URL.
pub type Allowed = Box<dyn Fn(&Url) -> Result<(), CallError> + Send + Sync>;

/// An answer, whatever its status.
#[derive(Default)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Its places in memory; they are to be held until the answer is recorded.
    pub held: Held,
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
            calls: Arc::new(Semaphore::new(CALLS)),
            room: Room::new(),
            #[cfg(feature = "stand-in")]
            stand_in: None,
        }
    }

    /// The same with other exemptions: for those who may call less. Both share their places.
    pub fn exempting(&self, exempt: Vec<Origin>) -> Self {
        Self {
            rules: Arc::new(Rules { exempt, denied: self.rules.denied.clone() }),
            lookup: self.lookup.clone(),
            // A client has its rules, and the connections that these have let through.
            clients: Mutex::default(),
            calls: self.calls.clone(),
            room: self.room.clone(),
            #[cfg(feature = "stand-in")]
            stand_in: self.stand_in.clone(),
        }
    }

    /// Where the values of an answer have their places.
    pub(crate) fn room(&self) -> &Room {
        &self.room
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
            let _slot =
                self.calls.acquire().await.map_err(|_| CallError::transient("http_connect", "closed"))?;
            self.follow(request, url, Instant::now() + within).await
        };
        tokio::time::timeout(within, follow).await.unwrap_or(Err(late))
    }

    /// Checks all of a URL that can be checked without resolving its name.
    fn vet(&self, text: &str) -> Result<Url, CallError> {
        if text.len() > URL {
            return Err(errors::forbidden_url("the URL is too long"));
        }
        let url = Url::parse(text)
            .map_err(|_| CallError::permanent("http_invalid_request", "this is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(errors::forbidden_url("only http and https URLs are called"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(errors::forbidden_url("a URL with a user or password is not called"));
        }
        let (Some(host), Some(name), Some(port)) = (url.host(), url.host_str(), url.port_or_known_default())
        else {
            return Err(CallError::permanent("http_invalid_request", "the URL has no host"));
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
        if let Some(name) = request.headers.keys().find(|name| is_reserved(name.as_str())) {
            let message = format!("the request sets {name}, which is made for each call");
            return Err(CallError::permanent("http_invalid_request", message));
        }
        body::check_headers(&request.headers)?;
        let most = usize::try_from(request.max_body.unwrap_or(USUAL_BODY)).unwrap_or(BODY).min(BODY);
        for _ in 0..=REDIRECTS {
            if let Some(allowed) = &request.allowed {
                allowed(&url)?;
            }
            let response = self.send(&request, &url, end).await?;
            body::check_headers(response.headers())?;
            let Some(target) = target(&response, &url) else {
                let status = response.status().as_u16();
                let headers = response.headers().clone();
                let (body, held) = match request.method {
                    Method::HEAD => Default::default(),
                    _ => body::read_in(response, most, Some(&self.room)).await?,
                };
                return Ok(Response { status, headers, body, held });
            };
            let target = self.vet(target?.as_str())?;
            redirect(&mut request, response.status());
            if url.origin() != target.origin() {
                leave_origin(&mut request)?;
            }
            url = target;
        }
        Err(CallError::permanent("http_redirects", "the call was redirected too often"))
    }

    async fn send(&self, request: &Request, url: &Url, end: Instant) -> Result<reqwest::Response, CallError> {
        let port = url.port_or_known_default().unwrap_or_default();
        self.client(port)?
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .header(header::ACCEPT_ENCODING, coding::ACCEPTED)
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
pub(crate) fn plain() -> reqwest::ClientBuilder {
    through_environment().no_proxy()
}

/// The same, but for the proxies that the environment names: for calls whose address the operator has chosen. What a
/// definition shapes never goes through one, since its rules of addresses would then be the proxy's.
#[expect(clippy::disallowed_methods, reason = "the one place that makes outbound clients")]
pub(crate) fn through_environment() -> reqwest::ClientBuilder {
    tls::ready();
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_gzip()
        .referer(false)
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(32)
        .pool_idle_timeout(Duration::from_secs(30))
}

/// Reads a document at an address that the operator has named, as it stands there: without a redirect, of at most so many
/// bytes. No definition and no request has a say in the address.
pub async fn fetch(url: &str, most: usize, within: Duration) -> Result<Bytes, CallError> {
    let address =
        Url::parse(url).map_err(|_| CallError::permanent("http_invalid_request", "this is not a URL"))?;
    let late = errors::timeout(&address);
    let read = async {
        let client = build(through_environment)?;
        let response = client.get(address.clone()).header(header::ACCEPT, "application/json").send().await;
        let response = response.map_err(|error| errors::request(&error, &address))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(CallError::transient("http_status", format!("it answers {status}")));
        }
        body::read(response, most).await
    };
    tokio::time::timeout(within, read).await.unwrap_or(Err(late))
}

/// Builds a client; on a machine without root certificates one that trusts nobody, so that plain HTTP still works.
pub(crate) fn build(builder: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, CallError> {
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(|_| {
        CallError::permanent("http_invalid_request", "no HTTP client can be built on this machine")
    })
}

/// Bytes whose memory is overwritten when the last of those who share them has gone.
pub(crate) fn owned(mut text: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

/// Returns where a redirect leads, if the response is one.
fn target(response: &reqwest::Response, url: &Url) -> Option<Result<Url, CallError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    let joined = location.to_str().ok().and_then(|text| url.join(text).ok());
    Some(joined.ok_or_else(|| CallError::permanent("http_invalid_response", "the redirect leads to no URL")))
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

/// Takes off what another origin must not see: all that the definition or we have put in, but what kind of answer is
/// wanted.
fn leave_origin(request: &mut Request) -> Result<(), CallError> {
    if request.confidential {
        return Err(errors::forbidden_url("a request with a secret was redirected to another origin"));
    }
    if !request.body.is_empty() {
        return Err(errors::forbidden_url(
            "a request with a body was redirected to another origin; call it by its own URL",
        ));
    }
    let kept = [header::ACCEPT, header::ACCEPT_LANGUAGE];
    let kept: HeaderMap = kept
        .into_iter()
        .filter_map(|name| {
            let value = request.headers.remove(&name).filter(|value| !value.is_sensitive())?;
            Some((name, value))
        })
        .collect();
    request.headers = kept;
    request.allowed = None;
    Ok(())
}

// === impl Request ===

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: Zeroizing::new(url.into()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            confidential: false,
            timeout: None,
            max_body: None,
            allowed: None,
        }
    }
}

#[cfg(test)]
mod tests;
