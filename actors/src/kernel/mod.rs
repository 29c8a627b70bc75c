//! What every durable actor needs: its place in this process, its document in the store, its reminder, and patience.
//!
//! `Workflow` and `Agent` stand on these parts and differ in what they decide and perform.

pub mod actor_type;
pub mod fenced;
pub mod ladder;
pub mod mailbox;
pub mod reminder;

pub use actor_type::{ActorType, no_id};
pub use fenced::Fenced;
pub use ladder::Ladder;
pub use mailbox::Mailboxes;
pub use reminder::Reminder;
