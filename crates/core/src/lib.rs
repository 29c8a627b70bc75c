//! Decides what a run and an agent do next.
//!
//! Pure: no clock, no randomness, no I/O, no `async`, no tracing. Time and everything that reached us are
//! arguments; what is now true comes back as events, what the shell must do is derived from the state.
//! The shell (`callboard-actors`) loads, commits, journals and performs.
//!
//! A run, driven by hand from its start to its end:
//!
//! ```
//! use callboard_core::{
//!     Datum, Machine, Timestamp, Values,
//!     call::Usage,
//!     document::Format,
//!     id::{OperationId, RunId},
//!     workflow::{
//!         Definition, Effect, Input, Outcome, Plan, Run, Status, event::RunSettings, plan::Surroundings,
//!     },
//! };
//! use serde_json::json;
//! use std::sync::Arc;
//!
//! // What a person writes becomes a plan, or a list of every mistake in it.
//! let text = "
//! name: greeting
//! nodes:
//!   - {id: write, type: agent, config: {agent: poet, prompt: 'Greet {{ input.name }}'}}
//! output: {text: '{{ steps.write.output }}'}
//! ";
//! let definition = Definition::read(text, Format::Yaml).expect("no mistakes");
//! let around = Surroundings { agents: ["poet".to_owned()].into(), ..Surroundings::default() };
//! let plan = Arc::new(Plan::compile(definition, &around).expect("no mistakes"));
//!
//! // A run is the fold of its events. The shell records them before it acts on them.
//! let mut run = Run::new(&"r1".parse::<RunId>().expect("an id"));
//! run.attach(Arc::clone(&plan));
//! let mut history = Vec::new();
//! let mut take = |run: &mut Run, at: i64, input: Input| {
//!     let events = run.decide(Timestamp(at), &input, &Values::default()).expect("nothing is missing or refused");
//!     events.iter().for_each(|event| run.apply(event));
//!     history.extend(events);
//! };
//! let start = Input::Start {
//!     op: "start".into(),
//!     workflow_id: None,
//!     version: 0,
//!     plan: Datum::inline(plan.document().expect("JSON")),
//!     input: Datum::inline(json!({"name": "Ada"})),
//!     settings: RunSettings { dispatch: 64, retention: 0, max_tokens: Default::default(), otherwise: None, prices: Default::default() },
//!     trial: None,
//! };
//! take(&mut run, 1_000, start);
//!
//! // What the shell has to do now is read off the state: here it asks the agent.
//! let pending = run.pending();
//! let [Effect::StartAgent { step, attempt, .. }] = &pending[..] else { panic!("{pending:?}") };
//! let outcome = Outcome::Done(Datum::inline(json!("Good morning, Ada.")));
//! let (step, attempt) = (step.clone(), *attempt);
//! let answer = Input::AgentAnswer { step, attempt, outcome, usage: Usage::default(), fallbacks: vec![] };
//! take(&mut run, 2_000, answer.clone());
//! assert_eq!(run.status(), Status::Completed);
//! assert!(run.pending().is_empty());
//!
//! // An answer that comes again changes nothing, and the history alone gives the same state.
//! take(&mut run, 3_000, answer);
//! let again = Run::fold(&run.id, &history);
//! assert_eq!((again.status(), history.len()), (Status::Completed, history.len()));
//! assert_eq!(again.steps.len(), 1);
//! ```

pub mod agent;
pub mod call;
mod code;
pub mod document;
pub mod expr;
pub mod id;
pub mod json;
pub mod price;
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
