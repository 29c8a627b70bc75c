//! Remembers: definitions with their versions, the history of every run, the values it names, and when to look
//! at a run again.
//!
//! The catalog decides nothing about runs. It keeps what a turn journals under `(run, seq)` with a hash chain and
//! refuses whatever does not continue it; a projection row per run answers lists without folding histories.
//! Who may ask it is remembered beside it (`Access`): that is the API's, the engine does not need it. So are triggers
//! (`Triggers`), which start runs as the API does, and which installation the catalog is of (`Marks`).
//! `SqliteCatalog` is the embedded one. Every implementation passes `suite`.

mod access;
mod append;
mod definition;
mod draft;
mod keys;
mod mark;
mod meter;
mod once;
mod postgres;
mod quota;
mod run;
mod sql;
mod sqlite;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
mod survey;
mod trigger;
mod words;
mod writer;

use async_trait::async_trait;
use bytes::Bytes;
use callboard_core::{
    Hash, Span, Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use std::collections::BTreeMap;

pub use access::{
    AUDIT_KEPT, Access, ApiKey, AuditEntry, AuditRow, Deleted, KeyLimits, NewKey, ProjectChange, ProjectRow,
    Refused, Role, Rotation, SECRET_HASH, SecretHash,
};
pub use definition::{NewVersion, NewWorkflow, Workflow};
pub use draft::{Draft, DraftMark, Expected, NewDraft, Provenance, Renaming, Version};
pub use keys::{InternalKey, Signing};
pub use mark::{Mark, Marks};
pub use meter::{Meter, UsageBy, UsageSpan, Used};
pub use once::{Answer, Answering, Change, EarlyMessage, Once, REMEMBERED, Request};
pub use postgres::{Link, Migrated, PostgresCatalog, SchemaError};
pub use quota::{ProjectLimits, Quotas, Standing};
pub use run::{Append, Entry, OpenRun, RunFilter, RunProjection, RunRow, Tip};
pub use sqlite::{FileError, SqliteCatalog};
pub use survey::{AskedPlace, AskedRow, Asking, Search, Survey};
pub use trigger::{
    Course, FIRES, Fire, Move, NewTrigger, Next, Outcome, Sealed, Trigger, TriggerChange, TriggerKind,
    Triggers,
};
pub use words::Words;

/// Workflows and their published versions. What is asked of one project shows and touches nothing of another.
#[async_trait]
pub trait Definitions: Send + Sync + 'static {
    /// Saves version 1 under the caller's id. An id that exists is a `Conflict`.
    async fn create_workflow(&self, new: NewWorkflow) -> Result<Workflow, Error>;

    /// Publishes the next version. `Conflict` if another version than the expected one is the latest, or another draft than the one it is
    /// made of is there.
    async fn update_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewVersion,
    ) -> Result<Workflow, Error>;

    /// Returns the latest version, or the draft of what was never published, nothing if it is hidden; or a version by number,
    /// hidden or not.
    async fn workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<Workflow>, Error>;

    /// Hides a workflow; its runs go on and its versions stay readable. False if there was none to hide.
    async fn hide_workflow(&self, project: &ProjectId, id: &WorkflowId) -> Result<bool, Error>;

    /// Returns latest versions, or drafts of what was never published, without their definitions, newest id first, those after
    /// the id `after`.
    async fn workflows(
        &self,
        project: &ProjectId,
        after: Option<&WorkflowId>,
        limit: u32,
    ) -> Result<Vec<Workflow>, Error>;
}

