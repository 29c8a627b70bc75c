//! How runs are reached: operations through the sidecar to the run's actor, reads from there or from the catalog.
//!
//! A run that has ended is read from the catalog. Anything else is asked of its actor, which knows more than the
//! catalog where journaling is batched; if the actor can't be reached, the catalog's picture has to do. After an
//! operation the catalog is waited for, so that whoever operates and then reads sees what was done.

use super::{Kind, Operations, Refusal, Watch, data::Data};
use crate::access::Principal;
use callboard_actors::{
    Live, Recorded,
    protocol::{Caller, NotCalled},
};
use callboard_catalog::{Catalog, RunRow};
use callboard_core::{
    Code,
    id::{RunId, WorkflowId},
    workflow::{
        Status,
        event::RunError,
        view::{RunView, Summary},
    },
};
use callboard_sidecar::Sidecar;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;
use uuid::Uuid;

/// A turn takes milliseconds, seconds under load; a sidecar that holds a call longer than this has lost it, or looks for
/// a host of the run.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long a read waits for the actor before the catalog's picture has to do.
const GLANCE: Duration = Duration::from_millis(1500);
/// How often the catalog is looked at where no notice comes, as when another process runs the actor.
pub(super) const POLL: Duration = Duration::from_millis(500);
/// How long an answer waits for the catalog to have what it says.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs, wherever they are.
#[derive(Clone)]
pub struct Runs {
    pub sidecar: Sidecar,
    pub caller: Caller,
    pub catalog: Arc<dyn Catalog>,
    pub watch: Watch,
    /// What agents say while they say it, and who listens.
    pub live: Live,
}

/// The W3C `traceparent` of the calls that an operation makes.
#[derive(Debug, Clone)]
pub struct Trace(pub String);

/// A run, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RunItem {
    Run(Box<RunView>),
    Unreadable(UnreadableRun),
}

/// What is known of a run that is damaged, or that a later version wrote.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UnreadableRun {
    pub id: RunId,
    /// The id again, as a start answers it.
    pub run_id: RunId,
    pub workflow_id: Option<WorkflowId>,
    pub version: Option<u32>,
    pub status: String,
    pub created_at: String,
    pub ended_at: Option<String>,
    /// True.
    pub unreadable: bool,
}

// === impl Trace ===

impl Trace {
    /// Begins one, for what nobody has asked for.
    pub fn begun() -> Self {
        let (trace, span) = (Uuid::new_v4().simple(), Uuid::new_v4().simple().to_string());
        Self(format!("00-{trace}-{}-01", &span[..16]))
    }
}

// === impl Operations ===

impl Operations {
    /// Returns the run as it is now.
    pub async fn run(&self, principal: &Principal, trace: &Trace, run: &RunId) -> Result<RunItem, Refusal> {
        principal.owns(run)?;
        self.runs.read(trace, run).await
    }
}

/// A run in a list. One that can't be read must not hide others.
pub(super) fn line(row: &RunRow) -> RunItem {
    summary(row).map_or_else(|_| RunItem::unreadable(row), |run| RunItem::of(run.line()))
}

/// A run in a cursor.
pub(super) fn row_name(row: &RunRow) -> String {
    row.id.name().to_owned()
}

impl Principal {
    /// Refuses a run of another project as one that there is not.
    pub(super) fn owns(&self, run: &RunId) -> Result<(), Refusal> {
        if *run.project() == self.project { Ok(()) } else { Err(Refusal::not_found("run", run.name())) }
    }
}

// === impl Runs ===

impl Runs {
    /// Calls a method of the run's actor and returns the run as it answers.
    pub(super) async fn operate(
        &self,
        trace: &Trace,
        run: &RunId,
        method: &str,
        body: &Value,
    ) -> Result<RunView, Refusal> {
        let answer = self.invoke(PATIENCE, trace, run, method, body).await?;
        self.settle(run, &answer).await;
        Ok(answer)
    }

    /// Starts a run; a repeated start of the same run answers what became of the first.
    pub(super) async fn start(&self, trace: &Trace, run: &RunId, body: &Value) -> Result<RunView, Refusal> {
        self.invoke(PATIENCE, trace, run, "start", body).await
    }

    /// Returns the run as it is now.
    pub(super) async fn read(&self, trace: &Trace, run: &RunId) -> Result<RunItem, Refusal> {
        let row = self.row(run).await?;
        self.current(trace, &row).await
    }

    /// Waits until the catalog has everything that the run's actor knows, for reads of its history.
    pub(super) async fn caught_up(&self, trace: &Trace, run: &RunId) -> Result<(), Refusal> {
        let row = self.row(run).await?;
        if !is_over(&row)
            && let RunItem::Run(now) = self.current(trace, &row).await?
        {
            self.settle(run, &now).await;
        }
        Ok(())
    }

    /// Returns the run's row in the catalog. A start is recorded there before it is answered.
    pub(super) async fn row(&self, run: &RunId) -> Result<RunRow, Refusal> {
        self.catalog.run(run).await?.ok_or_else(|| Refusal::not_found("run", run))
    }

    pub(super) fn watch(&self, run: &RunId) -> broadcast::Receiver<Recorded> {
        (self.watch)(run)
    }

