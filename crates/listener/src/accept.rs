//! Takes connections, as many as there are places for, until it is told to stop.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::connection::{self, Servers};
use crate::crowd::Crowd;
use crate::door::Door;
use crate::line::Line;
use crate::visitor::Address;
use crate::{Doors, Refuse};

/// Pauses after an accept that failed for want of something, as of file handles.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// That it happens is said so often, however often it comes and goes.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Serves a router until `stop`; then takes no new connections, and returns once open ones have ended.
///
/// Dropping it cuts all connections. One that has become something else than HTTP keeps its place here, and is ended by
/// whoever has it now.
pub fn serve(
    listener: TcpListener,
    router: Router,
    doors: Doors,
    refuse: Refuse,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let router = if doors.origins.is_empty() { router } else { router.layer(readable(&doors)) };
    async move {
        let listened = listener.local_addr().ok();
        let mut intake = Intake::new(listener, doors.limits.connections);
        let mut connections = JoinSet::new();
        let crowd = Crowd::new(&doors.limits);
        let servers = Arc::new(Servers::new(doors.clone()));
        loop {
            let (socket, place) = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                taken = intake.next() => taken,
            };
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "no delay cannot be set");
            }
            let (called, peer) = (socket.local_addr().ok(), socket.peer_addr().ok());
            let here = Address { listened, called, peer };
            let line = Line::new(&crowd).taking(place);
            let door = Door::new(router.clone(), doors.clone(), here, refuse, line.clone());
            connections.spawn(connection::serve(socket, line, door, servers.clone(), stop.clone()));
        }
        drop(intake);
        while connections.join_next().await.is_some() {}
    }
}

/// Lets pages of the named origins read the answers.
fn readable(doors: &Doors) -> CorsLayer {
    let origins = doors.origins.iter().filter_map(|origin| origin.parse().ok());
    let names = ["idempotency-key", "last-event-id", "traceparent", "x-api-key", "apikey"]
        .map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(
            [
                header::CONTENT_TYPE,
                header::ACCEPT,
                header::AUTHORIZATION,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
            ]
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>(),
        )
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, header::WWW_AUTHENTICATE])
}

/// The accepting side: a place first, then a connection for it.
struct Intake {
    listener: TcpListener,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
    /// Failures in a row, when they were last spoken of, and until when nothing is tried.
    failed: u32,
    said: Option<Instant>,
    pause: Option<Instant>,
}

// === impl Intake ===

impl Intake {
    fn new(listener: TcpListener, places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.max(1)));
        Self { listener, places, place: None, failed: 0, said: None, pause: None }
    }

    /// Returns the next connection. May be dropped and called again at any point.
    async fn next(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            if let Some(until) = self.pause {
                tokio::time::sleep_until(until).await;
                self.pause = None;
            }
            if self.place.is_none() {
                self.place = self.places.clone().acquire_owned().await.ok();
            }
            match self.listener.accept().await {
                Ok((socket, _)) => {
                    self.failed = 0;
                    if let Some(place) = self.place.take() {
                        return (socket, place);
                    }
                }
                Err(error) if is_theirs(&error) => {}
                Err(error) => {
                    if self.said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
                        self.said = Some(Instant::now());
                        tracing::error!(%error, "a connection can't be accepted; said once a minute at most");
                    }
                    let pause = SHORTEST.saturating_mul(1 << self.failed.min(10)).min(LONGEST);
                    self.failed = self.failed.saturating_add(1);
                    self.pause = Some(Instant::now() + pause);
                }
            }
        }
    }
}

/// Whether only the connection that was to come is gone.
fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests;
