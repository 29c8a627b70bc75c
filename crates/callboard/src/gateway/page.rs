//! The page that was built of `web/`: in the binary where it was there when that was built. A debug build reads the folder
//! itself, so a page that is built anew is served without building the program.
//!
//! It answers what has no route. Its policy lets nothing run that did not come from here, and no style without the nonce of
//! its own response. It is for everybody, as a sign-in page has to be: there is nothing in it that is anybody's.

use super::{Gateway, no_route};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use ring::rand::{SecureRandom, SystemRandom};
use std::borrow::Cow;

/// What stands in the page where each response has its nonce.
const PLACEHOLDER: &str = "CSP_NONCE";
const NONCE: usize = 16;
const INDEX: &str = "index.html";
/// Names of what is below have the hash of their content.
const HASHED: &str = "assets/";
/// First parts of paths that are never the page's: a client that errs there is told so.
const NOT_OURS: [&str; 7] = ["api", "ws", "hooks", "docs", "health", "ready", "metrics"];
const MISSING: &str = "\
This program was built without its page. The API is here all the same: /api/v1.

To have the page, build it and then the program, with Node's npm at hand:

    make run
";

type File = Cow<'static, [u8]>;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../web/dist/page"]
#[allow_missing = true]
struct Built;

/// The files of the page.
#[derive(Clone, Copy)]
pub struct Page(Option<fn(&str) -> Option<File>>);

// === impl Page ===

impl Page {
    /// What this program was built with.
    pub fn built() -> Self {
        Self(Some(|path| Built::get(path).map(|file| file.data)))
    }

    /// None at all, not even a word about it.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there is a page to be served.
    pub fn is_there(self) -> bool {
        self.0.is_some_and(|file| file(INDEX).is_some())
    }

    /// Answers a request that no route fits; nothing where it is not about the page.
    fn answer(self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
        let file = self.0?;
        let path = path.trim_start_matches('/');
        let is_read = *method == Method::GET || *method == Method::HEAD;
        let first = path.split('/').next().unwrap_or_default();
        if !is_read || NOT_OURS.contains(&first) || path.split('/').any(|part| part == "..") {
            return None;
        }
        // Whoever goes to an address in a browser asks for a page. A program that errs is told so.
        let is_visit = path.is_empty() || accepts_pages(headers);
        let Some(index) = file(INDEX) else {
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            return path.is_empty().then(|| (StatusCode::NOT_FOUND, plain, MISSING).into_response());
        };
        if path.starts_with(HASHED) {
            return asset(file, path, headers, "public, max-age=31536000, immutable");
        }
        // What has a type is a file; the page's own addresses have none.
        match kind(path).filter(|_| path != INDEX) {
            Some(_) => asset(file, path, headers, "public, max-age=3600"),
            None => is_visit.then(|| page(&index)).flatten(),
        }
    }
}

/// Answers what has no route.
pub async fn otherwise(
    State(gateway): State<Gateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match gateway.page.answer(&method, uri.path(), &headers) {
        Some(response) => response,
        None => no_route().await.into_response(),
    }
}

/// The page with a nonce of this response.
fn page(index: &[u8]) -> Option<Response> {
    let mut bytes = [0; NONCE];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let nonce = STANDARD.encode(bytes);
    let text = std::str::from_utf8(index).ok()?.replace(PLACEHOLDER, &nonce);
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy(&nonce)).ok()?);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(response)
}

fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
    )
}

/// A file, in the smallest form that was made of it and that the client takes.
fn asset(
    file: fn(&str) -> Option<File>,
    path: &str,
    headers: &HeaderMap,
    cache: &'static str,
) -> Option<Response> {
    let kind = kind(path)?;
    let packed = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(coding, ending)| {
        let data = takes(headers, coding).then(|| file(&format!("{path}{ending}"))).flatten()?;
        Some((data, Some(coding)))
    });
    let (data, coding) = packed.or_else(|| Some((file(path)?, None)))?;
    let mut response = Response::new(Body::from(data.into_owned()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}

/// Whether the client asks for pages by name.
fn accepts_pages(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.to_ascii_lowercase().contains("text/html"))
}

/// Whether the client takes a coding: it is named, and not with a weight of zero.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut given = values.flat_map(|value| value.split(','));
    given.any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let is_zero = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case(coding) && !is_zero
    })
}

/// The type of a file by its name; nothing of what a page does not have.
fn kind(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    match ending {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "html" => Some("text/html; charset=utf-8"),
        "woff2" => Some("font/woff2"),
        "png" => Some("image/png"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
