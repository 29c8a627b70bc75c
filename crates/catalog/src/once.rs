//! What is asked for again: changes that were made already, and messages that came before what they are for.

use crate::{NewDraft, NewVersion, NewWorkflow, Workflow};
use bytes::Bytes;
use callboard_core::{
    Hash, Span, Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use std::fmt;

/// How long an answer is remembered.
pub const REMEMBERED: Span = Span::secs(24 * 3600);

/// A change as its caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub project: ProjectId,
    /// What is asked for, without what differs from one call to the next.
    pub route: &'static str,
    pub key: String,
    /// Of everything that decides what is done: the path, the query, the body.
    pub body: Hash,
    pub at: Timestamp,
}

/// A change of the catalog that can be asked for under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    CreateWorkflow(NewWorkflow),
    CreateDraft(NewWorkflow),
    UpdateWorkflow {
        project: ProjectId,
        id: WorkflowId,
        change: NewVersion,
    },
    SaveDraft {
        project: ProjectId,
        id: WorkflowId,
        change: NewDraft,
    },
    /// `NotFound` where there is none to hide.
    HideWorkflow {
        project: ProjectId,
        id: WorkflowId,
    },
}

/// What was answered, as far as it is given again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub status: u16,
    /// By name, in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Makes the answer of a change; of one that hid a workflow nothing is left to show.
pub type Answering = Box<dyn FnOnce(Option<&Workflow>) -> Answer + Send>;

/// What became of a change that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// It is made, now.
    Made(Answer),
    /// It was made before: this was answered.
    Known(Answer),
    /// Under this key something else was asked for.
    Reused,
}

/// A message that came before the run it is for, or before the run had asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct EarlyMessage {
    /// Tells it from its repetitions.
    pub id: String,
    pub run: RunId,
    pub method: String,
    /// What the method takes.
    pub message: Bytes,
    /// As it came, for whoever reads what could not be delivered.
    pub event: Bytes,
    pub came_at: Timestamp,
}

/// A message carries what people say.
impl fmt::Debug for EarlyMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyMessage").field("id", &self.id).field("run", &self.run).finish_non_exhaustive()
    }
}
