//! A workflow: the document a person edits, the plan it compiles to, and the machine that runs the plan.

pub mod definition;
pub mod plan;

pub use definition::{Definition, Edge, Node, NodeKind};
pub use plan::Plan;
