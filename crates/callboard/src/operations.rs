//! What can be asked of Callboard: a function for each use case, whoever asks and however the question travels.
//!
//! A question is a type of ours, checked here with all its mistakes at once; an answer is a view, or a `Refusal`. No
//! type of a transport is known here: REST is one adapter over these functions. Nothing is decided about runs either:
//! an operation goes to the run's actor through the sidecar, a read there or to the catalog.

mod audit;
mod board;
mod data;
mod definitions;
mod feed;
mod heavy;
mod history;
mod keys;
mod language;
mod me;
mod once;
mod operate;
mod outline;
mod page;
mod projection;
mod projects;
mod refusal;
mod request;
mod runs;
mod start;
mod steps;
pub mod text;
mod workflows;

use crate::access::Gatekeeper;
use callboard_actors::Recorded;
use callboard_catalog::Catalog;
use callboard_core::{Timestamp, agent::spec::Agents, id::RunId};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use audit::AuditLine;
pub use board::{Boards, Move, Moved};
pub use feed::{Cursor, Followed, News, RunFeed};
pub use heavy::{Heavy, Turn, off_the_reactor};
pub use keys::{KeyMade, KeyView, NewKey, RotateKey, make_key, renew_key};
pub use language::{Evaluate, Evaluated, NodeKindView};
pub use me::{Me, Oidc, Ways};
pub use once::{Answered, Changed, Naming};
pub use operate::{Approve, Call, Nothing, Rerun, Signal};
pub use outline::{Outline, Shapes};
pub use page::{Items, Page, seq};
pub use projection::Projections;
pub use projects::{NewProject, ProjectView};
pub use refusal::{Kind, Refusal};
pub use request::{Key, Request, read};
pub use runs::{Filter, RunItem, Runs, Trace, UnreadableRun};
pub use start::{Start, StartInline, Started, StartedView, wait};
pub use steps::{Changes, StepsPage};
pub use workflows::{CheckedView, Saved, Text, WorkflowLine, WorkflowView};

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
    /// Runs that are followed, what their nodes are, and projects whose runs are watched.
    pub feeds: Followed,
    pub shapes: Shapes,
    pub boards: Boards,
    /// Who may ask.
    pub access: Gatekeeper,
    /// Where a page has its tokens made.
    pub oidc: Option<Arc<Oidc>>,
    /// Cancelled when the server stops: feeds end, waits answer.
    pub stop: CancellationToken,
}

/// Now, as events and rows have it.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
