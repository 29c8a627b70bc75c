//! Decides what a run and an agent do next.
//!
//! Pure: no clock, no randomness, no I/O, no `async`, no tracing. Time and everything that reached us are
//! arguments; what is now true comes back as events, what the shell must do is derived from the state.
//! The shell (`callboard-actors`) loads, commits, journals and performs.

pub mod agent;
pub mod call;
mod code;
pub mod document;
pub mod expr;
pub mod id;
pub mod json;
pub mod problem;
pub mod request;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod time;
pub mod transform;
pub mod value;
pub mod workflow;

pub use code::Code;
pub use problem::Problem;
pub use time::{Span, Timestamp};
pub use value::{Datum, Hash, Missing, ValueRef, Values};

/// A decider: inputs go in, events come out, effects are derived from the state.
pub trait Machine {
    /// What reached us.
    type Input;
    /// What is now true, past tense; recorded for ever.
    type Event;
    /// What the shell must do, imperative.
    type Effect;
    /// Why an input is refused. A late or repeated input is not refused: it yields nothing.
    type Refusal;

    /// Returns what becomes true because of `input`. Pure and total: the same arguments give the same events, and
    /// none panics. Errs with the stored values that it must see first, or with why the state forbids the input.
    fn decide(
        &self,
        at: Timestamp,
        input: &Self::Input,
        values: &Values,
    ) -> Result<Vec<Self::Event>, Stop<Self::Refusal>>;
    /// Folds one event. No rule lives here, so recorded events fold the same in every later version.
    fn apply(&mut self, event: &Self::Event);
    /// Returns everything asked for and not yet answered.
    fn pending(&self) -> Vec<Self::Effect>;
    /// Returns when to send a tick, if time matters.
    fn deadline(&self) -> Option<Timestamp>;
}

/// Why a decision did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<R> {
    /// Values the machine must see first; the shell loads them and asks again.
    Missing(Missing),
    /// The state forbids this input.
    Refused(R),
}

impl<R> From<Missing> for Stop<R> {
    fn from(missing: Missing) -> Self {
        Stop::Missing(missing)
    }
}
