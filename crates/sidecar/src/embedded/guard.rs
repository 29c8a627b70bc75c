//! The API token: compared in constant time, asked of both APIs (`dapr-contract` 1.4).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{Either, Map, Ready, ready};
use http::HeaderMap;
use subtle::ConstantTimeEq;
use tonic::Status;
use tower::Service;

/// What a caller has to know; `None` lets everybody in.
#[derive(Clone, Default)]
pub(super) struct Token(Option<Arc<str>>);

/// What is wrong with a caller's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Missing,
    Mismatch,
}

/// A gRPC service that asks for the token first.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    token: Token,
    inner: S,
}

type Answer = Result<http::Response<tonic::body::Body>, Infallible>;

// === impl Token ===

impl Token {
    pub(super) fn new(token: Option<String>) -> Self {
        Self(token.filter(|token| !token.is_empty()).map(Arc::from))
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(token) = &self.0 else { return Ok(()) };
        let given = headers.get("dapr-api-token").ok_or(Refused::Missing)?;
        // Lengths are compared in the open: the length of a random token is no secret.
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) { Ok(()) } else { Err(Refused::Mismatch) }
    }
}

// === impl Guarded ===

impl<S> Guarded<S> {
    pub(super) fn new(token: Token, inner: S) -> Self {
        Self { token, inner }
    }
}

impl<S: tonic::server::NamedService> tonic::server::NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<tonic::body::Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, Map<S::Future, fn(Answer) -> Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let status = match self.token.check(request.headers()) {
            Ok(()) => return Either::Right(self.inner.call(request).map(resized as fn(Answer) -> Answer)),
            Err(Refused::Missing) => Status::unauthenticated("missing api token"),
            Err(Refused::Mismatch) => Status::unauthenticated("authentication error: api token mismatch"),
        };
        Either::Left(ready(Ok(status.into_http())))
    }
}

/// Says that a message is too large as grpc-go says it: `ResourceExhausted`, not `OutOfRange`.
fn resized(answer: Answer) -> Answer {
    answer.map(|response| match response.headers().get("grpc-status") {
        Some(code) if code == "11" => {
            let limit = crate::client::MAX_MESSAGE;
            Status::resource_exhausted(format!("grpc: received message larger than max ({limit})"))
                .into_http()
        }
        _ => response,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_opens() {
        let token = Token::new(Some("s3cret".into()));
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("dapr-api-token", value.parse().unwrap());
            token.check(&headers)
        };
        assert_eq!(with("s3cret"), Ok(()));
        assert_eq!(with("s3cre"), Err(Refused::Mismatch));
        assert_eq!(with(""), Err(Refused::Mismatch));
        assert_eq!(token.check(&HeaderMap::new()), Err(Refused::Missing));
        assert_eq!(Token::new(None).check(&HeaderMap::new()), Ok(()));
    }
}
