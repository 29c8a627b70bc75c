//! How much is done at once. Whoever is too many is told so at once, and when to come back.

use super::{Error, body};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all headers together.
const HEADERS: usize = 16 << 10;

/// Places for requests, and places for those that last: event streams and waits.
#[derive(Clone)]
pub struct Limits {
    requests: Arc<Semaphore>,
    lasting: Arc<Semaphore>,
}

/// A request's place; given back at its end, or when it turns into a lasting one.
#[derive(Clone)]
pub struct Place {
    request: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    lasting: Arc<Semaphore>,
}

// === impl Limits ===

impl Limits {
    pub fn new(requests: u32, lasting: u32) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests as usize)),
            lasting: Arc::new(Semaphore::new(lasting as usize)),
        }
    }

    /// Takes a place for something that is answered.
    pub fn request(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = self.requests.clone().try_acquire_owned();
        place.map_err(|_| overloaded("too many requests are being answered", 1))
    }

    /// Takes a place for something that lasts.
    pub fn lasting(&self) -> Result<OwnedSemaphorePermit, Error> {
        lasting(&self.lasting)
    }
}

// === impl Place ===

impl Place {
    /// Takes a lasting place and gives the request's back.
    pub fn lasting(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = lasting(&self.lasting)?;
        self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(place)
    }
}

/// Refuses requests whose headers are too large to carry on.
pub async fn headers(request: Request, next: Next) -> Response {
    let size: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS {
        let detail = format!("the headers are larger than {HEADERS} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Error::new(status, "headers_too_large", detail).into_response();
    }
    next.run(request).await
}

fn lasting(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    let place = places.clone().try_acquire_owned();
    place.map_err(|_| overloaded("too many streams and waits are open", 5))
}

fn overloaded(detail: &str, retry_after: u32) -> Error {
    Error::unavailable("overloaded", detail, retry_after)
}

/// Lets a request in if there is a place. Its body is read first: whoever takes long to send one holds up nobody.
pub async fn admit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(error) = body::not_a_form(&parts.method, &parts.headers) {
        return error.into_response();
    }
    let body = match body::bytes(body, &parts.headers, body::DEFINITION).await {
        Ok(body) => Body::from(body),
        Err(error) => return error.into_response(),
    };
    let mut request = Request::from_parts(parts, body);
    let permit = match limits.request() {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    let place = Place { request: Arc::new(Mutex::new(Some(permit))), lasting: limits.lasting };
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    drop(place);
    response
}
