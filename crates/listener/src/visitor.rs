//! Who may come: programs that call this server by a name of its own, and pages that it served itself.
//!
//! A page of somebody else's can make the user's browser send requests here, and by a name that it points at this
//! machine it could even read the answers. Browsers say where a request comes from, and by which name it goes; programs
//! say nothing, and pass. So a request is refused if it goes to a name that is not ours, or says that it comes from
//! elsewhere.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::Doors;

/// Why a request is refused before anybody looks at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request has no Host header, or one without a host: send the host and port of this server")]
    NoHost,
    #[error("the request has more than one Host header, or one that is not HOST:PORT: send exactly one")]
    BadHost,
    #[error(
        "this server is not called {0:?}: call it by localhost or by its address, or add the name to the setting \
         server.hosts"
    )]
    Misdirected(String),
    #[error(
        "pages of {0:?} may not call this server; if that one may call the API, add it to the setting \
         server.origins"
    )]
    ForeignOrigin(String),
    #[error(
        "a browser sent this for another page (Sec-Fetch-Site: {0}), and such pages may not call this server; \
         programs leave that header out, and a page that may call the API is named in the setting server.origins"
    )]
    CrossSite(String),
}

/// Where a connection came in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Address {
    pub(crate) listened: Option<SocketAddr>,
    /// This end of the connection: which address of the machine was called, where all are listened on.
    pub(crate) called: Option<SocketAddr>,
    /// The other end.
    pub(crate) peer: Option<SocketAddr>,
}

/// How much of what a caller sent is said back.
const SHOWN: usize = 200;

// === impl Refusal ===

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoHost | Self::BadHost => StatusCode::BAD_REQUEST,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin(_) | Self::CrossSite(_) => StatusCode::FORBIDDEN,
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost => "missing_host",
            Self::BadHost => "invalid_host",
            Self::Misdirected(_) => "unknown_host",
            Self::ForeignOrigin(_) => "foreign_origin",
            Self::CrossSite(_) => "cross_site",
        }
    }
}

/// Reads an entry of `server.hosts`: a name or an address, without scheme and port.
pub fn host(text: &str) -> Result<String, String> {
    let wrong =
        || format!("`{text}` is not a host: write its name or address alone, as in callboard.internal");
    let bare = text.trim_matches(['[', ']']);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_canonical().to_string());
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.is_empty() || text.len() > 253 || !text.chars().all(fine) {
        return Err(wrong());
    }
    Ok(plain(text))
}

/// Reads an entry of `server.origins`: `https://app.example.com`, with a port unless it is the scheme's.
pub fn origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("`{text}` is not an origin: write scheme, host and port, as in https://app.example.com");
    let uri = text.parse::<Uri>().map_err(|_| wrong())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    // Browsers write origins in one way only; another one would never be met.
    let written = format!("{}://{authority}", uri.scheme_str().unwrap_or_default()).to_ascii_lowercase();
    if written != text || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(written)
}

/// Lets a request in, or says why not.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap, here: &Address, doors: &Doors) -> Result<(), Refusal> {
    let authority = authority(uri, headers, here, doors)?;
    let listed = |text: &str| doors.origins.iter().any(|known| known == text);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next();
    if let Some(value) = origin {
        let text = value.to_str().unwrap_or_default();
        if origins.next().is_none() && listed(text) {
            return Ok(());
        }
        if headers.get_all(header::ORIGIN).iter().count() > 1 || !is_own(text, &authority) {
            return Err(Refusal::ForeignOrigin(shown(value)));
        }
    }
    let mut fetched = false;
    for site in headers.get_all("sec-fetch-site") {
        fetched = true;
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return Err(Refusal::CrossSite(shown(site)));
        }
    }
    if origin.is_none() && !fetched {
        // Browsers too old to say more at least say from which page an image or a link comes.
        for referer in headers.get_all(header::REFERER) {
            let page = referer.to_str().unwrap_or_default();
            let from = origin_of(page);
            if !page.is_empty() && !from.is_some_and(|from| is_own(&from, &authority) || listed(&from)) {
                return Err(Refusal::ForeignOrigin(shown(referer)));
            }
        }
    }
    Ok(())
}

/// Returns the authority by which the server was called, once every one that was sent is a name of ours.
fn authority(uri: &Uri, headers: &HeaderMap, here: &Address, doors: &Doors) -> Result<Authority, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let sent = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(read(host.to_str().map_err(|_| Refusal::BadHost)?)?),
        (Some(_), Some(_)) => return Err(Refusal::BadHost),
        (None, _) => None,
    };
    let named = uri.authority().map(|authority| read(authority.as_str())).transpose()?;
    for authority in [&named, &sent].into_iter().flatten() {
        if !is_ours(authority.host(), here, doors) {
            return Err(Refusal::Misdirected(authority.as_str().chars().take(SHOWN).collect()));
        }
    }
    // HTTP/2 names it in the request itself, and so does HTTP/1.1 where it was meant for a proxy.
    named.or(sent).ok_or(Refusal::NoHost)
}

fn read(text: &str) -> Result<Authority, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::NoHost);
    }
    let authority: Authority = text.parse().map_err(|_| Refusal::BadHost)?;
    let port = authority.as_str().strip_prefix(authority.host()).map(|port| port.strip_prefix(':'));
    match port {
        // `as_str` begins with the host unless there is a user before it.
        Some(None) if authority.as_str() == authority.host() => Ok(authority),
        Some(Some(port)) if port.parse::<u16>().is_ok() => Ok(authority),
        _ => Err(Refusal::BadHost),
    }
}

/// Whether a host is one of ours: a loopback name or address, the address called, or one that the settings name.
fn is_ours(host: &str, here: &Address, doors: &Doors) -> bool {
    let listed = |name: &str| doors.hosts.iter().any(|known| known == name);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            let own = |at: &Option<SocketAddr>| at.is_some_and(|at| at.ip().to_canonical() == address);
            address.is_loopback() || own(&here.called) || own(&here.listened) || listed(&address.to_string())
        }
        Err(_) => {
            let name = plain(host);
            name == "localhost" || listed(&name)
        }
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether an origin is that of the server itself, by the name it was called.
fn is_own(origin: &str, called: &Authority) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let usual = match uri.scheme_str() {
        Some("http") => 80,
        // Somebody in front may speak TLS for us.
        Some("https") => 443,
        _ => return false,
    };
    let Some(from) = uri.authority() else { return false };
    from.host().eq_ignore_ascii_case(called.host())
        && from.port_u16().unwrap_or(usual) == called.port_u16().unwrap_or(usual)
        && !from.as_str().contains('@')
}

fn origin_of(page: &str) -> Option<String> {
    let uri = page.parse::<Uri>().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
