//! The guard before each handler: who asks, whether they may, and what is written down of it.
//!
//! A credential comes in `Authorization: Bearer`, `X-API-Key` or `apikey`, one of them. No other header says who somebody is,
//! whoever has set it.

use super::{Error, Gateway, routes::Route};
use crate::{
    access::{Gatekeeper, Given, Permission, Principal, Taken, TooOften, Unknown},
    operations::{Changed, now},
};
use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use callboard_catalog::{AuditEntry, Refused};
use callboard_core::{Timestamp, id::ProjectId};
use callboard_listener::Peer;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header, request::Parts};

/// Where a key may stand; the second one is what gateways call it.
const KEYS: [&str; 2] = ["x-api-key", "apikey"];
const BEARER: &str = "bearer ";
/// Characters of a name that are written down.
const SHOWN: usize = 200;

#[derive(Clone)]
struct Guard {
    gatekeeper: Gatekeeper,
    route: &'static Route,
}

/// Puts a route's handler behind its guard. What is for everybody has none.
pub fn guarded(
    handler: MethodRouter<Gateway>,
    gateway: &Gateway,
    route: &'static Route,
) -> MethodRouter<Gateway> {
    if route.asks == Permission::Public {
        return handler;
    }
    let gatekeeper = gateway.operations.access.clone();
    handler.route_layer(middleware::from_fn_with_state(Guard { gatekeeper, route }, ask))
}

async fn ask(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let now = now();
    let (mut parts, body) = request.into_parts();
    let source = source(&parts.extensions);
    let principal = match guard.gatekeeper.who(given(&parts.headers), now).await {
        Ok(principal) => principal,
        Err(unknown) => {
            let error = Error::from(unknown);
            refused(&guard.gatekeeper, guard.route(), None, source, &error, now);
            let mut response = error.into_response();
            if let Unknown::TooOften(TooOften { limit, retry_after, .. }) = unknown {
                tell_rate(&mut response, Taken { limit, remaining: 0, reset: retry_after });
            }
            return response;
        }
    };
    let rate = principal.rate;
    if !principal.may(guard.route.asks) {
        let error = Error::new(StatusCode::FORBIDDEN, "forbidden", lacks(&principal, guard.route.asks));
        refused(&guard.gatekeeper, guard.route(), Some(&principal), source, &error, now);
        return error.into_response();
    }
    let object = match guard.route.changes() {
        true => named(&mut parts).await,
        false => None,
    };
    parts.extensions.insert(principal.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(rate) = rate {
        tell_rate(&mut response, rate);
    }
    if guard.route.is_recorded() && response.status().is_success() {
        let change = response.extensions().get::<Changed>().cloned().unwrap_or_default();
        let change = Changed { object: change.object.or(object), ..change };
        changed(&guard.gatekeeper, guard.route(), &principal, change, now);
    }
    response
}

/// Says how a key with limits stands: the names are those that gateways use, too.
fn tell_rate(response: &mut Response, rate: Taken) {
    let Taken { limit, remaining, reset } = rate;
    let all = [("ratelimit-limit", limit), ("ratelimit-remaining", remaining), ("ratelimit-reset", reset)];
    for (name, number) in all {
        response.headers_mut().insert(name, HeaderValue::from(number));
    }
}

/// Returns from where a request comes, as far as that is known.
pub fn source(extensions: &Extensions) -> String {
    extensions.get::<Peer>().map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string())
}

/// Says what somebody would have to be.
pub fn lacks(principal: &Principal, asks: Permission) -> String {
    let needed = asks.role().map_or("another role", |role| role.as_str());
    let project = if asks == Permission::Govern { " of the project default" } else { "" };
    format!("this needs the role {needed}{project}; the credential has {}", principal.role.as_str())
}

/// Writes a change down.
pub fn changed(
    gatekeeper: &Gatekeeper,
    route: String,
    principal: &Principal,
    change: Changed,
    at: Timestamp,
) {
    let Changed { object, before, after } = change;
    gatekeeper.trail().record(AuditEntry {
        at,
        project: principal.project.clone(),
        subject: principal.subject.to_string(),
        via: principal.via.as_str().into(),
        route,
        object,
        before,
        after,
        refused: None,
    });
}