/// What is edited beside the published versions, and what is said about these. What is hidden has neither.
#[async_trait]
pub trait Drafts: Send + Sync + 'static {
    /// Creates a workflow that has a draft and no version. An id that exists is a `Conflict`.
    async fn create_draft(&self, new: NewWorkflow) -> Result<Workflow, Error>;

    /// Returns the draft, if there is one.
    async fn draft(&self, project: &ProjectId, id: &WorkflowId) -> Result<Option<Draft>, Error>;

    /// Saves the draft. `Conflict` if what is there is not what was expected.
    async fn save_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewDraft,
    ) -> Result<Workflow, Error>;

    /// Forgets the draft; of what was never published it is all there is, and stays: `Conflict`, as if something else was expected.
    async fn discard_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        expected: Expected,
    ) -> Result<(), Error>;

    /// Returns versions without their definitions, newest first, those before the number `before`.
    async fn versions(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<Version>, Error>;

    /// Says something else about a version. `NotFound` where there is none.
    async fn note_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: u32,
        note: Option<String>,
    ) -> Result<(), Error>;

    /// Calls a workflow something else, until a version says what it is called. What is left out stays.
    async fn rename_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        renaming: Renaming,
    ) -> Result<Workflow, Error>;

    /// Counts the runs of a workflow that have one of these statuses, by version.
    async fn runs_by_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        statuses: &[&str],
    ) -> Result<BTreeMap<u32, u64>, Error>;
}

