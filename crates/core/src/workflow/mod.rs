//! A workflow: the document a person edits, the plan it compiles to, and the machine that runs the plan.

mod args;
pub mod content;
mod decide;
pub mod definition;
mod effects;
pub mod event;
mod fields;
pub mod input;
pub mod kinds;
mod op;
mod pin;
mod pinned;
pub mod plan;
mod read;
mod rename;
pub mod run;
pub mod snapshot;
pub mod trial;
pub mod view;

pub use args::args_hash;
pub use decide::Place;
pub use definition::{Definition, Edge, Node, NodeKind};
pub use effects::Effect;
pub use event::{Event, What};
pub use input::{Input, Outcome, Refusal};
pub use op::{Fingerprint, Op};
pub use pin::Pin;
pub use plan::Plan;
pub use rename::{Rewritten, rename};
pub use run::{Run, Status, StepKey};
pub use trial::Trial;
