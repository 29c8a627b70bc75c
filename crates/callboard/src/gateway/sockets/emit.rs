//! Sends messages to a client as fast as it takes them. What it does not take in time is left out, and it is told so.

use super::told::Message;
use socketioxide::{SendError, SocketError, extract::SocketRef};
use std::time::Duration;

/// So long a message waits for room in a client's queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether there is room.
const AGAIN: Duration = Duration::from_millis(50);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Queued,
    /// The client is slow, and the message is left out.
    Slow,
    /// Nobody is there any more.
    Gone,
}

/// Queues a message, once there is room for it.
pub async fn emit(socket: &SocketRef, message: &Message) -> Sent {
    let patience = if message.is_extra { Duration::ZERO } else { PATIENCE };
    let begun = tokio::time::Instant::now();
    loop {
        match socket.emit(message.name, &message.body) {
            Ok(()) => return Sent::Queued,
            Err(SendError::Socket(SocketError::Closed)) => return Sent::Gone,
            Err(SendError::Socket(SocketError::InternalChannelFull)) if begun.elapsed() >= patience => {
                return Sent::Slow;
            }
            Err(SendError::Socket(SocketError::InternalChannelFull)) => tokio::time::sleep(AGAIN).await,
            Err(SendError::Serialize(error)) => {
                tracing::error!(%error, message = message.name, "a message can't be written");
                return Sent::Queued;
            }
        }
    }
}

/// Says what is left out, as soon as there is room for that. False if nobody is there any more.
pub async fn resync(socket: &SocketRef, of: impl Fn() -> serde_json::Value) -> bool {
    loop {
        match emit(socket, &Message::resync(of())).await {
            Sent::Queued => return true,
            Sent::Slow => {}
            Sent::Gone => return false,
        }
    }
}
