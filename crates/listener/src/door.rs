//! What every request passes before anything looks at its path: who sends it, then the limits of its body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::{Frame, SizeHint};
use tower::Service;

use crate::body::Paced;
use crate::line::{Busy, Line};
use crate::visitor::{self, Address};
use crate::{Doors, Peer, Refuse, small};

/// The router of one connection, behind its door.
#[derive(Clone)]
pub(crate) struct Door {
    router: Router,
    doors: Doors,
    here: Address,
    refuse: Refuse,
    line: Line,
}

/// An answer's body; the request counts as under way until it is gone.
pub(crate) struct Answer {
    body: Body,
    _busy: Busy,
}

// === impl Door ===

impl Door {
    pub(crate) fn new(router: Router, doors: Doors, here: Address, refuse: Refuse, line: Line) -> Self {
        Self { router, doors, here, refuse, line }
    }
}

impl<B> Service<Request<B>> for Door
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Answer>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let busy = self.line.busy();
        let owed = (!request.body().is_end_stream()).then(|| self.line.owed());
        if let Err(refusal) = visitor::check(request.uri(), request.headers(), &self.here, &self.doors) {
            tracing::debug!(%refusal, "refused at the door");
            let mut response = (self.refuse)(&refusal, request.headers());
            if request.version() < http::Version::HTTP_2 && owed.is_some() {
                // Its body stays unread.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return Box::pin(std::future::ready(Ok(finished(response, busy))));
        }
        let held = self.doors.room.hold();
        let limits = small::limits(self.doors.limits, self.line.was_late());
        let is_grpc = is_grpc(request.headers());
        let request = request.map(|body| match owed {
            None => Body::empty(),
            Some(owed) => Body::new(Paced::new(body, limits, is_grpc, held.clone(), owed)),
        });
        let mut request = request;
        if let Some(peer) = self.here.peer {
            request.extensions_mut().insert(Peer(peer));
        }
        let answering = self.router.call(request);
        Box::pin(async move {
            let Ok(response) = answering.await;
            drop(held);
            Ok(finished(response, busy))
        })
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Adds what every answer says: no browser is to guess what it is, nor to show it inside another page.
fn finished(mut response: Response<Body>, busy: Busy) -> Response<Answer> {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response.map(|body| Answer { body, _busy: busy })
}

// === impl Answer ===

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
