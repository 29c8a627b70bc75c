//! How every port of ours is served.
//!
//! [`serve`] is the only way a port gets its connections, so whatever is decided here holds for every route there is:
//! who may come (`visitor`), how long a head, a body and an idle connection may take (`line`, `body`), how much a
//! connection costs that only waits (`head`, `small`, `crowd`), and how many bytes of bodies are held at once (`room`). What is behind a port is a router; this crate knows nothing of it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail"))]

mod accept;
mod body;
mod connection;
mod crowd;
mod door;
mod head;
mod line;
mod room;
mod small;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;

pub use accept::serve;
pub use body::{Broken, broken};
pub use room::Room;
pub use visitor::{Refusal, host, origin};

/// What all ports of a process have in common; a clone shares the room.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// Names under which the server is called beside `localhost` and its addresses, as [`host`] reads them.
    pub hosts: Arc<[String]>,
    /// Origins whose pages may call, as [`origin`] reads them.
    pub origins: Arc<[String]>,
    pub limits: Limits,
    /// Bytes of request bodies that may be held at once.
    pub room: Room,
}

/// The other end of a request's connection, as an extension of the request: a gateway, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub std::net::SocketAddr);

/// How long things may take, and how many there may be, on one port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From a request's first byte, or from the connection's start, to the end of its head.
    pub head: Duration,
    /// A connection on which nothing is asked.
    pub idle: Duration,
    /// A reader that takes nothing of what is written to it.
    pub stalled: Duration,
    /// How long a body may be silent, at its start and later.
    pub grace: Duration,
    /// Bytes a second that a body must bring, over time.
    pub pace: u32,
    /// Connections at once; the next one waits to be accepted.
    pub connections: usize,
    /// Connections at once above which those on which nothing runs are kept in as few bytes as can be.
    pub crowd: usize,
    /// HTTP/2: connections at once on which nothing runs; who waits longest has to go first.
    pub idle_http2: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// HTTP/2: bytes that may be on their way, in a request and in all of a connection.
    pub windows: (u32, u32),
    /// HTTP/2: how often the other side is asked whether it is there, and how long it may take to say so.
    pub ping: (Duration, Duration),
}

/// Writes a refusal in the words of the API behind the port; the headers are the request's.
pub type Refuse = fn(&Refusal, &http::HeaderMap) -> Response;

// === impl Doors ===

impl Doors {
    /// The same for a port that no page has any business with.
    pub fn without_origins(&self) -> Self {
        Self { origins: Arc::default(), ..self.clone() }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stalled: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            pace: 1024,
            connections: 2048,
            crowd: 256,
            idle_http2: 256,
            streams: 256,
            windows: (256 << 10, 1 << 20),
            ping: (Duration::from_secs(30), Duration::from_secs(20)),
        }
    }
}
