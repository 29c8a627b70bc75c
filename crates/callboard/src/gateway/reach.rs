//! How the gateway reaches runs: operations through the sidecar to the run's actor, reads from there or from the
//! catalog.
//!
//! A run that has ended is read from the catalog. Anything else is asked of its actor, which knows more than the
//! catalog where journaling is batched; if the actor can't be reached, the catalog's picture has to do. After an
//! operation the catalog is waited for, so that whoever operates and then reads sees what was done.

use super::{Error, Watch, trace::Trace};
use crate::record::Data;
use callboard_actors::{Live, Recorded};
use callboard_catalog::{Catalog, RunRow};
use callboard_core::workflow::view::Summary;
use callboard_sidecar::Sidecar;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// The actor type of runs.
const WORKFLOW: &str = "Workflow";
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
    pub catalog: Arc<dyn Catalog>,
    pub watch: Watch,
    /// What agents say while they say it, and who listens.
    pub live: Live,
}

// === impl Runs ===

impl Runs {
    /// Calls a method of the run's actor and returns the run as it answers.
    pub async fn operate(&self, trace: &Trace, run: &str, method: &str, body: Value) -> Result<Value, Error> {
        let answer = self.invoke(trace, run, method, body).await?;
        self.settle(run, &answer).await;
        Ok(answer)
    }

    /// Starts a run; a repeated start of the same run answers what became of the first.
    pub async fn start(&self, trace: &Trace, run: &str, body: Value) -> Result<Value, Error> {
        self.invoke(trace, run, "start", body).await
    }

    /// Returns the run as it is now.
    pub async fn read(&self, trace: &Trace, run: &str) -> Result<Value, Error> {
        let row = self.row(run).await?;
        self.current(trace, &row).await
    }

    /// Waits until the catalog has everything that the run's actor knows, for reads of its history.
    pub async fn caught_up(&self, trace: &Trace, run: &str) -> Result<RunRow, Error> {
        let row = self.row(run).await?;
        if !is_over(&row) {
            let now = self.current(trace, &row).await?;
            self.settle(run, &now).await;
        }
        Ok(row)
    }

    /// Returns the run's row in the catalog. A start is recorded there before it is answered.
    pub async fn row(&self, run: &str) -> Result<RunRow, Error> {
        self.catalog.run(run).await?.ok_or_else(|| Error::not_found("run", run))
    }

    pub fn watch(&self, run: &str) -> broadcast::Receiver<Recorded> {
        (self.watch)(run)
    }

    async fn current(&self, trace: &Trace, row: &RunRow) -> Result<Value, Error> {
        if is_over(row) {
            return self.recorded(row).await;
        }
        match self.invoke_within(GLANCE, trace, &row.id, "status", json!({})).await {
            // What does not fit a sidecar's message is in the catalog.
            Ok(run) if is_cut(&run) => {
                self.settle(&row.id, &run).await;
                self.recorded(&self.row(&row.id).await?).await
            }
            Ok(run) => Ok(run),
            // Also a run whose keys are gone, and one whose data is too large for the sidecar.
            Err(error)
                if error.retry_after.is_some()
                    || matches!(error.status, StatusCode::NOT_FOUND | StatusCode::PAYLOAD_TOO_LARGE) =>
            {
                self.recorded(row).await
            }
            Err(error) => Err(error),
        }
    }

    async fn invoke(&self, trace: &Trace, run: &str, method: &str, body: Value) -> Result<Value, Error> {
        self.invoke_within(PATIENCE, trace, run, method, body).await
    }

    async fn invoke_within(
        &self,
        patience: Duration,
        trace: &Trace,
        run: &str,
        method: &str,
        body: Value,
    ) -> Result<Value, Error> {
        let sidecar = self.sidecar.with_trace(Some(trace.0.clone()));
        let call = sidecar.invoke_actor(WORKFLOW, run, method, body.to_string().into());
        let Ok(answer) = tokio::time::timeout(patience, call).await else {
            tracing::warn!(run, method, "the sidecar holds a call");
            // Giving up takes a call out of the sidecar's queue; one that has reached the run goes on.
            let detail = "the run does not answer now: it is not known whether this was done; read the run, or send \
                          the request again with the same Idempotency-Key";
            return Err(Error::unavailable("sidecar_unavailable", detail, 5));
        };
        let answer = answer?;
        let Ok(answer) = serde_json::from_slice::<Value>(&answer) else {
            tracing::error!(run, method, "an actor's answer is not JSON");
            return Err(Error::internal());
        };
        match Error::in_answer(&answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// Waits, for a bounded time, until the catalog is as far as the answer.
    async fn settle(&self, run: &str, answer: &Value) {
        let Ok(told) = Told::deserialize(answer) else { return };
        let mut notices = self.watch(run);
        let reached = async {
            loop {
                match self.catalog.run(run).await {
                    Ok(Some(row)) if told.is_in(&row) => return,
                    Ok(_) => {}
                    Err(_) => return,
                }
                // A notice comes with the journal; the clock is for those that came before we listened.
                let _ = tokio::time::timeout(Duration::from_millis(20), notices.recv()).await;
            }
        };
        if tokio::time::timeout(SETTLE, reached).await.is_err() {
            tracing::debug!(run, "the catalog is behind");
        }
    }

    /// Returns the run as the catalog knows it, its data in full.
    pub async fn recorded(&self, row: &RunRow) -> Result<Value, Error> {
        let Ok(summary) = summary(row) else { return Ok(unreadable(row)) };
        let mut data = Data::default();
        for datum in std::iter::once(&summary.input).chain(&summary.output) {
            data.want(datum);
        }
        data.load(&*self.catalog, &row.id).await?;
        let mut run = summary.resolve(|reference| data.content(reference));
        // As the actor answers.
        run["run_id"] = json!(row.id);
        Ok(run)
    }
}

/// What an answer says about how far the run is.
#[derive(Deserialize)]
struct Told {
    seq: Option<u64>,
    status: String,
}

impl Told {
    /// An answer without a seq can be told from what the catalog has by the run's end alone.
    fn is_in(&self, row: &RunRow) -> bool {
        match self.seq {
            Some(seq) => row.seq >= seq,
            None => row.ended_at.is_some() == is_final(&self.status) && row.status == self.status,
        }
    }
}

/// Whether the catalog's picture is the last word: the run ended, and nothing is left to do for it.
fn is_over(row: &RunRow) -> bool {
    row.ended_at.is_some() && (row.is_cleaned() || row.purged)
}

/// Reads a run's row.
pub fn summary(row: &RunRow) -> Result<Summary, serde_json::Error> {
    let read = serde_json::from_str(&row.summary);
    read.inspect_err(|error| tracing::error!(run = row.id, %error, "a run's summary can't be read"))
}

/// Shows what is known of a run whose summary can't be read.
pub fn unreadable(row: &RunRow) -> Value {
    json!({
        "id": row.id, "run_id": row.id, "workflow_id": row.workflow_id, "version": row.version, "status": row.status,
        "created_at": row.created_at.to_string(), "ended_at": row.ended_at.map(|at| at.to_string()), "unreadable": true,
    })
}

/// Whether an actor's answer shows data as a reference.
fn is_cut(run: &Value) -> bool {
    ["/input/unavailable/hash", "/output/unavailable/hash"].iter().any(|path| run.pointer(path).is_some())
}

/// Whether a run with this status has ended.
pub fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}
