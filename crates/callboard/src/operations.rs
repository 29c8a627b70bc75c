//! What can be asked of Callboard: a function for each use case, whoever asks and however the question travels.
//!
//! A question is a type of ours, checked here with all its mistakes at once; an answer is a view, or a `Refusal`. No
//! type of a transport is known here: REST is one adapter over these functions. Nothing is decided about runs either:
//! an operation goes to the run's actor through the sidecar, a read there or to the catalog.

mod approvals;
mod audit;
mod board;
mod bulk;
mod cut;
mod data;
mod definitions;
mod drafts;
mod editing;
mod exchange;
mod export;
mod feed;
mod finding;
mod heavy;
mod history;
mod hooks;
mod keys;
mod language;
mod listing;
mod me;
mod occasions;
mod once;
mod operate;
mod outline;
mod overlay;
mod page;
mod projection;
mod projects;
mod query;
mod rates;
mod recorded;
mod refusal;
mod request;
mod runs;
mod setup;
mod start;
mod steps;
pub mod text;
mod triggers;
mod usage;
mod versions;
mod workflows;

use crate::access::Gatekeeper;
use callboard_actors::Recorded;
use callboard_catalog::Catalog;
use callboard_core::{Timestamp, agent::spec::Agents, id::RunId};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use approvals::ApprovalsPage;
pub use audit::AuditLine;
pub use board::{Boards, Move, Moved};
pub use bulk::{BulkCall, BulkCancel, BulkRerun, BulkView};
pub use drafts::{DraftView, Edited, Publish};
pub use editing::{AskRename, AskScope, ReferenceView, RenamedView, ScopeView};
pub use exchange::{Duplicate, Exported};
pub use export::ExportedRun;
pub use feed::{Cursor, Followed, News, RunFeed};
pub use finding::{Filter, Order};
pub use heavy::{Heavy, Turn, off_the_reactor};
pub use hooks::{Delivered, DeliveredView};
pub use keys::{KeyMade, KeyView, KeyWish, NewKey, RotateKey, make_key, renew_key};
pub use language::{Evaluate, Evaluated, NodeKindView};
pub use listing::{Listed, WorkflowLine};
pub use me::{Me, Oidc, Ways};
pub use occasions::{FireNow, TOGETHER};
pub use once::{Answered, Changed, Naming};
pub use operate::{Approve, Call, Nothing, Rerun, Signal};
pub use outline::{Outline, Shapes};
pub use overlay::{OfGeneration, OverlayAnswer};
pub use page::{Items, Page, seq};
pub use projection::Projections;
pub use projects::{LimitProject, NewProject, ProjectView};
pub use query::{Fields, Query, query};
pub use rates::Rates;
pub use recorded::{RunDefinitionView, StoredValue};
pub use refusal::{Kind, Refusal};
pub use request::{Key, Request, read};
pub use runs::{RunItem, Runs, Trace, UnreadableRun};
pub use setup::{About, AgentView, Granted, ProviderView, SecretNames, Setup, ToolView};
pub use start::{Start, StartInline, Started, StartedView, wait};
pub use steps::{Changes, StepsPage, Which};
pub use triggers::{
    Altered, CreateTrigger, Created, FireView, PreviewTrigger, ReplaceTrigger, TriggerMade, TriggerParts,
    TriggerPreview, TriggerView, TriggersOf,
};
pub use usage::{UsageAsked, UsagePage};
pub use versions::{Annotate, VersionLine, VersionView};
pub use workflows::{CheckedView, Rename, Saved, Text, WorkflowView};

/// Returns a receiver of "this run's history grew to seq" for a run; wakes feeds earlier than their clock.
pub type Watch = Arc<dyn Fn(&RunId) -> broadcast::Receiver<Recorded> + Send + Sync>;

/// Where histories are told of when they grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Whatever is recorded is recorded by this process, which hears of it at once.
    Here,
    /// Other processes record, too; what they tell may not reach us.
    Elsewhere,
}

// === impl Told ===

impl Told {
    /// How often a feed looks for itself.
    fn every(self) -> Duration {
        match self {
            Self::Here => Duration::from_secs(10),
            Self::Elsewhere => runs::POLL,
        }
    }
}

/// What the operations work with; a clone is the same.
#[derive(Clone)]
pub struct Operations {
    pub runs: Runs,
    pub catalog: Arc<dyn Catalog>,
    pub agents: Arc<Agents>,
    /// Secrets that say to which hosts they may go.
    pub bound_secrets: Arc<BTreeSet<String>>,
    pub heavy: Heavy,
    /// Steps of runs that were asked for lately.
    pub projections: Projections,
    pub told: Told,
    /// What the settings say of the installation.
    pub setup: Arc<Setup>,
    /// Runs that are followed, what their nodes are, and projects whose runs are watched.
    pub feeds: Followed,
    pub shapes: Shapes,
    pub boards: Boards,
    /// Who may ask.
    pub access: Gatekeeper,
    /// What starts runs by itself.
    pub triggers: TriggerParts,
    /// Where a page has its tokens made.
    pub oidc: Option<Arc<Oidc>>,
    /// Cancelled when the server stops: feeds end, waits answer.
    pub stop: CancellationToken,
}

/// Now, as events and rows have it.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
