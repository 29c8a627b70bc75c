//! `/ws`: what happens to runs, told over Socket.IO as it happens.
//!
//! It owns what that transport owns: who connects and how many of them, what a client may ask for, and that one who reads
//! slowly holds up nobody. What is told comes from the same feeds as every other stream. Every event that a client may send
//! stands in `EVENTS`, with the permission that it asks for.

mod emit;
mod session;
mod told;

use super::{Error, Limits, access};
use crate::{
    access::{Given, Permission, Principal},
    operations::{Kind, Operations, Refusal, now},
};
use axum::Router;
use callboard_core::id::ProjectId;
use futures::future::BoxFuture;
use serde_json::Value;
use session::{Asked, Session};
use socketioxide::{
    ParserConfig, SocketIo, TransportType,
    extract::{AckSender, SocketRef, TryData},
    handler::ConnectHandler,
    socket::Sid,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;

/// Where it is. Clients ask for the second one.
pub const PATHS: [&str; 2] = ["/ws", "/ws/"];
/// Sockets of one subject at once.
const SOCKETS: usize = 20;
/// Whoever has not said by then who they are goes.
const GREETING: Duration = Duration::from_secs(10);
/// Messages that wait for a client; one more, and it is slow.
const QUEUE: usize = 128;
/// Bytes of one message that a client sends, and of the buffer into which it is read.
const MESSAGE: usize = 64 << 10;
const READ: usize = 4 << 10;

/// What a client may send.
pub struct SocketEvent {
    pub name: &'static str,
    /// What it takes to be heard.
    pub asks: Permission,
    answer: fn(Arc<Session>, SocketRef, Value, Asked) -> BoxFuture<'static, ()>,
}

pub const EVENTS: &[SocketEvent] = &[
    SocketEvent { name: "subscribe", asks: Permission::Read, answer: session::subscribe },
    SocketEvent { name: "unsubscribe", asks: Permission::Read, answer: session::unsubscribe },
];

/// All sockets of the process; a clone is the same.
#[derive(Clone)]
struct Sockets(Arc<Inner>);

struct Inner {
    operations: Operations,
    limits: Limits,
    sessions: Mutex<HashMap<Sid, Arc<Session>>>,
    /// By project and subject.
    users: Mutex<HashMap<(ProjectId, Arc<str>), usize>>,
}

/// A socket's place, among all that last and among those of its subject.
struct Seat {
    sockets: Sockets,
    user: (ProjectId, Arc<str>),
    _place: OwnedSemaphorePermit,
}

/// Why somebody is not let in: a code.
struct NotAdmitted(String);

/// Returns the routes of the sockets. They are closed when the server stops.
pub fn router(operations: &Operations, limits: &Limits) -> Router<super::Gateway> {
    let (service, io) = SocketIo::builder()
        .req_path(PATHS[0])
        .transports([TransportType::Websocket])
        .connect_timeout(GREETING)
        .max_buffer_size(QUEUE)
        .max_payload(MESSAGE as u64)
        .ws_max_message_size(MESSAGE)
        .ws_max_frame_size(MESSAGE)
        .ws_read_buffer_size(READ)
        // Nothing that can be asked for is binary.
        .with_parser(ParserConfig::common().max_incoming_binaries(0).max_incoming_binary_buf_size(0))
        .build_svc();
    let sockets = Sockets(Arc::new(Inner {
        operations: operations.clone(),
        limits: limits.clone(),
        sessions: Mutex::default(),
        users: Mutex::default(),
    }));
    let (admitting, connected) = (sockets.clone(), sockets.clone());
    let connect = move |socket: SocketRef, io: SocketIo| {
        let sockets = connected.clone();
        async move { sockets.connected(&socket, &io) }
    };
    io.ns(
        "/",
        connect.with(move |socket: SocketRef, TryData(auth): TryData<Value>| {
            let sockets = admitting.clone();
            async move { sockets.admit(&socket, auth.ok()).await }
        }),
    );
    let stop = operations.stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        sockets.sessions().drain().for_each(|(_, session)| session.close());
        io.close().await;
    });
    PATHS.into_iter().fold(Router::new(), |router, path| router.route_service(path, service.clone()))
}

// === impl Sockets ===