/// Writes a refusal down: of somebody known in their project, of anybody else for the admins of `default`.
pub fn refused(
    gatekeeper: &Gatekeeper,
    route: String,
    principal: Option<&Principal>,
    source: String,
    error: &Error,
    at: Timestamp,
) {
    // That something is away is nobody's doing.
    if error.status.is_server_error() {
        return;
    }
    let subject = principal.map_or_else(|| "unknown".to_owned(), |principal| principal.subject.to_string());
    gatekeeper.trail().record(AuditEntry {
        at,
        project: principal.map_or(ProjectId::DEFAULT, |principal| principal.project.clone()),
        via: principal.map_or("none", |principal| principal.via.as_str()).into(),
        route,
        object: None,
        before: None,
        after: None,
        refused: Some(Refused {
            code: error.code.to_string(),
            source: if principal.is_some() { subject.clone() } else { source },
        }),
        subject,
    });
}

/// Returns what the path names.
async fn named(parts: &mut Parts) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().next().map(|(_, value)| value.chars().take(SHOWN).collect())
}

/// Returns the credential of a request.
pub fn given(headers: &HeaderMap) -> Given<'_> {
    let mut found = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
    let keys =
        KEYS.into_iter().flat_map(|name| headers.get_all(name).iter()).map(|value| value.to_str().ok());
    let mut found = found.by_ref().chain(keys.map(|text| text.map(str::trim)));
    match (found.next(), found.next()) {
        (None, _) => Given::Nothing,
        (Some(Some(text)), None) if !text.is_empty() => Given::One(text),
        _ => Given::Rubbish,
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?.trim();
    let scheme = text.get(..BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| text[BEARER.len()..].trim())
}

// === impl Guard ===

impl Guard {
    fn route(&self) -> String {
        format!("{} {}", self.route.method, self.route.path)
    }
}

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Self {
        let refused = |code, detail: &str| Self::new(StatusCode::UNAUTHORIZED, code, detail);
        match unknown {
            Unknown::Missing => {
                refused("credential_missing", "this needs a key or a token: Authorization: Bearer …")
            }
            Unknown::Invalid => {
                refused("invalid_credential", "the key or the token is not good, or not any more")
            }
            Unknown::NoAccess => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "the token gives access to nothing here")
            }
            Unknown::Catalog => Self::unavailable("catalog_unavailable", "the catalog does not answer", 2),
            Unknown::Issuer => {
                Self::unavailable("issuer_unavailable", "the keys of the token's issuer can't be had now", 30)
            }
            Unknown::TooOften(TooOften { limit, window, retry_after }) => {
                let detail = format!("this key may send {limit} requests a {window}");
                let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
                Self { retry_after: Some(retry_after), ..refused }
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "a route that is for everybody wants to know who asks");
            Error::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_stands_in_one_place() {
        let of = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).expect("a value"));
            }
            match given(&headers) {
                Given::Nothing => "nothing".to_owned(),
                Given::One(text) => text.to_owned(),
                Given::Rubbish => "rubbish".to_owned(),
            }
        };
        assert_eq!(of(&[]), "nothing");
        for fine in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer  k "),
            ("x-api-key", "k"),
            ("apikey", " k"),
        ] {
            assert_eq!(of(&[fine]), "k", "{fine:?}");
        }
        for wrong in [
            &[("authorization", "k")][..],
            &[("authorization", "Basic k")],
            &[("authorization", "Bearer ")],
            &[("authorization", "")],
            &[("x-api-key", "")],
            &[("x-api-key", "k"), ("apikey", "k")],
            &[("x-api-key", "k"), ("x-api-key", "l")],
            &[("authorization", "Bearer k"), ("apikey", "l")],
        ] {
            assert_eq!(of(wrong), "rubbish", "{wrong:?}");
        }
        // What gateways say of whom they let in.
        assert_eq!(of(&[("x-consumer-username", "root"), ("x-forwarded-user", "root")]), "nothing");
    }
}