    async fn current(&self, trace: &Trace, row: &RunRow) -> Result<RunItem, Refusal> {
        if is_over(row) {
            return self.recorded(row).await;
        }
        match self.invoke(GLANCE, trace, &row.id, "status", &json!({})).await {
            // What does not fit a sidecar's message is in the catalog.
            Ok(run) if is_cut(&run) => {
                self.settle(&row.id, &run).await;
                self.recorded(&self.row(&row.id).await?).await
            }
            Ok(run) => Ok(RunItem::of(run)),
            // Also a run whose keys are gone, and one whose data is too large for the sidecar.
            Err(refusal)
                if refusal.retry_after.is_some()
                    || matches!(refusal.kind, Kind::NotFound | Kind::TooLarge) =>
            {
                self.recorded(row).await
            }
            // As far as its history goes, and why it goes no further.
            Err(refusal) if refusal.code == Code::HistoryGap.as_str() => {
                let run = self.recorded(row).await?;
                Ok(run.failed(RunError {
                    code: Code::HistoryGap.as_str().to_owned(),
                    message: refusal.detail,
                    node: None,
                }))
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn invoke(
        &self,
        patience: Duration,
        trace: &Trace,
        run: &RunId,
        method: &str,
        body: &Value,
    ) -> Result<RunView, Refusal> {
        let sidecar = self.sidecar.with_trace(Some(trace.0.clone()));
        let call = self.caller.call(&sidecar, run, method, body.to_string().into());
        let Ok(answer) = tokio::time::timeout(patience, call).await else {
            tracing::warn!(%run, method, "the sidecar holds a call");
            // Giving up takes a call out of the sidecar's queue; one that has reached the run goes on.
            let detail = "the run does not answer now: it is not known whether this was done; read the run, or send \
                          the request again with the same Idempotency-Key";
            return Err(Refusal::unavailable("sidecar_unavailable", detail, 5));
        };
        let unreadable = |error: serde_json::Error| {
            tracing::error!(%run, method, %error, "an actor's answer can't be read");
            Refusal::internal()
        };
        let answer: Value = serde_json::from_slice(&answer.map_err(uncalled)?).map_err(unreadable)?;
        match Refusal::in_answer(&answer) {
            Some(refusal) => Err(refusal),
            None => serde_json::from_value(answer).map_err(unreadable),
        }
    }

    /// Waits, for a bounded time, until the catalog is as far as the answer.
    async fn settle(&self, run: &RunId, answer: &RunView) {
        let mut notices = self.watch(run);
        let reached = async {
            loop {
                match self.catalog.run(run).await {
                    Ok(Some(row)) if is_in(answer, &row) => return,
                    Ok(_) => {}
                    Err(_) => return,
                }
                // A notice comes with the journal; the clock is for those that came before we listened.
                let _ = tokio::time::timeout(Duration::from_millis(20), notices.recv()).await;
            }
        };
        if tokio::time::timeout(SETTLE, reached).await.is_err() {
            tracing::debug!(%run, "the catalog is behind");
        }
    }

    /// Returns the run as the catalog knows it, its data in full.
    pub(super) async fn recorded(&self, row: &RunRow) -> Result<RunItem, Refusal> {
        let Ok(summary) = summary(row) else { return Ok(RunItem::unreadable(row)) };
        let mut data = Data::default();
        for datum in std::iter::once(&summary.input).chain(&summary.output) {
            data.want(datum);
        }
        data.load(&*self.catalog, &row.id).await?;
        let run = summary.view(|reference| data.content(reference));
        // As the actor answers.
        Ok(RunItem::of(RunView { run_id: Some(row.id.clone()), ..run }))
    }
}

// === impl RunItem ===

impl RunItem {
    fn of(run: RunView) -> Self {
        Self::Run(Box::new(run))
    }

    fn failed(mut self, error: RunError) -> Self {
        if let Self::Run(run) = &mut self {
            run.error = Some(error);
        }
        self
    }

    fn unreadable(row: &RunRow) -> Self {
        Self::Unreadable(UnreadableRun {
            id: row.id.clone(),
            run_id: row.id.clone(),
            workflow_id: row.workflow_id.clone(),
            version: row.version,
            status: row.status.clone(),
            created_at: row.created_at.to_string(),
            ended_at: row.ended_at.map(|at| at.to_string()),
            unreadable: true,
        })
    }
}

fn uncalled(error: NotCalled) -> Refusal {
    match error {
        NotCalled::Sidecar(error) => error.into(),
        NotCalled::Unsigned => {
            tracing::warn!("the sidecar answers for a run with what no actor of ours has signed");
            Refusal::unavailable("sidecar_unavailable", "the run's actor does not answer", 1)
        }
    }
}

/// Whether the catalog is as far as an answer. Without a seq that can be told by the run's end alone.
fn is_in(answer: &RunView, row: &RunRow) -> bool {
    match answer.seq {
        Some(seq) => row.seq >= seq,
        None => row.ended_at.is_some() == Status::is_final(&answer.status) && row.status == answer.status,
    }
}

/// Whether the catalog's picture is the last word: the run ended, and nothing is left to do for it.
fn is_over(row: &RunRow) -> bool {
    row.ended_at.is_some() && (row.is_cleaned() || row.purged)
}

/// Reads a run's row.
fn summary(row: &RunRow) -> Result<Summary, serde_json::Error> {
    let read = serde_json::from_str(&row.summary);
    read.inspect_err(|error| tracing::error!(run = %row.id, %error, "a run's summary can't be read"))
}

/// Whether an actor's answer shows data as a reference.
fn is_cut(run: &RunView) -> bool {
    let cut =
        |data: &Option<Value>| data.as_ref().is_some_and(|data| data.pointer("/unavailable/hash").is_some());
    cut(&run.input) || cut(&run.output)
}

/// Returns the node where a run failed.
pub(super) fn error_node(row: &RunRow) -> Option<String> {
    summary(row).ok()?.error?.node
}
