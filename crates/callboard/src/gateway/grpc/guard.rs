//! The guard before every method: who asks, whether they may, and what is written down of it.

use super::{METHODS, Method, refusal};
use crate::{
    access::{Gatekeeper, Permission, Principal},
    gateway::{Error, Limits, access},
    operations::{Changed, now},
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use callboard_core::Timestamp;
use http::{StatusCode, request::Parts};
use tonic::Status;

#[derive(Clone)]
pub struct Guard {
    pub gatekeeper: Gatekeeper,
    pub limits: Limits,
}

pub async fn ask(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(method) = METHODS.iter().find(|method| method.path == parts.uri.path()) else {
        return Status::unimplemented("there is no such method").into_http();
    };
    // Given back with the head of the answer: what lasts takes a place of its own.
    let _place = match guard.limits.request() {
        Ok(place) => place,
        Err(error) => return refusal(&error),
    };
    if method.asks == Permission::Public {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let at = now();
    let principal = match guard.principal(method, &parts, at).await {
        Ok(principal) => principal,
        Err(error) => return refusal(&error),
    };
    parts.extensions.insert(principal.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    // Whatever is refused says so in its head.
    if method.asks != Permission::Read && !response.headers().contains_key("grpc-status") {
        let change = response.extensions().get::<Changed>().cloned().unwrap_or_default();
        access::changed(&guard.gatekeeper, route(method), &principal, change, at);
    }
    response
}

fn route(method: &Method) -> String {
    format!("grpc {}", method.path.trim_start_matches('/'))
}

// === impl Guard ===

impl Guard {
    async fn principal(&self, method: &Method, parts: &Parts, at: Timestamp) -> Result<Principal, Error> {
        let source = access::source(&parts.extensions);
        let principal = match self.gatekeeper.who(access::given(&parts.headers), at).await {
            Ok(principal) => principal,
            Err(unknown) => {
                let error = Error::from(unknown);
                access::refused(&self.gatekeeper, route(method), None, source, &error, at);
                return Err(error);
            }
        };
        if !principal.may(method.asks) {
            let error =
                Error::new(StatusCode::FORBIDDEN, "forbidden", access::lacks(&principal, method.asks));
            access::refused(&self.gatekeeper, route(method), Some(&principal), source, &error, at);
            return Err(error);
        }
        Ok(principal)
    }
}