impl Sockets {
    /// Asks who connects; what it sends is its credential, as any request has one.
    async fn admit(&self, socket: &SocketRef, auth: Option<Value>) -> Result<(), NotAdmitted> {
        let at = now();
        let token = auth.as_ref().and_then(|auth| auth.get("token")).unwrap_or(&Value::Null);
        let given = match token {
            Value::Null => Given::Nothing,
            Value::String(text) if text.is_empty() => Given::Nothing,
            Value::String(text) => Given::One(text),
            _ => Given::Rubbish,
        };
        let gatekeeper = &self.0.operations.access;
        match gatekeeper.who(given, at).await {
            Ok(principal) => {
                self.has_seat(&principal)?;
                socket.extensions.insert(principal);
                Ok(())
            }
            Err(unknown) => {
                let error = Error::from(unknown);
                let source = access::source(&socket.req_parts().extensions);
                access::refused(gatekeeper, "socket connect".to_owned(), None, source, &error, at);
                Err(NotAdmitted(error.code.into_owned()))
            }
        }
    }

    /// Begins a session, if there is a seat for it.
    fn connected(&self, socket: &SocketRef, io: &SocketIo) {
        let Some(principal) = socket.extensions.remove::<Principal>() else { return };
        let Some(seat) = self.seat(&principal) else {
            // It was there when it was asked who comes.
            let _ = socket.clone().disconnect();
            return;
        };
        let Inner { operations, limits, .. } = &*self.0;
        let session = Arc::new(Session::new(operations.clone(), limits.clone(), principal, seat));
        // One that connects again leaves what it had.
        self.sessions().insert(socket.id, session.clone());
        for event in EVENTS {
            let session = session.clone();
            socket.on(event.name, move |socket: SocketRef, TryData(body): TryData<Value>, ack: AckSender| {
                heard(event, session.clone(), socket, body.unwrap_or_default(), Asked(Some(ack)))
            });
        }
        let sockets = self.clone();
        socket.on_disconnect(move |socket: SocketRef| async move { sockets.gone(socket.id) });
        tokio::spawn(self.clone().watch(socket.clone(), io.clone(), session));
    }

    /// Closes the socket within seconds of its credential's end.
    async fn watch(self, socket: SocketRef, io: SocketIo, session: Arc<Session>) {
        let is_there = async {
            // That it has gone may have been said before anybody listened.
            while socket.connected() && io.get_socket(socket.id).is_some() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        };
        tokio::select! {
            () = session.credential_ended() => {}
            () = is_there => {}
            () = session.closed() => return,
        }
        session.close();
        // A queue that is full has no room for the word that it is over.
        while socket.connected() && socket.clone().disconnect().is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.gone(socket.id);
    }

    fn gone(&self, id: Sid) {
        let session = self.sessions().remove(&id);
        if let Some(session) = session {
            session.close();
        }
    }

    fn has_seat(&self, principal: &Principal) -> Result<(), NotAdmitted> {
        let user = (principal.project.clone(), principal.subject.clone());
        if self.users().get(&user).is_some_and(|count| *count >= SOCKETS) {
            return Err(NotAdmitted("too_many_sockets".to_owned()));
        }
        let place = self.0.limits.lasting();
        place.map(drop).map_err(|error| NotAdmitted(error.code.into_owned()))
    }

    fn seat(&self, principal: &Principal) -> Option<Seat> {
        let place = self.0.limits.lasting().ok()?;
        let user = (principal.project.clone(), principal.subject.clone());
        let mut users = self.users();
        let count = users.entry(user.clone()).or_default();
        if *count >= SOCKETS {
            return None;
        }
        *count += 1;
        Some(Seat { sockets: self.clone(), user, _place: place })
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Arc<Session>>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn users(&self) -> MutexGuard<'_, HashMap<(ProjectId, Arc<str>), usize>> {
        self.0.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what a client sent. Whoever sends more than is answered at once is told so.
async fn heard(event: &SocketEvent, session: Arc<Session>, socket: SocketRef, body: Value, mut asked: Asked) {
    let refusal = match (session.may(event.asks), session.limits.request()) {
        (false, _) => Refusal::new(Kind::Forbidden, "forbidden", "the credential does not suffice"),
        (true, Err(error)) => Refusal::unavailable("overloaded", error.detail, 1),
        (true, Ok(_place)) => return (event.answer)(session, socket, body, asked).await,
    };
    asked.answer(&session::refused(&refusal));
}

// === impl Seat ===

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.sockets.users();
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

// === impl NotAdmitted ===

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
