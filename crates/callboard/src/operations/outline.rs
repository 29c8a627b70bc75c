//! What whoever follows runs has to know of them first: whose they are, where their histories stand, and what their nodes
//! are.

use super::{Operations, Refusal, data::Data, history::event};
use crate::access::Principal;
use callboard_catalog::{RunFilter, RunRow};
use callboard_core::{
    id::{RunId, WorkflowId},
    workflow::{Status, What, view::Shape},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// A run, as far as its row tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub run: RunId,
    pub workflow: Option<WorkflowId>,
    /// Of the last event.
    pub seq: u64,
}

/// The shapes of runs that somebody follows; a clone is the same.
#[derive(Clone, Default)]
pub struct Shapes(Arc<Mutex<HashMap<RunId, Weak<Shape>>>>);

// === impl Operations ===

impl Operations {
    /// Returns a run of the caller's project.
    pub async fn outline(&self, principal: &Principal, run: &RunId) -> Result<Outline, Refusal> {
        principal.owns(run)?;
        Ok(Outline::of(&self.runs.row(run).await?))
    }

    /// Returns the newest runs of a workflow that have not ended, up to so many, and whether there are more.
    pub async fn open_runs(
        &self,
        principal: &Principal,
        workflow: &WorkflowId,
        most: u32,
    ) -> Result<(Vec<Outline>, bool), Refusal> {
        let project = &principal.project;
        if self.catalog.workflow(project, workflow, None).await?.is_none() {
            return Err(Refusal::not_found("workflow", workflow));
        }
        let filter =
            RunFilter { workflow_id: Some(workflow.clone()), statuses: open(), ..RunFilter::default() };
        let rows = self.catalog.runs(project, filter, None, most + 1).await?;
        let more = rows.len() > most as usize;
        Ok((rows.iter().take(most as usize).map(Outline::of).collect(), more))
    }

    /// Returns what the run's nodes are. It is read once for all who follow the run.
    pub async fn shape(&self, run: &RunId) -> Result<Arc<Shape>, Refusal> {
        if let Some(shape) = self.shapes.get(run) {
            return Ok(shape);
        }
        let entries = self.catalog.history(run, 0, 1).await?;
        let mut shape = Shape::default();
        // One that can't be read tells nothing of its nodes.
        if let Some(What::RunCreated { plan, .. }) =
            entries.first().and_then(|entry| event(run, entry)).map(|event| event.what)
        {
            let mut data = Data::default();
            data.want(&plan);
            let _room = self.heavy.data(data.size()).await?;
            data.load(&*self.catalog, run).await?;
            shape = Shape::of(&data.show(&plan));
        }
        Ok(self.shapes.keep(run, shape))
    }
}

/// The statuses of runs that have not ended.
pub(super) fn open() -> BTreeSet<String> {
    [Status::Pending, Status::Running, Status::Waiting, Status::Paused]
        .map(|status| status.name().to_owned())
        .into()
}

// === impl Outline ===

impl Outline {
    fn of(row: &RunRow) -> Self {
        Self { run: row.id.clone(), workflow: row.workflow_id.clone(), seq: row.seq }
    }
}

// === impl Shapes ===

impl Shapes {
    fn get(&self, run: &RunId) -> Option<Arc<Shape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(run)?.upgrade()
    }

    fn keep(&self, run: &RunId, shape: Shape) -> Arc<Shape> {
        let mut shapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever comes sweeps out what nobody needs any more.
        shapes.retain(|_, shape| shape.strong_count() > 0);
        let shape = Arc::new(shape);
        shapes.insert(run.clone(), Arc::downgrade(&shape));
        shape
    }
}
