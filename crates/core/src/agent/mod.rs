//! An agent: its specification, its messages, and the loop of model and tool calls as a machine.

pub mod delegate;
pub mod message;
pub mod run;
pub mod spec;
pub mod task;
