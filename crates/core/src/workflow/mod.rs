//! A workflow: the document a person edits, the plan it compiles to, and the machine that runs the plan.

pub mod definition;
pub mod plan;
pub mod event;
pub mod run;
pub mod snapshot;
pub mod view;
mod decide;
mod effects;
pub mod marks;
mod pinned;

pub use decide::args_hash;
pub use effects::Effect;
pub use event::{Event, Input, Outcome, Refusal, What};
pub use run::{Run, Status, StepKey};
pub use definition::{Definition, Edge, Node, NodeKind};
pub use plan::Plan;