/// Histories with their values, and the row that stands for each run.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Appends to a run's history, all or nothing. Entries that are there already are fine.
    async fn append(&self, batch: Append) -> Result<(), AppendError>;

    /// Returns the history's end, and the hash at `at`; nothing for an unknown run.
    async fn tip(&self, run: &RunId, at: Option<u64>) -> Result<Option<Tip>, Error>;

    /// Returns up to `limit` entries with a seq larger than `after`, in order.
    async fn history(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Entry>, Error>;

    /// Returns those of the named values that exist.
    async fn values(&self, run: &RunId, keys: &[String]) -> Result<BTreeMap<String, Bytes>, Error>;

    /// Returns a run's row; nothing for an unknown run.
    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, Error>;

    /// Returns runs of a project, by their creation, those after its run `after`; none if there is no such run.
    async fn runs(
        &self,
        project: &ProjectId,
        filter: RunFilter,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, Error>;
}

/// What the sweeper asks: which runs to look at again, and when.
#[async_trait]
pub trait Sweep: Send + Sync + 'static {
    /// Returns the projects that have runs.
    async fn projects(&self) -> Result<Vec<ProjectId>, Error>;

    /// Returns runs of a project and a status, oldest first, those after its run `after`; none if there is no such run.
    async fn open_runs(
        &self,
        project: &ProjectId,
        status: &str,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<OpenRun>, Error>;

    /// Returns runs of all projects whose `next_check_at` has passed and moves it to `then` in the same statement.
    async fn due(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<RunId>, Error>;

    /// Marks a run cleaned up if its history still ends at `seq`; it is looked at again at its `retain_until`.
    async fn mark_cleaned(&self, run: &RunId, seq: u64) -> Result<bool, Error>;

    /// Marks a run purged from the state store; it is looked at again at `next_check_at`, or never.
    async fn mark_purged(&self, run: &RunId, next_check_at: Option<Timestamp>) -> Result<(), Error>;
}

/// What the actors sign their messages with.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// Returns the valid keys, and whether they have to be used.
    async fn signing(&self) -> Result<Signing, Error>;

    /// Saves the first key; where there is one, nothing changes.
    async fn first_key(&self, secret: [u8; 32], at: Timestamp) -> Result<(), Error>;

    /// Saves a key that signs from now on and returns its number. The one before stays valid, older ones are forgotten.
    async fn rotate_key(&self, secret: [u8; 32], at: Timestamp) -> Result<u32, Error>;

    /// From now on a message without a signature is refused. False if it was so already.
    async fn require_signatures(&self) -> Result<bool, Error>;
}

/// Documents that many runs share, by the hash of their content: who the agents of runs are. None is ever changed.
#[async_trait]
pub trait Pins: Send + Sync + 'static {
    /// Keeps a document, and that a run began with it `at` that time.
    async fn keep_pin(
        &self,
        project: &ProjectId,
        hash: Hash,
        document: Bytes,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// Returns a document; nothing where none has this hash.
    async fn pin(&self, project: &ProjectId, hash: Hash) -> Result<Option<Bytes>, Error>;

    /// Forgets the documents of a project that no run of it can name: whoever may name one has kept it at most `PIN_LEAD` before it began,
    /// and each run that is not purged began later. Returns how many went.
    async fn forget_pins(&self, project: &ProjectId, now: Timestamp) -> Result<u64, Error>;
}

/// Changes that are asked for under a key: each is made once, however often it is asked for.
#[async_trait]
pub trait Idempotency: Send + Sync + 'static {
    /// Returns what was answered under a key, if that was not too long ago. `Once::Made` is not among the answers.
    async fn answered(&self, request: &Request) -> Result<Option<Once>, Error>;

    /// Makes a change and remembers what is answered, both or neither. Where that was done before nothing is changed; whoever
    /// asks while it is being done waits for it. A change that fails is not remembered.
    async fn once(&self, request: Request, change: Change, answer: Answering) -> Result<Once, Error>;

    /// Forgets answers that were given before that time, so many at most. Returns how many went.
    async fn forget_answers(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}

/// Messages that came too early. They are kept until they can be delivered, or too long.
#[async_trait]
pub trait Early: Send + Sync + 'static {
    /// Keeps a message that is due at that time, unless so many are kept already; then false. One that is kept already stays as
    /// it is.
    async fn keep_early(&self, message: EarlyMessage, due: Timestamp, most: u32) -> Result<bool, Error>;

    /// Returns messages whose time has come, in the order they came, and moves their time to `then` in the same statement.
    async fn early(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<EarlyMessage>, Error>;

    /// Has a message tried again at that time.
    async fn early_again(&self, id: &str, due: Timestamp) -> Result<(), Error>;

    /// Forgets a message. False if somebody did already.
    async fn forget_early(&self, id: &str) -> Result<bool, Error>;
}

/// The whole database. Who needs only a part of it takes that part.
#[async_trait]
pub trait Catalog:
    Definitions + Drafts + Early + Idempotency + Journal + Keys + Meter + Pins + Quotas + Survey + Sweep
{
    /// Fails if the database does not answer, or takes no write: it tries one, which leaves nothing behind. The error says
    /// what is wrong in words for an operator.
    async fn health(&self) -> Result<(), Error>;

    /// Finishes the writes that were handed in and lets go of the database. Every later call is `Unavailable`.
    async fn close(&self);
}

/// Why a call failed, by remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's picture is old; `current` is the latest version where that makes sense.
    #[error("{what} {id} has changed or exists already")]
    Conflict { what: &'static str, id: String, current: Option<u32> },
    /// Nothing of this kind has this id, or it is hidden.
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// A stored row can't be read: an operator must look.
    #[error("a stored {what} can't be read: {message}")]
    Corrupt { what: &'static str, message: String },
    /// It answers, and lacks what it will need soon: an operator must look.
    #[error("the catalog lacks {0}")]
    Lacking(String),
    /// The outcome of a write is unknown; try again later.
    #[error("the catalog does not answer: {0}")]
    Unavailable(#[source] Source),
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The history has another entry at one of these places: reload.
    #[error("the history has gone another way")]
    Conflict,
    /// Entries are missing between the history's end and the first of these.
    #[error("the history ends at {last}")]
    Gap { last: u64 },
    /// The outcome is unknown.
    #[error("the catalog does not answer: {0}")]
    Unavailable(#[source] Source),
}

/// The database's own error.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// How long before a run begins the document that it names was kept, at most.
pub const PIN_LEAD: Span = Span::secs(24 * 3600);
/// The hash that precedes a run's first entry.
pub const NO_HASH: Hash = Hash([0; 16]);
