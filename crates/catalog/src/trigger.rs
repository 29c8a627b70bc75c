//! What starts runs by itself: schedules, webhooks, and what came of their occasions.
//!
//! The catalog knows when a schedule is to be looked at, and nothing of calendars. Whoever looks moves it on by comparing its
//! revision and where it stood: of two who look one moves it, and a change that came in between wins.

use crate::Error;
use async_trait::async_trait;
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId, TriggerId, WorkflowId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Fires that are kept of each trigger.
pub const FIRES: u32 = 100;

/// Triggers, and what came of them.
#[async_trait]
pub trait Triggers: Send + Sync + 'static {
    /// Saves a trigger with revision 1. `NotFound` without its workflow, `Conflict` where the project has one of this id.
    async fn make_trigger(&self, new: NewTrigger) -> Result<Trigger, Error>;

    async fn trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<Option<Trigger>, Error>;

    /// Returns triggers of a project, or of one of its workflows, newest id first, those after the id `after`.
    async fn triggers(
        &self,
        project: &ProjectId,
        of: Option<&WorkflowId>,
        after: Option<&TriggerId>,
        limit: u32,
    ) -> Result<Vec<Trigger>, Error>;

    /// Saves the next revision. `Conflict` if another one than the expected is there.
    async fn change_trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
        expected: u64,
        change: TriggerChange,
    ) -> Result<Trigger, Error>;

    /// Deletes a trigger and its fires. False if there was none.
    async fn delete_trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<bool, Error>;

    /// Returns schedules of all projects that are to be looked at, and keeps others from looking until `then`, in the same
    /// statement.
    async fn due_triggers(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<Trigger>, Error>;

    /// Moves schedules on, each that still stands where it stood, and says which. Fires that started a run are kept also of
    /// those that do not.
    async fn move_triggers(&self, moves: Vec<Move>) -> Result<Vec<bool>, Error>;

    /// Keeps what came of an occasion, unless the trigger is gone. What started a run is never overwritten.
    async fn record_fire(&self, fire: Fire) -> Result<(), Error>;

    /// Returns the last fires of a trigger, newest first.
    async fn fires(&self, project: &ProjectId, id: &TriggerId, limit: u32) -> Result<Vec<Fire>, Error>;
}

/// What starts runs by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    pub project: ProjectId,
    pub id: TriggerId,
    pub workflow_id: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub settings: Value,
    pub enabled: bool,
    /// What was before is none of its occasions.
    pub since: Timestamp,
    /// Counts the changes.
    pub revision: u64,
    pub secret: Option<Sealed>,
    /// Of the request that made it, where that had a name.
    pub made_of: Option<Hash>,
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    pub updated_at: Timestamp,
    pub course: Course,
}

/// What a trigger listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// The clock.
    Schedule,
    /// Requests from elsewhere.
    Webhook,
}

/// Where a schedule stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// Its next occasion.
    pub next_at: Option<Timestamp>,
    /// An occasion that waits for the end of the current run.
    pub queued: Option<Timestamp>,
    /// The last one that started a run.
    pub last_at: Option<Timestamp>,
    /// That run.
    pub current_run: Option<RunId>,
}

/// A secret that is sealed under a key which the catalog does not have. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Bytes);

/// A trigger to be.
#[derive(Debug, Clone)]
pub struct NewTrigger {
    pub project: ProjectId,
    pub id: TriggerId,
    pub workflow_id: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub settings: Value,
    pub enabled: bool,
    pub secret: Option<Sealed>,
    pub made_of: Option<Hash>,
    pub at: Timestamp,
    pub by: String,
    pub next_at: Option<Timestamp>,
}

/// The next revision of a trigger.
#[derive(Debug, Clone)]
pub struct TriggerChange {
    pub name: String,
    pub settings: Value,
    pub enabled: bool,
    pub since: Timestamp,
    pub secret: Option<Sealed>,
    pub at: Timestamp,
    pub next: Next,
}

/// What a change makes of a schedule's next occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It stays as it is, whatever that is by now.
    Kept,
    /// It begins anew: with this occasion, and none that waits.
    Anew(Option<Timestamp>),
}

/// A schedule that was looked at.
#[derive(Debug, Clone)]
pub struct Move {
    pub project: ProjectId,
    pub id: TriggerId,
    pub revision: u64,
    /// Where it stood.
    pub from: Course,
    pub to: Course,
    /// When to look again.
    pub look_at: Option<Timestamp>,
    /// What came of its occasions.
    pub fires: Vec<Fire>,
}

/// What came of an occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    pub project: ProjectId,
    pub trigger: TriggerId,
    /// It comes once: an instant of a schedule, the id of a message.
    pub occasion: String,
    pub at: Timestamp,
    /// The run that it started.
    pub run: Option<RunId>,
    pub outcome: Outcome,
    /// Why nothing was started.
    pub code: Option<String>,
    pub detail: Option<String>,
    /// Occasions before it that nothing was started for, as nobody looked.
    pub missed: u32,
}

/// What came of an occasion, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FireOutcome")]
pub enum Outcome {
    /// A run began.
    Started,
    /// Its settings say that none begins.
    Skipped,
    /// The run could not be started.
    Refused,
}

// === impl TriggerKind ===

impl TriggerKind {
    pub const ALL: [Self; 2] = [Self::Schedule, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Webhook => "webhook",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

// === impl Outcome ===

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Started, Self::Skipped, Self::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

// === impl Sealed ===

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

// === impl NewTrigger ===

impl NewTrigger {
    /// Returns what is there once it is saved.
    pub(crate) fn made(self) -> Trigger {
        Trigger {
            project: self.project,
            id: self.id,
            workflow_id: self.workflow_id,
            kind: self.kind,
            name: self.name,
            settings: self.settings,
            enabled: self.enabled,
            since: self.at,
            revision: 1,
            secret: self.secret,
            made_of: self.made_of,
            created_at: self.at,
            created_by: self.by,
            updated_at: self.at,
            course: Course { next_at: self.next_at, ..Course::default() },
        }
    }
}
