//! The `Workflow` actor: one run. Its turn is load, decide, commit, arm, journal, act, answer.
//!
//! `turn` has the phases in their order; `load`, `decide`, `commit`, `reminder`, `journal` and `act` are one each.

mod act;
mod actor;
pub(crate) mod alarms;
mod attempts;
mod commit;
mod contents;
mod decide;
mod http_step;
mod journal;
mod load;
mod methods;
mod nodes;
mod offer;
mod outgoing;
mod purge;
mod reason;
mod reconcile;
mod reminder;
mod snapshot;
mod start;
mod trial;
mod turn;
mod usage;
pub mod verify;

use crate::{
    WORKFLOW,
    kernel::{ActorType, Fenced, Mailboxes, no_id},
    line::Lines,
    marks::Marks,
    pins::Pins,
    protocol::Reply,
    quotas::Quotas,
    services::Services,
    tasks::Tasks,
};
use async_trait::async_trait;
use callboard_core::id::{RunId, WorkflowId};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

pub use methods::COMMANDS;

/// The runs this process hosts.
#[derive(Clone)]
pub(crate) struct Workflows(Arc<Inner>);

pub(crate) struct Inner {
    pub services: Services,
    pub tasks: Tasks,
    pub(crate) marks: Marks,
    boxes: Mailboxes<RunId, actor::Actor>,
    /// How often the turns of a run panicked.
    panics: Mutex<HashMap<RunId, u32>>,
    /// Plans of stored workflows, by workflow and version.
    plans: Mutex<HashMap<(WorkflowId, u32), start::Compiled>>,
    lines: Lines,
    pins: Pins,
    quotas: Quotas,
    alarms: alarms::Alarms,
}

impl Workflows {
    /// Makes the host of runs. None is loaded yet.
    pub fn new(services: Services, tasks: Tasks, marks: Marks, pins: Pins, lines: Lines) -> Self {
        let boxes = Mailboxes::new(services.settings.mailbox);
        Self(Arc::new(Inner {
            services,
            tasks,
            marks,
            boxes,
            panics: Mutex::default(),
            plans: Mutex::default(),
            lines,
            pins,
            quotas: Quotas::default(),
            alarms: alarms::Alarms::default(),
        }))
    }

    /// Returns the fenced document of a run.
    fn document_of(&self, run: &RunId) -> Fenced<'_> {
        Fenced::new(&self.services, run.document_key())
    }
}

#[async_trait]
impl ActorType for Workflows {
    fn name(&self) -> &'static str {
        WORKFLOW
    }

    fn is_id(&self, id: &str) -> bool {
        id.parse::<RunId>().is_ok()
    }

    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply {
        let run = id.parse::<RunId>().map_err(|_| no_id(id))?;
        self.call_method(&run, method, body).await
    }

    async fn wake(&self, id: &str) -> Reply {
        let run = id.parse::<RunId>().map_err(|_| no_id(id))?;
        self.tick(&run).await
    }

    fn deactivate(&self, id: &str) {
        if let Ok(run) = id.parse::<RunId>() {
            self.boxes.forget_if(&run, |actor| !actor.is_bound());
        }
    }

    fn active(&self) -> usize {
        self.boxes.len()
    }
}

impl std::ops::Deref for Workflows {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
