//! What a run's recorded history says, for people: its steps, its events, its data.
//!
//! A plain fold of events; no rule of the machine is repeated here beyond what an event means for a step's line.
//! Which node belongs to which body, and what kind it is, comes from the definition pinned in the first event.

mod data;
mod history;
mod shape;
mod steps;

pub use data::Data;
pub use history::{Item, item, unreadable};
pub use shape::Shape;
pub use steps::{StepItem, Steps};
