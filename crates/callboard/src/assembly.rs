//! How the parts become one process: `Embedded` (everything in it) or `Beside` a Dapr sidecar.
//!
//! Decides which part gets what, and the order in which they start and stop. No part knows another but through the
//! fields given here.

mod beside;
mod components;
mod embedded;
mod folder;
mod late;
mod listener;
mod lock;
pub mod pair;
mod parts;
mod secrets;
mod setup;
mod vault;

pub use beside::Beside;
pub use embedded::{Embedded, Ports, SIDECAR};
pub use folder::take;
pub use lock::{Lock, Locked};
pub use parts::{CatalogPlace, Opened, catalog, catalog_place, gatekeeper};
pub use vault::FILE as SECRETS_KEY;
